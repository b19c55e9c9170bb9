// The gateway's readings of its own metrics: those of the last ten minutes, then each new one.
import { Observable } from "./observable.js";
import { askFigures, askJson, RestError } from "./rest.js";

const EVERY_MS = 2000;
const MOST = 300;

/** Readings as series for plots, read while `start` has been called and `stop` has not. */
export class Readings extends Observable {
  #timer = null;
  #running = false;
  #last = 0;
  #series = [];

  constructor() {
    super();
    /** When the readings were taken, in seconds since 1970. */
    this.times = [];
    this.failure = null;
    this.health = null;
  }

  start() {
    this.#running = true;
    this.#read();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** The series with this name, with null for unknown values. */
  of(name) {
    return this.#series.map((reading) => reading?.[name] ?? null);
  }

  last(name) {
    return this.#series.at(-1)?.[name] ?? null;
  }

  async #read() {
    try {
      if (!document.hidden) await this.#ask();
      this.failure = null;
    } catch (error) {
      const reason = error instanceof RestError ? error.message : "the gateway does not answer.";
      this.failure = `The gateway's metrics cannot be read: ${reason}`;
      this.#push((this.times.at(-1) ?? Date.now() / 1000) + EVERY_MS / 1000, null);
    }
    this.changed();
    if (this.#running) this.#timer = setTimeout(() => this.#read(), EVERY_MS);
  }

  async #ask() {
    this.health ??= await askJson("health").catch(() => null); // an error while the database is away
    const { timesMs, series } = await askFigures(`metrics/recent?afterMs=${this.#last}`);
    timesMs.forEach((at, index) => {
      this.#last = at;
      this.#push(at / 1000, Object.fromEntries(Object.entries(series).map(([name, values]) => [name, values[index]])));
    });
  }

  /** Add a reading, or null for a missing one. A reading replaces those whose guessed times are not before its own. */
  #push(at, reading) {
    while (this.times.at(-1) >= at) {
      this.times.pop();
      this.#series.pop();
    }
    this.times.push(at);
    this.#series.push(reading);
    if (this.times.length <= MOST) return;
    this.times.shift();
    this.#series.shift();
  }
}
