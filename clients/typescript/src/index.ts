/** Turnwire for browsers and Node: publishing a conversation, following it, and the gateway's REST API. */

export { Client, type ClientOptions, type MintedToken, type SessionFilter } from "./client.ts";
export type { ConnectionOptions, Logger, SocketLike } from "./connecting/environment.ts";
export type { ConnectionState } from "./connecting/shared_link.ts";
export type { Token } from "./connecting/tokens.ts";
export {
  ClientError,
  CommandRefused,
  EventsRejected,
  InvalidEvent,
  NotAllowed,
  PublisherClosed,
  Refused,
  SessionEnded,
  SessionNotFound,
  Superseded,
  TimedOut,
  TokenError,
  Unreachable,
} from "./errors.ts";
export type * from "./protocol.ts";
export { type CompleteOptions, Publisher, type PublisherOptions, type TimeoutOptions } from "./publisher.ts";
export type { CommandHandler } from "./publishing/commands.ts";
export type { Acked } from "./publishing/delivery.ts";
export type { EventOptions } from "./publishing/encoder.ts";
export { Connection, type SharedOptions } from "./watching/connection.ts";
export { type FollowedSessions, type FollowOptions, followSessions, type SessionFeed } from "./watching/feed.ts";
export { type FollowedSession, type SubscribeOptions, Subscription, subscribe } from "./watching/subscription.ts";
