// Requests to the gateway's REST API, relative to the page's address.
import { credential } from "./credential.js";
import { readJson } from "./json.js";

/** Milliseconds by which the gateway's clock is ahead of this machine's, from the `Date` of its last answer. */
export let clockOffset = 0;

/** An error answer. */
export class RestError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// What proxies and browsers change in a path: proxies decode it, and browsers take dots for folders.
const FRAGILE = /[/\\%]|^\.\.?$/;

/** The path of a session, or of a resource below it: `rest`, as in `/events?limit=1`. */
export function sessionPath(sessionId, rest = "") {
  if (!FRAGILE.test(sessionId)) return `sessions/${encodeURIComponent(sessionId)}${rest}`;
  const [below, query] = rest.split("?");
  return `sessions/-${below}?sessionId=${encodeURIComponent(sessionId)}${query ? `&${query}` : ""}`;
}

/**
 * Send a request and return the answer. `send` is a body, sent as JSON by POST unless `method` names another method. Throws
 * RestError for an error answer, and TypeError without a connection.
 */
export async function ask(path, { accept = "application/json", signal, send, method = send ? "POST" : "GET" } = {}) {
  const headers = { accept, ...credential.headers, ...(send && { "content-type": "application/json" }) };
  const response = await fetch(new URL(path, document.baseURI), {
    method,
    headers,
    signal,
    body: send && JSON.stringify(send),
  }).catch(inWords);
  const date = Date.parse(response.headers.get("date") ?? "");
  // The header has whole seconds: smaller differences are ignored.
  if (date) clockOffset = Math.abs(date + 500 - Date.now()) < 1500 ? 0 : date + 500 - Date.now();
  if (response.ok) return response;
  if (response.status === 401) credential.refused();
  let text = response.statusText;
  try {
    text = [(await response.json()).message].flat().join("; ");
  } catch {
    // not the gateway's envelope but a proxy's answer
  }
  throw new RestError(response.status, text);
}

/** Throw the error of a request again. Each browser has its own words for a gateway that it cannot reach. */
function inWords(error) {
  throw error instanceof TypeError ? new TypeError("The gateway cannot be reached.", { cause: error }) : error;
}

/** The answer's JSON, with numbers in payloads and metadata as they were sent. */
export async function askJson(path, options) {
  return readJson(await (await ask(path, options)).text());
}

/** The answer's JSON with plain numbers, for answers whose numbers all come from the gateway. */
export async function askFigures(path, options) {
  return (await ask(path, options)).json();
}
