// Which calls are shown. Whatever the gateway can filter, it filters; `supported` holds the names of its parameters.
import { haystack, isLive } from "./calls.js";
import { field, textOf } from "./values.js";

/** What may stand in the address of the list, beside its path. */
export const FILTER_KEYS = ["q", "status", "language", "from", "to", "endReason", "bot", "errors", "slower"];
const LIVE = ["live", "initiated", "active"];

const dayStart = (day, days = 0) => {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + days).getTime();
};
/** The gateway refuses to search for punctuation alone, which somebody may begin to type with. */
const hasWords = (text) => /[\p{L}\p{N}]/u.test(text);
const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(dayStart(text));

// What asks the gateway, by the name of its parameter; `here` judges a row in this page where that can be done.
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
    param: "endReason", // whoever filters by that filters by metadata too, whose keys no description can name
    ask: (bot) => ({ "metadata.bot": bot }),
    here: (row, bot) => textOf(field(row.session.metadata, "bot")) === bot,
  },
  errors: { param: "hasErrors", ask: () => ({ hasErrors: "true" }) },
  slower: { param: "minResponseP95Ms", ask: (seconds) => ({ minResponseP95Ms: Math.round(Number(seconds) * 1000) }) },
};

/** Whether the gateway can filter by this. */
export function canFilter(supported, name) {
  const { param } = RULES[name];
  return param === undefined || supported.has(param);
}

/**
 * `{query, knows, matches(row), shows(row), live(row)}`: what to ask the gateway for its past calls, whether `matches`
 * says all of that here too, which of the calls it answers with are shown, and which of the live ones.
 */
export function makeFilter(values, supported) {
  const set = Object.entries(values).filter(([name, value]) => value && canFilter(supported, name));
  const asked = set.filter(([name]) => name !== "q" || canAsk(supported));
  const here = ([name, value], row) => RULES[name].here === undefined || RULES[name].here(row, value.trim());
  const query = Object.assign({}, ...asked.map(([name, value]) => RULES[name].ask(value.trim()) || {}));
  const text = canAsk(supported) ? "" : (values.q ?? "").trim().toLowerCase();
  // Only ended calls have a duration: the live ones come from the feed, and would be counted twice.
  if (supported.has("minDurationMs")) query.minDurationMs = 0;
  if (supported.has("countUpTo")) query.countUpTo = 1000;
  return {
    query,
    knows: asked.every(([name]) => RULES[name].here !== undefined && name !== "q"),
    matches: (row) => asked.every((each) => here(each, row)),
    shows: (row) => !text || haystack(row).includes(text),
    live: (row) =>
      set.every((each) => here(each, row)) && isShownLive(row, values) && (!text || haystack(row).includes(text)),
    searchesHere: text !== "",
  };
}

const canAsk = (supported) => supported.has("q");

/** What only ended calls have keeps the live ones out. */
function isShownLive(row, { errors, slower, endReason, status }) {
  if (errors || slower || endReason) return false;
  return isLive(row) && (!status || LIVE.includes(status));
}

/** Whether these values ask for ended calls at all. */
export const wantsPast = ({ status }) => !LIVE.includes(status);
