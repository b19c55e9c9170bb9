/** The pauses between attempts to connect, in milliseconds. */
export const PAUSES = {
  first: 200,
  longest: 10_000,
  /** The longest wait that a gateway may ask of a client: the most that a gateway's setting allows. */
  longestAsked: 600_000,
  /** The time over which the reconnects of clients that lost the gateway at the same moment are spread. */
  spread: 1000,
  /** The same for clients that the gateway has told when to reconnect. It tells each of them a different time. */
  spreadAfterGoaway: 400,
};

/**
 * Pauses that double from 0.2 to 10 seconds, each cut at random to 50-100 %, plus a random time of up to a second.
 * Without that second, all clients of a gateway that has died would reconnect within a few milliseconds. A gateway that
 * shuts down spreads the reconnects itself.
 */
export class Backoff {
  #attempts = 0;

  /** Note a successful attempt. */
  reset(): void {
    this.#attempts = 0;
  }

  /**
   * Return the milliseconds to wait. `asked` is the shortest wait that the gateway asks for: of this client if `byGoaway`
   * is set, and otherwise of all clients. A wait that is too long is replaced by a random part of the longest one.
   */
  nextDelay(asked?: number, byGoaway = false): number {
    const longest = Math.min(PAUSES.longest, PAUSES.first * 2 ** Math.min(this.#attempts, 16));
    this.#attempts += 1;
    let delay = longest * (0.5 + Math.random() / 2);
    if (asked !== undefined) delay = Math.max(bounded(asked), this.#attempts > 1 ? delay : 0);
    return delay + Math.random() * (byGoaway ? Math.min(PAUSES.spread, PAUSES.spreadAfterGoaway) : PAUSES.spread);
  }
}

/** Return the wait that was asked for, within bounds. A timer of more than 24 days, or of no number, fires at once. */
function bounded(asked: number): number {
  if (asked > PAUSES.longestAsked) return PAUSES.longestAsked * (0.5 + Math.random() / 2);
  return asked >= 0 ? asked : 0;
}
