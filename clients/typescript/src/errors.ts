// The errors of this library. Each is a ClientError, named so that a program can decide what to do.

import type { ErrorCode, NackItem, Session } from "./protocol.ts";

/** The base of all errors of this library. */
export class ClientError extends Error {
  override name = "ClientError";
}

/** A call took longer than its `timeoutMs`. */
export class TimedOut extends ClientError {
  override name = "TimedOut";
}

/** No gateway answered, or it could not serve, for as long as the caller would wait. Try again later. */
export class Unreachable extends ClientError {
  override name = "Unreachable";
}

/** The function given as `token` failed. Publishers and subscriptions call it again; a Client throws this error. */
export class TokenError extends Unreachable {
  override name = "TokenError";
}

/** `send`, `post`, `signal` or `hint` got a value that is not JSON or exceeds a limit. Nothing was queued. */
export class InvalidEvent extends ClientError {
  override name = "InvalidEvent";
}

/** The publisher accepts nothing more: it was closed, or asked to end its session. */
export class PublisherClosed extends ClientError {
  override name = "PublisherClosed";
}

/** What is known about a refusal. */
export interface RefusalFacts {
  code?: ErrorCode | undefined;
  /** The HTTP status of a refused request. */
  status?: number | undefined;
  /** The close code of a closed connection. */
  closeCode?: number | undefined;
}

/** The gateway refused for good: the same attempt will fail again. */
export class Refused extends ClientError {
  override name = "Refused";
  readonly code: ErrorCode | undefined;
  readonly status: number | undefined;
  readonly closeCode: number | undefined;

  constructor(message: string, facts: RefusalFacts = {}) {
    super(message);
    this.code = facts.code;
    this.status = facts.status;
    this.closeCode = facts.closeCode;
  }
}

/** There is no such session. */
export class SessionNotFound extends Refused {
  override name = "SessionNotFound";
}

/** The session has ended and accepts no more events. */
export class SessionEnded extends Refused {
  override name = "SessionEnded";
}

/** A newer publisher has taken over the session. This one must stop. */
export class Superseded extends Refused {
  override name = "Superseded";
}

/** The client is not authenticated, or not allowed to do this. */
export class NotAllowed extends Refused {
  override name = "NotAllowed";
}

/** The gateway refused events. All others are stored. If `complete` throws this, `session` has ended all the same. */
export class EventsRejected extends ClientError {
  override name = "EventsRejected";
  /** The refusals, in the order sent. */
  readonly nacks: NackItem[];
  readonly session: Session | null;

  constructor(nacks: NackItem[], session: Session | null) {
    const [first] = nacks;
    const more = nacks.length > 1 ? ` and ${nacks.length - 1} more` : "";
    super(`the gateway refused event ${first?.eventId} (${first?.code}: ${first?.message})${more}`);
    this.nacks = nacks;
    this.session = session;
  }
}

/** A command handler throws this to refuse a command. The text is sent with the answer. */
export class CommandRefused extends Error {
  override name = "CommandRefused";
}

/** The connection is gone or could not be made. Opening another one may help. Never leaves this library. */
export class Lost extends Error {
  readonly retryAfterMs: number | undefined;
  /** Whether the gateway said that it would close, and will be back. */
  readonly announced: boolean;

  constructor(message: string, retryAfterMs?: number, announced = retryAfterMs !== undefined) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.announced = announced;
  }
}

/** The client has been told to stop. Never leaves this library. */
export class Stopped extends Error {}

const BY_CODE: { [code: string]: typeof Refused } = {
  not_found: SessionNotFound,
  session_ended: SessionEnded,
  superseded: Superseded,
  unauthenticated: NotAllowed,
  forbidden: NotAllowed,
};

/** The close codes after which a client stops. After any other, it reconnects. */
const BY_CLOSE: { [code: number]: [ErrorCode | undefined, string] } = {
  1000: [undefined, "the gateway closed the connection as done"],
  1003: ["invalid_message", "the gateway does not accept frames of this kind"],
  1007: ["invalid_json", "the gateway received text that is not UTF-8"],
  1009: ["too_large", "a frame was over the gateway's limit"],
  4400: ["invalid_message", "the gateway saw a protocol error"],
  4401: ["unauthenticated", "not authenticated"],
  4402: ["unauthenticated", "the token has expired, and there is no other"],
  4403: ["forbidden", "not allowed"],
  4404: ["not_found", "there is no such session"],
  4409: ["superseded", "a newer publisher has taken over the session"],
  4410: ["session_ended", "the session has ended"],
};

/** Return the error for a code, as an instance of the most specific class. */
export function refusal(message: string, facts: RefusalFacts): Refused {
  return new (BY_CODE[facts.code ?? ""] ?? Refused)(message, facts);
}

/** Return the error for a close code, or undefined if the client should reconnect. */
export function finalClose(closeCode: number, reason: string): Refused | undefined {
  const known = BY_CLOSE[closeCode];
  if (!known) return undefined;
  const [code, meaning] = known;
  return refusal(`${meaning} (close code ${closeCode}${reason && `: ${reason}`})`, { code, closeCode });
}

/** Return the text of anything thrown. Node's fetch says what broke only in its cause. */
export function textOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const root = cause instanceof Error && cause.message ? cause : error;
  return root instanceof Error ? `${root.name}: ${root.message}` : String(root);
}
