// Requests to a gateway and their answers: JSON, streams of lines, and errors of the right class.

import { said } from "../connecting/answers.ts";
import { type ConnectionOptions, Environment } from "../connecting/environment.ts";
import { bearer } from "../connecting/tokens.ts";
import { later } from "../connecting/waiting.ts";
import { ClientError, refusal, textOf, Unreachable } from "../errors.ts";

export interface ClientOptions extends ConnectionOptions {
  /** The most milliseconds for one request, or between two pieces of a stream; 30 seconds by default. */
  timeoutMs?: number | undefined;
}

interface Asked {
  method: string;
  accept?: string;
  body?: object | undefined;
}

/** Requests to one gateway, with a token. Methods throw Unreachable and Refused. */
export class Requests {
  readonly #environment: Environment;
  readonly #timeoutMs: number;
  /** The present token, once the first request has asked for it. */
  #token: Promise<string | undefined> | undefined;

  constructor(options: ClientOptions) {
    // Requests need no WebSocket, and Node 20 has none.
    this.#environment = new Environment({ WebSocket: Object as never, ...options });
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** Send a request, and return the JSON of its answer; undefined if there is none. */
  async json<T>(method: string, url: string, body?: object): Promise<T> {
    return this.#watched(url, async (signal) => {
      const response = await this.#answer(url, { method, body }, signal);
      return response.status === 204 ? undefined : this.#environment.parse(await response.text());
    });
  }

  /** Stream an answer, one line of JSON at a time. */
  async *lines<T>(url: string): AsyncGenerator<T, undefined> {
    const abort = new AbortController();
    const read = <R>(step: () => Promise<R>) => this.#watched(url, step, abort);
    const response = await read(() =>
      this.#answer(url, { method: "GET", accept: "application/x-ndjson" }, abort.signal),
    );
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for (;;) {
        const { done, value } = await read(() => reader.read());
        if (done) break;
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop() as string;
        for (const line of lines) yield this.#environment.parse(line);
      }
      if (rest) throw new Unreachable(`${url} broke off`);
    } finally {
      abort.abort();
    }
    return undefined;
  }

  /** Run a step with a limit on its time, and report failures as errors of this library. */
  async #watched<T>(
    url: string,
    step: (signal: AbortSignal) => Promise<T>,
    abort: AbortController = new AbortController(),
  ): Promise<T> {
    const { origin } = new URL(url);
    let late = false;
    const cancel = later(this.#timeoutMs, () => {
      late = true;
      abort.abort();
    });
    try {
      return await step(abort.signal);
    } catch (error) {
      if (error instanceof ClientError) throw error;
      throw new Unreachable(late ? `${origin} did not answer in time` : `cannot reach ${origin}: ${textOf(error)}`);
    } finally {
      cancel();
    }
  }

  /** Send a request with the present token. If it is no longer accepted, try once more with a fresh one. */
  async #answer(url: string, asked: Asked, signal: AbortSignal): Promise<Response> {
    const { token } = this.#environment;
    this.#token ??= token.fresh();
    const had = await this.#token.catch((error) => {
      this.#token = undefined;
      throw error;
    });
    let response = await this.#send(url, asked, had, signal);
    if (response.status === 401 && token.canRenew) {
      const fresh = await token.fresh();
      this.#token = Promise.resolve(fresh);
      if (fresh !== had) response = await this.#send(url, asked, fresh, signal);
    }
    if (!response.ok) throw await errorOf(response, new URL(url).origin);
    return response;
  }

  #send(url: string, asked: Asked, token: string | undefined, signal: AbortSignal): Promise<Response> {
    const { method, accept = "application/json", body } = asked;
    const headers = { Accept: accept, ...(body && { "Content-Type": "application/json" }), ...bearer(token) };
    return this.#environment.fetch(url, { method, headers, signal, ...(body && { body: JSON.stringify(body) }) });
  }
}

async function errorOf(response: Response, origin: string): Promise<ClientError> {
  const { text, code } = await said(response);
  const { status } = response;
  if (status >= 500 || status === 429) return new Unreachable(`${origin} cannot serve now (HTTP ${status}): ${text}`);
  return refusal(text, { code, status });
}
