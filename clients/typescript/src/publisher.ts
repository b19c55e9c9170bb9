// Streaming one session's events to the gateway, across reconnects.

import { Address } from "./connecting/address.ts";
import { type ConnectionOptions, Environment } from "./connecting/environment.ts";
import { now, within } from "./connecting/waiting.ts";
import { ClientError, PublisherClosed, Stopped, TimedOut, textOf, Unreachable } from "./errors.ts";
import type { EventIn, EventType, FinalStatus, JsonObject, NackItem, Session } from "./protocol.ts";
import { checkCall, endOfSession } from "./publishing/call.ts";
import { type CommandHandler, Commands } from "./publishing/commands.ts";
import { Delivery, type DeliveryCallbacks } from "./publishing/delivery.ts";
import { EventEncoder, type EventOptions } from "./publishing/encoder.ts";
import { PublisherLoop } from "./publishing/loop.ts";
import { type Entry, Outbox } from "./publishing/outbox.ts";

export interface PublisherOptions extends ConnectionOptions, DeliveryCallbacks {
  /** The language of a new session, `en` by default. With null, the session must exist. */
  language?: string | null | undefined;
  /** The metadata of a new session. */
  metadata?: JsonObject | undefined;
  /** Whether `open` waits for the gateway. By default it does. */
  wait?: boolean | undefined;
  /** How long `open` waits for the gateway, in milliseconds; 30 seconds by default. */
  connectTimeoutMs?: number | undefined;
  /** How long `close` waits until everything is stored, in milliseconds; 5 seconds by default. */
  drainTimeoutMs?: number | undefined;
  /** How long the gateway may be away, in milliseconds; by default for ever. */
  giveUpAfterMs?: number | undefined;
  /** The most events that wait for an answer; 1000 by default. */
  maxOutbox?: number | undefined;
}

export interface TimeoutOptions {
  /** Throws TimedOut after this many milliseconds. */
  timeoutMs?: number | undefined;
}

export interface CompleteOptions extends TimeoutOptions {
  /** `completed` by default. */
  status?: FinalStatus | undefined;
  /** 1 to 256 characters. */
  reason?: string | undefined;
}

const CONNECT_TIMEOUT = 30_000;
const DRAIN_TIMEOUT = 5000;
const MAX_OUTBOX = 1000;
const LATE = "not done within timeoutMs";

/**
 * The publisher of one session.
 *
 *     const call = await Publisher.open("http://localhost:3000", "call-17", { language: "en" });
 *     call.post("user_speech", { text: "Hello?" });
 *     await call.complete();
 *     await call.close();
 *
 * Connections may come and go: `post` and `send` queue events, and every event is sent, in order, until the gateway says
 * that it is durable. No event is stored twice. `close` waits until everything is stored, `drainTimeoutMs` at most.
 *
 * `post` and `hint` never wait, and throw only for a bad payload. Calls that wait throw Superseded, SessionEnded or
 * another Refused if the gateway refuses for good, Unreachable once it has been away for `giveUpAfterMs`, and TimedOut
 * after their own `timeoutMs`.
 *
 * Events that the gateway refuses go to `onNack`, if given. Otherwise they are logged, and the next `flush` or `complete`
 * throws EventsRejected once for them. `onAck` is called for every event that became durable.
 */
export class Publisher {
  readonly sessionId: string;
  readonly #options: PublisherOptions;
  readonly #environment: Environment;
  readonly #encoder = new EventEncoder();
  readonly #delivery: Delivery;
  readonly #loop: PublisherLoop;
  /** Why the publisher accepts nothing more. */
  #failure: ClientError | undefined;
  #left: Promise<void> | undefined;
  /** Events queued so far. */
  #taken = 0;
  /** The latest call of `send`, which may still wait for room: the next call goes after it. */
  #admission: Promise<unknown> = Promise.resolve();

  /** Open a publisher, which must be closed. Throws Unreachable, Refused, and TypeError for a wrong argument. */
  static async open(url: string, sessionId: string, options: PublisherOptions = {}): Promise<Publisher> {
    const publisher = new Publisher(url, sessionId, options);
    if (options.wait ?? true) {
      try {
        await publisher.#opened(options.connectTimeoutMs ?? CONNECT_TIMEOUT);
      } catch (error) {
        publisher.disconnect();
        throw error;
      }
    }
    return publisher;
  }

  /** Open a publisher without waiting for the gateway, as `open` with `wait: false` does. */
  static start(url: string, sessionId: string, options: PublisherOptions = {}): Publisher {
    return new Publisher(url, sessionId, { ...options, wait: false });
  }

  private constructor(url: string, sessionId: string, options: PublisherOptions) {
    const { language = "en", metadata, wait = true, connectTimeoutMs, giveUpAfterMs } = options;
    checkCall(sessionId, language, metadata);
    this.sessionId = sessionId;
    this.#options = options;
    this.#environment = new Environment(options);
    const { log } = this.#environment;
    const outbox = new Outbox(options.maxOutbox ?? MAX_OUTBOX);
    this.#delivery = new Delivery(outbox, new Commands(() => this.#loop.work(), log), options, log);
    const firstLimitMs = wait ? (connectTimeoutMs ?? CONNECT_TIMEOUT) : giveUpAfterMs;
    const call = { address: new Address(url), sessionId, language, metadata, firstLimitMs, giveUpAfterMs };
    this.#loop = new PublisherLoop(call, this.#environment, options, this.#delivery);
    this.#loop.run().then(
      () => this.#fail(new PublisherClosed("the session has been completed")),
      (error) => this.#stop(error),
    );
  }

  // State

  /** Whether a connection is open now. */
  get connected(): boolean {
    return this.#delivery.isOpen;
  }

  /** The number of queued events without an answer. */
  get pending(): number {
    return this.#delivery.outbox.size;
  }

  /** The number of events that `post` dropped: the outbox was full, or the publisher had stopped. */
  get dropped(): number {
    return this.#delivery.dropped;
  }

  /** The newest 1,000 refusals, in the order sent. */
  get nacks(): NackItem[] {
    return [...this.#delivery.nacks];
  }

  /** How many events were refused. */
  get refused(): number {
    return this.#delivery.refused;
  }

  /** The session as the gateway last described it: when a connection opened, or when the session ended. */
  get session(): Session | null {
    return this.#delivery.session;
  }

  /** Return the queued events without an answer, in order, to be kept elsewhere if the publisher cannot continue. */
  unanswered(): EventIn[] {
    return this.#delivery.outbox.entries.map((entry) => JSON.parse(entry.text));
  }

  // Calls that never wait

  /**
   * Queue one event and return its id. Throws InvalidEvent for a bad event, and nothing else. If `maxOutbox` events wait
   * already, or the publisher has stopped, the event is dropped: `dropped` counts, and the first one logs a warning.
   */
  post(type: EventType, payload: JsonObject, options: EventOptions = {}): string {
    const entry = this.#encoder.entry(type, payload, options, this.#delivery.limits);
    const obstacle = this.#obstacle();
    if (obstacle === undefined) {
      this.#take(entry);
    } else {
      this.#delivery.dropped += 1;
      if (this.#delivery.dropped === 1) this.#warn(`drops events: ${obstacle}`);
    }
    return entry.eventId;
  }

  /**
   * Send an ephemeral message: not stored, not answered, and dropped if no connection is open. It replaces an older one
   * of the same key. Throws InvalidEvent for a bad key or payload, and nothing else.
   */
  hint(key: string, payload: JsonObject): void {
    this.#delivery.addSignal(key, this.#encoder.signal(key, payload, this.#delivery.limits));
    this.#loop.work();
  }

  /**
   * Call `handler` for supervisors' commands: the named ones, or by default `whisper`, `say` and `end`. It gets each
   * command once. A string that it returns is sent with the answer. CommandRefused refuses; any other error fails.
   */
  onCommand(handler: CommandHandler, ...commands: string[]): void {
    this.#delivery.commands.handle(handler, commands);
  }

  // Calls that may wait

  /** Queue one event and return its id, waiting while the outbox is full. After a timeout, nothing is queued. */
  async send(type: EventType, payload: JsonObject, options: EventOptions & TimeoutOptions = {}): Promise<string> {
    const entry = this.#encoder.entry(type, payload, options, this.#delivery.limits);
    const deadline = deadlineOf(options.timeoutMs);
    const turn = this.#admission.then(() => this.#admit(entry, deadline));
    this.#admission = turn.catch(() => {});
    await within(options.timeoutMs, turn, LATE);
    return entry.eventId;
  }

  /** Do the same as `hint`, but throw if the publisher accepts nothing more. */
  async signal(key: string, payload: JsonObject): Promise<void> {
    this.#check();
    this.hint(key, payload);
  }

  /** Wait until every event queued so far is durable or refused. Throws EventsRejected for refused ones. */
  async flush(options: TimeoutOptions = {}): Promise<void> {
    const target = this.#taken;
    await this.#until(() => this.#taken - this.pending >= target, deadlineOf(options.timeoutMs));
    this.#delivery.reportNacks(null);
  }

  /**
   * End the session after all queued events, and return it as it ended (perhaps earlier, by another client). The request
   * survives reconnects. Throws EventsRejected, with the session, if events were refused. After a timeout the request
   * stands, and `close` waits for the end too.
   */
  async complete(options: CompleteOptions = {}): Promise<Session> {
    const { status = "completed", reason = null } = options;
    const end = endOfSession(status, reason);
    if (!this.#delivery.ending) {
      this.#delivery.commands.ending();
      this.#delivery.ending = end;
    }
    this.#loop.work();
    await this.#until(() => this.#delivery.ended && this.pending === 0, deadlineOf(options.timeoutMs));
    const session = this.session as Session;
    this.#delivery.reportNacks(session);
    return session;
  }

  // Leaving

  /**
   * Wait until everything is stored, `drainTimeoutMs` at most, then disconnect. Never throws because of the gateway.
   * Events left over are in `unanswered()`; one warning counts them. The session stays open unless it was completed.
   */
  close(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  /** Disconnect at once. Events without an ack may or may not be stored. The session stays open. */
  disconnect(): void {
    this.#fail(new PublisherClosed("the publisher has been closed"));
    this.#delivery.commands.close();
    this.#loop.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // Inside

  async #opened(timeoutMs: number): Promise<void> {
    try {
      await this.#until(() => this.#delivery.opened !== undefined, deadlineOf(timeoutMs));
    } catch (error) {
      if (!(error instanceof TimedOut)) throw error;
      const problem = this.#loop.lastProblem ?? "it does not answer";
      throw new Unreachable(`gave up after ${timeoutMs / 1000} s: ${problem}`);
    }
  }

  async #admit(entry: Entry, deadline: number | undefined): Promise<void> {
    this.#check();
    const { outbox } = this.#delivery;
    await this.#until(() => !outbox.isFull, deadline);
    if (deadline !== undefined && now() >= deadline) throw new TimedOut(LATE);
    this.#check();
    this.#take(entry);
  }

  #take(entry: Entry): void {
    this.#delivery.outbox.add(entry);
    this.#taken += 1;
    this.#loop.work();
  }

  /** Return why no event can be queued now, if so. */
  #obstacle(): string | undefined {
    if (this.#failure) return this.#failure.message;
    if (this.#delivery.ending) return "the session has been asked to end";
    return this.#delivery.outbox.isFull ? `${this.pending} wait already` : undefined;
  }

  /** Throw the reason if the publisher accepts nothing more. */
  #check(): void {
    if (this.#failure) throw this.#failure;
    if (this.#delivery.ending) throw new PublisherClosed("the session has been asked to end and accepts nothing more");
  }

  /** Wait until `ready()` is true. Throws the failure if the publisher stops before, and TimedOut at the deadline. */
  async #until(ready: () => boolean, deadline?: number): Promise<void> {
    while (!ready()) {
      if (this.#failure) throw this.#failure;
      await within(deadline && Math.max(0, deadline - now()), this.#loop.changed.wait(), LATE);
    }
  }

  /** Stop after an error, and log it unless everything was done: `post` and `hint` never throw it. */
  #stop(error: unknown): void {
    if (error instanceof Stopped) return;
    if (!this.#delivery.ended || !this.#delivery.ending || this.pending) this.#warn(`has stopped: ${textOf(error)}`);
    this.#fail(error instanceof ClientError ? error : new ClientError(`the publisher failed: ${textOf(error)}`));
  }

  #fail(error: ClientError): void {
    this.#failure ??= error;
    this.#loop.changed.wake();
  }

  async #leave(): Promise<void> {
    try {
      await this.#until(() => this.#isSettled(), deadlineOf(this.#options.drainTimeoutMs ?? DRAIN_TIMEOUT));
    } catch {
      // The rest is reported below; why the publisher stopped has been reported already.
    }
    this.#tellWhatIsLeft();
    this.disconnect();
  }

  /** Whether every queued event has its answer, a requested end is confirmed, and results have been reported. */
  #isSettled(): boolean {
    const { commands, ended, ending, isOpen, opened } = this.#delivery;
    return opened !== undefined && !this.pending && (!ending || ended) && !(isOpen && commands.hasNews);
  }

  #tellWhatIsLeft(): void {
    const { dropped, ended, ending } = this.#delivery;
    const facts: string[] = [];
    if (this.pending) facts.push(`${this.pending} event${this.pending === 1 ? "" : "s"} without an answer`);
    if (dropped) facts.push(`${dropped} dropped`);
    if (ending && !ended) facts.push("the end of the session not confirmed");
    if (facts.length) this.#warn(`closes with: ${facts.join(", ")}`);
  }

  #warn(text: string): void {
    this.#environment.log.warn(`the publisher of ${this.sessionId} ${text}`);
  }
}

/** Return when a wait that begins now must end; undefined for one without a limit. */
function deadlineOf(timeoutMs: number | undefined): number | undefined {
  return timeoutMs === undefined ? undefined : now() + timeoutMs;
}
