// Formats times and durations for people, in the viewer's time zone and 12- or 24-hour clock.

/** The time of day, with seconds. */
export const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const SHORT_CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const YEAR = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The time of day at a moment in milliseconds since 1970. */
export const clock = (ms) => CLOCK.format(new Date(ms));

const two = (number) => String(number).padStart(2, "0");

/** A duration such as `0:07`, `12:40` or `1:02:03`. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** A duration for a screen reader, such as `12 min 40 s`. */
export function spokenDuration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const names = ["h", "min", "s"];
  return parts
    .map((value, at) => (value || at === 2 ? `${value} ${names[at]}` : ""))
    .filter(Boolean)
    .join(" ");
}

/** A latency such as `450 ms`, `1.2 s` or `1:20`; `–` for none. */
export function latency(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms);
}

/** A wire time in UTC, with all digits as the gateway sends it. */
export const inUtc = (at) => `${at.replace("T", " ").replace("Z", "")} UTC`;

/** A wire time in the viewer's zone, with date and seconds. */
export const fullTime = (at) => FULL.format(new Date(at));

/** A moment in the viewer's zone and in UTC, as text. */
export function bothClocks(at) {
  return `${fullTime(at)}, ${inUtc(at)}`;
}

/** The time of day, with the day if it is not today, and the year if it is not this year. */
export function shortTime(at, seconds = false) {
  const [date, now] = [new Date(at), new Date()];
  const time = (seconds ? CLOCK : SHORT_CLOCK).format(date);
  if (date.toDateString() === now.toDateString()) return time;
  return `${(date.getFullYear() === now.getFullYear() ? DAY : YEAR).format(date)}, ${time}`;
}
