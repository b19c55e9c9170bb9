import { isWaiting, quietFor, SILENCE_MS, STALL_MS } from "./attention.js";
import { isLive, makeRow, updateRow } from "./calls.js";
import { Observable } from "./observable.js";
import { askJson, sessionPath } from "./rest.js";
import { field, wordOf } from "./values.js";

const LIVE = ["initiated", "active"];
const MOST_LIVE = 5000;
const ASK_AHEAD_MS = 2000;
const LAST_EVENTS = 20;

/**
 * The live calls, from the feed. `listener.ended(row)` is called for each call that ends, `erased(id)` for each that has been
 * erased, and `renewed()` whenever the feed begins.
 */
export class LiveCalls extends Observable {
  #asking = false;
  #listener;

  constructor(connection, listener) {
    super(150);
    this.rows = new Map();
    this.loaded = false;
    this.failure = null;
    this.connection = connection;
    this.#listener = listener;
    this.#follow();
  }

  async #follow() {
    const feed = this.connection.followSessions({
      status: LIVE,
      newest: MOST_LIVE,
      summaries: true,
      onBegun: () => this.#begun(),
      onErased: (id) => this.#erased(id),
    });
    for (;;) {
      try {
        for await (const session of feed) this.#know(session, feed.summaryOf(session.sessionId));
      } catch (error) {
        this.failure = error.message;
        this.changed();
        await this.connection.pauseAfter(error);
      }
    }
  }

  #begun() {
    this.loaded = true;
    this.failure = null;
    this.#listener.renewed();
    this.changed();
  }

  #erased(id) {
    this.rows.delete(id);
    this.#listener.erased(id);
    this.changed();
  }

  #know(session, summary) {
    const known = this.rows.get(session.sessionId);
    const row = known ?? makeRow(session, summary);
    if (known) updateRow(row, session, summary);
    if (isLive(row)) this.rows.set(session.sessionId, row);
    else this.#end(row);
    this.changed();
  }

  #end(row) {
    this.rows.delete(row.session.sessionId);
    this.#listener.ended(row);
  }

  // Who speaks

  /** For each call about to count as stalled or silent, ask whether its bot has reported speaking. One call at a time. */
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
