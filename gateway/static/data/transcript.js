// From events to what is shown of them: bubbles, chips and spans on the lanes. Pure; conventions: docs/events.md.

const TOOL_STATES = { "tool.started": "running", "tool.completed": "completed", "tool.failed": "failed" };

const isTime = (value) => typeof value === "number" && value >= 0 && value <= 1e12;

/** Whose interim text or activity a signal of this key is: `user`, `bot`, or null. */
export function sideOfSignal(key) {
  if (/^user/i.test(key)) return "user";
  return /^(bot|agent|assistant)/i.test(key) ? "bot" : null;
}

/**
 * The items of a call, in the order of its log. `add` takes each event once, in seq order; some events change an item
 * there is: a tool's end its start, a final text its interim. Changed items are new objects.
 *
 * An item: `{key, kind: "speech" | "tool" | "chip", seqs, at, timestamp, …}`, `at` in milliseconds of the call.
 */
export class Transcript {
  #interim = new Map();
  #running = [];
  #lastTimestamp = null;
  #at = 0;
  #indexOf = [];

  constructor() {
    this.items = [];
    this.spans = [];
    this.marks = [];
    this.end = 0;
  }

  /** Where the item of this event is, or -1. */
  indexOfSeq(seq) {
    return this.#indexOf[seq] ?? -1;
  }

  /** How many items had come by this time of the call. */
  countAt(ms) {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].at <= ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(event) {
    const at = this.#arrival(event);
    this.end = Math.max(this.end, at);
    if (event.type === "user_speech" || event.type === "bot_speech") this.#speech(event, at);
    else if (event.payload.event in TOOL_STATES) this.#tool(event, at);
    else this.#chip(event, at);
  }

  /** When the event happened, on the clock of the call; never before the one before it. */
  #arrival({ type, payload, timestamp }) {
    const stamp = Date.parse(timestamp);
    const passed = this.#lastTimestamp === null ? 0 : Math.max(0, stamp - this.#lastTimestamp);
    const told = { user_speech: payload.endedMs, bot_speech: payload.startedMs, system: payload.atMs }[type];
    this.#lastTimestamp = stamp;
    this.#at = Math.max(this.#at, isTime(told) ? told : this.#at + passed);
    return this.#at;
  }

  #push(item) {
    this.#put(this.items.length, { key: item.seqs[0], ...item });
  }

  #put(index, item) {
    this.items[index] = item;
    for (const seq of item.seqs) this.#indexOf[seq] = index;
  }

  #speech(event, at) {
    const { payload, seq, timestamp } = event;
    const side = event.type === "user_speech" ? "user" : "bot";
    const { startedMs, endedMs, turn } = payload;
    const measured = isTime(startedMs) && isTime(endedMs) && endedMs >= startedMs;
    const item = { kind: "speech", side, seqs: [seq], at, timestamp, turn, payload };
    item.text = typeof payload.text === "string" ? payload.text : null;
    item.interim = payload.final === false;
    item.interrupted = payload.interrupted === true;
    item.duration = measured ? endedMs - startedMs : null;
    item.began = measured ? startedMs : at;
    const before = this.#interim.get(side);
    if (before !== undefined && (turn === undefined || this.items[before].turn === turn)) {
      this.#put(before, {
        ...item,
        key: this.items[before].key,
        at: this.items[before].at,
        seqs: [...this.items[before].seqs, seq],
      });
      if (!item.interim) this.#interim.delete(side);
    } else {
      if (item.interim) this.#interim.set(side, this.items.length);
      this.#push(item);
    }
    if (item.interim) return;
    const span = { side, seq, start: item.began, end: measured ? endedMs : at, interrupted: item.interrupted, turn };
    this.spans.push(span);
    this.end = Math.max(this.end, span.end);
  }

  #tool(event, at) {
    const { payload, seq, timestamp } = event;
    const state = TOOL_STATES[payload.event];
    const name = typeof payload.name === "string" ? payload.name : "tool";
    const id = typeof payload.callId === "string" ? `callId:${payload.callId}` : `name:${payload.name}`;
    if (state === "failed") this.marks.push({ at, kind: "error" });
    const open = state === "running" ? -1 : this.#running.findIndex((running) => running.id === id);
    if (open < 0) {
      if (state === "running") this.#running.push({ id, index: this.items.length });
      const [started, ended] = state === "running" ? [payload, null] : [null, payload];
      this.#push({
        kind: "tool",
        seqs: [seq],
        at,
        timestamp,
        name,
        state,
        started,
        ended,
        duration: payload.durationMs,
      });
      return;
    }
    const [{ index }] = this.#running.splice(open, 1);
    const item = this.items[index];
    const took = Date.parse(timestamp) - Date.parse(item.timestamp);
    const duration = isTime(payload.durationMs) ? payload.durationMs : took;
    this.#put(index, { ...item, state, ended: payload, duration, seqs: [...item.seqs, seq] });
  }

  #chip(event, at) {
    const { payload, seq, timestamp } = event;
    const name = typeof payload.event === "string" ? payload.event : event.type;
    if (name === "interruption") this.#interrupt(payload);
    if (name === "error") this.marks.push({ at, kind: "error" });
    this.#push({ kind: "chip", seqs: [seq], at, timestamp, name, payload });
  }

  /** What the other side was saying is cut, if it is not marked so itself. */
  #interrupt(payload) {
    const side = payload.by === "bot" ? "user" : "bot";
    for (let index = this.items.length - 1; index >= 0; index -= 1) {
      const item = this.items[index];
      if (item.kind !== "speech" || item.side !== side) continue;
      if (payload.turn === undefined || item.turn === payload.turn) {
        this.items[index] = { ...item, interrupted: true, unsaid: payload.unsaid };
      }
      break;
    }
    const span = this.spans.findLast((each) => each.side === side);
    if (!span || (payload.turn !== undefined && span.turn !== payload.turn)) return;
    span.interrupted = true;
    if (!isTime(payload.atMs) || payload.atMs < span.start || payload.atMs >= span.end) return;
    span.end = payload.atMs;
    this.end = this.spans.reduce((end, each) => Math.max(end, each.end), this.#at);
  }
}
