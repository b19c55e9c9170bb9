// The time of a call: milliseconds since its start, never decreasing.
import { field, numberOf } from "./values.js";

const LATEST_MS = 1e12;
// The longest plausible step between two events. A time further away is wrong, and would squeeze all others together.
const LONGEST_STEP_MS = 24 * 60 * 60 * 1000;

/** The value as a time of the call, or null if it is not one. */
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
    const expected = this.at + this.#passed(stamp);
    const near = (ms) => (ms !== null && ms <= expected + LONGEST_STEP_MS ? ms : null);
    const started = near(this.#given(payload, "started"));
    const ended = near(this.#given(payload, "ended"));
    const atMs = near(callTime(field(payload, "atMs")));
    const given = { user_speech: ended, bot_speech: started, system: atMs }[type] ?? null;
    this.at = Math.max(this.at, given ?? expected);
    return { at: this.at, started, ended };
  }

  /** The milliseconds since the event before, or 0 if the timestamp of either is wrong. */
  #passed(stamp) {
    const passed = stamp - (this.#lastTimestamp ?? stamp);
    this.#lastTimestamp = stamp;
    return passed > 0 && passed <= LONGEST_STEP_MS ? passed : 0;
  }

  /** The time in `<edge>Ms`, else in `<edge>At`, which is a moment on the same clock as the timestamps. */
  #given(payload, edge) {
    const ms = callTime(field(payload, `${edge}Ms`));
    if (ms !== null) return ms;
    const moment = field(payload, `${edge}At`);
    return typeof moment === "string" ? callTime(Date.parse(moment) - this.#zero) : null;
  }
}
