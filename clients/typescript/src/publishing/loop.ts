// Keeping a publisher connected: opening connections, moving frames both ways, and retrying.

import { Client } from "../client.ts";
import type { Address } from "../connecting/address.ts";
import type { ConnectionOptions, Environment } from "../connecting/environment.ts";
import { type Link, openLink, type ServerMessage } from "../connecting/link.ts";
import { Patience } from "../connecting/patience.ts";
import { later, Notice, now } from "../connecting/waiting.ts";
import { Lost, refusal, SessionEnded, SessionNotFound, Unreachable } from "../errors.ts";
import type { Event, JsonObject } from "../protocol.ts";
import type { Delivery } from "./delivery.ts";

/** Limits on time, in milliseconds. */
export const LOOP_TIMES = {
  /** How long to wait for `opened`: longer than the gateway waits for its storage. */
  opened: 40_000,
  /** How long to wait for an answer before reopening the connection: also longer than the gateway waits. */
  answer: 60_000,
  /** A connection that lasts this long makes the next attempt count as a first one. */
  steady: 5000,
  /** The pause before looking again whether the network takes more. */
  full: 50,
};

/** The session that a publisher is for, its gateway, and the limits on the time without a gateway. */
export interface Call {
  readonly address: Address;
  readonly sessionId: string;
  readonly language: string | null;
  readonly metadata: JsonObject | undefined;
  readonly firstLimitMs: number | undefined;
  readonly giveUpAfterMs: number | undefined;
}

/** One publisher's connections, one after the other, which carry its Delivery. */
export class PublisherLoop {
  /** Wakes those who wait for something to change. */
  readonly changed = new Notice();
  readonly #call: Call;
  readonly #environment: Environment;
  readonly #delivery: Delivery;
  readonly #client: Client;
  readonly #patience: Patience;
  readonly #stop = new AbortController();
  #created: boolean;
  #link: Link | undefined;
  #pumping = false;
  #cancelAnswer: (() => void) | undefined;

  constructor(call: Call, environment: Environment, options: ConnectionOptions, delivery: Delivery) {
    this.#call = call;
    this.#environment = environment;
    this.#delivery = delivery;
    this.#client = new Client(call.address.shown, options);
    this.#patience = new Patience(call.firstLimitMs, `publisher of ${call.sessionId}`, environment.log);
    this.#created = call.metadata === undefined;
  }

  /** Why the last attempt to connect failed. */
  get lastProblem(): string | undefined {
    return this.#patience.lastProblem;
  }

  /**
   * Run until the session has been completed. Throws SessionEnded if it ended otherwise, Unreachable once the gateway has
   * been away for too long, Refused if the gateway refuses for good, Stopped after `stop`.
   */
  async run(): Promise<void> {
    while (!this.#delivery.ended) {
      try {
        await this.#connect().catch((error) => this.#settleFromLog(error));
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        await this.#patience.pause(error, this.#stop.signal);
      }
    }
  }

  /** Disconnect, and run no more. */
  stop(): void {
    this.#stop.abort();
  }

  /** Look for something to send once the code that runs now has finished, so that several events make one frame. */
  work(): void {
    if (this.#pumping || !this.#link) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** Run one connection, from its handshake to its end. */
  async #connect(): Promise<void> {
    await this.#prepare();
    const { address, sessionId, language } = this.#call;
    const url = address.session(sessionId, "publish", { language });
    const link = await openLink(this.#environment, url, this.#stop.signal, (message, from) =>
      this.#received(message, from),
    );
    const cancel = later(LOOP_TIMES.opened, () => {
      if (!this.#link) link.end(new Lost("the gateway did not open the session in time"));
    });
    const since = now();
    const why = await link.ended;
    cancel();
    this.#link = undefined;
    this.#answerIsDue(false);
    this.#delivery.disconnected();
    this.#patience.seen();
    if (now() - since >= LOOP_TIMES.steady) this.#patience.progress();
    this.changed.wake();
    if (why) throw why;
  }

  /** Create a session with metadata. Throw SessionNotFound if the session must exist and does not. */
  async #prepare(): Promise<void> {
    const { sessionId, language, metadata } = this.#call;
    try {
      if (!this.#created) await this.#client.create(sessionId, language ?? "en", { metadata });
      this.#created = true;
      // A WebSocket does not say that its handshake was refused because there is no such session.
      if (language === null && !this.#delivery.opened) await this.#client.get(sessionId);
    } catch (error) {
      if (error instanceof Unreachable) throw new Lost(error.message);
      const mayPublish = this.#created && !(error instanceof SessionNotFound); // the token may not allow reading
      if (!mayPublish) throw error;
    }
  }

  #received(message: ServerMessage, link: Link): void {
    if (!this.#link) {
      this.#opening(message, link);
      return;
    }
    this.#delivery.received(message, now());
    if (message.type !== "pong") this.#answerIsDue(false);
    if (message.type === "ack" || message.type === "nack") this.#patience.progress();
    if (this.#delivery.ended) link.end();
    this.work();
    this.changed.wake();
  }

  #opening(message: ServerMessage, link: Link): void {
    if (message.type === "goaway") throw link.lost(message.reason);
    if (message.type === "error") {
      throw message.retryable ? new Lost(message.message) : refusal(message.message, { code: message.code });
    }
    if (message.type !== "opened") return;
    this.#link = link;
    link.pingsComeEvery(message.limits.pingIntervalMs);
    this.#patience.limit = this.#call.giveUpAfterMs;
    this.#delivery.connected(message, now());
    this.#patience.connected(this.#delivery.outbox.size);
    this.work();
    this.changed.wake();
  }

  #pump(): void {
    const link = this.#link;
    if (!link) return;
    for (;;) {
      if (link.isFull) {
        later(LOOP_TIMES.full, () => this.work());
        break;
      }
      const text = this.#delivery.nextMessage(now());
      if (text === undefined) break;
      link.send(text);
    }
    if (this.#delivery.awaitsAnswer) this.#answerIsDue(true);
    this.changed.wake(); // a publisher that is leaving also waits for messages that get no answer
  }

  /** Start to wait for an answer, unless that is done already, or stop it. */
  #answerIsDue(due: boolean): void {
    if (!due) {
      this.#cancelAnswer?.();
      this.#cancelAnswer = undefined;
    } else {
      this.#cancelAnswer ??= later(LOOP_TIMES.answer, () => this.#link?.end(new Lost("no answer in time")));
    }
  }

  /**
   * If the session has ended, find out from the log which events of the outbox are stored, and throw SessionEnded with
   * how many are not. Throw any other error as it is.
   */
  async #settleFromLog(error: unknown): Promise<void> {
    if (!(error instanceof SessionEnded)) throw error;
    const { sessionId } = this.#call;
    const wanted = new Set(this.#delivery.outbox.entries.map((entry) => entry.eventId));
    try {
      const session = await this.#client.get(sessionId);
      const stored = new Map<string, Event>();
      for await (const event of wanted.size ? this.#client.export(sessionId) : []) {
        if (wanted.has(event.eventId)) stored.set(event.eventId, event);
      }
      this.#delivery.settle(session, stored, now());
    } catch (problem) {
      throw problem instanceof Unreachable ? new Lost(problem.message) : problem;
    }
    const late = this.#delivery.outbox.size;
    const { session } = this.#delivery;
    const more = late ? `; ${late} came too late and are not stored` : "";
    throw new SessionEnded(`session ${sessionId} ended at ${session?.endedAt} and takes no new events${more}`, error);
  }
}
