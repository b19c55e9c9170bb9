// The queued events that the gateway has not answered yet. Pure: no I/O, no clock.

/** The most bytes of an append frame around its events. Each event adds one more. */
const FRAME_OVERHEAD = 64;

/** One event, encoded once, so that every sending is the same. */
export interface Entry {
  readonly eventId: string;
  readonly text: string;
  /** The bytes of the text in UTF-8. */
  readonly size: number;
  /** The time of its first sending; undefined before. */
  firstSent?: number;
}

/** The limits of one frame. */
export interface FrameLimits {
  maxInFlight: number;
  maxBatchEvents: number;
  maxFrameBytes: number;
}

/** An answer is not for the oldest event in flight. */
export class OutOfStep extends Error {}

/**
 * Events in the order queued: first those in flight on the present connection, then those waiting. Each leaves once, from
 * the front: after the gateway's answer (`answered`), when a new connection shows that it is stored (`reconnected`), or
 * when its session has ended and the log has it (`takeOut`). Holds at most `capacity` events.
 */
export class Outbox {
  readonly capacity: number;
  #flying: Entry[] = [];
  #waiting: Entry[] = [];
  #knownSeq = 0;

  constructor(capacity: number) {
    if (!(capacity >= 1)) throw new RangeError(`the capacity must be 1 or more, not ${capacity}`);
    this.capacity = capacity;
  }

  get size(): number {
    return this.#flying.length + this.#waiting.length;
  }

  get inFlight(): number {
    return this.#flying.length;
  }

  get isFull(): boolean {
    return this.size >= this.capacity;
  }

  get entries(): Entry[] {
    return [...this.#flying, ...this.#waiting];
  }

  add(entry: Entry): void {
    this.#waiting.push(entry);
  }

  /**
   * Return the events to send next in one frame, and count them as in flight. Empty if none may be sent. A single event
   * over the limit of bytes gets a frame of its own: the gateway decides about it.
   */
  nextFrame(limits: FrameLimits, now: number): Entry[] {
    const room = Math.min(limits.maxInFlight - this.#flying.length, limits.maxBatchEvents);
    let count = 0;
    let size = FRAME_OVERHEAD;
    for (const entry of this.#waiting) {
      size += entry.size + 1;
      if (count >= room || (count > 0 && size > limits.maxFrameBytes)) break;
      entry.firstSent ??= now;
      count += 1;
    }
    const frame = this.#waiting.splice(0, count);
    this.#flying.push(...frame);
    return frame;
  }

  /**
   * Remove and return the oldest event in flight, which the gateway has answered. `seq` is its position if it is stored.
   * An answer without an id is for an event with an invalid id. Throws OutOfStep for an answer to another event.
   */
  answered(eventId: string | null, seq = 0): Entry {
    const next = this.#flying[0];
    if (!next || (eventId !== null && next.eventId !== eventId)) {
      throw new OutOfStep(`an answer for ${eventId}, but ${next?.eventId ?? "nothing"} is next`);
    }
    this.#knownSeq = Math.max(this.#knownSeq, seq);
    this.#flying.shift();
    return next;
  }

  /**
   * On a new connection, with the log at `lastSeq`, remove stored events, and queue the others in flight again. Return
   * the removed events with their seqs. They count as stored if the log has grown by exactly these events, the first
   * ones in flight, up to the log's last. Otherwise another client has written too, or the gateway has refused an event,
   * and all are sent again: the gateway answers stored ones as duplicates.
   */
  reconnected(lastSeq: number, lastEventId: string | null): [Entry, number][] {
    const grown = lastSeq - this.#knownSeq;
    this.#knownSeq = lastSeq;
    let stored: Entry[] = [];
    if (grown >= 1 && this.#flying[grown - 1]?.eventId === lastEventId) stored = this.#flying.splice(0, grown);
    this.#waiting = this.entries;
    this.#flying = [];
    return stored.map((entry, index) => [entry, lastSeq - grown + 1 + index]);
  }

  /** Remove and return the events of these ids, in order. The others wait. */
  takeOut(eventIds: { has(eventId: string): boolean }): Entry[] {
    const everything = this.entries;
    this.#flying = [];
    this.#waiting = everything.filter((entry) => !eventIds.has(entry.eventId));
    return everything.filter((entry) => eventIds.has(entry.eventId));
  }
}
