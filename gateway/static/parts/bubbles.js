// One item of a transcript, as it is shown.
import { callHref } from "../data/route.js";
import { bothClocks, duration, latency } from "../data/times.js";
import { Moment } from "./moment.js";
import { html } from "./view.js";

const NAMES = { user: "User", bot: "Bot" };

/** `view`: `{sessionId, responseOf, target, open, toggle}`; `open` holds the keys of the chips that are unfolded. */
export function Item({ item, index, count, view }) {
  const isTarget = view.target !== null && item.seqs.includes(view.target);
  const body = { speech: Bubble, tool: ToolChip, chip: Chip, signal: SignalBubble }[item.kind];
  return html`<div role="listitem" aria-posinset=${index + 1} aria-setsize=${count}
    class=${`item is-${item.kind} ${item.side ?? ""} ${isTarget ? "target" : ""}`}><${body} item=${item} view=${view} /></div>`;
}

function Place({ item, view }) {
  const seq = item.seqs[0];
  return html`<a class="seq" href=${callHref(view.sessionId, seq)} aria-label=${`Event ${seq}`}>#${seq}</a>
    <time class="at" datetime=${item.timestamp} title=${bothClocks(item.timestamp)}>${duration(item.began ?? item.at)}</time>`;
}

function Clock({ item }) {
  return html`<span class="clock"><${Moment} at=${item.timestamp} /></span>`;
}

function Bubble({ item, view }) {
  const response = view.responseOf.get(item.seqs.at(-1));
  const classes = ["bubble", item.interim && "interim", item.interrupted && "cut"].filter(Boolean).join(" ");
  return html`<div class=${classes}>
    <span class="sr-only">${NAMES[item.side]}: </span>
    ${item.text === null ? html`<pre class="raw">${JSON.stringify(item.payload, null, 1)}</pre>` : html`<p dir="auto"><${Said} item=${item} /></p>`}
    <div class="meta">
      <${Place} item=${item} view=${view} />
      ${response !== undefined && html`<span class="response" title="From the user's stop to the bot's start">after ${latency(response)}</span>`}
      ${item.interim && html`<span>interim</span>`}
      ${item.interrupted && html`<span class="cut-word">interrupted</span>`}
      <${Clock} item=${item} />
    </div>
  </div>`;
}

/** The text; its end struck out, when an interruption has told that it was not heard. */
function Said({ item: { text, unsaid } }) {
  const heard = typeof unsaid === "string" && unsaid && text.endsWith(unsaid) ? text.slice(0, -unsaid.length) : text;
  return html`${heard}${heard !== text && html`<s>${unsaid}</s>`}`;
}

function SignalBubble({ item }) {
  const { text } = item.payload;
  if (item.side && typeof text === "string") {
    return html`<div class="bubble interim"><span class="sr-only">${NAMES[item.side]}, interim: </span><p dir="auto">${text}<span class="dots" aria-hidden="true">…</span></p></div>`;
  }
  return html`<div class="chip"><span class="name">${item.name}</span> <code>${JSON.stringify(item.payload)}</code></div>`;
}

/** A chip that can be unfolded; stays so while it is out of sight. */
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

const TOOL_WORDS = { running: "running …", completed: "done", failed: "failed" };

function ToolChip({ item, view }) {
  const { name, state, started, ended } = item;
  const failed = state === "failed";
  const took = typeof item.duration === "number" ? ` in ${latency(item.duration)}` : "";
  const summary = html`<span class="icon" aria-hidden="true">${{ running: "◌", completed: "✓", failed: "✕" }[state]}</span>
    <span class="name">${name}</span> <span class="state">${TOOL_WORDS[state]}${took}</span>`;
  return html`<${Folded} item=${item} view=${view} kind=${`tool-${state}`} summary=${summary}>
    ${started && html`<${Json} title="Arguments" value=${started.arguments ?? rest(started)} />`}
    ${ended && html`<${Json} title=${failed ? "Error" : "Result"} value=${(failed ? ended.error : undefined) ?? ended.results ?? ended.result ?? rest(ended)} bad=${failed} />`}
  <//>`;
}

function rest({ event, name, ...others }) {
  return others;
}

function Json({ title, value, bad = false }) {
  return html`<h4>${title}</h4><pre class=${bad ? "bad" : ""} tabindex="0" role="region" aria-label=${title}>${JSON.stringify(value, null, 2)}</pre>`;
}

const WORDS = {
  "call.started": () => "Call started",
  "call.ended": (payload) => `Call ended${word(payload.reason)}`,
  interruption: (payload) => `${payload.by === "bot" ? "Bot" : "User"} interrupted`,
  "metrics.turn": (payload) => `Turn ${payload.turn ?? ""} measured`,
  error: (payload) => `Error${word(payload.message ?? payload.code ?? payload.error?.message)}`,
};

function word(text) {
  return typeof text === "string" && text ? `: ${text.replaceAll("_", " ")}` : "";
}

function Chip({ item, view }) {
  const { name, payload } = item;
  const known = Object.hasOwn(WORDS, name);
  const kind = { error: "bad", interruption: "warn", "call.started": "edge", "call.ended": "edge" }[name] ?? "";
  const summary = html`<span class="name">${known ? WORDS[name](payload) : name}</span>${name === "metrics.turn" && html` <span class="state">${measures(payload)}</span>`}
    ${typeof payload.unsaid === "string" && html` <span class="unsaid">unsaid: <s>${payload.unsaid}</s></span>`}`;
  return html`<${Folded} item=${item} view=${view} kind=${kind} summary=${summary}><${Json} title="Payload" value=${payload} /><//>`;
}

function measures(payload) {
  return Object.entries(payload)
    .filter(([key, value]) => key.endsWith("Ms") && typeof value === "number")
    .map(([key, value]) => `${key.slice(0, -2)} ${latency(value)}`)
    .join(" · ");
}
