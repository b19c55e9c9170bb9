// Reading one session's subscription ahead of its consumer, so that a busy consumer keeps its connection.

import type { Channel, ChannelPush, SharedLink } from "../connecting/shared_link.ts";
import { Notice } from "../connecting/waiting.ts";
import { Lost, Stopped } from "../errors.ts";
import type { Events } from "../protocol.ts";

/** The most characters of frames held for one subscription. Beyond it, reading pauses until they have been taken. */
const MAX_HELD = 4 * 1024 * 1024;

/** A mark between the news of one connection and those of the next. */
export interface Broken {
  type: "broken";
}

export type News = Broken | Extract<ChannelPush, { type: "subscribed" | "session" | "signal" | "caughtUp" | "events" }>;

const KINDS = ["subscribed", "session", "signal", "caughtUp", "events"];

/** A subscription kept up across connections. Its consumer calls `take`. */
export class SubscriptionReader implements Channel {
  readonly #link: SharedLink;
  readonly #sessionId: string;
  readonly #changed = new Notice();
  /** The last seq read. */
  #seq: number;
  #held: [News, number][] = [];
  #size = 0;
  /** Whether the gateway has been asked to stop sending for now. */
  #paused = false;
  #failure: unknown;

  constructor(link: SharedLink, sessionId: string, afterSeq: number) {
    this.#link = link;
    this.#sessionId = sessionId;
    this.#seq = afterSeq;
    link.add(this);
  }

  /** End the subscription, and what waits in `take`. */
  stop(): void {
    this.#link.remove(this);
    this.#held = [];
    this.failed(new Stopped());
  }

  /** Wait for the next piece of news. Once none is left, throw the error with which the reader ended. */
  async take(): Promise<News> {
    for (;;) {
      const next = this.#held.shift();
      if (next) {
        this.#size -= next[1];
        return next[0];
      }
      if (this.#failure) throw this.#failure;
      if (this.#paused) {
        this.#paused = false;
        this.#link.ask(this);
      }
      await this.#changed.wait();
    }
  }

  // As its connection sees it

  wanted(): object | undefined {
    return this.#paused ? undefined : { sessionId: this.#sessionId, afterSeq: this.#seq };
  }

  received(message: ChannelPush, size: number): void {
    if (!KINDS.includes(message.type)) return;
    this.#hold(message.type === "events" ? this.#unseen(message) : (message as News), size);
    if (this.#size <= MAX_HELD) return;
    this.#paused = true;
    this.#link.leave(this);
  }

  broken(): void {
    if (this.#held.at(-1)?.[0].type !== "broken") this.#hold({ type: "broken" }, 0);
  }

  failed(why: unknown): void {
    this.#failure ??= why;
    this.#changed.wake();
  }

  /** Leave out the events that are known. Throws Lost for a gap, which a gateway should never leave. */
  #unseen(push: Events): Events {
    const events = push.events.filter((event) => event.seq > this.#seq);
    const reached = this.#seq + events.length;
    if (events.length && events.at(-1)?.seq !== reached) throw new Lost(`events after ${this.#seq} are missing`);
    this.#seq = reached;
    return { ...push, events };
  }

  #hold(news: News, size: number): void {
    this.#held.push([news, size]);
    this.#size += size;
    this.#changed.wake();
  }
}
