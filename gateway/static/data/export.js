// A call as a file. The events are read from the gateway once more, as text: in NDJSON and JSON, numbers too large for
// JavaScript stay whole.
import { ask, sessionPath } from "./rest.js";

export const EXPORTS = {
  ndjson: { type: "application/x-ndjson", make: (lines) => lines.map((line) => `${line}\n`).join("") },
  json: { type: "application/json", make: (lines) => `[\n${lines.join(",\n")}\n]\n` },
  csv: { type: "text/csv", make: toCsv },
  txt: { type: "text/plain", make: toText },
};

/** Make the file and hand it to the browser. Throws when the gateway cannot be read. */
export async function exportCall(sessionId, format) {
  const answer = await ask(sessionPath(sessionId, "/events"), { accept: "application/x-ndjson" });
  const lines = (await answer.text()).split("\n").filter(Boolean);
  const { type, make } = EXPORTS[format];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([make(lines)], { type: `${type};charset=utf-8` }));
  link.download = `${sessionId.replace(/[^\p{L}\p{N}._-]+/gu, "_")}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const COLUMNS = ["seq", "timestamp", "type", "event", "turn", "text", "interrupted", "payload"];

export function toCsv(lines) {
  const rows = lines.map((line) => {
    const { seq, timestamp, type, payload } = JSON.parse(line);
    const { event, turn, text, interrupted } = payload;
    return [seq, timestamp, type, event, turn, text, interrupted, JSON.stringify(payload)].map(cell).join(",");
  });
  return [COLUMNS.join(","), ...rows, ""].join("\r\n");
}

/** RFC 4180; what a spreadsheet would run as a formula becomes text. */
function cell(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A payload without a text: what it is about first. */
function named(payload) {
  const { event, ...others } = payload;
  return typeof event === "string" ? `${event} ${JSON.stringify(others)}` : JSON.stringify(payload);
}

export function toText(lines) {
  return lines
    .map((line) => {
      const { timestamp, type, payload } = JSON.parse(line);
      const who = { user_speech: "User", bot_speech: "Bot", system: "–" }[type];
      const said = typeof payload.text === "string" ? payload.text : named(payload);
      return `${timestamp}  ${who}: ${said}${payload.interrupted === true ? " [interrupted]" : ""}\n`;
    })
    .join("");
}
