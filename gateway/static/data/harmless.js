// Makes text harmless: a spreadsheet does not execute it, and a terminal does not obey it.

// Control characters, marks that change the direction of text, and line ends that editors know and terminals do not.
const ACTIVE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\uFEFF]/gu;
const FORMULA = "=+\\-@＝＋－＠";
// Any separator of cells that a spreadsheet may be set to, then what it ignores at the start of a cell.
const IN_TEXT = new RegExp(`(^|[,;|\\t\\r\\n\\v\\f])([\\s"'\\p{Cf}\\p{Cc}]*)(?=[${FORMULA}])`, "gu");
const IN_JSON = new RegExp(`(?<![\\p{L}\\p{N}])[${FORMULA}]|[;|]`, "gu");
const JSON_STRING = /"(?:[^"\\]|\\.)*"/gu;

/** The text with each UTF-16 unit escaped, as in `\u001b`. */
function escaped(text) {
  return text.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The text with the characters escaped that a terminal would obey. Line ends stay. */
export function forTerminal(text) {
  return text.replace(ACTIVE, (character) =>
    character === "\n" || character === "\t" ? character : escaped(character),
  );
}

/** The text with an apostrophe before each formula, wherever a spreadsheet might start a cell. */
export function forSpreadsheet(text) {
  return forTerminal(text.replace(IN_TEXT, "$1$2'"));
}

/** The same JSON value, written so that no part of its strings is a formula or a control character. */
export function harmlessJson(json) {
  return json.replace(JSON_STRING, (string) => string.replace(IN_JSON, escaped).replace(ACTIVE, escaped));
}
