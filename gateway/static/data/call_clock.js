// The time of a call: milliseconds since its start, never decreasing.
import { field, numberOf } from "./values.js";

const LATEST_MS = 1e12;

/** The value as a time of the call, or null if it is none. */
export function callTime(value) {
  const number = numberOf(value);
  return number !== null && number >= 0 && number <= LATEST_MS ? number : null;
}

/** Computes when in the call each event happened. Events must be read in seq order. */
export class CallClock {
  #zero = null;
  #lastTimestamp = null;
  /** The time of the call at the last event read. */
  at = 0;

  /** `{at, started, ended}` of an event; `started` and `ended` are null if the payload does not give them. */
  read({ type, payload, timestamp }) {
    const stamp = Date.parse(timestamp);
    this.#zero ??= stamp;
    const started = this.#given(payload, "started");
    const ended = this.#given(payload, "ended");
    const given = { user_speech: ended, bot_speech: started, system: callTime(field(payload, "atMs")) }[type] ?? null;
    const passed = this.#lastTimestamp === null ? 0 : Math.max(0, stamp - this.#lastTimestamp);
    this.#lastTimestamp = stamp;
    this.at = Math.max(this.at, given ?? this.at + passed);
    return { at: this.at, started, ended };
  }

  /** The time in `<edge>Ms`, else in `<edge>At`, which is a moment on the same clock as the timestamps. */
  #given(payload, edge) {
    const ms = callTime(field(payload, `${edge}Ms`));
    if (ms !== null) return ms;
    const moment = field(payload, `${edge}At`);
    return typeof moment === "string" ? callTime(Date.parse(moment) - this.#zero) : null;
  }
}
