// Any JSON value, shown and read without trusting it: what a client sends may have any keys and any types.
import { isExact } from "./json.js";

/** A JSON object, and neither a list nor a number that is kept as it was sent. */
export const isRecord = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isExact(value);

/** The field of a JSON object, or undefined: never what JavaScript's objects inherit. */
export const field = (object, name) => (isRecord(object) && Object.hasOwn(object, name) ? object[name] : undefined);

/** The number that this value is, or null. */
export function numberOf(value) {
  if (isExact(value)) return Number(value.rawJSON);
  return typeof value === "number" ? value : null;
}

/** The text that this value is, or null when it is empty or no text. */
export const wordOf = (value) => (typeof value === "string" && value.trim() ? value : null);

/** Any value as text: a string as it is, all else as JSON with its numbers as they were sent. */
export function textOf(value, indent) {
  if (typeof value === "string") return value;
  return value === undefined ? "" : JSON.stringify(value, null, indent);
}

/** Any value as one line of at most so many characters. */
export function lineOf(value, most = 200) {
  const text = textOf(value)
    .slice(0, 4 * most)
    .replace(/\s+/gu, " ");
  const characters = [...text.slice(0, 2 * most)];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}
