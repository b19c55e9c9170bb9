// What a publisher is for, and the end that it asks for, checked: a gateway's refusal would cost a whole call's log.

import type { Complete, FinalStatus, JsonObject } from "../protocol.ts";
import { UNTOLD } from "./encoder.ts";
import { faultOf, isText } from "./values.ts";

const MAX_REASON = 256;

/** Throw TypeError for a session that every gateway would refuse: `post` would lose a whole call to it. */
export function checkCall(sessionId: string, language: string | null, metadata: JsonObject | undefined): void {
  if (sessionId === "") throw new TypeError("the session id must not be empty");
  if (!isText(sessionId) || sessionId === "." || sessionId === "..") {
    throw new TypeError(
      `the session id must be a string of valid Unicode, and not . or .., but is ${String(sessionId)}`,
    );
  }
  if (!metadata) return;
  if (language === null) throw new TypeError("metadata is for a new session, which needs a language");
  const fault = faultOf(metadata, UNTOLD.depth);
  if (fault) throw new TypeError(`metadata${fault}`);
}

/** Return the request for a session's end. Throws RangeError for what every gateway would refuse. */
export function endOfSession(status: FinalStatus, reason: string | null): Complete {
  if (status !== "completed" && status !== "failed") {
    throw new RangeError(`the status must be completed or failed, not ${String(status)}`);
  }
  if (reason !== null && !(isText(reason) && reason && [...reason].length <= MAX_REASON)) {
    throw new RangeError(`the reason must have 1 to ${MAX_REASON} characters`);
  }
  return { type: "complete", status, reason };
}
