// Speech and signals as bubbles.
import { callHref } from "../data/route.js";
import { bothClocks, duration, latency } from "../data/times.js";
import { lineOf, textOf } from "../data/values.js";
import { Moment } from "./moment.js";
import { html } from "./view.js";

const NAMES = { user: "User", bot: "Bot" };

export function Place({ item, view }) {
  const seq = item.seqs[0];
  return html`<a class="seq" href=${callHref(view.sessionId, { seq })} aria-label=${`Event ${seq}`}>#${seq}</a>
    <time class="at" datetime=${item.timestamp} title=${bothClocks(item.timestamp)}>${duration(item.began ?? item.at)}</time>`;
}

const CUT_WORDS = {
  user: "interrupted",
  bot: "interrupted",
  supervisor: "cut by a supervisor",
  hangup: "cut by hanging up",
};

export function Bubble({ item, view }) {
  const response = view.responseOf.get(item.seqs.at(-1));
  const classes = ["bubble", item.interim && "interim", item.interrupted && "cut", item.source].filter(Boolean);
  return html`<div class=${classes.join(" ")}>
    <span class="sr-only">${NAMES[item.side]}: </span>
    ${item.text === null ? html`<pre class="raw">${textOf(item.payload, 1)}</pre>` : html`<p dir="auto"><${Said} item=${item} /></p>`}
    <div class="meta">
      <${Place} item=${item} view=${view} />
      ${item.speaker && html`<bdi class="speaker">${lineOf(item.speaker, 40)}</bdi>`}
      ${item.source !== "speech" && html`<span>${item.source}</span>`}
      ${response !== undefined && html`<span class="response" title="From the user's stop to the bot's start">after ${latency(response)}</span>`}
      ${item.interim && html`<span>interim</span>`}
      ${item.interrupted && html`<span class="cut-word">${CUT_WORDS[item.cutBy ?? "user"]}</span>`}
      ${item.heard === "unknown" && html`<span title="It is not known how much of it was heard">heard in part</span>`}
      <span class="clock"><${Moment} at=${item.timestamp} seconds /></span>
    </div>
  </div>`;
}

/** The text, with its end struck out if that is known to be unsaid. */
function Said({ item: { text, unsaid } }) {
  const heard = unsaid && text.endsWith(unsaid) ? text.slice(0, -unsaid.length) : text;
  return html`${heard}${heard !== text && html`<s>${unsaid}</s>`}`;
}

export function SignalBubble({ item }) {
  if (item.side) {
    return html`<div class="bubble interim"><span class="sr-only">${NAMES[item.side]}, interim: </span>
      <p dir="auto">${item.text}<span class="dots" aria-hidden="true">…</span></p></div>`;
  }
  return html`<div class="chip"><bdi class="name">${lineOf(item.name)}</bdi> <code>${textOf(item.payload)}</code></div>`;
}
