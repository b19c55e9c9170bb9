// Encoding a bot's events and signals: ids, times, and the checks that need no gateway.

import { InvalidEvent, textOf } from "../errors.ts";
import type { EventType, JsonObject } from "../protocol.ts";
import type { Entry } from "./outbox.ts";
import { faultOf } from "./values.ts";

const TYPES: EventType[] = ["user_speech", "bot_speech", "system"];
const MAX_KEY = 256;
const ENCODER = new TextEncoder();

/** The limits of an event: bytes as sent, and levels of its payload, counting the object itself. */
export interface EventLimits {
  bytes: number;
  depth: number;
}

/** The limits until the gateway states its own: the protocol's defaults. */
export const UNTOLD: EventLimits = { bytes: 131_072, depth: 64 };

/** Fields of an event that may be left out. */
export interface EventOptions {
  /** A UUID by default. */
  eventId?: string | undefined;
  /** Now by default. A text is ISO-8601 with an offset. */
  timestamp?: Date | string | undefined;
}

/** The maker of one publisher's outbox entries, within the gateway's limits. Methods throw InvalidEvent. */
export class EventEncoder {
  #lastStamp = 0;

  /** Return the encoded event. A missing id or time is set here, once, so that every sending is the same. */
  entry(type: EventType, payload: JsonObject, options: EventOptions, limits: EventLimits): Entry {
    if (!TYPES.includes(type)) throw new InvalidEvent(`an event is one of ${TYPES.join(", ")}, not ${type}`);
    const { eventId = newId() } = options;
    if (typeof eventId !== "string" || !eventId)
      throw new InvalidEvent("the id of an event must be a non-empty string");
    const text = encoded({ eventId, type, payload, timestamp: this.#stamp(options.timestamp) }, payload, limits);
    return { eventId, text, size: checkedSize(text, limits) };
  }

  /** Return the encoded signal, so that later changes of the payload have no effect. */
  signal(key: string, payload: JsonObject, limits: EventLimits): string {
    if (typeof key !== "string" || !key || [...key].length > MAX_KEY) {
      throw new InvalidEvent(`the key of a signal must be a string of 1 to ${MAX_KEY} characters`);
    }
    const text = encoded({ type: "signal", key, payload }, payload, limits);
    checkedSize(text, limits);
    return text;
  }

  /** Return the wire time. A time taken from the clock never goes back, even if the clock does. */
  #stamp(timestamp: Date | string | undefined): string {
    if (timestamp === undefined) {
      this.#lastStamp = Math.max(this.#lastStamp, Date.now());
      return new Date(this.#lastStamp).toISOString();
    }
    if (typeof timestamp === "string" && !/(Z|[+-]\d\d:?\d\d)$/i.test(timestamp)) {
      throw new InvalidEvent(`the timestamp ${timestamp} has no UTC offset`);
    }
    try {
      return new Date(timestamp).toISOString();
    } catch (error) {
      throw new InvalidEvent(`the timestamp ${timestamp} cannot be used: ${textOf(error)}`);
    }
  }
}

function encoded(message: object, payload: JsonObject, limits: EventLimits): string {
  const fault = faultOf(payload, limits.depth);
  if (fault) throw new InvalidEvent(`payload${fault}`);
  return JSON.stringify(message);
}

function checkedSize(text: string, limits: EventLimits): number {
  const size = ENCODER.encode(text).length;
  if (size > limits.bytes) throw new InvalidEvent(`${size} bytes exceed the gateway's limit of ${limits.bytes}`);
  return size;
}

/** Return a random UUID. Pages that are not served by https have no `randomUUID`. */
function newId(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
