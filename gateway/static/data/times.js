// Times and durations as people read them: in the viewer's zone and by the viewer's clock of 12 or 24 hours.

/** The time of day, with seconds. */
export const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const SHORT_CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const YEAR = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The time of day, of milliseconds since 1970. */
export const clock = (ms) => CLOCK.format(new Date(ms));

const two = (number) => String(number).padStart(2, "0");

/** As in `0:07`, `12:40` or `1:02:03`. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The same for a screen reader. */
export function spokenDuration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const names = ["h", "min", "s"];
  return parts
    .map((value, at) => (value || at === 2 ? `${value} ${names[at]}` : ""))
    .filter(Boolean)
    .join(" ");
}

/** As in `450 ms`, `1.2 s` or `1:20`. */
export function latency(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms);
}

/** A wire time in UTC, digit by digit as the gateway tells it. */
export const inUtc = (at) => `${at.replace("T", " ").replace("Z", "")} UTC`;

/** A wire time in the viewer's zone, whole. */
export const fullTime = (at) => FULL.format(new Date(at));

/** A moment in the viewer's zone and in UTC, as text. */
export function bothClocks(at) {
  return `${fullTime(at)}, ${inUtc(at)}`;
}

/** The time of day; with the day where that is not today, and the year where it is not this one. */
export function shortTime(at, seconds = false) {
  const [date, now] = [new Date(at), new Date()];
  const time = (seconds ? CLOCK : SHORT_CLOCK).format(date);
  if (date.toDateString() === now.toDateString()) return time;
  return `${(date.getFullYear() === now.getFullYear() ? DAY : YEAR).format(date)}, ${time}`;
}
