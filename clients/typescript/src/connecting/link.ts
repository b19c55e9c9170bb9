// One WebSocket to the gateway. It ends with Refused, for good, or with Lost, to be opened again.

import { finalClose, Lost, Refused, Stopped, textOf } from "../errors.ts";
import type { PublisherReply, SubscriberPush } from "../protocol.ts";
import { webSocketUrl } from "./address.ts";
import { Backoff } from "./backoff.ts";
import type { Environment, SocketLike } from "./environment.ts";
import { whyRefused } from "./handshake.ts";
import { later, sleep } from "./waiting.ts";

const SUBPROTOCOL = "turnwire.v1.json";
const TOKEN_EXPIRED = 4402;
const CLOSE_TIMEOUT = 2000;
/** Bytes that wait for the network, beyond which nothing more is written. */
const FULL = 1024 * 1024;
/** The longest silence, in ping intervals of the gateway. */
const QUIET_PINGS = 1.5;
/** The share of the longest silence after which the client pings. It does not see the gateway's pings. */
const PROBE = 0.8;
/** The share of the time for an answer after which the connection counts as stale. */
const SLOW = 0.25;

const HANDSHAKE_FAILED = new Lost("the handshake failed");

/** Limits on time, in milliseconds. */
export const LINK_TIMES = {
  handshake: 10_000,
  /** The longest silence after which the connection is given up. */
  quiet: 30_000,
};

export type ServerMessage = PublisherReply | SubscriberPush;

/** A function that gets each message, and its number of characters. It throws Lost or Refused to end the connection. */
export type Receive = (message: ServerMessage, link: Link, size: number) => void;

/** How soon a silence is noticed. Times are in milliseconds. */
export interface Vigilance {
  /** The longest silence after which the connection is given up; 30 seconds by default. */
  quietMs?: number | undefined;
  /** The silence after which the client asks for a sign of life; 80 % of `quietMs` by default. */
  pingAfterMs?: number | undefined;
  /** Called with true if no answer comes soon, and with false when the gateway is heard again. */
  onStale?: ((isStale: boolean) => void) | undefined;
}

/** An open connection. */
export class Link {
  /** Resolves, and never rejects, with why the connection ended; with undefined if its user ended it. */
  readonly ended: Promise<Error | undefined>;
  /** Resolves when the handshake is done. */
  readonly opened: Promise<void>;
  readonly #socket: SocketLike;
  readonly #environment: Environment;
  readonly #receive: Receive;
  readonly #stop = new AbortController();
  #end: (why: Error | undefined) => void = () => {};
  readonly #vigilance: Vigilance;
  #retryAfterMs: number | undefined;
  #quiet: number;
  #cancelWatch = () => {};
  #isOpen = false;
  #isProbing = false;
  #isStale = false;
  #renewing = false;

  constructor(socket: SocketLike, environment: Environment, receive: Receive, vigilance: Vigilance) {
    this.#socket = socket;
    this.#vigilance = vigilance;
    this.#quiet = vigilance.quietMs ?? LINK_TIMES.quiet;
    this.#environment = environment;
    this.#receive = receive;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.opened = new Promise((resolve) => {
      socket.onopen = () => {
        this.#isOpen = true;
        this.#watch();
        resolve();
      };
    });
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.end(this.#whyClosed(code, reason));
    socket.onerror = () => {}; // a close event follows; the package `ws` throws without a listener
    this.ended.then(() => this.#shut());
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  /** Whether so much waits for the network that nothing more should be written. */
  get isFull(): boolean {
    return this.#socket.bufferedAmount > FULL;
  }

  /** End the connection. A second call does nothing. */
  end(why?: Error): void {
    this.#end(why);
  }

  send(text: string): void {
    try {
      this.#socket.send(text);
    } catch (error) {
      this.end(this.lost(`the connection broke: ${textOf(error)}`));
    }
  }

  /** Notice a silence sooner, because the gateway pings every so many milliseconds. */
  pingsComeEvery(ms: number): void {
    this.#quiet = Math.min(LINK_TIMES.quiet, QUIET_PINGS * ms);
    this.#watch();
  }

  /**
   * Expect a message within the longest silence; ask for one before it is over. Judge by an unanswered ping, not by the
   * time alone: in a hidden tab, timers are late.
   */
  #watch(): void {
    this.#cancelWatch();
    this.#isProbing = false;
    this.#tellStale(false);
    this.#cancelWatch = later(this.#pingAfter, () => this.probe());
  }

  get #pingAfter(): number {
    return Math.min(this.#vigilance.pingAfterMs ?? this.#quiet * PROBE, this.#quiet);
  }

  /** Ask for a sign of life now, and end the connection if none comes. */
  probe(): void {
    if (!this.#isOpen || this.#isProbing) return;
    this.#isProbing = true;
    this.#cancelWatch();
    this.send('{"type":"ping"}');
    const left = this.#quiet - this.#pingAfter;
    this.#cancelWatch = later(left * SLOW, () => {
      this.#tellStale(true);
      this.#cancelWatch = later(left * (1 - SLOW), () => this.end(this.lost("the gateway has gone silent")));
    });
  }

  #tellStale(isStale: boolean): void {
    if (isStale === this.#isStale) return;
    this.#isStale = isStale;
    this.#vigilance.onStale?.(isStale);
  }

  lost(reason: string): Lost {
    return new Lost(reason, this.#retryAfterMs);
  }

  #received(data: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#watch();
    const message = this.#parsed(data);
    if (!message) {
      this.#environment.log.warn("skipped a frame that is not a message of a gateway");
      return;
    }
    if (message.type === "goaway") this.#retryAfterMs = message.reconnectAfterMs;
    else if (message.type === "expiring") this.#renewToken();
    try {
      this.#receive(message, this, (data as string).length);
    } catch (error) {
      this.end(error as Error);
    }
  }

  #parsed(data: unknown): ServerMessage | undefined {
    try {
      const message = this.#environment.parse(data as string);
      return message?.type ? message : undefined;
    } catch {
      return undefined;
    }
  }

  #whyClosed(code: number, reason: string): Error {
    if (!this.#isOpen) return HANDSHAKE_FAILED;
    if (code === TOKEN_EXPIRED && this.#environment.token.canRenew) {
      return new Lost("the token has expired", this.#retryAfterMs, true);
    }
    return finalClose(code, reason) ?? this.lost(`closed with ${code} ${reason}`.trimEnd());
  }

  /** Send the gateway a new token, if there can be one, because the present one expires soon. */
  async #renewToken(): Promise<void> {
    const { token, log } = this.#environment;
    if (!token.canRenew || this.#renewing) return;
    this.#renewing = true;
    const backoff = new Backoff();
    while (!this.#stop.signal.aborted) {
      try {
        const fresh = await token.fresh();
        if (!this.#stop.signal.aborted) this.send(JSON.stringify({ type: "auth", token: fresh }));
        break;
      } catch (error) {
        log.warn(`the token could not be renewed, trying again: ${textOf(error)}`);
        await sleep(backoff.nextDelay(), this.#stop.signal).catch(() => {});
      }
    }
    this.#renewing = false;
  }

  #shut(): void {
    const socket = this.#socket;
    this.#cancelWatch();
    this.#stop.abort();
    socket.onopen = socket.onmessage = null;
    const cancel = later(CLOSE_TIMEOUT, () => socket.terminate?.());
    socket.onclose = cancel;
    socket.close();
  }
}

/**
 * Connect to an http URL. Throws Lost, Refused if the gateway refuses for good, or Stopped. The connection ends when
 * `stop` is aborted.
 */
export async function openLink(
  environment: Environment,
  url: string,
  stop: AbortSignal,
  receive: Receive,
  vigilance: Vigilance = {},
): Promise<Link> {
  const token = await environment.token.fresh().catch((error) => {
    throw new Lost(error.message);
  });
  if (stop.aborted) throw new Stopped();
  const link = new Link(socketTo(environment, url, token), environment, receive, vigilance);
  const stopped = () => link.end(new Stopped());
  stop.addEventListener("abort", stopped);
  link.ended.then(() => stop.removeEventListener("abort", stopped));
  const { origin } = new URL(url);
  const cancel = later(LINK_TIMES.handshake, () => link.end(new Lost(`${origin} did not answer in time`)));
  const failed = await Promise.race([link.opened, link.ended]);
  cancel();
  if (failed === HANDSHAKE_FAILED) throw await whyRefused(environment, url, token);
  if (failed) throw failed;
  if (link.protocol === SUBPROTOCOL) return link;
  link.end();
  throw new Refused(`${origin} does not speak ${SUBPROTOCOL}: is it a Turnwire gateway?`);
}

function socketTo(environment: Environment, url: string, token: string | undefined): SocketLike {
  try {
    const protocols = token === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, `turnwire.bearer.${token}`];
    return new environment.WebSocket(webSocketUrl(url), protocols);
  } catch (error) {
    // A page may not open ws:// from https://, and a token must fit into a header. The error's text may contain the token.
    throw new Refused(`cannot connect to ${new URL(url).origin}: ${(error as Error).name}`);
  }
}
