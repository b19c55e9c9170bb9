// Reading one session's subscription ahead of its consumer, so that a busy consumer keeps its connection.

import type { Environment } from "../connecting/environment.ts";
import { type Link, openLink, type ServerMessage } from "../connecting/link.ts";
import type { Patience } from "../connecting/patience.ts";
import { Notice } from "../connecting/waiting.ts";
import { Lost, refusal, Stopped } from "../errors.ts";
import type { Event, Events, SubscriberPush } from "../protocol.ts";

/** The most characters of frames held for one subscription. Beyond it, reading pauses until they have been taken. */
const MAX_HELD = 4 * 1024 * 1024;

/** A mark between the news of one connection and those of the next. */
export interface Broken {
  type: "broken";
}

export type News =
  | Broken
  | Extract<SubscriberPush, { type: "subscribed" | "session" | "signal" | "caughtUp" | "events" }>;

const KINDS = ["subscribed", "session", "signal", "caughtUp", "events"];

/** A subscription kept up across connections. Its consumer calls `take`. */
export class SubscriptionReader {
  readonly #environment: Environment;
  readonly #url: string;
  readonly #sessionId: string;
  readonly #patience: Patience;
  readonly #stop = new AbortController();
  readonly #changed = new Notice();
  /** The last seq read. */
  #seq: number;
  #held: [News, number][] = [];
  #size = 0;
  #link: Link | undefined;
  #ref = 0;
  /** Whether the gateway has been asked to stop sending for now. */
  #paused = false;
  #failure: unknown;

  constructor(environment: Environment, url: string, sessionId: string, afterSeq: number, patience: Patience) {
    this.#environment = environment;
    this.#url = url;
    this.#sessionId = sessionId;
    this.#seq = afterSeq;
    this.#patience = patience;
  }

  /** Run until the gateway refuses, has been away for too long, or `stop` is called. `take` throws the reason. */
  async run(): Promise<void> {
    try {
      for (;;) await this.#connect().catch((error) => this.#pause(error));
    } catch (error) {
      this.#failure = error;
      this.#changed.wake();
    }
  }

  stop(): void {
    this.#stop.abort();
    this.#changed.wake();
  }

  /** Wait for the next piece of news. Once none is left, throw the error with which the reader ended. */
  async take(): Promise<News> {
    for (;;) {
      if (this.#stop.signal.aborted) throw new Stopped();
      const next = this.#held.shift();
      if (next) {
        this.#size -= next[1];
        return next[0];
      }
      if (this.#failure) throw this.#failure;
      if (this.#paused) {
        this.#paused = false;
        this.#subscribe();
      }
      await this.#changed.wait();
    }
  }

  async #connect(): Promise<void> {
    const link = await openLink(this.#environment, this.#url, this.#stop.signal, (message) => this.#received(message));
    this.#link = link;
    if (!this.#paused) this.#subscribe();
    const why = await link.ended;
    this.#link = undefined;
    if (why) throw why;
  }

  async #pause(error: unknown): Promise<void> {
    if (!(error instanceof Lost)) throw error;
    if (this.#held.at(-1)?.[0].type !== "broken") this.#hold({ type: "broken" }, 0);
    await this.#patience.pause(error, this.#stop.signal);
  }

  #subscribe(): void {
    this.#ref += 1;
    this.#send({ type: "subscribe", ref: String(this.#ref), sessionId: this.#sessionId, afterSeq: this.#seq });
  }

  #send(message: object): void {
    this.#link?.send(JSON.stringify(message));
  }

  #received(message: ServerMessage): void {
    const ref = String(this.#ref);
    if (message.type === "error" && (message.ref ?? ref) === ref) {
      throw message.retryable ? new Lost(message.message) : refusal(message.message, { code: message.code });
    }
    if (message.type === "subscribed") this.#patience.connected();
    if (this.#paused || !KINDS.includes(message.type) || (message as News & { ref: string }).ref !== ref) return;
    if (message.type === "events" || message.type === "caughtUp") this.#patience.progress();
    this.#hold(message.type === "events" ? this.#unseen(message) : (message as News), sizeOf(message));
    if (this.#size <= MAX_HELD) return;
    this.#paused = true;
    this.#send({ type: "unsubscribe", ref });
  }

  /** Leave out the events that are known. Throws Lost for a gap, which a gateway should never leave. */
  #unseen(push: Events): Events {
    const events = push.events.filter((event) => event.seq > this.#seq);
    const [first] = events;
    if (first && first.seq > this.#seq + 1) {
      throw new Lost(`events ${this.#seq + 1} to ${first.seq - 1} are missing`);
    }
    this.#seq += events.length;
    return { ...push, events };
  }

  #hold(news: News, size: number): void {
    this.#held.push([news, size]);
    this.#size += size;
    this.#changed.wake();
  }
}

/** Return about how many characters a message holds. Only events and signals are large. */
function sizeOf(message: ServerMessage): number {
  if (message.type === "events") return message.events.reduce((sum: number, event: Event) => sum + roughly(event), 0);
  return roughly(message);
}

function roughly(value: unknown): number {
  return JSON.stringify(value).length;
}
