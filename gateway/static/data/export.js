// Exports a call as a file. The events are read from the gateway again, as text, so that all numbers stay as sent.
import { forSpreadsheet, forTerminal, harmlessJson } from "./harmless.js";
import { readJson } from "./json.js";
import { toMessages } from "./messages.js";
import { ask, sessionPath } from "./rest.js";
import { field, textOf } from "./values.js";

export const EXPORTS = {
  ndjson: { label: "NDJSON", type: "application/x-ndjson", make: (lines) => lines.map((line) => `${line}\n`).join("") },
  json: { label: "JSON", type: "application/json", make: (lines) => `[\n${lines.join(",\n")}\n]\n` },
  csv: { label: "CSV", type: "text/csv", make: toCsv },
  txt: { label: "TXT", type: "text/plain", make: toText },
  "openai.json": { label: "OpenAI messages", type: "application/json", make: toOpenAi },
};

/** The lines of a call's log, each the JSON of an event. Throws if the gateway cannot be reached. */
async function readLog(sessionId) {
  const answer = await ask(sessionPath(sessionId, "/events"), { accept: "application/x-ndjson" });
  return (await answer.text()).split("\n").filter(Boolean);
}

/** Make the file and have the browser save it. Throws if the gateway cannot be reached. */
export async function exportCall(sessionId, format) {
  const { type, make } = EXPORTS[format];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([make(await readLog(sessionId))], { type: `${type};charset=utf-8` }));
  link.download = `${sessionId.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80)}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** The call as plain text, as in a TXT file. Throws if the gateway cannot be reached. */
export async function callText(sessionId) {
  return toText(await readLog(sessionId));
}

const COLUMNS = ["seq", "timestamp", "type", "event", "turn", "text", "interrupted"];

export function toCsv(lines) {
  const rows = lines.map((line) => {
    const { payload, ...event } = readJson(line);
    const cells = COLUMNS.map((name) => cell(field(event, name) ?? field(payload, name)));
    return [...cells, quoted(harmlessJson(textOf(payload)))].join(",");
  });
  return [[...COLUMNS, "payload"].join(","), ...rows, ""].join("\r\n");
}

/** A CSV cell: numbers and booleans unchanged, anything else as text that no spreadsheet executes. */
function cell(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return quoted(forSpreadsheet(value));
  const json = textOf(value);
  return /^[\d.eE+-]+$|^true$|^false$/.test(json) ? json : quoted(harmlessJson(json));
}

/** A CSV cell, quoted as in RFC 4180 if necessary. */
function quoted(text) {
  return /[",;|\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A payload without a text as one line, with its `event` first. */
function named(payload) {
  const { event, ...others } = payload;
  return typeof event === "string" ? `${event} ${harmlessJson(textOf(others))}` : harmlessJson(textOf(payload));
}

const WHO = new Map([
  ["user_speech", "User"],
  ["bot_speech", "Bot"],
]);

/** The log with one line per event. Further lines of a text are indented, so that none looks like another event. */
export function toText(lines) {
  return lines
    .map((line) => {
      const { timestamp, type, payload } = readJson(line);
      const text = field(payload, "text");
      const said = typeof text === "string" ? text : named(payload);
      const cut = field(payload, "interrupted") === true ? " [interrupted]" : "";
      return `${timestamp}  ${WHO.get(type) ?? "–"}: ${forTerminal(said).replaceAll("\n", "\n    ")}${cut}\n`;
    })
    .join("");
}

function toOpenAi(lines) {
  return `${JSON.stringify({ messages: toMessages(lines.map(readJson)) }, null, 2)}\n`;
}
