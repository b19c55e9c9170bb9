import { type Lost, Unreachable } from "../errors.ts";
import { Backoff } from "./backoff.ts";
import type { Logger } from "./environment.ts";
import { Notice, now, sleep } from "./waiting.ts";

/**
 * The retries of one client: waiting between attempts, giving up, and one warning when an outage begins and one when it
 * ends. A break that the gateway announced is an outage only if the next attempt fails too.
 */
export class Patience {
  /** The longest time without a gateway, in milliseconds; undefined means no limit. */
  limit: number | undefined;
  /** Why the last attempt failed. */
  lastProblem: string | undefined;
  /** When the present pause ends, on the clock of `Date.now()`; null outside of a pause. */
  retryAt: number | null = null;
  readonly #who: string;
  readonly #log: Logger;
  readonly #backoff = new Backoff();
  readonly #hurry = new Notice();
  #seenAt = now();
  #awaySince: number | undefined;
  #warned = false;

  constructor(limit: number | undefined, who: string, log: Logger) {
    this.limit = limit;
    this.#who = who;
    this.#log = log;
  }

  /** Note that a connection is open. `waiting` is the number of events that the outage delayed. */
  connected(waiting = 0): void {
    if (this.#awaySince !== undefined && this.#warned) {
      const away = ((now() - this.#awaySince) / 1000).toFixed(1);
      this.#log.warn(`${this.#who}: connected again after ${away} s${waiting ? `; ${waiting} events waited` : ""}`);
    }
    this.#awaySince = undefined;
    this.#warned = false;
  }

  /** Note that the gateway was there just now. */
  seen(): void {
    this.#seenAt = now();
  }

  /** Note that the connection is useful: the next attempt counts as a first one. */
  progress(): void {
    this.seen();
    this.#backoff.reset();
  }

  /** Wait before the next attempt. Throws Unreachable if that would be after the limit, Stopped if told to stop. */
  async pause(lost: Lost, stop: AbortSignal): Promise<void> {
    this.lastProblem = lost.message;
    const delay = this.#backoff.nextDelay(lost.retryAfterMs, lost.announced && lost.retryAfterMs !== undefined);
    if (this.limit !== undefined && now() + delay > this.#seenAt + this.limit) {
      throw new Unreachable(`gave up after ${this.limit / 1000} s: ${lost.message}`);
    }
    this.#tell(lost, delay);
    this.retryAt = Date.now() + delay;
    try {
      await Promise.race([sleep(delay, stop), this.#hurry.wait()]);
    } finally {
      this.#hurry.wake(); // forgets who waited
      this.retryAt = null;
    }
  }

  /** End the present pause. */
  hurry(): void {
    this.#hurry.wake();
  }

  #tell(lost: Lost, delay: number): void {
    const announced = lost.announced && this.#awaySince === undefined;
    this.#awaySince ??= now();
    if (this.#warned || announced) {
      this.#log.info?.(`${this.#who}: ${lost.message}; next attempt in ${(delay / 1000).toFixed(1)} s`);
    } else {
      this.#warned = true;
      this.#log.warn(`${this.#who}: no connection, trying again until there is one: ${lost.message}`);
    }
  }
}
