// A REST client: sessions, their events, and the operations on them.

import { Address, type Query } from "./connecting/address.ts";
import type {
  CommandAnswer,
  Event,
  EventIn,
  EventPage,
  FinalStatus,
  JsonObject,
  Session,
  SessionHistory,
  SessionList,
  SessionStats,
  SessionStatus,
  SessionSums,
} from "./protocol.ts";
import { type ClientOptions, Requests } from "./rest/requests.ts";

export type { ClientOptions } from "./rest/requests.ts";

/** The conditions that sessions must meet, all of them. Times are ISO-8601 and exclusive. */
export interface SessionFilter {
  status?: SessionStatus;
  language?: string;
  startedAfter?: string;
  startedBefore?: string;
  endReason?: string;
  idPrefix?: string;
  /** The values that metadata keys must have; at most 4 keys. */
  metadata?: { [key: string]: string };
  minDurationMs?: number;
  maxDurationMs?: number;
  hasErrors?: boolean;
  /** The least number of failed tool calls. */
  toolsFailed?: number;
  minResponseP95Ms?: number;
  minInterruptions?: number;
  /** Words of the id, of the metadata or of what was said. */
  q?: string;
  /** The order of their starts; `desc` by default. */
  order?: "asc" | "desc";
}

/** A token that the gateway has made. */
export interface MintedToken {
  token: string;
  expiresAt: string;
}

const LIST_PAGE = 100;

/**
 * REST calls to one gateway. All throw Unreachable if no gateway answers, or it cannot serve now, and Refused
 * (SessionNotFound, NotAllowed, …) if it refuses. A function as `token` is called before the first request, and again
 * once the gateway no longer accepts the token.
 */
export class Client {
  readonly #address: Address;
  readonly #requests: Requests;

  constructor(url: string, options: ClientOptions = {}) {
    this.#address = new Address(url);
    this.#requests = new Requests(options);
  }

  /** Return if a gateway answers and can serve; throw otherwise. */
  async check(): Promise<void> {
    await this.#requests.json("GET", this.#address.http("health/ready"));
  }

  // One session

  /** Create a session, or return it unchanged if it exists. Without an id, the gateway chooses one. */
  create(
    sessionId?: string | null,
    language = "en",
    options: { metadata?: JsonObject | undefined; status?: "initiated" | "active"; startedAt?: string } = {},
  ): Promise<Session> {
    const body = { ...(sessionId && { sessionId }), language, ...options };
    return this.#requests.json("POST", this.#address.http("sessions"), body);
  }

  async get(sessionId: string): Promise<Session> {
    const { events: _events, pagination: _pagination, ...session } = await this.history(sessionId, { limit: 1 });
    return session;
  }

  /** Return the session with one page of its events, ordered by time: by `page` (from 1) or `offset` (from 0). */
  history(
    sessionId: string,
    options: { page?: number; limit?: number; offset?: number; order?: "asc" | "desc" } = {},
  ): Promise<SessionHistory> {
    return this.#requests.json("GET", this.#address.session(sessionId, "", options));
  }

  /**
   * Store events, 500 at most, and return them as stored. A known id returns the event first stored under it. Throws
   * Refused, and stores nothing, if one event is invalid.
   */
  async append(sessionId: string, events: EventIn | EventIn[]): Promise<Event[]> {
    const url = this.#address.session(sessionId, "events");
    const stored = await this.#requests.json<{ events: Event[] }>("POST", url, { events: [events].flat() });
    return stored.events;
  }

  /** End the session, and return it. One that has ended already is returned as it is. */
  complete(sessionId: string, options: { status?: FinalStatus; reason?: string } = {}): Promise<Session> {
    return this.#requests.json("POST", this.#address.session(sessionId, "complete"), options);
  }

  /** Change a session's metadata or language, even after its end. `metadata` is merged; null removes a key. */
  patch(sessionId: string, changes: { metadata?: JsonObject; language?: string }): Promise<Session> {
    return this.#requests.json("PATCH", this.#address.session(sessionId), changes);
  }

  /**
   * Erase the session with all its events, and return when nothing is left. Refused (`code` `publisher_connected`) while
   * a publisher is connected, unless `force` is set. Unreachable if it takes too long: the gateway continues; ask again.
   */
  async delete(sessionId: string, options: { force?: boolean } = {}): Promise<void> {
    const query = options.force ? { force: true } : {};
    await this.#requests.json("DELETE", this.#address.session(sessionId, "", query));
  }

  /** Return the figures of the conversation. */
  stats(sessionId: string): Promise<SessionStats> {
    return this.#requests.json("GET", this.#address.session(sessionId, "stats"));
  }

  /** Return one window of the log, in seq order. */
  events(sessionId: string, options: { afterSeq?: number; limit?: number } = {}): Promise<EventPage> {
    return this.#requests.json("GET", this.#address.session(sessionId, "events", options));
  }

  /** Stream the log after `afterSeq`, up to its present end. Throws Unreachable if the stream breaks off. */
  export(sessionId: string, options: { afterSeq?: number } = {}): AsyncGenerator<Event, undefined> {
    return this.#requests.lines(this.#address.session(sessionId, "events", options));
  }

  /**
   * Send the session's bot a command, such as `say` with `{text: …}`, and return the command's state. Calls with the same
   * `commandId` send it once.
   */
  command(
    sessionId: string,
    command: string,
    payload: JsonObject,
    options: { commandId: string; by?: string; ttlMs?: number },
  ): Promise<CommandAnswer> {
    return this.#requests.json("POST", this.#address.session(sessionId, "commands"), { command, payload, ...options });
  }

  // All sessions

  /** Iterate over all sessions that match, or the first `limit` of them, newest first by default. */
  async *list(options: SessionFilter & { limit?: number } = {}): AsyncGenerator<Session, undefined> {
    const { limit = Number.POSITIVE_INFINITY, ...filter } = options;
    let left = limit;
    let cursor: string | undefined;
    do {
      const page = await this.listPage({ ...filter, limit: Math.min(LIST_PAGE, left), ...(cursor && { cursor }) });
      yield* page.sessions;
      left -= page.sessions.length;
      cursor = page.nextCursor ?? undefined;
    } while (cursor && left > 0);
    return undefined;
  }

  /** Return one page of sessions, with the cursor of the next; null at the end. `limit` is 100 at most. */
  listPage(options: SessionFilter & { limit?: number; cursor?: string } = {}): Promise<SessionList> {
    const { metadata = {}, ...rest } = options;
    const query: Query = { ...rest };
    for (const [key, value] of Object.entries(metadata)) query[`metadata.${key}`] = value;
    return this.#requests.json("GET", this.#address.http("sessions", query));
  }

  /**
   * Return sums over the calls that started in a period: at most 400 days and 200 groups. `groupBy` is `day`, `hour`,
   * `language`, `endReason` or `metadata.<key>`.
   */
  callStats(options: { startedAfter: string; startedBefore?: string; groupBy?: string }): Promise<SessionSums> {
    return this.#requests.json("GET", this.#address.http("stats", options));
  }

  /**
   * Make a token for another client, valid for `ttl` seconds (3600 at most), with no more rights than your own. `scope`
   * holds scopes separated by spaces, `sessions` ids, or prefixes that end in `*`.
   */
  mintToken(sub: string, options: { scope: string; sessions: string[]; ttl?: number }): Promise<MintedToken> {
    return this.#requests.json("POST", this.#address.http("tokens"), { sub, ttl: 600, ...options });
  }
}
