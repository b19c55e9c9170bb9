// Following one session: every event once, in order, across reconnects.

import { type LinkOptions, SharedLink } from "../connecting/shared_link.ts";
import { Stopped } from "../errors.ts";
import type { Event, Session, SignalPush } from "../protocol.ts";
import { type News, SubscriptionReader } from "./reader.ts";

/** What is followed of a session, and the callbacks. */
export interface FollowedSession {
  /** Begin after this seq; 0, the beginning, by default. */
  afterSeq?: number | undefined;
  /** Whether the loop ends once the session has ended and all its events have been delivered. */
  untilEnded?: boolean | undefined;
  /** Called for each ephemeral message, such as an interim transcript. */
  onSignal?: ((signal: SignalPush) => void) | undefined;
  /** Called with the session at first, and whenever it has changed. */
  onSession?: ((session: Session) => void) | undefined;
  /** Called when all events stored before the connection opened have been delivered, with the seq reached. */
  onCaughtUp?: ((seq: number) => void) | undefined;
  /** Called when the connection has been lost. Signals of that time are missing; events are not. */
  onBroken?: (() => void) | undefined;
}

export interface SubscribeOptions extends FollowedSession, LinkOptions {}

/** An iterable over one session's events. See `subscribe`. */
export class Subscription implements AsyncIterable<Event> {
  readonly sessionId: string;
  /** The seq of the last event delivered, from which a new subscription would continue. */
  lastSeq: number;
  /** The seq of the last event that the gateway has reported. */
  head: number;
  /** The session as the gateway last described it. */
  session: Session | null = null;
  /** Whether all events stored before the connection opened have been delivered. */
  caughtUp = false;
  readonly #options: FollowedSession;
  readonly #link: SharedLink;
  readonly #readers = new Set<SubscriptionReader>();
  #closed = false;

  constructor(link: SharedLink, sessionId: string, options: FollowedSession) {
    this.sessionId = sessionId;
    this.lastSeq = options.afterSeq ?? 0;
    this.head = this.lastSeq;
    this.#options = options;
    this.#link = link;
  }

  /** End all loops over this subscription. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers) reader.stop();
  }

  [Symbol.asyncIterator](): AsyncIterator<Event, undefined> {
    let reader: SubscriptionReader | undefined;
    const ready: Event[] = [];
    const end = () => {
      if (reader) this.#ended(reader);
      return { done: true as const, value: undefined };
    };
    const next = async (): Promise<IteratorResult<Event, undefined>> => {
      for (;;) {
        if (this.#closed || (!ready.length && this.#isOver())) return end();
        const event = ready.shift();
        if (event) {
          this.lastSeq = event.seq;
          return { done: false, value: event };
        }
        reader ??= this.#begun();
        ready.push(...this.#taken(await reader.take()));
      }
    };
    return {
      next: () =>
        next().catch((error) => {
          end();
          if (error instanceof Stopped) return { done: true, value: undefined };
          throw error;
        }),
      return: async () => end(),
    };
  }

  #begun(): SubscriptionReader {
    const reader = new SubscriptionReader(this.#link, this.sessionId, this.lastSeq);
    this.#readers.add(reader);
    return reader;
  }

  #ended(reader: SubscriptionReader): void {
    reader.stop();
    this.#readers.delete(reader);
  }

  #isOver(): boolean {
    const ended = this.session?.status === "completed" || this.session?.status === "failed";
    return Boolean(this.#options.untilEnded) && ended && this.caughtUp && this.lastSeq >= this.head;
  }

  /** Call the callbacks, and return the events of a piece of news; most kinds have none. */
  #taken(news: News): Event[] {
    switch (news.type) {
      case "events":
        this.head = Math.max(this.head, news.events.at(-1)?.seq ?? 0);
        return news.events;
      case "broken":
        this.caughtUp = false;
        this.#options.onBroken?.();
        break;
      case "subscribed":
        this.head = Math.max(this.head, news.lastSeq ?? 0);
        if (news.session) this.#know(news.session);
        break;
      case "session":
        this.#know(news.session);
        break;
      case "caughtUp":
        this.caughtUp = true;
        this.#options.onCaughtUp?.(news.seq);
        break;
      case "signal":
        this.#options.onSignal?.(news);
    }
    return [];
  }

  #know(session: Session): void {
    this.session = session;
    this.head = Math.max(this.head, session.lastSeq);
    this.#options.onSession?.(session);
  }
}

/**
 * Follow a session's events after `afterSeq`, stored ones first, then live: `for await (const event of subscribe(…))`.
 *
 * Reconnects by itself and continues after the last event delivered: none is missing, none comes twice. Reads ahead, a few
 * megabytes at most, so that the connection survives a loop that is busy with one event for a long time. With
 * `untilEnded`, the loop stops once the session has ended and all its events have been delivered. Without it, the loop
 * never stops by itself: leave it, or call `close` on what `subscribe` returns.
 *
 * Signals, changes of the session and the end of the replay go to the callbacks, in order with the events. Throws
 * SessionNotFound or another Refused, and Unreachable once no gateway has answered for `giveUpAfterMs`.
 */
export function subscribe(url: string, sessionId: string, options: SubscribeOptions = {}): Subscription {
  const link = new SharedLink(url, `subscription to ${sessionId}`, options);
  return new Subscription(link, sessionId, options);
}
