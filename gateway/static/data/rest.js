// The gateway's REST side, below the page's own address.
import { credential } from "./credential.js";
import { readJson } from "./json.js";

/** Milliseconds to add to this machine's clock for the gateway's, from the `Date` of its last answer. */
export let clockOffset = 0;

/** `status` is 0 for what was not even asked. */
export class RestError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Throws RestError for the two ids that have no address in a browser. */
export function sessionPath(sessionId, rest = "") {
  if (sessionId === "." || sessionId === "..") {
    throw new RestError(
      0,
      `Browsers take “${sessionId}” in an address for a folder, so this page cannot ask for the session by REST.`,
    );
  }
  return `sessions/${encodeURIComponent(sessionId)}${rest}`;
}

/** The answer; `send` is posted as JSON. Throws RestError for one that is an error, and TypeError without a connection. */
export async function ask(path, { accept = "application/json", signal, send } = {}) {
  const sent = send && { method: "POST", body: JSON.stringify(send) };
  const headers = { accept, ...credential.headers, ...(send && { "content-type": "application/json" }) };
  const response = await fetch(new URL(path, document.baseURI), { headers, signal, ...sent });
  const date = Date.parse(response.headers.get("date") ?? "");
  // The header is cut to seconds: a difference below that is none.
  if (date) clockOffset = Math.abs(date + 500 - Date.now()) < 1500 ? 0 : date + 500 - Date.now();
  if (response.ok) return response;
  if (response.status === 401) credential.refused();
  let text = response.statusText;
  try {
    text = [(await response.json()).message].flat().join("; ");
  } catch {
    // not an envelope of ours: a proxy's answer
  }
  throw new RestError(response.status, text);
}

/** The answer's JSON, with the numbers of payloads and metadata as they were sent. */
export async function askJson(path, options) {
  return readJson(await (await ask(path, options)).text());
}

/** The answer's JSON, where all numbers are the gateway's own. */
export async function askFigures(path, options) {
  return (await ask(path, options)).json();
}
