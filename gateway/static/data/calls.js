import { Observable } from "./observable.js";
import { askJson, RestError, sessionPath } from "./rest.js";

const LIVE = ["initiated", "active"];
const SNAPSHOT = 500;
const PAGE = 100;
const MOST_LIVE = 5000;
const MOST_ENDED = 1000;
const SETTLE_MS = 1000;
const AT_ONCE = 4;

/** All calls the page knows of: the live ones from the feed, the ended ones from the feed and from REST. */
export class Calls extends Observable {
  #unconfirmed = new Set();
  #settling = null;
  #cursor = null;
  #snapshot = [];
  #wanted = new Set();
  #looking = false;

  constructor(connection) {
    super(150);
    this.rows = new Map();
    this.loaded = false;
    this.loadingOlder = false;
    this.olderLeft = false;
    this.failure = null;
    this.connection = connection;
    connection.subscribe(this);
    this.loadOlder(true);
  }

  // The feed

  command() {
    return { feed: "sessions", status: LIVE, summaries: true };
  }

  message(message) {
    if (message.type === "subscribed") {
      this.#unconfirmed = new Set([...this.rows.values()].filter(isLive).map((row) => row.session.sessionId));
      this.#snapshot = [];
      this.#settleSoon();
      if (this.loaded) this.loadOlder(true);
    } else if (message.type === "sessions") {
      for (const session of message.sessions) this.#know(session, message.summaries?.[session.sessionId]);
      this.#snapshot.push(...message.sessions);
      this.#settleSoon();
    } else if (message.type === "session") {
      this.#know(message.session, message.summary);
    }
    this.loaded = true;
    this.failure = null;
    this.changed();
  }

  failed(error) {
    this.failure = error.message;
    this.changed();
  }

  lost() {
    clearTimeout(this.#settling);
  }

  #settleSoon() {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle().catch(() => {}), SETTLE_MS);
  }

  /** After the snapshot: the live calls it had no room for, and what has become of those it does not name. */
  async #settle() {
    const snapshot = this.#snapshot;
    this.#snapshot = [];
    if (snapshot.length >= SNAPSHOT) {
      const oldest = snapshot.reduce((least, each) => (each.startedAt < least ? each.startedAt : least), "9");
      for (const status of LIVE) await this.#loadLive(status, oldest);
    }
    const missing = [...this.#unconfirmed];
    this.#unconfirmed.clear();
    const lookUp = async () => {
      for (let id = missing.pop(); id !== undefined; id = missing.pop()) {
        await this.#lookUp(id);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lookUp));
  }

  async #lookUp(id) {
    try {
      const { events, pagination, ...session } = await askJson(sessionPath(id, "?limit=1"));
      this.#know(session);
    } catch (error) {
      if (error.status === 404)
        this.rows.delete(id); // another database
      else this.#unconfirmed.add(id); // for after the next reconnect
    }
    this.changed();
  }

  async #loadLive(status, oldest) {
    const before = new Date(Date.parse(oldest) + 1).toISOString();
    let cursor = null;
    do {
      const query = new URLSearchParams({ status, limit: PAGE, ...(cursor ? { cursor } : { startedBefore: before }) });
      const page = await askJson(`sessions?${query}`);
      for (const session of page.sessions) this.#know(session);
      this.changed();
      cursor = page.nextCursor;
    } while (cursor && this.rows.size < MOST_LIVE);
  }

  // The past

  /** More ended calls; `afresh` begins with the newest. */
  async loadOlder(afresh = false) {
    if (this.loadingOlder) return;
    this.loadingOlder = true;
    this.changed();
    try {
      const query = new URLSearchParams({ limit: PAGE });
      if (this.#cursor && !afresh) query.set("cursor", this.#cursor);
      const page = await askJson(`sessions?${query}`);
      for (const session of page.sessions) this.#know(session);
      if (!afresh || this.#cursor === null) this.#cursor = page.nextCursor;
      this.olderLeft = this.#cursor !== null;
      this.failure = null;
      this.loaded = true;
    } catch (error) {
      this.failure = error.message;
    }
    this.loadingOlder = false;
    this.changed();
  }

  /** What an ended call was about, which the feed did not tell: asked for while its row is in view, one at a time. */
  lookInto(row) {
    if (isLive(row) || row.summary || row.looked || row.session.lastSeq === 0) return () => {};
    this.#wanted.add(row);
    this.#look();
    return () => this.#wanted.delete(row);
  }

  async #look() {
    if (this.#looking) return;
    this.#looking = true;
    for (let row = first(this.#wanted); row !== undefined; row = first(this.#wanted)) {
      this.#wanted.delete(row);
      try {
        const stats = await askJson(sessionPath(row.session.sessionId, "/stats"));
        row.looked = true;
        row.summary ??= summaryOf(stats);
        row.haystack = null;
        this.changed();
      } catch (error) {
        if (!(error instanceof RestError)) break; // it is asked for again when its row comes into view again
        row.looked = true;
      }
    }
    this.#looking = false;
  }

  // Both

  #know(session, summary) {
    this.#unconfirmed.delete(session.sessionId);
    const row = this.rows.get(session.sessionId);
    if (!row) {
      this.rows.set(session.sessionId, makeRow(session, summary));
      this.#forgetOldest();
      return;
    }
    if (!isOlder(session, row.session)) row.session = session;
    if (summary && summary.throughSeq >= (row.summary?.throughSeq ?? 0)) row.summary = summary;
    row.haystack = null;
  }

  #forgetOldest() {
    const ended = [...this.rows.values()].filter((row) => !isLive(row));
    if (ended.length <= MOST_ENDED + PAGE) return;
    ended.sort((a, b) => (a.session.startedAt < b.session.startedAt ? -1 : 1));
    for (const row of ended.slice(0, ended.length - MOST_ENDED)) this.rows.delete(row.session.sessionId);
  }
}

function first(set) {
  for (const each of set) return each;
  return undefined;
}

/** The feed's summary of a call, from its figures. */
function summaryOf({ lastSeq, turns, lastLine, responses, interruptions, tools, errors }) {
  const { running: toolsRunning, failed: toolsFailed } = tools;
  return {
    throughSeq: lastSeq,
    turns: turns.total,
    lastLine,
    responseMs: responses.lastMs,
    interruptions,
    toolsRunning,
    toolsFailed,
    errors,
  };
}

function makeRow(session, summary = null) {
  return { session, summary, haystack: null };
}

function isOlder(session, known) {
  return session.lastSeq < known.lastSeq || (known.endedAt !== null && session.endedAt === null);
}

export function isLive(row) {
  return row.session.endedAt === null;
}

/** What the call is listed under: its bot or agent, as its metadata has it. */
export function callName(session) {
  const { bot, agent, assistant, name, services } = session.metadata;
  const found = [bot, agent, assistant, name].find((value) => typeof value === "string" && value);
  if (found) return found;
  if (Array.isArray(services) && services.length) return services.join(", ").replaceAll("_", " ");
  return session.sessionId;
}

/** All text of the row that a search may be for, in lower case. */
export function haystack(row) {
  row.haystack ??= [row.session.sessionId, JSON.stringify(row.session.metadata), row.summary?.lastLine?.text]
    .join("\n")
    .toLowerCase();
  return row.haystack;
}
