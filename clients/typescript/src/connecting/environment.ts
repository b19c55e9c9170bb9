import { type Token, TokenSource } from "./tokens.ts";

/** The part of a WebSocket that this library uses, and that browsers, Node and the package `ws` have. */
export interface SocketLike {
  readonly protocol: string;
  readonly bufferedAmount: number;
  // biome-ignore lint/suspicious/noExplicitAny: each implementation has its own classes of events
  onopen: ((event: any) => void) | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  onmessage: ((event: any) => void) | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  onclose: ((event: any) => void) | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  onerror: ((event: any) => void) | null;
  send(data: string): void;
  close(code?: number): void;
  /** Ends a connection without waiting for the other side; only some implementations have it. */
  terminate?(): void;
}

/** The receiver of warnings. `info` reports single attempts to connect. */
export interface Logger {
  warn(text: string): void;
  info?(text: string): void;
}

/** Options of everything that connects to a gateway. */
export interface ConnectionOptions {
  token?: Token | undefined;
  /** The WebSocket to use, such as that of the package `ws` in Node 20. */
  WebSocket?: (new (url: string, protocols: string[]) => SocketLike) | undefined;
  fetch?: typeof fetch | undefined;
  /** Parses received JSON; `JSON.parse` by default. Another function may keep integers beyond 2^53 exact. */
  parse?: ((text: string) => unknown) | undefined;
  /** By default, warnings go to the console. */
  log?: Logger | undefined;
}

const CONSOLE: Logger = { warn: (text) => console.warn(`turnwire: ${text}`) };

/** The means by which a client connects. */
export class Environment {
  readonly token: TokenSource;
  readonly WebSocket: new (
    url: string,
    protocols: string[],
  ) => SocketLike;
  readonly fetch: typeof fetch;
  // biome-ignore lint/suspicious/noExplicitAny: JSON may be anything
  readonly parse: (text: string) => any;
  readonly log: Logger;

  constructor(options: ConnectionOptions) {
    this.token = new TokenSource(options.token);
    this.parse = options.parse ?? JSON.parse;
    this.log = options.log ?? CONSOLE;
    // A page's fetch must be called on its window.
    this.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    const given = options.WebSocket ?? globalThis.WebSocket;
    if (!given) throw new TypeError("there is no WebSocket here: pass one as the option WebSocket");
    this.WebSocket = given;
  }
}
