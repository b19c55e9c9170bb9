// Events that are not speech, as lines that can be unfolded.
import { toolResult } from "../data/messages.js";
import { latency } from "../data/times.js";
import { usageLine } from "../data/usage.js";
import { field, lineOf, numberOf, textOf, wordOf } from "../data/values.js";
import { Place } from "./bubbles.js";
import { JsonBlock } from "./json_block.js";
import { html } from "./view.js";

/** A line that can be unfolded, and stays so while it is out of view. */
function Folded({ item, view, kind, summary, children }) {
  const onToggle = (event) => view.toggle(item.key, event.currentTarget.open);
  return html`<div class="chip-line">
    <details class=${`chip ${kind}`} open=${view.open.has(item.key)} onToggle=${onToggle}>
      <summary>${summary}</summary>
      <div class="inside">${children}</div>
    </details>
    <span class="meta"><${Place} item=${item} view=${view} /></span>
  </div>`;
}

const after = (text) => (text ? `: ${text}` : "");

const TOOL_WORDS = {
  running: ["◌", "running …"],
  unanswered: ["–", "no answer"],
  completed: ["✓", "done"],
  failed: ["✕", "failed"],
  timed_out: ["✕", "timed out"],
  cancelled: ["–", "cancelled"],
};

export function ToolChip({ item, view }) {
  const { name, started, ended } = item;
  const state = item.state === "running" && view.ended ? "unanswered" : item.state;
  const failed = state === "failed" || state === "timed_out";
  const [icon, word] = TOOL_WORDS[state];
  const took =
    item.duration === null ? "" : ` ${failed || state === "cancelled" ? "after" : "in"} ${latency(item.duration)}`;
  const summary = html`<span class="icon" aria-hidden="true">${icon}</span>
    <bdi class="name">${lineOf(name)}</bdi> <span class="state">${word}${took}</span>`;
  const kind = failed ? "tool-failed" : `tool-${state}`;
  return html`<${Folded} item=${item} view=${view} kind=${kind} summary=${summary}>
    ${started && html`<${JsonBlock} title="Arguments" value=${field(started, "arguments") ?? others(started)} />`}
    ${ended && html`<${JsonBlock} title=${failed ? "Error" : "Result"} value=${toolResult(ended)} bad=${failed} />`}
  <//>`;
}

/** The names of the standard commands. */
export const COMMAND_NAMES = new Map([
  ["whisper", "Whisper"],
  ["say", "Say"],
  ["end", "End the call"],
]);
const COMMAND_WORDS = {
  requested: ["◌", "sent"],
  accepted: ["◌", "received"],
  done: ["✓", "done"],
  refused: ["✕", "refused"],
  failed: ["✕", "failed"],
  expired: ["✕", "expired"],
};

/** What has become of a command, in words. */
export function commandState({ state, message }) {
  return `${COMMAND_WORDS[state][1]}${after(message && lineOf(message))}`;
}

export function CommandChip({ item, view }) {
  const { command, text, by, state } = item;
  const words = state === "requested" && view.ended ? "no answer" : commandState(item);
  const failed = COMMAND_WORDS[state][0] === "✕";
  const summary = html`<span class="icon" aria-hidden="true">${COMMAND_WORDS[state][0]}</span>
    <bdi class="name">${lineOf(COMMAND_NAMES.get(command) ?? command)}</bdi>
    ${text && html`<bdi class="told">${lineOf(text)}</bdi>`} <bdi class="state">${words}</bdi>`;
  return html`<${Folded} item=${item} view=${view} kind=${failed ? "tool-failed" : `command tool-${state}`} summary=${summary}>
    ${by && html`<p>asked by <bdi>${lineOf(by)}</bdi></p>`}
    <${JsonBlock} title="Payload" value=${item.payload} />
  <//>`;
}

function others({ event: _event, name: _name, ...rest }) {
  return rest;
}

const word = (payload, ...names) => names.map((name) => wordOf(field(payload, name))).find(Boolean);
const CUTTERS = new Map([
  ["user", "User interrupted"],
  ["bot", "Bot interrupted"],
  ["supervisor", "Supervisor cut in"],
  ["hangup", "Hung up"],
]);

const WORDS = new Map([
  ["call.started", () => "Call started"],
  ["call.ended", (payload) => `Call ended${after(word(payload, "reason"))}`],
  ["interruption", (payload) => CUTTERS.get(field(payload, "by")) ?? CUTTERS.get("user")],
  ["metrics.turn", (payload) => `Turn ${textOf(field(payload, "turn"))} measured`],
  ["error", (payload) => `Error${after(word(payload, "message", "code") ?? word(field(payload, "error"), "message"))}`],
  ["handoff", (payload) => `Handed off${toWhom(payload)}`],
  ["node", (payload) => `Node${after(word(payload, "name", "node", "to", "id"))}`],
  ["dtmf", (payload) => `Keys${after(textOf(field(payload, "digits") ?? field(payload, "digit")))}`],
  ["guardrail", (payload) => `Guardrail${after(word(payload, "name", "rule", "message"))}`],
  ["call.analysis", (payload) => `Analysis${after(word(payload, "summary", "outcome"))}`],
]);
const KINDS = new Map([
  ["error", "bad"],
  ["interruption", "warn"],
  ["guardrail", "warn"],
  ["call.started", "edge"],
  ["call.ended", "edge"],
]);

function toWhom(payload) {
  const [from, to] = [word(payload, "from"), word(payload, "to", "agent", "name")];
  return `${from ? ` from ${from}` : ""}${to ? ` to ${to}` : ""}`;
}

export function Chip({ item, view }) {
  const { name, payload } = item;
  const unsaid = wordOf(field(payload, "unsaid"));
  const summary = html`<bdi class="name">${lineOf(WORDS.get(name)?.(payload) ?? name)}</bdi>
    ${name === "metrics.turn" && html`<${Measures} payload=${payload} />`}
    ${unsaid && html` <span class="unsaid">unsaid: <s>${lineOf(unsaid)}</s></span>`}`;
  return html`<${Folded} item=${item} view=${view} kind=${KINDS.get(name) ?? ""} summary=${summary}>
    <${JsonBlock} title="Payload" value=${payload} />
  <//>`;
}

// The stages of a response, in order.
const STAGES = ["endpointing", "stt", "turnDetection", "llm", "tool", "aggregation", "tts", "output"];

/** The times of a turn: all of them in words, and the stages of the response as a bar. */
function Measures({ payload }) {
  const times = Object.entries(payload).flatMap(([key, value]) => {
    const ms = key.endsWith("Ms") ? numberOf(value) : null;
    return ms !== null && ms >= 0 ? [[key.slice(0, -2), ms]] : [];
  });
  const stages = STAGES.flatMap((name) => times.filter(([each, ms]) => each === name && ms > 0));
  const words = times.map(([name, ms]) => `${name} ${latency(ms)}`).join(" · ");
  return html`<span class="state">${lineOf(words, 400)}</span>
    ${stages.length > 1 && html`<span class="stages" aria-hidden="true">${stages.map(([name, ms]) => html`<i key=${name} class=${`stage-${name}`} style=${{ flexGrow: ms }} title=${`${name} ${latency(ms)}`}></i>`)}</span>`}`;
}

export function UsageChip({ item, view }) {
  const summary = html`<span class="name">Usage</span> <span class="state">${usageLine(item.usage)}</span>`;
  return html`<${Folded} item=${item} view=${view} kind="edge" summary=${summary}>
    <${JsonBlock} title="Sums" value=${[...item.usage.values()]} />
  <//>`;
}
