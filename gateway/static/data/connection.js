import { Connection } from "../vendor/turnwire.js";
import { credential } from "./credential.js";
import { readJson } from "./json.js";
import { Observable } from "./observable.js";

const PING_AFTER_MS = 4000;
const QUIET_MS = 16000;
const TRY_AGAIN_MS = 10000;
const HERE = new URL(".", document.baseURI).href;

/**
 * The page's one connection to the gateway. `state` says how current the page is: `connecting` (never connected so far),
 * `live`, `stale` (open, but silent), `reconnecting`, `closed` (refused).
 */
export class PageConnection extends Observable {
  #gateway = new Connection(HERE, {
    token: credential.token ?? undefined,
    parse: readJson,
    pingAfterMs: PING_AFTER_MS,
    quietMs: QUIET_MS,
    onState: () => this.changed(),
    log: { warn: () => {} }, // the page shows its state
  });

  get state() {
    return this.#gateway.state;
  }

  /** When the next attempt to connect begins; null if none is being waited for. */
  get retryAt() {
    return this.#gateway.retryAt;
  }

  /** The time that the page's data is from: now, or when the gateway was last heard. */
  get trueAt() {
    return this.state === "live" ? Date.now() : Date.now() - this.#gateway.silentForMs;
  }

  /** Connect now instead of waiting. */
  retry() {
    this.#gateway.retry();
  }

  subscribe(sessionId, options) {
    return this.#gateway.subscribe(sessionId, options);
  }

  followSessions(options) {
    return this.#gateway.followSessions(options);
  }

  /** Wait after a subscription has been refused until it may be tried again: for ever if the token does not allow it. */
  async pauseAfter({ code }) {
    if (code === "unauthenticated") credential.refused();
    const isFinal = code === "unauthenticated" || code === "forbidden";
    await new Promise((resolve) => isFinal || setTimeout(resolve, TRY_AGAIN_MS));
  }
}
