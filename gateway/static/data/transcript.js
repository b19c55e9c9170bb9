// Turns events into what is shown: bubbles, chips, and spans on the lanes. docs/events.md has the conventions.
import { CallClock, callTime } from "./call_clock.js";
import { addUsage } from "./usage.js";
import { CUTTERS, isCutBy, measured, spoken, wasCutBy } from "./utterance.js";
import { field, numberOf, wordOf } from "./values.js";

const TOOL_STATES = new Map([
  ["tool.started", "running"],
  ["tool.progress", "running"],
  ["tool.completed", "completed"],
  ["tool.failed", "failed"],
  ["tool.timed_out", "timed_out"],
  ["tool.cancelled", "cancelled"],
]);
const STATES = new Map([
  ["user.state", "user"],
  ["bot.state", "bot"],
]);
const COMMAND_STATES = new Map([
  ["control.requested", "requested"],
  ["control.accepted", "accepted"],
  ["control.done", "done"],
  ["control.refused", "refused"],
  ["control.failed", "failed"],
  ["control.expired", "expired"],
]);
const HEARD_ON_THE_LINE = ["speech", "backchannel"];
const MOST_CUTS = 50;

/** The side whose interim text or activity a signal with this key shows: `user`, `bot` or null. */
export function sideOfSignal(key) {
  if (/^user/i.test(key)) return "user";
  return /^(bot|agent|assistant)/i.test(key) ? "bot" : null;
}

/**
 * The items of a call, in the order spoken. `add` must be called once for each event, in seq order. Some events change an
 * existing item: a tool's end, a command's outcome, or a final text after an interim one. Changed items are new objects.
 *
 * An item: `{key, kind: "speech" | "tool" | "command" | "chip" | "usage", seqs, at, timestamp, …}`, `at` in milliseconds
 * of the call.
 */
export class Transcript {
  #clock = new CallClock();
  #interim = new Map();
  #running = [];
  #commands = new Map();
  #cuts = [];
  #usage = null;
  #indexOf = [];
  #hidden = [];

  constructor() {
    this.items = [];
    this.spans = [];
    this.marks = [];
    this.end = 0;
    /** The states in the latest `user.state` and `bot.state`. */
    this.states = { user: null, bot: null };
  }

  /** The index of this event's item, or of the item before an event that is not shown; else -1. */
  indexOfSeq(seq) {
    return this.#indexOf[seq] ?? this.#indexOf[this.#hidden[seq]] ?? (seq in this.#hidden ? 0 : -1);
  }

  /** The item of a command, or null if it is not in the log. */
  commandOf(commandId) {
    return this.items[this.#indexOf[this.#commands.get(commandId)]] ?? null;
  }

  /** The items up to this time of the call. */
  itemsAt(ms) {
    return this.items.filter((item) => item.at <= ms);
  }

  add(event) {
    const times = this.#clock.read(event);
    this.end = Math.max(this.end, times.at);
    const name = field(event.payload, "event");
    if (event.type !== "system") this.#speech(event, times);
    else if (TOOL_STATES.has(name)) this.#tool(event, times.at);
    else if (COMMAND_STATES.has(name)) this.#command(event, times.at);
    else if (STATES.has(name)) this.#state(event, STATES.get(name));
    else if (name === "usage") this.#count(event, times.at);
    else this.#chip(event, times.at);
  }

  // Places

  #insert(index, item) {
    this.items.splice(index, 0, { key: item.seqs[0], ...item });
    for (let at = index; at < this.items.length; at += 1) {
      for (const seq of this.items[at].seqs) this.#indexOf[seq] = at;
    }
  }

  /** Move an existing item to its current place. */
  #move(item) {
    const from = this.#indexOf[item.seqs[0]];
    this.items.splice(from, 1);
    const to = item.duration === null ? from : this.#placeOf(item);
    this.#insert(Math.min(from, to), item);
  }

  #push(item) {
    this.#insert(this.items.length, item);
  }

  /** Change the item that begins with the event `first`. */
  #change(first, change) {
    const index = this.#indexOf[first];
    const item = { ...this.items[index], ...change };
    this.items[index] = item;
    this.#indexOf[item.seqs.at(-1)] = index;
    return item;
  }

  // Speech

  #speech(event, { at, started, ended }) {
    const item = { ...spoken(event), at, ...measured(at, started, ended) };
    const first = this.#interim.get(item.side);
    const before = first === undefined ? null : this.items[this.#indexOf[first]];
    if (before && (item.turn === null || before.turn === item.turn)) {
      this.#move({ ...item, key: before.key, at: before.at, seqs: [...before.seqs, event.seq] });
      if (!item.interim) this.#interim.delete(item.side);
    } else {
      if (item.interim) this.#interim.set(item.side, event.seq);
      this.#insert(this.#placeOf(item), item);
    }
    if (!item.interim) this.#finish(event.seq, item);
  }

  /** The place after the last utterance that began before this one. */
  #placeOf(item) {
    let place = this.items.length;
    for (let index = place - 1; index >= 0; index -= 1) {
      const other = this.items[index];
      if (other.kind !== "speech") continue;
      if (other.began <= item.began || item.duration === null) break;
      place = index;
    }
    return place;
  }

  /** Add a span for a final utterance, and apply a cut that was reported before it. */
  #finish(seq, item) {
    if (HEARD_ON_THE_LINE.includes(item.source)) {
      const { side, began: start, ended: end, interrupted, turn, source } = item;
      this.spans.push({ side, seq, start, end, interrupted, turn, source });
      this.end = Math.max(this.end, end);
    }
    const cut = this.#cuts.findLast((each) => wasCutBy(item, each));
    if (cut) this.#cutShort(this.#indexOf[seq], cut);
  }

  /** Mark as cut what the other side was saying: the last utterance, or one that is reported later. */
  #interrupt(payload) {
    const by = CUTTERS.includes(field(payload, "by")) ? payload.by : "user";
    const [turn, at] = [numberOf(field(payload, "turn")), callTime(field(payload, "atMs"))];
    const cut = {
      side: by === "bot" ? "user" : "bot",
      by,
      turn,
      at,
      unsaid: wordOf(field(payload, "unsaid")),
      used: false,
    };
    const index = this.items.findLastIndex((item) => item.kind === "speech" && item.side === cut.side);
    if (index >= 0 && isCutBy(this.items[index], cut)) this.#cutShort(index, cut);
    if (turn !== null || at !== null) this.#cuts = [...this.#cuts, cut].slice(-MOST_CUTS);
  }

  #cutShort(index, cut) {
    const { by, at, unsaid } = cut;
    cut.used = true;
    const item = this.items[index];
    this.items[index] = { ...item, interrupted: true, cutBy: item.cutBy ?? by, unsaid: unsaid ?? item.unsaid };
    const span = this.spans.findLast((each) => each.seq === item.seqs.at(-1));
    if (!span) return;
    span.interrupted = true;
    if (at === null || at < span.start || at >= span.end) return;
    const wasLast = span.end === this.end;
    span.end = at;
    if (wasLast) this.end = this.spans.reduce((end, each) => Math.max(end, each.end), this.#clock.at);
  }

  // System events

  #tool(event, at) {
    const { payload, seq, timestamp } = event;
    const state = TOOL_STATES.get(payload.event);
    const [name, callId] = [field(payload, "name"), field(payload, "callId")];
    const id = typeof callId === "string" ? `callId:${callId}` : `name:${typeof name === "string" ? name : ""}`;
    if (hasFailed(state)) this.marks.push({ at, kind: "error" });
    const open = payload.event === "tool.started" ? -1 : this.#running.findIndex((running) => running.id === id);
    if (open < 0) {
      if (state === "running") this.#running.push({ id, seq });
      const [started, ended] = state === "running" ? [payload, null] : [null, payload];
      const shown = wordOf(name) ?? "tool";
      const duration = callTime(field(payload, "durationMs"));
      this.#push({ kind: "tool", seqs: [seq], at, timestamp, name: shown, state, started, ended, duration });
      return;
    }
    const item = this.items[this.#indexOf[this.#running[open].seq]];
    const change = { seqs: [...item.seqs, seq] };
    if (state !== "running") {
      this.#running.splice(open, 1);
      const took = Date.parse(timestamp) - Date.parse(item.timestamp);
      Object.assign(change, { state, ended: payload, duration: callTime(field(payload, "durationMs")) ?? took });
    }
    this.#change(item.seqs[0], change);
  }

  /** Add a command, or note the outcome of one in its item. The first final outcome stands. */
  #command(event, at) {
    const { payload, seq, timestamp } = event;
    const state = COMMAND_STATES.get(payload.event);
    const id = field(payload, "commandId");
    const item = this.commandOf(id);
    if (item && state !== "requested") {
      const change = isFinal(item.state) ? {} : { state, message: wordOf(field(payload, "message")) };
      this.#change(item.seqs[0], { ...change, seqs: [...item.seqs, seq] });
    } else if (item || state !== "requested" || typeof id !== "string") {
      this.#chip(event, at);
    } else {
      this.#commands.set(id, seq);
      this.#push({ kind: "command", seqs: [seq], at, timestamp, state, message: null, ...requested(payload) });
    }
  }

  #state({ payload, seq }, side) {
    this.states[side] = wordOf(field(payload, "state"));
    this.#hidden[seq] = this.items.at(-1)?.seqs[0];
  }

  /** Add usage to the single item that sums all usage. */
  #count({ payload, seq, timestamp }, at) {
    if (this.#usage === null) {
      this.#usage = seq;
      this.#push({ kind: "usage", seqs: [seq], at, timestamp, usage: addUsage(new Map(), payload) });
      return;
    }
    const { seqs, usage } = this.items[this.#indexOf[this.#usage]];
    this.#change(this.#usage, { seqs: [...seqs, seq], usage: addUsage(usage, payload) });
  }

  #chip({ type, payload, seq, timestamp }, at) {
    const name = wordOf(field(payload, "event")) ?? type;
    if (name === "interruption") this.#interrupt(payload);
    if (name === "error") this.marks.push({ at, kind: "error" });
    this.#push({ kind: "chip", seqs: [seq], at, timestamp, name, payload });
  }
}

const hasFailed = (state) => state === "failed" || state === "timed_out";

const isFinal = (state) => state !== "requested" && state !== "accepted";

/** What a command asks for: `{command, payload, text, by}`. `text` is what the bot is to know or say, or null. */
function requested(event) {
  const payload = field(event, "payload");
  return {
    command: wordOf(field(event, "command")) ?? "command",
    payload,
    text: wordOf(field(payload, "text")) ?? wordOf(field(payload, "say")),
    by: wordOf(field(event, "by")),
  };
}
