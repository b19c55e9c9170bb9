// Runs what the test says, in a process with the TypeScript client: a line of JSON {code, values} in, and one out.
//
// `code` is the body of an async function. It leaves variables for the next one by assigning to names that it has not
// declared. `values` become such variables. What it returns, or throws, is answered.
import { createInterface } from "node:readline";
import { PAUSES } from "../../clients/typescript/src/connecting/backoff.ts";
import { LINK_TIMES } from "../../clients/typescript/src/connecting/link.ts";
import * as turnwire from "../../clients/typescript/src/index.ts";
import { LOOP_TIMES } from "../../clients/typescript/src/publishing/loop.ts";

PAUSES.spread = 20;

const logged = [];
/** Every frame of every connection: [number of the connection, its URL, ">" or "<", text]. */
const frames = [];
let connections = 0;

class RecordedSocket extends WebSocket {
  #number = ++connections;

  constructor(url, protocols) {
    super(url, protocols);
    this.addEventListener("message", ({ data }) => frames.push([this.#number, url, "<", data]));
  }

  send(text) {
    frames.push([this.#number, this.url, ">", text]);
    super.send(text);
  }
}

/** Wait until the condition holds. The time limit is the test's. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

console.warn = (text) => logged.push(text);
Object.assign(globalThis, turnwire, { logged, frames, until, PAUSES, LINK_TIMES, LOOP_TIMES });
globalThis.WebSocket = RecordedSocket;

const AsyncFunction = until.constructor;
for await (const line of createInterface({ input: process.stdin })) {
  const { code, values } = JSON.parse(line);
  Object.assign(globalThis, values);
  let answer;
  try {
    answer = { value: (await new AsyncFunction(code)()) ?? null };
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
