// What travels: made from /openapi.json and /asyncapi.json by `python -m tests.generators.typescript_types`.

/** The names of the commands that this bot carries out. An empty list withdraws the offer. */
export interface Accept {
  type: "accept";
  commands: string[];
}

/** Events that are durable, with their positions. */
export interface Ack {
  type: "ack";
  acks: AckItem[];
}

export interface AckItem {
  eventId: string;
  seq: number;
  /** `false` if left out. */
  duplicate?: boolean | undefined;
}

/** Body of `PATCH /sessions/{id}`. `metadata` is a merge patch (RFC 7396): a null value removes its key. */
export interface AmendSession {
  /** A merge patch (RFC 7396): null removes a key. */
  metadata?: JsonObject | null | undefined;
  language?: string | null | undefined;
}

/** Events to store, in order: 1 to 500 of them. */
export interface Append {
  type: "append";
  events: EventIn[];
}

/** A newer token for this connection, of the same subject. */
export interface Auth {
  type: "auth";
  token: string;
}

/** The answer to `auth`: the connection may stay open until the time given. */
export interface Authenticated {
  type: "authenticated";
  /** ISO-8601, UTC, milliseconds */
  expiresAt: string;
}

/** The mark where the replay joins the live stream. `seq` is the last one that was delivered. */
export interface CaughtUp {
  type: "caughtUp";
  ref: string;
  seq: number;
}

/** The state of a command. `message` comes from the bot. */
export interface CommandAnswer {
  commandId: string;
  state: "accepted" | "done" | "expired" | "failed" | "refused" | "requested";
  message?: string | null | undefined;
}

/** Body of `POST /sessions/{id}/commands`. The command may be delivered to the bot for `ttl_ms` milliseconds. */
export interface CommandIn {
  commandId: string;
  command: string;
  /** Any JSON object. The payloads of `whisper`, `say`, `end` have fixed shapes; others are refused. */
  payload: JsonObject;
  by?: string | null | undefined;
  ttlMs?: number | null | undefined;
}

/** A command for the bot to carry out once. The same `command_id` may arrive again. */
export interface CommandPush {
  type: "command";
  commandId: string;
  command: string;
  payload: JsonObject;
  by: string | null;
  /** ISO-8601, UTC, milliseconds */
  expiresAt: string;
}

/** The outcome of a command. The first final one stands. */
export interface CommandResult {
  type: "commandResult";
  commandId: string;
  state: "accepted" | "done" | "failed" | "refused";
  message?: string | null | undefined;
}

/** The new state of a command. `message` comes from the bot. */
export interface CommandStatePush {
  type: "commandState";
  ref: string;
  commandId: string;
  state: "accepted" | "done" | "expired" | "failed" | "refused" | "requested";
  message?: string | null | undefined;
}

/** The end of the session, after everything sent before it. */
export interface Complete {
  type: "complete";
  /** `completed` if left out. */
  status?: "completed" | "failed" | null | undefined;
  reason?: string | null | undefined;
}

/** Body of `POST /sessions/{id}/complete`. The body may be absent. */
export interface CompleteSession {
  /** `completed` if left out. */
  status?: "completed" | "failed" | null | undefined;
  reason?: string | null | undefined;
}

export interface Completed {
  type: "completed";
  session: Session;
}

/** Body of `POST /sessions`. */
export interface CreateSession {
  /** A language tag such as `en` or `de-DE`. */
  language: string;
  /** Chosen by the client. If left out, the gateway makes a UUIDv7. */
  sessionId?: string | null | undefined;
  /** Any JSON object; returned exactly. */
  metadata?: JsonObject | null | undefined;
  /**
   * The status that a new session starts with: `initiated` or `active`. Any for an existing session. `initiated` if
   * left out.
   */
  status?: "active" | "completed" | "failed" | "initiated" | null | undefined;
  /** When a call of the past began; now by default. */
  startedAt?: string | null | undefined;
}

/** What the gateway needs. */
export interface Dependencies {
  mongodb: "down" | "up";
  redis?: "down" | "up" | undefined;
}

/** To a feed: the session has been erased. If the feed shows this id again, it is a new session. */
export interface Erased {
  type: "erased";
  ref: string;
  sessionId: string;
}

/** Every `code` that an error, a nack or an error envelope may carry. */
export type ErrorCode =
  | "event_conflict"
  | "forbidden"
  | "internal"
  | "invalid_event"
  | "invalid_json"
  | "invalid_message"
  | "not_accepted"
  | "not_found"
  | "overloaded"
  | "publisher_connected"
  | "rate_limited"
  | "session_ended"
  | "session_full"
  | "storage_unavailable"
  | "superseded"
  | "too_large"
  | "unauthenticated";

/** The body of every REST error. */
export interface ErrorEnvelope {
  statusCode: number;
  /** ISO-8601, UTC, milliseconds */
  timestamp: string;
  path: string;
  method: string;
  error: string;
  message: string | string[];
  code: ErrorCode;
}

/** An error about a message, a subscription or the connection. The connection stays open. */
export interface ErrorMessage {
  type: "error";
  code: ErrorCode;
  message: string;
  retryable: boolean;
  ref?: string | null | undefined;
}

/** One immutable record of a session, as stored. */
export interface Event {
  eventId: string;
  sessionId: string;
  type: "bot_speech" | "system" | "user_speech";
  payload: JsonObject;
  /** ISO-8601, UTC, milliseconds */
  timestamp: string;
  seq: number;
}

/** The events as stored, in the order they were sent. */
export interface EventBatch {
  events: Event[];
}

/** Body of `POST /sessions/{id}/events` with several events. */
export interface EventBatchIn {
  events: EventIn[];
}

/** An event as a client sends it. `timestamp` may have any UTC offset; None means the gateway's clock. */
export interface EventIn {
  eventId: string;
  type: "bot_speech" | "system" | "user_speech";
  payload: JsonObject;
  timestamp?: string | null | undefined;
}

/** A window of the log, in seq order. `afterSeq=nextAfterSeq` asks for the next one. */
export interface EventPage {
  events: Event[];
  lastSeq: number;
  nextAfterSeq: number;
}

export interface Events {
  type: "events";
  ref: string;
  sessionId: string;
  events: Event[];
}

/** A warning that the token of this connection expires soon. Without a newer `auth`, the gateway closes with 4402. */
export interface Expiring {
  type: "expiring";
  /** ISO-8601, UTC, milliseconds */
  expiresAt: string;
}

export interface Goaway {
  type: "goaway";
  reason: string;
  reconnectAfterMs: number;
}

/** `degraded`: the gateway serves, but is draining or cannot reach its database or Redis. */
export interface Health {
  status: "degraded" | "down" | "ok";
  /** ISO-8601, UTC, milliseconds */
  timestamp: string;
  service: string;
  version: string;
  dependencies: Dependencies;
  reasons?: { [key: string]: string } | undefined;
}

/** An event inside its session, hence without `sessionId`. */
export interface HistoryEvent {
  eventId: string;
  type: "bot_speech" | "system" | "user_speech";
  payload: JsonObject;
  /** ISO-8601, UTC, milliseconds */
  timestamp: string;
  seq: number;
}

/** How often each side interrupted the other. */
export interface Interruptions {
  /** `0` if left out. */
  byUser: number;
  /** `0` if left out. */
  byBot: number;
}

/**
 * Any JSON object that is at most 64 levels deep (the object itself is the first), has no NUL characters in keys, and
 * only integers that fit in 64 bits, signed.
 */
export type JsonObject = { [key: string]: unknown };

/** The last text spoken, shortened. `duration_ms` is null if the utterance was not measured. */
export interface LastLine {
  seq: number;
  side: "bot" | "user";
  text: string;
  /** `false` if left out. */
  interrupted?: boolean | undefined;
  durationMs?: number | null | undefined;
}

/** Events that are refused for good. */
export interface Nack {
  type: "nack";
  nacks: NackItem[];
}

export interface NackItem {
  eventId: string | null;
  code: ErrorCode;
  message: string;
  retryable: boolean;
}

/** The position of a page, for `offset` and `limit`. */
export interface OffsetPagination {
  total: number;
  limit: number;
  offset: number;
  hasMore: boolean;
}

/** The first message: how far the log reaches. The client drops events up to `lastEventId` and resends the rest. */
export interface Opened {
  type: "opened";
  session: Session;
  epoch: number;
  lastSeq: number;
  lastEventId: string | null;
  limits: OpenedLimits;
  /** ISO-8601, UTC, milliseconds */
  serverTime: string;
}

export interface OpenedLimits {
  maxInFlight: number;
  maxEventBytes: number;
  maxFrameBytes: number;
  /** `500` if left out. */
  maxBatchEvents: number;
  /** `20000` if left out. */
  pingIntervalMs: number;
  /** `64` if left out. */
  maxDepth: number;
  /** `0` if left out. */
  minReceiveBytes: number;
}

/** How often each side began to speak while the other was speaking. */
export interface Overlaps {
  /** `0` if left out. */
  byUser: number;
  /** `0` if left out. */
  byBot: number;
}

/** The position of a page, for `page` and `limit`. */
export interface PagePagination {
  total: number;
  page: number;
  limit: number;
  totalPages: number;
}

export interface Ping {
  type: "ping";
  ref?: unknown | undefined;
}

export interface Pong {
  type: "pong";
  ref?: unknown | undefined;
}

/** Answer of `GET /metrics/recent`: readings `every_ms` apart, taken at `times_ms` (milliseconds since 1970). */
export interface RecentMetrics {
  everyMs: number;
  timesMs: number[];
  series: RecentSeries;
}

/** One value for each reading; null where nothing was acked or committed. */
export interface RecentSeries {
  eventsPerSecond: number[];
  ackP50Ms: (number | null)[];
  ackP95Ms: (number | null)[];
  ackP99Ms: (number | null)[];
  publishers: number[];
  subscribers: number[];
  liveSessions: number[];
  outboxBytes: number[];
  eventsPerCommit: (number | null)[];
  commitP95: (number | null)[];
  storageUp: number[];
}

/** A response: the `seq` of the bot's utterance, and the milliseconds from the end of the user's to its start. */
export interface Response {
  seq: number;
  ms: number;
}

/** Response latencies in milliseconds; null without any response. Percentiles are by nearest rank. */
export interface Responses {
  count: number;
  lastMs: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
  maxMs: number | null;
  missed: number;
  each: Response[];
}

/** A command for the bot of a session. Answered by a `commandState` for each state the command reaches. */
export interface SendCommand {
  type: "command";
  ref: string;
  sessionId: string;
  commandId: string;
  command: string;
  payload: JsonObject;
}

/** One conversation. */
export interface Session {
  sessionId: string;
  status: "active" | "completed" | "failed" | "initiated";
  language: string;
  /** ISO-8601, UTC, milliseconds */
  startedAt: string;
  endedAt: string | null;
  metadata: JsonObject;
  /** `0` if left out. */
  lastSeq: number;
  lastEventAt: string | null;
  endReason: string | null;
  figures: SessionFigures | null;
  commands?: string[] | undefined;
  archived?: boolean | undefined;
  quietMs?: number | undefined;
}

/** The number of sessions that match the filters, over all pages. A lower bound unless `exact`. */
export interface SessionCount {
  value: number;
  exact: boolean;
}

/** A session in a few numbers. `talk_ms` is null while the session runs. Definitions: docs/events.md. */
export interface SessionFigures {
  turns: number;
  responseP50Ms: number | null;
  responseP95Ms: number | null;
  missed: number;
  interruptions: Interruptions;
  toolsFailed: number;
  errors: number;
  durationMs: number;
  talkMs: number | null;
  lastLine: LastLine | null;
}

/**
 * Sums over the sessions that share one `key`. `response_p50_ms` is the median of the sessions' medians,
 * `response_p95_ms` the 95th percentile of their `responseP95Ms`.
 */
export interface SessionGroup {
  key: string | null;
  calls: number;
  failed: number;
  talkMs: number;
  responseP50Ms: number | null;
  responseP95Ms: number | null;
  missed: number;
  interruptions: number;
  toolsFailed: number;
  errors: number;
}

/** A session with one page of its events, by timestamp, then seq. */
export interface SessionHistory {
  sessionId: string;
  status: "active" | "completed" | "failed" | "initiated";
  language: string;
  /** ISO-8601, UTC, milliseconds */
  startedAt: string;
  endedAt: string | null;
  metadata: JsonObject;
  /** Events stored so far. `0` if left out. */
  lastSeq: number;
  lastEventAt: string | null;
  endReason: string | null;
  figures: SessionFigures | null;
  commands?: string[] | undefined;
  archived?: boolean | undefined;
  quietMs?: number | undefined;
  events: HistoryEvent[];
  pagination: PagePagination | OffsetPagination;
}

/**
 * A page of sessions. `nextCursor` is null on the last page. `searchedBackTo` is present if the search took too long:
 * continue with the cursor.
 */
export interface SessionList {
  sessions: Session[];
  nextCursor: string | null;
  count?: SessionCount | undefined;
  /** ISO-8601, UTC, milliseconds */
  searchedBackTo?: string | undefined;
  searched?: ("id" | "metadata" | "speech")[] | undefined;
}

/** A session that has changed. A feed that asked for summaries gets `summary` once the conversation is read. */
export interface SessionPush {
  type: "session";
  ref: string;
  session: Session;
  summary?: Summary | undefined;
}

/** The figures of a session, from its events 1 to `last_seq`. */
export interface SessionStats {
  durationMs: number;
  turns: Turns;
  talk: Talk;
  responses: Responses;
  yield: Yields;
  overlaps: Overlaps;
  interruptions: Interruptions;
  silences: Silences;
  tools: Tools;
  errors: number;
  usage: Usage[];
  lastLine: LastLine | null;
  sessionId: string;
  lastSeq: number;
}

/** Sums by group and over all sessions. `groups_left_off` counts the groups that are not listed. */
export interface SessionSums {
  groups: SessionGroup[];
  total: SessionGroup;
  /** `0` if left out. */
  groupsLeftOff: number;
}

/**
 * The sessions of a feed at its start. A feed that asked for summaries gets those known so far in `summaries`, by
 * sessionId. The others follow in `session` messages.
 */
export interface SessionsPush {
  type: "sessions";
  ref: string;
  sessions: Session[];
  summaries?: { [key: string]: Summary } | undefined;
}

/** An ephemeral message: fanned out, never stored, never acked. It replaces an older one of the same key. */
export interface Signal {
  type: "signal";
  key: string;
  payload: JsonObject;
}

export interface SignalPush {
  type: "signal";
  ref: string;
  sessionId: string;
  key: string;
  payload: JsonObject;
}

/** Spans of at least `threshold_ms` in which nobody spoke. */
export interface Silences {
  count: number;
  totalMs: number;
  longestMs: number;
  thresholdMs: number;
}

/** A request to watch one session (`sessionId`, `afterSeq`) or the feed (`feed`, `status`, `summaries`). */
export interface Subscribe {
  type: "subscribe";
  ref: string;
  sessionId?: string | null | undefined;
  afterSeq?: number | null | undefined;
  feed?: "sessions" | null | undefined;
  status?: ("active" | "completed" | "failed" | "initiated")[] | null | undefined;
  /** `false` if left out. */
  summaries?: boolean | null | undefined;
}

/** The answer to `subscribe`: the subscription is live. `session` and `lastSeq` are absent for the feed. */
export interface Subscribed {
  type: "subscribed";
  ref: string;
  session?: Session | null | undefined;
  lastSeq?: number | undefined;
  minReceiveBytes?: number | undefined;
}

/** A conversation in a row of a list, as of `through_seq`. Definitions: docs/events.md. */
export interface Summary {
  throughSeq: number;
  turns: number;
  lastLine: LastLine | null;
  responseMs: number | null;
  interruptions: Interruptions;
  toolsRunning: number;
  toolsFailed: number;
  errors: number;
}

/** Milliseconds of speech by side, over measured utterances. Shares are null unless every utterance is measured. */
export interface Talk {
  /** `0` if left out. */
  userMs: number;
  /** `0` if left out. */
  botMs: number;
  /** `0` if left out. */
  overlapMs: number;
  userShare: number | null;
  botShare: number | null;
}

/** Tool calls. `running` counts those that have started and not ended. */
export interface Tools {
  calls: number;
  failed: number;
  running: number;
}

/** How many turns were taken. A turn is a run of utterances of one side, ordered by their start. */
export interface Turns {
  /** `0` if left out. */
  total: number;
  /** `0` if left out. */
  user: number;
  /** `0` if left out. */
  bot: number;
}

export interface Unsubscribe {
  type: "unsubscribe";
  ref: string;
}

export interface Unsubscribed {
  type: "unsubscribed";
  ref: string;
}

/** The total usage of one model. `cost` is null if none was reported. */
export interface Usage {
  kind: string | null;
  provider: string | null;
  model: string | null;
  /** `0` if left out. */
  inputTokens: number;
  /** `0` if left out. */
  outputTokens: number;
  /** `0` if left out. */
  audioSeconds: number;
  /** `0` if left out. */
  characters: number;
  cost: number | null;
}

/** How long the bot goes on speaking after the user cuts in, in milliseconds; null if the user never does. */
export interface Yields {
  count: number;
  p50Ms: number | null;
  p95Ms: number | null;
  maxMs: number | null;
}

export type EventType = EventIn["type"];

export type FinalStatus = NonNullable<Complete["status"]>;

export type SessionStatus = Session["status"];

/** What a publisher gets. */
export type PublisherReply =
  | Opened
  | Ack
  | Nack
  | Completed
  | CommandPush
  | Pong
  | ErrorMessage
  | Goaway
  | Expiring
  | Authenticated;

/** What a subscriber gets. */
export type SubscriberPush =
  | Subscribed
  | Events
  | CaughtUp
  | SignalPush
  | SessionPush
  | SessionsPush
  | Erased
  | Unsubscribed
  | CommandStatePush
  | Pong
  | ErrorMessage
  | Goaway
  | Expiring
  | Authenticated;
