import { credential } from "./credential.js";
import { readJson } from "./json.js";
import { Observable } from "./observable.js";

const SUBPROTOCOL = "turnwire.v1.json";
const UNAUTHENTICATED = [4401, 4402];
const PING_MS = 4000;
const STALE_MS = 7000;
const DEAD_MS = 16000;
const BACKOFF_MS = [250, 8000];

/**
 * The page's one WebSocket to `/subscribe`. It reconnects by itself and then renews every subscription. `state` says how
 * current the page is: `connecting` (never connected so far), `live`, `stale` (open, but silent), `reconnecting`.
 */
export class Connection extends Observable {
  #url;
  #socket = null;
  #subscriptions = new Map();
  #refs = new Map();
  #counter = 0;
  #attempt = 0;
  #heard = 0;
  #asked = null;
  #advised = null;
  #timer = null;

  constructor(url) {
    super();
    this.#url = url;
    this.state = "connecting";
    this.retryAt = null;
    this.losses = 0;
    setInterval(() => this.#beat(), PING_MS / 2);
    window.addEventListener("online", () => this.retry());
    window.addEventListener("offline", () => this.#beat());
    document.addEventListener("visibilitychange", () => this.#beat());
    this.#open();
  }

  /**
   * Keep a subscription across connections. `subscription.command()` returns the command for each new connection;
   * `message(message)` is called for each message, `failed(error)` for a final error, and `lost()` when a connection
   * ends. Returns a function that ends the subscription.
   */
  subscribe(subscription) {
    this.#subscriptions.set(subscription, null);
    this.#ask(subscription);
    return () => {
      const ref = this.#subscriptions.get(subscription);
      this.#subscriptions.delete(subscription);
      this.#refs.delete(ref);
      if (ref) this.#send({ type: "unsubscribe", ref });
    };
  }

  /** Subscribe again, with the subscription's current command, after `delay` milliseconds. */
  renew(subscription, delay = 0) {
    const ref = this.#subscriptions.get(subscription);
    if (ref) {
      this.#refs.delete(ref);
      this.#subscriptions.set(subscription, null);
      this.#send({ type: "unsubscribe", ref });
    }
    setTimeout(() => {
      if (this.#subscriptions.get(subscription) === null) this.#ask(subscription);
    }, delay);
  }

  /** Connect now instead of waiting. */
  retry() {
    if (this.#socket === null) this.#open();
  }

  /** The time that the page's data is from: now, or when the gateway was last heard. */
  get trueAt() {
    return this.state === "live" ? Date.now() : Date.now() - (performance.now() - this.#heard);
  }

  get isOpen() {
    return this.#socket !== null && this.#socket.readyState === WebSocket.OPEN;
  }

  #open() {
    clearTimeout(this.#timer);
    this.retryAt = null;
    const socket = new WebSocket(this.#url, [SUBPROTOCOL, ...credential.subprotocols]);
    this.#socket = socket;
    socket.onopen = () => {
      this.#hear();
      for (const subscription of this.#subscriptions.keys()) this.#ask(subscription);
    };
    socket.onmessage = (frame) => this.#receive(readJson(frame.data));
    socket.onclose = ({ code }) => {
      if (UNAUTHENTICATED.includes(code)) credential.refused();
      this.#closed(socket);
    };
    this.#asked = performance.now();
    this.changed();
  }

  #closed(socket) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#refs.clear();
    if (this.state === "live" || this.state === "stale") this.losses += 1;
    this.state = this.state === "connecting" ? "connecting" : "reconnecting";
    for (const subscription of this.#subscriptions.keys()) {
      this.#subscriptions.set(subscription, null);
      subscription.lost?.();
    }
    const [least, most] = BACKOFF_MS;
    const backoff = Math.min(most, least * 2 ** this.#attempt) * (0.5 + Math.random() / 2);
    const wait = this.#advised ?? backoff;
    this.#advised = null;
    this.#attempt += 1;
    this.retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => this.#open(), wait);
    this.changed();
  }

  #hear() {
    this.#heard = performance.now();
    this.#asked = null;
    this.#attempt = 0;
    if (this.state !== "live") {
      this.state = "live";
      this.changed();
    }
  }

  /** Check the connection by unanswered pings, not by elapsed time: in a hidden tab timers run once a minute. */
  #beat() {
    if (!this.isOpen) return;
    const now = performance.now();
    const waited = this.#asked === null ? 0 : now - this.#asked;
    if (waited > DEAD_MS) {
      const socket = this.#socket;
      this.state = "stale";
      this.#closed(socket); // the socket's own close event may come late
      socket.close();
    } else if ((waited > STALE_MS || !navigator.onLine) && this.state === "live") {
      this.state = "stale";
      this.changed();
    } else if (this.#asked !== null || now - this.#heard > PING_MS / 2) {
      this.#asked ??= now;
      this.#send({ type: "ping" });
    }
  }

  #send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  #ask(subscription) {
    if (!this.isOpen) return;
    this.#counter += 1;
    const ref = String(this.#counter);
    this.#refs.set(ref, subscription);
    this.#subscriptions.set(subscription, ref);
    this.#send({ type: "subscribe", ref, ...subscription.command() });
  }

  #receive(message) {
    this.#hear();
    if (message.type === "goaway") {
      this.#advised = message.reconnectAfterMs;
      return;
    }
    const subscription = this.#refs.get(message.ref);
    if (!subscription) return;
    if (message.type !== "error") subscription.message(message);
    else if (message.retryable) this.renew(subscription, 1000);
    else subscription.failed?.(message);
  }
}

/** The URL of the gateway's `/subscribe`, relative to this page. */
export function subscribeUrl(base = document.baseURI) {
  const url = new URL("subscribe", base);
  url.hash = "";
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}
