// Text that a spreadsheet does not run and a terminal does not obey.

// Control characters, marks that turn the direction of what follows, line ends that editors see and terminals do not.
const ACTIVE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\uFEFF]/gu;
const FORMULA = "=+\\-@＝＋－＠";
// What any spreadsheet may be told to part cells by, then what it passes over at the start of a cell.
const IN_TEXT = new RegExp(`(^|[,;|\\t\\r\\n\\v\\f])([\\s"'\\p{Cf}\\p{Cc}]*)(?=[${FORMULA}])`, "gu");
const IN_JSON = new RegExp(`(?<![\\p{L}\\p{N}])[${FORMULA}]|[;|]`, "gu");
const JSON_STRING = /"(?:[^"\\]|\\.)*"/gu;

/** As in `\u001b`, of each UTF-16 unit. */
function escaped(text) {
  return text.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The text, with what a terminal would obey written out. Line ends stay. */
export function forTerminal(text) {
  return text.replace(ACTIVE, (character) =>
    character === "\n" || character === "\t" ? character : escaped(character),
  );
}

/** The text, with an apostrophe before each formula, wherever a spreadsheet may begin a cell. */
export function forSpreadsheet(text) {
  return forTerminal(text.replace(IN_TEXT, "$1$2'"));
}

/** The same JSON value, written so that none of its strings is a formula or a control, wherever it is cut. */
export function harmlessJson(json) {
  return json.replace(JSON_STRING, (string) => string.replace(IN_JSON, escaped).replace(ACTIVE, escaped));
}
