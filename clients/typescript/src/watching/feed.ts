// Following all sessions: which ones are live, and how they change.

import { Client } from "../client.ts";
import { Address } from "../connecting/address.ts";
import { Backoff } from "../connecting/backoff.ts";
import { type ConnectionOptions, Environment } from "../connecting/environment.ts";
import { type Link, openLink, type ServerMessage } from "../connecting/link.ts";
import { Patience } from "../connecting/patience.ts";
import { Notice, sleep } from "../connecting/waiting.ts";
import { Lost, refusal, SessionNotFound, Unreachable } from "../errors.ts";
import type { Session, SessionStatus } from "../protocol.ts";

export interface FollowOptions extends ConnectionOptions {
  /** Only sessions of these statuses; all by default. */
  status?: SessionStatus[] | undefined;
  /** How long the gateway may be away, in milliseconds; by default for ever. */
  giveUpAfterMs?: number | undefined;
}

/** Sessions in one page of a list. */
const PAGE = 100;
/** The most sessions, ended or no longer matching the filter, that are remembered to avoid giving them again. */
const REMEMBERED = 1000;

/** An iterable over sessions. See `followSessions`. */
export class SessionFeed implements AsyncIterable<Session> {
  readonly #url: string;
  readonly #options: FollowOptions;
  readonly #environment: Environment;
  readonly #client: Client;
  readonly #patience: Patience;
  readonly #stop = new AbortController();
  readonly #changed = new Notice();
  /** The newest state of each changed session, until it is taken. */
  readonly #pending = new Map<string, Session>();
  /** The running sessions that match the filter, as last seen. */
  readonly #live = new Map<string, Session>();
  /** The other sessions seen, up to REMEMBERED of them. */
  readonly #gone = new Map<string, Session>();
  /** The sessions that were running before the connection broke, without news since. */
  #missed = new Set<string>();
  #failure: unknown;
  #started = false;

  constructor(url: string, options: FollowOptions) {
    const address = new Address(url);
    this.#url = address.http("subscribe");
    this.#options = options;
    this.#environment = new Environment(options);
    this.#client = new Client(address.shown, options);
    this.#patience = new Patience(options.giveUpAfterMs, "feed of sessions", this.#environment.log);
  }

  /** End all loops over this feed, and disconnect. */
  close(): void {
    this.#stop.abort();
    this.#changed.wake();
  }

  [Symbol.asyncIterator](): AsyncIterator<Session, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
    };
  }

  async #next(): Promise<IteratorResult<Session, undefined>> {
    if (!this.#started) this.#run();
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

  async #run(): Promise<void> {
    try {
      for (;;) {
        await this.#connect().catch((error) => {
          if (!(error instanceof Lost)) throw error;
          return this.#patience.pause(error, this.#stop.signal);
        });
      }
    } catch (error) {
      this.#failure = error;
      this.#changed.wake();
    }
  }

  async #connect(): Promise<void> {
    this.#missed = new Set(this.#live.keys());
    const link = await openLink(this.#environment, this.#url, this.#stop.signal, (message, from) =>
      this.#received(message, from),
    );
    const { status } = this.#options;
    link.send(JSON.stringify({ type: "subscribe", ref: "1", feed: "sessions", ...(status?.length && { status }) }));
    const why = await link.ended;
    if (why) throw why;
  }

  #received(message: ServerMessage, link: Link): void {
    switch (message.type) {
      case "error":
        throw message.retryable ? new Lost(message.message) : refusal(message.message, { code: message.code });
      case "subscribed":
        this.#patience.connected();
        break;
      case "session":
        this.#know(message.session);
        break;
      case "erased":
        this.#forget(message.sessionId);
        break;
      case "sessions":
        this.#patience.progress();
        for (const session of [...message.sessions].reverse()) this.#know(session);
        this.#lookAfterMissed(link);
    }
  }

  /** The session has been erased. A new one of its id is told of like any other. */
  #forget(sessionId: string): void {
    this.#missed.delete(sessionId);
    for (const known of [this.#live, this.#gone, this.#pending]) known.delete(sessionId);
  }

  /** Look up the sessions that were running before a break and are not among those the gateway sent since. */
  async #lookAfterMissed(link: Link): Promise<void> {
    const missed = this.#missed;
    let open = true;
    link.ended.then(() => {
      open = false;
    });
    const backoff = new Backoff();
    while (missed.size && open && missed === this.#missed) {
      try {
        await this.#lookThroughList(missed);
        for (const sessionId of [...missed]) await this.#lookUp(sessionId);
      } catch (error) {
        if (!(error instanceof Unreachable)) return; // the token may follow, but not read
        await sleep(backoff.nextDelay(), this.#stop.signal).catch(() => {});
      }
    }
  }

  /** Read the list, a hundred sessions at a time, for as long as that is cheaper than asking for each one. */
  async #lookThroughList(missed: Set<string>): Promise<void> {
    const starts = [...missed].map((sessionId) => this.#live.get(sessionId)?.startedAt ?? "");
    const oldest = starts.sort()[0] ?? "";
    let read = 0;
    for await (const session of this.#client.list()) {
      if (!missed.size || session.startedAt < oldest || read > PAGE * missed.size) return;
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
    }
  }

  #know(given: Session): void {
    const { sessionId } = given;
    const before = this.#live.get(sessionId) ?? this.#gone.get(sessionId);
    const session = before && isOlder(given, before) ? before : given;
    this.#missed.delete(sessionId);
    this.#live.delete(sessionId);
    this.#gone.delete(sessionId);
    const { status } = this.#options;
    const wanted = !status?.length || status.includes(session.status);
    (wanted && !hasEnded(session) ? this.#live : this.#gone).set(sessionId, session);
    if (this.#gone.size > REMEMBERED) this.#gone.delete([...this.#gone.keys()][0] as string);
    if (before && JSON.stringify(session) === JSON.stringify(before)) return;
    this.#pending.set(sessionId, session);
    this.#changed.wake();
  }
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
 * With `status`, only sessions of these statuses come, and once more when they leave them. A slow consumer gets the newest
 * state of each session, not every one in between. After a reconnect, sessions that changed meanwhile come. Leave the
 * loop, or call `close` on what `followSessions` returns. Throws Refused, and Unreachable once no gateway has answered for
 * `giveUpAfterMs`.
 */
export function followSessions(url: string, options: FollowOptions = {}): SessionFeed {
  return new SessionFeed(url, options);
}
