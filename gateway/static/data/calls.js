// A row of the list of calls: the session, its summary, and when its last event arrived.
import { field, lineOf, textOf, wordOf } from "./values.js";

export function makeRow(session, summary = figuresOf(session)) {
  return { session, summary, haystack: null, heardAt: heardAt(session), botState: null, askedAt: null };
}

/** Update a row with a session and a summary from the gateway, unless they are older than what is known. */
export function updateRow(row, session, summary) {
  if (session.lastSeq > row.session.lastSeq) row.heardAt = heardAt(session);
  if (!isOlder(session, row.session)) row.session = session;
  if (summary && summary.throughSeq >= (row.summary?.throughSeq ?? 0)) row.summary = summary;
  row.summary = figuresOf(row.session) ?? row.summary;
  row.haystack = null;
}

/** When the last event of a session that has just been received reached its gateway, on this browser's clock. */
const heardAt = ({ quietMs }) => Date.now() - (quietMs ?? 0);

function isOlder(session, known) {
  return session.lastSeq < known.lastSeq || (known.endedAt !== null && session.endedAt === null);
}

export function isLive(row) {
  return row.session.endedAt === null;
}

const NAMES = ["bot", "agent", "assistant", "name"];
const NAME_CHARACTERS = 120;

/** The name that a call is listed under: that of its bot or agent in the metadata, else the sessionId. */
export function callName({ metadata, sessionId }) {
  const found = NAMES.map((key) => wordOf(field(metadata, key))).find(Boolean);
  if (found) return lineOf(found, NAME_CHARACTERS);
  const services = field(metadata, "services");
  if (!Array.isArray(services) || services.length === 0) return sessionId;
  return lineOf(services.map((each) => textOf(each)).join(", "), NAME_CHARACTERS) || sessionId;
}

/** The searchable text of a row, in lower case. */
export function haystack(row) {
  row.haystack ??= [row.session.sessionId, textOf(row.session.metadata), row.summary?.lastLine?.text]
    .join("\n")
    .toLowerCase();
  return row.haystack;
}

/** A summary like the feed's, with the 95th percentile of responses, from the figures of an ended session; else null. */
function figuresOf({ endedAt, lastSeq, figures }) {
  if (endedAt === null || !figures) return null;
  const { turns, lastLine, responseP95Ms: p95Ms, interruptions, toolsFailed, errors } = figures;
  return { throughSeq: lastSeq, turns, lastLine, p95Ms, interruptions, toolsRunning: 0, toolsFailed, errors };
}

/** The same, made from a call's figures. */
export function summaryOf({ lastSeq, turns, lastLine, responses, interruptions, tools, errors }) {
  const { running: toolsRunning, failed: toolsFailed } = tools;
  return {
    throughSeq: lastSeq,
    turns: turns.total,
    lastLine,
    responseMs: responses.lastMs,
    p95Ms: responses.p95Ms,
    interruptions,
    toolsRunning,
    toolsFailed,
    errors,
  };
}

/** Sorts rows newest first, as the gateway lists them. */
export function newestFirst(a, b) {
  return compare(b.session.startedAt, a.session.startedAt) || compare(b.session.sessionId, a.session.sessionId);
}

export function oldestFirst(a, b) {
  return newestFirst(b, a);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
