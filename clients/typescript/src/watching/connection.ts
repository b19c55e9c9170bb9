// One connection for everything that a page watches.

import { Client } from "../client.ts";
import { Address } from "../connecting/address.ts";
import { type ConnectionState, type Keeping, type LinkOptions, SharedLink } from "../connecting/shared_link.ts";
import { now } from "../connecting/waiting.ts";
import { type FollowedSessions, SessionFeed } from "./feed.ts";
import { type FollowedSession, Subscription } from "./subscription.ts";

export interface SharedOptions extends LinkOptions, Keeping {}

/**
 * A connection that many subscriptions share.
 *
 *     const gateway = new Connection("/", { onState: (state) => console.log(state) });
 *     for await (const event of gateway.subscribe("call-17")) console.log(event.payload);
 *
 * It opens with the first subscription and stays open until `close`. When it breaks, it reconnects, and every subscription
 * continues where it was. If the gateway refuses it for good, or has been away for `giveUpAfterMs`, all subscriptions
 * throw the reason; a later one connects again.
 */
export class Connection {
  readonly #link: SharedLink;
  readonly #client: Client;

  constructor(url: string, options: SharedOptions = {}) {
    this.#link = new SharedLink(url, `connection to ${new Address(url).shown}`, options, options);
    this.#client = new Client(url, options);
  }

  get state(): ConnectionState {
    return this.#link.state;
  }

  /** When the next attempt to connect begins, on the clock of `Date.now()`; null if none is being waited for. */
  get retryAt(): number | null {
    return this.#link.retryAt;
  }

  /** The milliseconds since the gateway was last heard. */
  get silentForMs(): number {
    return now() - this.#link.heardAt;
  }

  /** Follow a session as `subscribe` does. */
  subscribe(sessionId: string, options: FollowedSession = {}): Subscription {
    return new Subscription(this.#link, sessionId, options);
  }

  /** Follow all sessions as `followSessions` does. */
  followSessions(options: FollowedSessions = {}): SessionFeed {
    return new SessionFeed(this.#link, this.#client, options);
  }

  /** Connect now instead of at `retryAt`. If a connection is open, make sure that it is alive. */
  retry(): void {
    this.#link.retry();
  }

  /** Disconnect. This ends the loops over all subscriptions. */
  close(): void {
    this.#link.close();
  }
}
