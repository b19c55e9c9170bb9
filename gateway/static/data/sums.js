// Sums over calls: `GET /stats`, for the boards.
import { Observable } from "./observable.js";
import { askFigures } from "./rest.js";

const DAY_MS = 86400000;
const EVERY_MS = 60000;

/**
 * What calls can be grouped by: the gateway's name for it, and the filter of the list that shows a group's calls. The group
 * of calls without a value has the key null.
 */
export const GROUPINGS = {
  day: { label: "Day", groupBy: "day", filter: (key) => ({ from: `${key}Z`, to: `${key}Z` }) },
  language: { label: "Language", groupBy: "language", filter: (language) => ({ language }) },
  bot: { label: "Bot", groupBy: "metadata.bot", filter: (bot) => (bot === null ? { without: "bot" } : { bot }) },
  endReason: {
    label: "End reason",
    groupBy: "endReason",
    filter: (endReason) => (endReason === null ? { without: "endReason" } : { endReason }),
  },
};

/** A day such as `2026-11-28`, in UTC as the gateway counts days, `before` days before `now`. */
export const utcDay = (now, before = 0) => new Date(now - before * DAY_MS).toISOString().slice(0, 10);

/** The filter of the list for the calls of a group, or null if the list cannot show them. `range`: `{from, to}`. */
export function filterOf(by, key, { from, to }) {
  if (key !== null && key !== key.trim()) return null;
  return { from: `${from}Z`, to: `${to}Z`, ...GROUPINGS[by].filter(key) };
}

/** The sums of the last `days` days, read now and every minute while they are watched. */
export class Sums extends Observable {
  #timer = null;
  #asking = null;

  constructor(by, days) {
    super();
    this.by = by;
    this.days = days;
    /** The range of the sums: `{from, to}`, both days included. */
    this.range = null;
    /** `[{key, calls, failed, …}]` as the gateway sends them, with every day of the range if by day. */
    this.groups = null;
    this.total = null;
    this.leftOff = 0;
    this.failure = null;
  }

  start() {
    this.#asking = new AbortController();
    this.#read();
    this.#timer = setInterval(() => !document.hidden && this.#read(), EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#asking.abort();
  }

  async #read() {
    const { signal } = this.#asking;
    const now = Date.now();
    const range = { from: utcDay(now, this.days - 1), to: utcDay(now) };
    const query = new URLSearchParams({
      groupBy: GROUPINGS[this.by].groupBy,
      startedAfter: new Date(Date.parse(range.from) - 1).toISOString(),
      startedBefore: new Date(Date.parse(range.to) + DAY_MS).toISOString(),
    });
    try {
      const { groups, total, groupsLeftOff = 0 } = await askFigures(`stats?${query}`, { signal });
      this.groups = this.by === "day" ? everyDay(groups, range) : groups;
      this.range = range;
      this.total = total;
      this.leftOff = groupsLeftOff;
      this.failure = null;
    } catch (error) {
      if (signal.aborted) return;
      this.failure = error.message;
    }
    this.changed();
  }
}

function everyDay(groups, { from, to }) {
  const known = new Map(groups.map((group) => [group.key, group]));
  const days = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
    const key = utcDay(at);
    days.push(known.get(key) ?? { key, ...NO_CALLS });
  }
  return days;
}

const NO_CALLS = {
  calls: 0,
  failed: 0,
  responseP50Ms: null,
  responseP95Ms: null,
  interruptions: 0,
  toolsFailed: 0,
  errors: 0,
};
