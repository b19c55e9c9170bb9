// Where the page is: `#/`, `#/s/{sessionId}?seq=42`, `#/gateway`.
import { Observable } from "./observable.js";

export function callHref(sessionId, seq = null) {
  return `#/s/${encodeURIComponent(sessionId)}${seq === null ? "" : `?seq=${seq}`}`;
}

/** `{page: "calls" | "call" | "gateway", sessionId?, seq?}` */
export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  if (path.startsWith("/s/") && path.length > 3) {
    const seq = Number.parseInt(new URLSearchParams(query).get("seq"), 10);
    try {
      return { page: "call", sessionId: decodeURIComponent(path.slice(3)), seq: seq > 0 ? seq : null };
    } catch {
      return { page: "calls" }; // a lone %
    }
  }
  return { page: path === "/gateway" ? "gateway" : "calls" };
}

class Route extends Observable {
  constructor() {
    super();
    this.current = parseRoute(location.hash);
    window.addEventListener("hashchange", () => {
      this.current = parseRoute(location.hash);
      this.changed();
    });
  }

  go(href) {
    location.hash = href;
  }

  /** Note a seq in the address, as a place of the call that is open, without going there. */
  note(sessionId, seq) {
    history.replaceState(null, "", callHref(sessionId, seq));
  }
}

export const route = new Route();
