// JSON values that can be stored and read back exactly, and what is wrong with the others.

/** From here on, what JSON.stringify writes does not fit in 64 bits; from 1e21 on, it is not written as an integer. */
const INTEGERS_END = 2 ** 63;
const EXPONENTS_BEGIN = 1e21;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Return whether a value is a text of valid Unicode. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && !LONE_SURROGATE.test(value);
}

/**
 * Return why an object cannot be sent and read back exactly, after its path, as in `.a[3]: …`; undefined if it can. The
 * object itself is level 1. As in JSON, fields that are undefined are left out, and `toJSON` decides about its object.
 */
export function faultOf(value: unknown, maxDepth: number): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return " must be an object";
  return faultIn(value, maxDepth);
}

function faultIn(value: unknown, depthLeft: number): string | undefined {
  switch (typeof value) {
    case "string":
      return LONE_SURROGATE.test(value) ? ": a string has a lone surrogate" : undefined;
    case "number":
      return numberFault(value);
    case "object":
      return value === null ? undefined : containerFault(value, depthLeft);
    case "boolean":
    case "undefined":
      return undefined;
    default:
      return `: a ${typeof value} is not JSON`;
  }
}

function numberFault(value: number): string | undefined {
  if (!Number.isFinite(value)) return `: ${value} is not JSON`;
  const size = Math.abs(value);
  const fits = size < INTEGERS_END || size >= EXPONENTS_BEGIN;
  return fits ? undefined : `: ${value} does not fit in 64 bits`;
}

function containerFault(value: object, depthLeft: number): string | undefined {
  if (depthLeft < 1) return ": too many levels";
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return faultIn(toJSON.call(value), depthLeft);
  if (Array.isArray(value)) return itemsFault(value, depthLeft);
  if ("$ref" in value && "$id" in value) return ": an object must not have both $ref and $id";
  for (const [key, item] of Object.entries(value)) {
    if (key.includes("\0")) return ": a key has a NUL character";
    if (LONE_SURROGATE.test(key)) return ": a key has a lone surrogate";
    const fault = faultIn(item, depthLeft - 1);
    if (fault) return `.${key}${fault}`;
  }
  return undefined;
}

function itemsFault(items: unknown[], depthLeft: number): string | undefined {
  for (const [index, item] of items.entries()) {
    const fault = item === undefined ? ": undefined is not JSON" : faultIn(item, depthLeft - 1);
    if (fault) return `[${index}]${fault}`;
  }
  return undefined;
}

/** Return whether two values that JSON.parse gave are equal; the order of keys does not matter. */
export function sameJson(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every((key) => Object.hasOwn(other, key) && sameJson(one[key as never], other[key as never]));
}
