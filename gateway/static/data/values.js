// Reads and shows any JSON value without trusting it: what clients send may have any keys and types.
import { isExact } from "./json.js";

/** Whether the value is a JSON object: no list, and no number that is kept as it was sent. */
export const isRecord = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isExact(value);

/** The field of a JSON object, or undefined. Never something that JavaScript's objects inherit. */
export const field = (object, name) => (isRecord(object) && Object.hasOwn(object, name) ? object[name] : undefined);

/** The value as a number, or null if it is none. */
export function numberOf(value) {
  if (isExact(value)) return Number(value.rawJSON);
  return typeof value === "number" ? value : null;
}

/** The value if it is a string that is not blank, or null. */
export const wordOf = (value) => (typeof value === "string" && value.trim() ? value : null);

/** Any value as text: a string unchanged, anything else as JSON with its numbers as they were sent. */
export function textOf(value, indent) {
  if (typeof value === "string") return value;
  return value === undefined ? "" : JSON.stringify(value, null, indent);
}

/** Any value as one line of at most `most` characters. */
export function lineOf(value, most = 200) {
  const text = textOf(value)
    .slice(0, 4 * most)
    .replace(/\s+/gu, " ");
  const characters = [...text.slice(0, 2 * most)];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}
