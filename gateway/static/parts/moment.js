import { fullTime, inUtc, shortTime } from "../data/times.js";
import { html } from "./view.js";

/** A moment: the time of day, with the day if it is not today; UTC on hover. `full`: always with date and seconds. */
export function Moment({ at, full = false, seconds = false }) {
  if (!at) return html`<span>–</span>`;
  return html`<time datetime=${at} title=${inUtc(at)}>${full ? fullTime(at) : shortTime(at, seconds)}</time>`;
}
