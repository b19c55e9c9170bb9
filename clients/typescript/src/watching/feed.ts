// Following all sessions: which ones are live, and how they change.

import { Client } from "../client.ts";
import { Backoff } from "../connecting/backoff.ts";
import { type Channel, type ChannelPush, type LinkOptions, SharedLink } from "../connecting/shared_link.ts";
import { later, Notice, sleep } from "../connecting/waiting.ts";
import { SessionNotFound, Stopped, Unreachable } from "../errors.ts";
import type { Session, SessionStatus, SessionsPush, Summary } from "../protocol.ts";

/** Which sessions are followed, and the callbacks. */
export interface FollowedSessions {
  /** Only sessions of these statuses; all by default. */
  status?: SessionStatus[] | undefined;
  /** How many of the present sessions to give: the newest ones, 500 by default. Beyond 500, they are read by REST. */
  newest?: number | undefined;
  /** Whether the gateway reports what is said in live sessions. See `summaryOf`. */
  summaries?: boolean | undefined;
  /** Called when the feed begins, and when it begins anew after the connection was lost. */
  onBegun?: (() => void) | undefined;
  /** Called with the id of a session that has been erased. */
  onErased?: ((sessionId: string) => void) | undefined;
}

export interface FollowOptions extends FollowedSessions, LinkOptions {}

/** The most sessions that a gateway begins a feed with. */
const SNAPSHOT = 500;
/** Milliseconds without further ones, after which all are taken to have come. */
const SETTLED = 250;
/** Sessions in one page of a list. */
const PAGE = 100;
/** The most sessions, ended or no longer matching the filter, that are remembered to avoid giving them again. */
const REMEMBERED = 1000;

/** What is known of a session. */
interface Known {
  session: Session;
  summary: Summary | undefined;
}

/** An iterable over sessions. See `followSessions`. */
export class SessionFeed implements AsyncIterable<Session> {
  readonly #link: SharedLink;
  readonly #client: Client;
  readonly #options: FollowedSessions;
  readonly #stop = new AbortController();
  readonly #changed = new Notice();
  readonly #channel: Channel = {
    wanted: () => {
      const { status, summaries = false } = this.#options;
      return { feed: "sessions", ...(status?.length && { status }), ...(summaries && { summaries }) };
    },
    received: (message) => this.#received(message),
    broken: () => this.#broken(),
    failed: (why) => this.#failed(why),
  };
  /** The newest state of each changed session, until it is taken. */
  readonly #pending = new Map<string, Session>();
  /** The running sessions that match the filter, as last seen. */
  readonly #live = new Map<string, Known>();
  /** The other sessions seen, up to REMEMBERED of them. */
  readonly #gone = new Map<string, Known>();
  /** The sessions that were running before the connection broke, without news since. */
  #missed = new Set<string>();
  /** The sessions that the feed began with. */
  #begun: Session[] = [];
  #cancelLooking = () => {};
  #failure: unknown;
  #started = false;

  constructor(link: SharedLink, client: Client, options: FollowedSessions) {
    this.#link = link;
    this.#client = client;
    this.#options = options;
  }

  /** The newest summary of a session that this feed has given; undefined without `summaries`, and until there is one. */
  summaryOf(sessionId: string): Summary | undefined {
    return this.#known(sessionId)?.summary;
  }

  /** End all loops over this feed. */
  close(): void {
    this.#stop.abort();
    this.#link.remove(this.#channel);
    this.#cancelLooking();
    this.#changed.wake();
  }

  /** A loop that begins after another one has failed continues from there. */
  [Symbol.asyncIterator](): AsyncIterator<Session, undefined> {
    this.#failure = undefined;
    return {
      next: () => this.#next(),
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
    };
  }

  async #next(): Promise<IteratorResult<Session, undefined>> {
    if (!this.#started && !this.#stop.signal.aborted) this.#link.add(this.#channel);
    this.#started = true;
    while (!this.#stop.signal.aborted) {
      for (const [sessionId, session] of this.#pending) {
        this.#pending.delete(sessionId);
        return { done: false, value: session };
      }
      if (this.#failure) throw this.#failure;
      await this.#changed.wait();
    }
    return { done: true, value: undefined };
  }

  // As its connection sees it

  #received(message: ChannelPush): void {
    switch (message.type) {
      case "subscribed":
        this.#begun = [];
        this.#lookSoon();
        this.#options.onBegun?.();
        break;
      case "session":
        this.#know(message.session, message.summary);
        break;
      case "erased":
        this.#forget(message.sessionId);
        this.#options.onErased?.(message.sessionId);
        break;
      case "sessions":
        this.#begun.push(...message.sessions);
        for (const session of [...message.sessions].reverse()) this.#know(session, summaryIn(message, session));
        this.#lookSoon();
    }
  }

  #broken(): void {
    this.#cancelLooking();
    this.#missed = new Set(this.#live.keys());
  }

  #failed(why: unknown): void {
    if (why instanceof Stopped) this.#stop.abort();
    this.#broken();
    this.#started = false;
    this.#failure = why;
    this.#changed.wake();
  }

  // What the feed does not report

  #lookSoon(): void {
    this.#cancelLooking();
    this.#cancelLooking = later(SETTLED, () => {
      const looking = new AbortController();
      this.#cancelLooking = () => looking.abort();
      this.#look(looking.signal);
    });
  }

  /** Read the sessions that the feed did not begin with, and the state of those that were running before a break. */
  async #look(stop: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    while (!stop.aborted) {
      try {
        await this.#readOlder(stop);
        await this.#lookThroughList(stop);
        for (const sessionId of [...this.#missed]) if (!stop.aborted) await this.#lookUp(sessionId);
        return;
      } catch (error) {
        if (!(error instanceof Unreachable)) return; // the token may allow following but not reading
        await sleep(backoff.nextDelay(), stop).catch(() => {});
      }
    }
  }

  async #readOlder(stop: AbortSignal): Promise<void> {
    const { newest = SNAPSHOT, status } = this.#options;
    const given = new Set(this.#begun.map((session) => session.sessionId));
    if (given.size < SNAPSHOT) return;
    const oldest = this.#begun.map((session) => session.startedAt).sort()[0] ?? "";
    const startedBefore = new Date(Date.parse(oldest) + 1).toISOString();
    for (const each of status ?? [undefined]) {
      for await (const session of this.#client.list({ startedBefore, ...(each && { status: each }) })) {
        if (stop.aborted || given.add(session.sessionId).size > newest) return;
        this.#know(session);
      }
    }
  }

  /** Read the list, a hundred sessions at a time, as long as that is cheaper than asking for each one. */
  async #lookThroughList(stop: AbortSignal): Promise<void> {
    const missed = this.#missed;
    const starts = [...missed].map((sessionId) => this.#live.get(sessionId)?.session.startedAt ?? "");
    const oldest = starts.sort()[0] ?? "";
    let read = 0;
    if (!missed.size) return;
    for await (const session of this.#client.list()) {
      if (stop.aborted || !missed.size || session.startedAt < oldest || read > PAGE * missed.size) return;
      read += 1;
      if (missed.has(session.sessionId)) this.#know(session);
    }
  }

  async #lookUp(sessionId: string): Promise<void> {
    try {
      this.#know(await this.#client.get(sessionId));
    } catch (error) {
      if (!(error instanceof SessionNotFound)) throw error;
      this.#forget(sessionId);
      this.#options.onErased?.(sessionId);
    }
  }

  // What is known

  #known(sessionId: string): Known | undefined {
    return this.#live.get(sessionId) ?? this.#gone.get(sessionId);
  }

  #know(told: Session, summary?: Summary): void {
    const { sessionId } = told;
    const before = this.#known(sessionId);
    const session = before && isOlder(told, before.session) ? before.session : told;
    const known = { session, summary: summary ?? before?.summary };
    this.#missed.delete(sessionId);
    this.#live.delete(sessionId);
    this.#gone.delete(sessionId);
    const { status } = this.#options;
    const wanted = !status?.length || status.includes(session.status);
    (wanted && !hasEnded(session) ? this.#live : this.#gone).set(sessionId, known);
    if (this.#gone.size > REMEMBERED) this.#gone.delete([...this.#gone.keys()][0] as string);
    if (before?.session.lastSeq === session.lastSeq && textOf(known) === textOf(before)) return;
    this.#pending.set(sessionId, session);
    this.#changed.wake();
  }

  /** Forget an erased session. A new one of the same id is reported like any other. */
  #forget(sessionId: string): void {
    this.#missed.delete(sessionId);
    this.#pending.delete(sessionId);
    this.#live.delete(sessionId);
    this.#gone.delete(sessionId);
  }
}

function summaryIn({ summaries }: SessionsPush, { sessionId }: Session): Summary | undefined {
  return summaries && Object.hasOwn(summaries, sessionId) ? summaries[sessionId] : undefined;
}

/** Return what distinguishes two states. How long a session has been quiet is not part of its state. */
function textOf({ session, summary }: Known): string {
  return JSON.stringify([{ ...session, quietMs: 0 }, summary]);
}

function hasEnded(session: Session): boolean {
  return session.status === "completed" || session.status === "failed";
}

/** Return whether the state of a session is older than the known one. */
function isOlder(session: Session, known: Session): boolean {
  return session.lastSeq < known.lastSeq || (hasEnded(known) && !hasEnded(session));
}

/**
 * Iterate over the present sessions (the newest 500, oldest first), then over each that starts or changes, for ever.
 *
 * With `status`, only sessions of these statuses come; one that leaves them comes once more. A slow consumer gets the
 * newest state of each session, not every state in between. After a reconnect, sessions that changed meanwhile come. To
 * stop, leave the loop, or call `close` on what `followSessions` returns. Throws Refused, and Unreachable once no gateway
 * has answered for `giveUpAfterMs`.
 */
export function followSessions(url: string, options: FollowOptions = {}): SessionFeed {
  return new SessionFeed(new SharedLink(url, "feed of sessions", options), new Client(url, options), options);
}
