// Lets tests whose streams have another type run against a gateway whose streams are JSON. In the requests and answers of a
// stream, it swaps the type that the stream was created with and application/json. A text becomes a JSON string, and bytes
// become a JSON string in base64. Streams that were created as JSON, and server-sent events, are left alone.
import { expect } from "vitest";

const JSON_TYPE = "application/json";
const types = new Map();
/** The names of the tests that would not have run otherwise. */
export const translated = new Set();

const base = (type) => type.split(";")[0].trim().toLowerCase();
const isText = (type) => base(type).startsWith("text/");
const swapped = (type, own) => {
  if (base(type) === base(own)) return type === type.toUpperCase() ? JSON_TYPE.toUpperCase() : JSON_TYPE;
  return base(type) === JSON_TYPE ? own : type;
};

async function asJson(body, type) {
  const bytes = Buffer.from(await new Response(body).arrayBuffer());
  if (bytes.length === 0) return undefined;
  return JSON.stringify(bytes.toString(isText(type) ? "utf8" : "base64"));
}

async function fromJson(response, own) {
  const headers = new Headers(response.headers);
  const type = headers.get("content-type");
  const { status, statusText } = response;
  if (!response.ok || type !== JSON_TYPE) return response;
  headers.set("content-type", own);
  if (response.body === null) return new Response(null, { status, statusText, headers });
  const text = await response.text();
  if (text === "") return new Response(null, { status, statusText, headers });
  const items = JSON.parse(text);
  const body = isText(own) ? items.join("") : Buffer.concat(items.map((item) => Buffer.from(item, "base64")));
  headers.delete("content-length");
  return new Response(body, { status, statusText, headers });
}

const plainFetch = globalThis.fetch;

globalThis.fetch = async (url, init = {}) => {
  const path = new URL(url).pathname;
  const headers = new Headers(init.headers);
  const type = headers.get("content-type");
  const creates = init.method === "PUT" && !types.has(path) && type !== null && base(type) !== JSON_TYPE;
  const own = creates ? type : types.get(path);
  if (own === undefined) return plainFetch(url, init);
  translated.add(expect.getState().currentTestName);
  let { body } = init;
  if (type !== null) {
    headers.set("content-type", swapped(type, own));
    if (base(type) === base(own)) body = await asJson(body, own);
  }
  const response = await plainFetch(url, { ...init, headers, body });
  if (creates && response.ok) types.set(path, own);
  if (init.method === "DELETE" && response.ok) types.delete(path);
  return fromJson(response, own);
};
