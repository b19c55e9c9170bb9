// The time of a call: milliseconds from its start, never running back.
import { field, numberOf } from "./values.js";

const LATEST_MS = 1e12;

/** The time of the call that this value is, or null. */
export function callTime(value) {
  const number = numberOf(value);
  return number !== null && number >= 0 && number <= LATEST_MS ? number : null;
}

/** Tells for each event of a log, taken in seq order, when in the call it happened. */
export class CallClock {
  #zero = null;
  #lastTimestamp = null;
  /** The time that the log has come to. */
  at = 0;

  /** `{at, started, ended}` of an event: `started` and `ended` are null where the payload does not tell them. */
  read({ type, payload, timestamp }) {
    const stamp = Date.parse(timestamp);
    this.#zero ??= stamp;
    const started = this.#told(payload, "started");
    const ended = this.#told(payload, "ended");
    const told = { user_speech: ended, bot_speech: started, system: callTime(field(payload, "atMs")) }[type] ?? null;
    const passed = this.#lastTimestamp === null ? 0 : Math.max(0, stamp - this.#lastTimestamp);
    this.#lastTimestamp = stamp;
    this.at = Math.max(this.at, told ?? this.at + passed);
    return { at: this.at, started, ended };
  }

  /** `startedMs`, else `startedAt`, a time of day on the same clock as the timestamps. */
  #told(payload, edge) {
    const ms = callTime(field(payload, `${edge}Ms`));
    if (ms !== null) return ms;
    const moment = field(payload, `${edge}At`);
    return typeof moment === "string" ? callTime(Date.parse(moment) - this.#zero) : null;
  }
}
