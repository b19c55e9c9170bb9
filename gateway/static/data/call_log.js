import { Observable } from "./observable.js";
import { askFigures, sessionPath } from "./rest.js";
import { sideOfSignal, Transcript } from "./transcript.js";

const UNKNOWN_RETRY_MS = 2000;
const FIGURES_MS = 1500;
const FIGURES_MOST_MS = 60000;

/** The part of one call's log that has been read so far. */
export class CallLog extends Observable {
  #connection;
  #following = null;
  #closed = false;

  constructor(connection, sessionId) {
    super(30);
    this.sessionId = sessionId;
    this.session = null;
    this.transcript = new Transcript();
    this.signals = new Map();
    this.lastSeq = 0;
    this.caughtUp = false;
    this.failure = null;
    this.absent = false;
    /** When the last event arrived, on this browser's clock. */
    this.heardAt = Date.now();
    this.#connection = connection;
    this.#follow();
  }

  close() {
    this.#closed = true;
    this.#following?.close();
  }

  /** The last seq that the gateway has reported. */
  get head() {
    return Math.max(this.lastSeq, this.#following?.head ?? 0);
  }

  async #follow() {
    while (!this.#closed) {
      this.#following = this.#connection.subscribe(this.sessionId, {
        afterSeq: this.lastSeq,
        onSession: (session) => this.#know(session),
        onSignal: ({ key, payload }) => {
          this.signals.set(key, payload);
          this.changed();
        },
        onCaughtUp: () => {
          this.caughtUp = true;
          this.changed();
        },
        onBroken: () => this.#lost(),
      });
      try {
        for await (const event of this.#following) this.#append(event);
      } catch (error) {
        this.#lost();
        await this.#failed(error);
      }
    }
  }

  #know(session) {
    this.session = session;
    if (session.endedAt) this.signals.clear();
    this.failure = null;
    this.absent = false;
    this.changed();
  }

  #append(event) {
    this.transcript.add(event);
    this.lastSeq = event.seq;
    this.heardAt = Date.now();
    if (event.type !== "system") this.#clearSignals(event);
    this.changed();
  }

  /** Drop the interim signals that this final event replaces. */
  #clearSignals(event) {
    const side = event.type === "user_speech" ? "user" : "bot";
    for (const key of this.signals.keys()) if (sideOfSignal(key) === side) this.signals.delete(key);
  }

  #lost() {
    this.caughtUp = false;
    this.signals.clear();
    this.changed();
  }

  /** Note why reading the log has stopped, and wait until it may be tried again. */
  async #failed(error) {
    if (error.code === "invalid_message" && this.lastSeq > 0) {
      this.#forget(); // the log is shorter than before: the gateway uses another database
    } else if (error.code === "not_found") {
      this.absent = true;
      this.session = null; // it may have been erased
      this.#forget();
      await new Promise((resolve) => setTimeout(resolve, UNKNOWN_RETRY_MS));
    } else {
      this.failure = error.message;
      await this.#connection.pauseAfter(error);
    }
  }

  #forget() {
    this.transcript = new Transcript();
    this.lastSeq = 0;
    this.changed();
  }
}

/** The figures of a call, read by REST and read again when there are new events. */
export class CallFigures extends Observable {
  #log;
  #timer = null;
  #closed = false;
  #asking = null;
  #failures = 0;

  constructor(log) {
    super();
    this.#log = log;
    this.figures = null;
    this.failure = null;
    this.responseOf = new Map();
    this.unwatch = log.watch(() => this.#due());
    this.#due();
  }

  close() {
    this.#closed = true;
    this.unwatch();
    clearTimeout(this.#timer);
    this.#asking?.abort();
  }

  #due(wait = 0) {
    const stale = this.#log.lastSeq > (this.figures?.lastSeq ?? -1);
    if (!stale || !this.#log.caughtUp || this.#timer !== null || this.#closed) return;
    this.#timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    const began = performance.now();
    this.#asking = new AbortController();
    try {
      const figures = await askFigures(sessionPath(this.#log.sessionId, "/stats"), { signal: this.#asking.signal });
      this.figures = figures;
      this.responseOf = new Map(figures.responses.each.map((response) => [response.seq, response.ms]));
      this.failure = null;
      this.#failures = 0;
    } catch (error) {
      if (this.#closed) return;
      this.failure = error.message;
      this.#failures += 1;
    }
    this.changed();
    const pause = Math.min(
      FIGURES_MOST_MS,
      Math.max(FIGURES_MS, 10 * (performance.now() - began)) * 2 ** this.#failures,
    );
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#due();
    }, pause);
  }
}
