// The page's route: `#/?status=failed`, `#/s/{sessionId}?seq=42` or `?at=83.5`, `#/compare?a=…&b=…`, `#/gateway`,
// `#/boards?by=day&days=30`.
import { FILTER_KEYS } from "./filter.js";
import { Observable } from "./observable.js";

/** The address of a call, of an event in it, or of a moment: `at`, in milliseconds of the call. */
export function callHref(sessionId, { seq = null, at = null } = {}) {
  const place = seq !== null ? `?seq=${seq}` : at !== null ? `?at=${Math.round(at) / 1000}` : "";
  return `#/s/${encodeURIComponent(sessionId)}${place}`;
}

export function callsHref(filter = {}) {
  const set = FILTER_KEYS.flatMap((key) => (filter[key] ? [[key, filter[key]]] : []));
  return set.length ? `#/?${new URLSearchParams(set)}` : "#/";
}

export function compareHref(a, b) {
  return `#/compare?${new URLSearchParams({ a, b })}`;
}

export function boardsHref({ by, days }) {
  return `#/boards?${new URLSearchParams({ by, days })}`;
}

function number(text) {
  const value = Number(text);
  return text !== null && text !== "" && value >= 0 && Number.isFinite(value) ? value : null;
}

/** `{page: "calls", filter}`, `{page: "call", sessionId, seq, at}`, `{page: "compare", a, b}`, `{page: "gateway"}` or
 * `{page: "boards", by, days}`. */
export function parseRoute(hash) {
  const [, path, query] = /^#?([^?]*)\??(.*)$/su.exec(hash);
  const words = new URLSearchParams(query);
  if (path === "/gateway") return { page: "gateway" };
  if (path === "/boards") return { page: "boards", ...boardOf(words) };
  if (path === "/compare" && words.get("a") && words.get("b")) {
    return { page: "compare", a: words.get("a"), b: words.get("b") };
  }
  const id = path.startsWith("/s/") ? decoded(path.slice(3)) : "";
  if (id) {
    const [seq, seconds] = [Math.floor(number(words.get("seq")) ?? 0), number(words.get("at"))];
    return { page: "call", sessionId: id, seq: seq || null, at: seconds === null ? null : seconds * 1000 };
  }
  return { page: "calls", filter: Object.fromEntries(FILTER_KEYS.map((key) => [key, words.get(key) ?? ""])) };
}

const BOARDS = ["day", "language", "bot", "endReason"];
const DAYS = [7, 30, 90, 365];

function boardOf(words) {
  const [by, days] = [words.get("by"), Number(words.get("days"))];
  return { by: BOARDS.includes(by) ? by : "day", days: DAYS.includes(days) ? days : 30 };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // a lone %
  }
}

class Route extends Observable {
  constructor() {
    super();
    this.current = parseRoute(location.hash);
    /** The address of the list as it was left. */
    this.calls = this.current.page === "calls" ? callsHref(this.current.filter) : "#/";
    window.addEventListener("hashchange", () => {
      this.current = parseRoute(location.hash);
      if (this.current.page === "calls") this.calls = callsHref(this.current.filter);
      this.changed();
    });
  }

  go(href) {
    location.hash = href;
  }

  /** Show the list with this filter, without adding to the browser's history. */
  filter(filter) {
    this.calls = callsHref(filter);
    history.replaceState(null, "", this.calls);
    this.current = parseRoute(this.calls);
    this.changed();
  }
}

export const route = new Route();
