// Reads JSON without changing numbers: 9007199254740993 and 1.0 stay as sent, although JavaScript's numbers lose them.

/** Whether this browser gives a reviver the source of a number, and can write it unchanged. */
const LOSSLESS = (() => {
  try {
    return (
      JSON.parse("1.0", (_key, _value, context) => context?.source) === "1.0" && typeof JSON.rawJSON === "function"
    );
  } catch {
    return false;
  }
})();

// Finds numbers that a double may not hold or would write differently. A match within a string only costs time.
const UNSAFE = /\d{16}|[.eE][+-]?\d+\s*(?:[,}\]]|$)|-0/;

const kept = (_key, value, context) =>
  typeof value === "number" && String(value) !== context.source ? JSON.rawJSON(context.source) : value;

/**
 * The value of a JSON text. A number that JavaScript would write differently becomes an object that `JSON.stringify`
 * writes as it was sent, and that `numberOf` reads; in browsers without support for that, it becomes the nearest number.
 *
 * Throws SyntaxError if the text is not JSON.
 */
export function readJson(text) {
  return LOSSLESS && UNSAFE.test(text) ? JSON.parse(text, kept) : JSON.parse(text);
}

export const isExact = (value) => LOSSLESS && JSON.isRawJSON(value);
