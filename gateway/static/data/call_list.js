import { isLive } from "./calls.js";
import { features } from "./features.js";
import { makeFilter, wantsPast } from "./filter.js";
import { LiveCalls } from "./live_calls.js";
import { PastCalls } from "./past_calls.js";

const TYPING_MS = 250;
const TICK_MS = 1000;

/** All calls: the live ones, and a window onto those that have ended. `apply` sets which of them are shown. */
export class CallList {
  #shown = null;
  #typing = null;
  #watchers = new Set();

  constructor(connection) {
    this.past = new PastCalls();
    this.live = new LiveCalls(connection, {
      ended: (row) => {
        for (const watcher of this.#watchers) watcher(row);
        this.past.add(row);
      },
      erased: (id) => this.past.remove(id),
      renewed: () => this.past.catchUp(),
    });
    this.filter = makeFilter({}, features.listing);
    features.read();
    addEventListener("online", () => this.past.catchUp());
    setInterval(() => {
      if (connection.state === "live") this.live.askWhoSpeaks(Date.now());
    }, TICK_MS);
  }

  /**
   * Show the calls that match these values from the address. The gateway is asked for past calls once its features are known,
   * and again only if its filters change.
   */
  apply(values) {
    this.filter = makeFilter(values, features.listing);
    if (!features.known) return;
    const asked = JSON.stringify(wantsPast(values) ? this.filter.query : null);
    if (asked === this.#shown) {
      if (this.past.filter !== null) this.past.filter = this.filter;
      return;
    }
    const first = this.#shown === null;
    this.#shown = asked;
    clearTimeout(this.#typing);
    const show = () => this.past.show(wantsPast(values) ? this.filter : null);
    if (first) show();
    else this.#typing = setTimeout(show, TYPING_MS);
  }

  /** Call `watcher(row)` for each call that ends. Returns a function that stops this. */
  onEnd(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The past calls in memory, newest first. */
  *held() {
    yield* [...this.past.fresh.values()];
    for (const { rows } of this.past.pages) if (rows) yield* rows;
  }

  /** Whether a row from the past list is shown there rather than among the live calls. */
  isPast(row) {
    return !isLive(row) || !this.live.rows.has(row.session.sessionId);
  }

  ids() {
    return [
      ...this.live.rows.keys(),
      ...[...this.held()].filter((row) => this.isPast(row)).map((row) => row.session.sessionId),
    ];
  }
}
