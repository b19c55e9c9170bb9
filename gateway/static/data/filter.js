// Which calls are shown. The gateway filters whatever it can; `supported` has the names of its parameters.
import { haystack, isLive, newestFirst, oldestFirst } from "./calls.js";
import { field, isRecord, textOf } from "./values.js";

/** The names of the filters that the list's address may contain. */
export const FILTER_KEYS = "q status language from to endReason bot without errors slower order".split(" ");
const LIVE = ["live", "initiated", "active"];

/** When a day begins, or the day this many days later. `2026-11-28` is a day in the viewer's zone, `2026-11-28Z` one in UTC. */
const dayStart = (day, days = 0) => {
  const [year, month, date] = day.replace("Z", "").split("-").map(Number);
  return day.endsWith("Z") ? Date.UTC(year, month - 1, date + days) : new Date(year, month - 1, date + days).getTime();
};
/** The gateway refuses to search for punctuation alone, which is all that a text may have while it is typed. */
const hasWords = (text) => /[\p{L}\p{N}]/u.test(text);
const isDay = (text) => /^\d{4}-\d\d-\d\dZ?$/.test(text) && !Number.isNaN(dayStart(text));

/** The bot that the metadata names, as text; none for a list or an object. */
function botOf({ session }) {
  const bot = field(session.metadata, "bot");
  return bot === null || Array.isArray(bot) || isRecord(bot) ? "" : textOf(bot);
}

// The filters: `param`, the parameter that the gateway must know; `ask`, its query; `here`, the test of a row in this page
// if that is possible.
const RULES = {
  status: {
    ask: (value) => ({ status: value }),
    here: (row, value) => row.session.status === value || value === "live",
  },
  language: { ask: (value) => ({ language: value }), here: (row, value) => row.session.language === value },
  from: {
    ask: (day) => isDay(day) && { startedAfter: new Date(dayStart(day) - 1).toISOString() },
    here: (row, day) => !isDay(day) || Date.parse(row.session.startedAt) >= dayStart(day),
  },
  to: {
    ask: (day) => isDay(day) && { startedBefore: new Date(dayStart(day, 1)).toISOString() },
    here: (row, day) => !isDay(day) || Date.parse(row.session.startedAt) < dayStart(day, 1),
  },
  q: {
    param: "q",
    ask: (text) => hasWords(text) && { q: text },
    here: (row, text) => haystack(row).includes(text.toLowerCase()),
  },
  endReason: {
    param: "endReason",
    ask: (reason) => ({ endReason: reason }),
    here: (row, reason) => row.session.endReason === reason,
  },
  bot: {
    param: "endReason", // a gateway that filters by this also filters by metadata, whose keys no document can list
    ask: (bot) => ({ "metadata.bot": bot }),
    here: (row, bot) => botOf(row) === bot,
  },
  without: {
    param: "endReason",
    ask: (name) => (name === "bot" ? { "metadata.bot": "" } : { endReason: "" }),
    here: (row, name) => !(name === "bot" ? botOf(row) : row.session.endReason),
  },
  errors: { param: "hasErrors", ask: () => ({ hasErrors: "true" }) },
  order: { param: "order", ask: (order) => ({ order }), here: () => true },
  slower: { param: "minResponseP95Ms", ask: (seconds) => ({ minResponseP95Ms: Math.round(Number(seconds) * 1000) }) },
};

/** Whether the gateway can filter by this. */
export function canFilter(supported, name) {
  const { param } = RULES[name];
  return param === undefined || supported.has(param);
}

/**
 * `{query, knows, compare, matches(row), shows(row), live(row)}`. `compare` sorts rows. `query`: the query for past calls.
 * `knows`: whether `matches` can test a row exactly as the gateway does. `shows`: whether a call from the gateway is shown.
 * `live`: whether a live call is.
 */
export function makeFilter(values, supported) {
  const set = Object.entries(values).filter(([name, value]) => value && canFilter(supported, name));
  const asked = set.filter(([name]) => name !== "q" || canAsk(supported));
  const here = ([name, value], row) => RULES[name].here === undefined || RULES[name].here(row, value.trim());
  const query = Object.assign({}, ...asked.map(([name, value]) => RULES[name].ask(value.trim()) || {}));
  const text = canAsk(supported) ? "" : (values.q ?? "").trim().toLowerCase();
  // Only ended calls have a duration. Live calls come from the feed, and would be counted twice.
  if (supported.has("minDurationMs")) query.minDurationMs = 0;
  if (supported.has("countUpTo")) query.countUpTo = 1000;
  return {
    query,
    compare: query.order === "asc" ? oldestFirst : newestFirst,
    knows: asked.every(([name]) => RULES[name].here !== undefined && name !== "q"),
    matches: (row) => asked.every((each) => here(each, row)),
    shows: (row) => !text || haystack(row).includes(text),
    live: (row) =>
      set.every((each) => here(each, row)) && isShownLive(row, values) && (!text || haystack(row).includes(text)),
    searchesHere: text !== "",
  };
}

const canAsk = (supported) => supported.has("q");

/** Whether a live call may be shown: not with filters that only ended calls can match. */
function isShownLive(row, { errors, slower, endReason, status }) {
  if (errors || slower || endReason) return false;
  return isLive(row) && (!status || LIVE.includes(status));
}

/** Whether ended calls can match these values. */
export const wantsPast = ({ status }) => !LIVE.includes(status);
