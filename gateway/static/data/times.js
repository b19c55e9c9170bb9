// Times and durations as people read them: in the viewer's zone, and UTC on hover.
export const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const PLOT_CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
export const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
export const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The time of day, short, of milliseconds since 1970. */
export const clock = (ms) => PLOT_CLOCK.format(new Date(ms));

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

export function isToday(date) {
  return new Date().toDateString() === date.toDateString();
}

export const inUtc = (at) => `${at.replace("T", " ").replace("Z", "")} UTC`;

/** A moment in the viewer's zone and in UTC, as text. */
export function bothClocks(at) {
  return `${FULL.format(new Date(at))}, ${inUtc(at)}`;
}
