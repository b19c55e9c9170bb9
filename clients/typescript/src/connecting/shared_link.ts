// Keeping one connection to a gateway up, for any number of subscriptions.

import { Lost, refusal, SessionNotFound, Stopped } from "../errors.ts";
import type { ErrorMessage, SubscriberPush } from "../protocol.ts";
import { Address } from "./address.ts";
import { Backoff } from "./backoff.ts";
import { type ConnectionOptions, Environment } from "./environment.ts";
import { type Link, openLink, type ServerMessage, type Vigilance } from "./link.ts";
import { Patience } from "./patience.ts";
import { now, sleep } from "./waiting.ts";

/**
 * `connecting`: not connected so far. `live`: what arrives is up to date. `stale`: the connection is open, but the gateway
 * does not answer. `reconnecting`: the connection is lost. `closed`: nobody needs it, or it has been given up.
 */
export type ConnectionState = "connecting" | "live" | "stale" | "reconnecting" | "closed";

export interface LinkOptions extends ConnectionOptions {
  /** How long the gateway may be away, in milliseconds; by default for ever. */
  giveUpAfterMs?: number | undefined;
}

/** Options of a connection that stays open. */
export interface Keeping extends Pick<Vigilance, "quietMs" | "pingAfterMs"> {
  /** Called whenever the state, or the time of the next attempt, has changed. */
  onState?: ((state: ConnectionState) => void) | undefined;
}

/** What a subscription receives. */
export type ChannelPush = Exclude<SubscriberPush, ErrorMessage>;

/** A subscription, as its connection sees it. */
export interface Channel {
  /** Return the fields of the `subscribe` message; undefined while nothing is wanted. */
  wanted(): object | undefined;
  /** Take a message with this many characters. Throws Lost to be subscribed anew, Refused to fail. */
  received(message: ChannelPush, size: number): void;
  /** Called when the subscription has been interrupted. It continues by itself. */
  broken(): void;
  /** Called when the subscription has ended for good. */
  failed(why: unknown): void;
}

interface Membership {
  /** The name of the present subscription on the present connection. */
  ref: string | undefined;
  readonly backoff: Backoff;
}

const PROGRESS = ["events", "caughtUp", "sessions"];
/** The events of a page after which the network, or the machine, may have been away. */
const WAKING = ["online", "offline", "visibilitychange"];

/** One connection for many channels. It is open while there are any, or until `close` if `keeping` is given. */
export class SharedLink {
  state: ConnectionState = "closed";
  /** When the gateway was last heard, on the clock of `now`. */
  heardAt = now();
  readonly #url: string;
  readonly #who: string;
  readonly #environment: Environment;
  readonly #options: LinkOptions;
  readonly #keeping: Keeping | undefined;
  readonly #members = new Map<Channel, Membership>();
  readonly #byRef = new Map<string, Channel>();
  #refs = 0;
  #link: Link | undefined;
  #patience: Patience | undefined;
  #stop: AbortController | undefined;

  constructor(url: string, who: string, options: LinkOptions, keeping?: Keeping) {
    this.#url = new Address(url).http("subscribe");
    this.#who = who;
    this.#environment = new Environment(options);
    this.#options = options;
    this.#keeping = keeping;
  }

  get retryAt(): number | null {
    return this.#patience?.retryAt ?? null;
  }

  /** Carry a channel. This opens the connection if there is none. */
  add(channel: Channel): void {
    this.#members.set(channel, { ref: undefined, backoff: new Backoff() });
    this.ask(channel);
    if (!this.#stop) this.#run();
  }

  remove(channel: Channel): void {
    this.leave(channel);
    this.#members.delete(channel);
    if (!this.#members.size && !this.#keeping) this.close();
  }

  /** Subscribe, if there is a connection, and the channel wants a subscription and has none. */
  ask(channel: Channel): void {
    const member = this.#members.get(channel);
    const wanted = channel.wanted();
    if (!this.#link || !member || member.ref || !wanted) return;
    this.#refs += 1;
    member.ref = String(this.#refs);
    this.#byRef.set(member.ref, channel);
    this.#link.send(JSON.stringify({ type: "subscribe", ref: member.ref, ...wanted }));
  }

  /** Unsubscribe for now. */
  leave(channel: Channel): void {
    const ref = this.#forgetRef(channel);
    if (ref) this.#link?.send(JSON.stringify({ type: "unsubscribe", ref }));
  }

  /** Connect now instead of later, or make sure that the connection is alive. */
  readonly retry = (): void => {
    this.#patience?.hurry();
    this.#link?.probe();
  };

  /** Disconnect, and end all channels. One added later connects again. */
  close(why: unknown = new Stopped()): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.#link = undefined;
    this.#become("closed");
    const channels = [...this.#members.keys()];
    this.#members.clear();
    this.#byRef.clear();
    for (const channel of channels) channel.failed(why);
  }

  /** Connect again and again, until stopped, refused, or the gateway has been away for too long. */
  async #run(): Promise<void> {
    const stop = new AbortController();
    this.#stop = stop;
    const patience = new Patience(this.#options.giveUpAfterMs, this.#who, this.#environment.log);
    this.#patience = patience;
    for (const event of WAKING) globalThis.addEventListener?.(event, this.retry);
    this.#become("connecting");
    try {
      for (;;) await this.#connect(stop).catch((error) => this.#pause(error, patience, stop));
    } catch (error) {
      if (!(error instanceof Stopped)) this.close(error);
    } finally {
      if (!this.#stop) for (const event of WAKING) globalThis.removeEventListener?.(event, this.retry);
    }
  }

  async #connect(stop: AbortController): Promise<void> {
    const vigilance: Vigilance = {
      ...this.#keeping,
      onStale: (isStale) => this.#become(isStale ? "stale" : "live"),
    };
    const receive = (message: ServerMessage, _: Link, size: number) => this.#received(message as SubscriberPush, size);
    const link = await openLink(this.#environment, this.#url, stop.signal, receive, vigilance).catch((error) => {
      // A proxy without a gateway behind it may answer 404. No session is asked for here.
      throw this.#keeping && error instanceof SessionNotFound ? new Lost(error.message) : error;
    });
    if (stop.signal.aborted) throw new Stopped();
    this.#link = link;
    this.heardAt = now();
    this.#become("live");
    for (const channel of this.#members.keys()) this.ask(channel);
    const why = await link.ended;
    if (this.#link === link) this.#link = undefined;
    if (why) throw why;
  }

  async #pause(error: unknown, patience: Patience, stop: AbortController): Promise<void> {
    if (!(error instanceof Lost)) throw error;
    for (const channel of [...this.#members.keys()]) this.#interrupt(channel);
    const paused = patience.pause(error, stop.signal);
    if (this.state !== "connecting") this.state = "reconnecting";
    this.#tell();
    await paused;
    this.#tell();
  }

  #received(message: SubscriberPush, size: number): void {
    this.heardAt = now();
    const { ref = null } = message as { ref?: string | null };
    const channel = this.#byRef.get(ref ?? "");
    if (channel) this.#deliver(channel, message, size);
    else if (message.type === "error" && ref === null) throw errorOf(message);
  }

  #deliver(channel: Channel, message: SubscriberPush, size: number): void {
    try {
      if (message.type === "error") {
        this.#forgetRef(channel);
        throw errorOf(message);
      }
      if (message.type === "subscribed") this.#patience?.connected();
      if (PROGRESS.includes(message.type)) {
        this.#patience?.progress();
        this.#members.get(channel)?.backoff.reset();
      }
      channel.received(message, size);
    } catch (error) {
      if (!(error instanceof Lost)) this.#end(channel, error);
      else if (this.#members.size > 1) this.#askLater(channel);
      else throw error; // another gateway may be able to serve it
    }
  }

  /** Subscribe anew after a while: what went wrong concerns this channel only. */
  async #askLater(channel: Channel): Promise<void> {
    this.leave(channel);
    this.#interrupt(channel);
    const member = this.#members.get(channel);
    if (!member || !this.#stop) return;
    await sleep(member.backoff.nextDelay(), this.#stop.signal).catch(() => {});
    this.ask(channel);
  }

  #interrupt(channel: Channel): void {
    this.#forgetRef(channel);
    channel.broken();
  }

  #forgetRef(channel: Channel): string | undefined {
    const member = this.#members.get(channel);
    const ref = member?.ref;
    if (!member || !ref) return undefined;
    member.ref = undefined;
    this.#byRef.delete(ref);
    return ref;
  }

  #end(channel: Channel, why: unknown): void {
    this.remove(channel);
    channel.failed(why);
  }

  #become(state: ConnectionState): void {
    if (state === this.state) return;
    this.state = state;
    this.#tell();
  }

  #tell(): void {
    this.#keeping?.onState?.(this.state);
  }
}

function errorOf({ code, message, retryable }: ErrorMessage): Error {
  return retryable ? new Lost(message) : refusal(message, { code });
}
