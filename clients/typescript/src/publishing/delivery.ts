// Deciding what a publisher sends next, and handling the gateway's replies. Synchronous, without I/O.

import type { Logger } from "../connecting/environment.ts";
import type { ServerMessage } from "../connecting/link.ts";
import { EventsRejected, Lost, refusal, textOf } from "../errors.ts";
import type { Complete, ErrorMessage, Event, EventIn, NackItem, Opened, Session } from "../protocol.ts";
import type { Commands } from "./commands.ts";
import { type EventLimits, UNTOLD } from "./encoder.ts";
import { type Entry, type Outbox, OutOfStep } from "./outbox.ts";
import { sameJson } from "./values.ts";

/** An event that is durable. */
export interface Acked {
  eventId: string;
  seq: number;
  /** Whether it was stored before: by an earlier run, or by an attempt whose ack was lost. */
  duplicate: boolean;
  /** Milliseconds from its first sending to the answer, reconnects included. */
  latencyMs: number;
}

export interface DeliveryCallbacks {
  onAck?: ((acked: Acked) => void) | undefined;
  onNack?: ((nack: NackItem) => void) | undefined;
}

/** The most refused events that are kept. The oldest are dropped first: a bot whose events are all refused must not grow. */
const MAX_NACKS = 1000;

/** The state of one publisher, across connections. */
export class Delivery {
  readonly outbox: Outbox;
  readonly commands: Commands;
  readonly #callbacks: DeliveryCallbacks;
  readonly #log: Logger;
  /** The gateway's first message on the latest connection. */
  opened: Opened | undefined;
  /** Whether a connection is open now. */
  isOpen = false;
  session: Session | null = null;
  /** Whether the session has ended and this publisher is done with it. */
  ended = false;
  refused = 0;
  nacks: NackItem[] = [];
  ending: Complete | undefined;
  /** The number of events that could not be queued. */
  dropped = 0;
  limits: EventLimits = UNTOLD;
  /** Refusals that neither a callback nor an exception has reported. */
  #unreported: NackItem[] = [];
  #signals = new Map<string, string>();
  #signalled = false;
  #endSent = false;
  /** Whether the gateway will close the connection, and accepts nothing more on it. */
  #leaving = false;

  constructor(outbox: Outbox, commands: Commands, callbacks: DeliveryCallbacks, log: Logger) {
    this.outbox = outbox;
    this.commands = commands;
    this.#callbacks = callbacks;
    this.#log = log;
  }

  get awaitsAnswer(): boolean {
    return this.outbox.inFlight > 0 || this.#endSent;
  }

  /** On a new connection, remove the stored events from the outbox, and have the rest sent again. */
  connected(opened: Opened, now: number): void {
    this.opened = opened;
    this.session = opened.session;
    this.isOpen = true;
    this.limits = { bytes: opened.limits.maxEventBytes, depth: opened.limits.maxDepth };
    this.#endSent = this.#signalled = false;
    this.commands.connected(opened);
    for (const [entry, seq] of this.outbox.reconnected(opened.lastSeq, opened.lastEventId)) {
      this.#acked(entry, seq, false, now);
    }
  }

  disconnected(): void {
    this.isOpen = this.#leaving = false;
    this.#signals.clear();
  }

  /** Queue an encoded signal before the next frame, replacing an older one. Drop it if no connection is open. */
  addSignal(key: string, text: string): void {
    if (!this.isOpen || this.#leaving) return;
    this.#signals.delete(key);
    this.#signals.set(key, text);
  }

  /** Return the message to send now, if any: signals, then events as flow control allows, then the end. */
  nextMessage(now: number): string | undefined {
    if (!this.opened || this.#leaving || this.#endSent) return undefined;
    const message = this.commands.nextMessage();
    if (message) {
      this.#signalled = true; // an older gateway reports an error
      return JSON.stringify(message);
    }
    for (const [key, text] of this.#signals) {
      this.#signals.delete(key);
      this.#signalled = true;
      return text;
    }
    const frame = this.outbox.nextFrame(this.opened.limits, now);
    if (frame.length) return `{"type":"append","events":[${frame.map((entry) => entry.text).join()}]}`;
    if (!this.ending || this.outbox.size > this.outbox.inFlight) return undefined;
    this.#endSent = true;
    return JSON.stringify(this.ending);
  }

  /** Handle a reply of the gateway. Throws Lost if the connection must be reopened, Refused if that is useless. */
  received(reply: ServerMessage, now: number): void {
    switch (reply.type) {
      case "ack":
        for (const { eventId, seq, duplicate } of reply.acks) {
          this.#acked(this.#answered(eventId, seq), seq, duplicate ?? false, now);
        }
        break;
      case "nack":
        for (const nack of reply.nacks) this.#nacked(nack);
        break;
      case "completed":
        this.session = reply.session;
        this.ended = this.#endSent; // after somebody else's end, events are accepted for a while
        break;
      case "command":
        this.commands.received(reply);
        break;
      case "goaway":
        this.#leaving = true;
        break;
      case "error":
        this.#failed(reply);
    }
  }

  #answered(eventId: string | null, seq?: number): Entry {
    try {
      return this.outbox.answered(eventId, seq);
    } catch (error) {
      throw error instanceof OutOfStep ? new Lost(error.message) : error;
    }
  }

  #acked(entry: Entry, seq: number, duplicate: boolean, now: number): void {
    const latencyMs = now - (entry.firstSent ?? now);
    this.#tell(this.#callbacks.onAck, { eventId: entry.eventId, seq, duplicate, latencyMs });
  }

  #nacked(nack: NackItem): void {
    if (nack.retryable) throw new Lost(`the gateway could not take event ${nack.eventId} now: ${nack.message}`);
    // The gateway does not repeat an invalid id, but the author needs it.
    this.#refused({ ...nack, eventId: this.#answered(nack.eventId).eventId });
  }

  #refused(nack: NackItem): void {
    this.refused += 1;
    this.nacks = [...this.nacks, nack].slice(-MAX_NACKS);
    if (!this.#callbacks.onNack) {
      this.#unreported = [...this.#unreported, nack].slice(-MAX_NACKS);
      this.#log.warn(`event ${nack.eventId} refused: ${nack.code}: ${nack.message}`);
    }
    this.#tell(this.#callbacks.onNack, nack);
  }

  /** Throw EventsRejected for what was refused since the last call, unless a callback was told. */
  reportNacks(session: Session | null): void {
    const nacks = this.#unreported;
    this.#unreported = [];
    if (nacks.length) throw new EventsRejected(nacks, session);
  }

  #failed(error: ErrorMessage): void {
    // About a signal: an unanswered frame would end the connection.
    if (this.#signalled && !this.#endSent) {
      this.#log.warn(`the gateway reports an error: ${error.code}: ${error.message}`);
    } else if (error.retryable) {
      throw new Lost(error.message);
    } else {
      throw refusal(`the gateway reports an error: ${error.message}`, { code: error.code });
    }
  }

  /** Note that the session has ended, with the events `stored` of the outbox in its log. The rest stays queued. */
  settle(session: Session, stored: Map<string, Event>, now: number): void {
    this.session = session;
    this.ended = true;
    for (const entry of this.outbox.takeOut(stored)) {
      const event = stored.get(entry.eventId) as Event;
      const sent: EventIn = JSON.parse(entry.text);
      if (event.type === sent.type && sameJson(event.payload, sent.payload)) {
        this.#acked(entry, event.seq, true, now);
      } else {
        const message = `event ${entry.eventId} is stored with another type or payload`;
        this.#refused({ eventId: entry.eventId, code: "event_conflict", message, retryable: false });
      }
    }
  }

  #tell<T>(callback: ((news: T) => void) | undefined, news: T): void {
    try {
      callback?.(news);
    } catch (error) {
      this.#log.warn(`a callback failed: ${textOf(error)}`);
    }
  }
}
