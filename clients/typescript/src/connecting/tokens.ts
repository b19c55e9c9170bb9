import { TokenError, textOf } from "../errors.ts";
import { within } from "./waiting.ts";

/** A token, or a function, plain or async, that returns one. The function is called for every connection. */
export type Token = string | (() => string | Promise<string>);

/** The longest time that a token function may take, in milliseconds. */
const TIMEOUT = 10_000;

/** The source of one client's tokens. Throws TypeError for an invalid token. */
export class TokenSource {
  readonly #token: Token | undefined;

  constructor(token: Token | undefined) {
    this.#token = typeof token === "string" ? checked(token) : token;
  }

  /** Whether the source may give another token. */
  get canRenew(): boolean {
    return typeof this.#token === "function";
  }

  /** Return a fresh token, or undefined for a client without tokens. Throws TokenError if the function fails. */
  async fresh(): Promise<string | undefined> {
    if (typeof this.#token !== "function") return this.#token;
    try {
      return checked(await within(TIMEOUT, this.#token(), "the token function did not return in time"));
    } catch (error) {
      throw new TokenError(`the token function failed: ${textOf(error)}`, { cause: error });
    }
  }
}

/** Return the token, or throw TypeError without quoting it: it is a secret. */
function checked(token: unknown): string {
  if (typeof token !== "string" || !/^[!-~]+$/.test(token)) {
    throw new TypeError("a token must be a text of visible ASCII characters, without spaces");
  }
  return token;
}

/** Return the headers of a request with this token. */
export function bearer(token: string | undefined): { [name: string]: string } {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}
