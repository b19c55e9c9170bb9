/** The values of a query; undefined and null leave a parameter out. */
export type Query = { [name: string]: string | number | boolean | null | undefined };

/**
 * The base URL of a gateway, such as `http://localhost:3000`, `wss://example.com` or `https://example.com/voice/`. On a
 * page, it may be relative to the page. Throws TypeError for anything else.
 */
export class Address {
  /** The base URL, as an http URL without a final slash. */
  readonly shown: string;

  constructor(url: string) {
    const base = new URL(url, globalThis.location?.href);
    const scheme = base.protocol.replace("ws", "http");
    if (!/^https?:$/.test(scheme) || base.search || base.hash || base.username || base.password) {
      throw new TypeError(`${url} is not the URL of a gateway, such as http://localhost:3000`);
    }
    this.shown = `${scheme}//${base.host}${base.pathname.replace(/\/+$/, "")}`;
  }

  http(path: string, query: Query = {}): string {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return `${this.shown}/${path}${search && `?${search}`}`;
  }

  /** Return the URL of a session's resource: `events`, for example, or nothing for the session itself. */
  session(sessionId: string, resource = "", query: Query = {}): string {
    const tail = resource && `/${resource}`;
    if (/^[\w~-][\w.~-]*$/.test(sessionId)) return this.http(`sessions/${sessionId}${tail}`, query);
    // Proxies and URL parsers decode or remove parts of a path, but leave a query alone.
    return this.http(`sessions/-${tail}`, { sessionId, ...query });
  }
}

/** Turn an http URL into the URL of a WebSocket. */
export function webSocketUrl(url: string): string {
  return url.replace("http", "ws");
}
