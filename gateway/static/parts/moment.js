import { CLOCK, DAY, FULL, inUtc, isToday } from "../data/times.js";
import { html } from "./view.js";

/** A moment: the time of day, with the day when that is not today. */
export function Moment({ at, full = false }) {
  if (!at) return html`<span>–</span>`;
  const date = new Date(at);
  const text = full
    ? FULL.format(date)
    : isToday(date)
      ? CLOCK.format(date)
      : `${DAY.format(date)}, ${CLOCK.format(date)}`;
  return html`<time datetime=${at} title=${inUtc(at)}>${text}</time>`;
}
