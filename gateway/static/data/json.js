// JSON as it was sent: 9007199254740993 and 1.0 stay what they are, though JavaScript's numbers cannot hold them.

/** Whether this browser tells a reviver how a number was written, and can write it so again. */
const LOSSLESS = (() => {
  try {
    return (
      JSON.parse("1.0", (_key, _value, context) => context?.source) === "1.0" && typeof JSON.rawJSON === "function"
    );
  } catch {
    return false;
  }
})();

// Looks for what a double may not hold or would write otherwise. May find such a thing in a string: that only costs time.
const UNSAFE = /\d{16}|[.eE][+-]?\d+\s*(?:[,}\]]|$)|-0/;

const kept = (_key, value, context) =>
  typeof value === "number" && String(value) !== context.source ? JSON.rawJSON(context.source) : value;

/**
 * The value of a JSON text. A number that JavaScript would write differently becomes an object that `JSON.stringify`
 * writes as it was sent, and that `numberOf` reads. Where the browser cannot do that, it becomes the nearest number.
 *
 * Throws SyntaxError for what is not JSON.
 */
export function readJson(text) {
  return LOSSLESS && UNSAFE.test(text) ? JSON.parse(text, kept) : JSON.parse(text);
}

export const isExact = (value) => LOSSLESS && JSON.isRawJSON(value);
