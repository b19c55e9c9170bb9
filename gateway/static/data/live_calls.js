import { isWaiting, quietFor, SILENCE_MS, STALL_MS } from "./attention.js";
import { isLive, makeRow, updateRow } from "./calls.js";
import { Observable } from "./observable.js";
import { askJson, sessionPath } from "./rest.js";
import { field, wordOf } from "./values.js";

const LIVE = ["initiated", "active"];
const SNAPSHOT = 500;
const PAGE = 100;
const MOST_LIVE = 5000;
const RECONCILE_MS = 1000;
const AT_ONCE = 4;
const ASK_AHEAD_MS = 2000;
const LAST_EVENTS = 20;

/**
 * The live calls, from the feed. `listener.ended(row)` is called for each call that ends, `erased(id)` of each that is no more,
 * `renewed()` whenever the feed begins.
 */
export class LiveCalls extends Observable {
  #unconfirmed = new Set();
  #reconciling = null;
  #snapshot = [];
  #asking = false;
  #listener;

  constructor(connection, listener) {
    super(150);
    this.rows = new Map();
    this.loaded = false;
    this.failure = null;
    this.connection = connection;
    this.#listener = listener;
    connection.subscribe(this);
  }

  command() {
    return { feed: "sessions", status: LIVE, summaries: true };
  }

  message(message) {
    if (message.type === "subscribed") {
      this.#unconfirmed = new Set(this.rows.keys());
      this.#snapshot = [];
      this.#reconcileSoon();
      this.#listener.renewed();
    } else if (message.type === "sessions") {
      for (const session of message.sessions) this.#know(session, field(message.summaries, session.sessionId));
      this.#snapshot.push(...message.sessions);
      this.#reconcileSoon();
    } else if (message.type === "session") {
      this.#know(message.session, message.summary);
    } else if (message.type === "erased") {
      this.#unconfirmed.delete(message.sessionId);
      this.rows.delete(message.sessionId);
      this.#listener.erased(message.sessionId);
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
    clearTimeout(this.#reconciling);
  }

  #know(session, summary) {
    this.#unconfirmed.delete(session.sessionId);
    const known = this.rows.get(session.sessionId);
    const row = known ?? makeRow(session, summary);
    if (known) updateRow(row, session, summary);
    if (isLive(row)) this.rows.set(session.sessionId, row);
    else this.#end(row);
  }

  #end(row) {
    this.rows.delete(row.session.sessionId);
    this.#listener.ended(row);
  }

  // After a snapshot

  #reconcileSoon() {
    clearTimeout(this.#reconciling);
    this.#reconciling = setTimeout(() => this.#reconcile().catch(() => {}), RECONCILE_MS);
  }

  /** Read the live calls that did not fit into the snapshot, and look up known calls that are not in it. */
  async #reconcile() {
    const snapshot = this.#snapshot;
    this.#snapshot = [];
    if (snapshot.length >= SNAPSHOT) {
      const oldest = snapshot.reduce((least, each) => (each.startedAt < least ? each.startedAt : least), "9");
      for (const status of LIVE) await this.#load(status, oldest);
    }
    const missing = [...this.#unconfirmed];
    this.#unconfirmed.clear();
    const lookUp = async () => {
      for (let id = missing.pop(); id !== undefined; id = missing.pop()) await this.#lookUp(id);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lookUp));
  }

  async #lookUp(id) {
    try {
      const { events: _events, pagination: _pagination, ...session } = await askJson(sessionPath(id, "?limit=1"));
      this.#know(session);
    } catch (error) {
      if (error.status === 404)
        this.rows.delete(id); // another database
      else this.#unconfirmed.add(id); // look it up after the next reconnect
    }
    this.changed();
  }

  async #load(status, oldest) {
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

  // Who speaks

  /** For each call about to count as stalled or silent, ask whether its bot has reported to speak. One call at a time. */
  async askWhoSpeaks(now) {
    if (this.#asking) return;
    this.#asking = true;
    for (const row of [...this.rows.values()]) {
      const due = quietFor(row, now) >= (isWaiting(row) ? STALL_MS : SILENCE_MS) - ASK_AHEAD_MS;
      if (due && row.askedAt !== row.session.lastSeq) await this.#askWhoSpeaks(row);
    }
    this.#asking = false;
  }

  async #askWhoSpeaks(row) {
    const { sessionId, lastSeq } = row.session;
    row.askedAt = lastSeq;
    try {
      const after = Math.max(0, lastSeq - LAST_EVENTS);
      const { events } = await askJson(sessionPath(sessionId, `/events?afterSeq=${after}&limit=${LAST_EVENTS}`));
      const newest = events.findLast(({ payload }) => field(payload, "event") === "bot.state");
      row.botState = wordOf(field(newest?.payload, "state"));
      this.changed();
    } catch {
      // treat the bot as one that does not report its state
    }
  }
}
