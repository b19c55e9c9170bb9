import { callName, isLive } from "../data/calls.js";
import { callHref } from "../data/route.js";
import { duration, latency, spokenDuration } from "../data/times.js";
import { lasted } from "./call_head.js";
import { Moment } from "./moment.js";
import { Reasons } from "./reasons.js";
import { html, useEffect } from "./view.js";

const COLUMNS = ["State", "Call", "Last line", "Turns", "Response", "Duration"];
const REASONS_ON_A_CARD = 2;

export function Columns() {
  return html`<div class="call-columns" role="rowgroup"><div role="row" class="call-grid">
    ${COLUMNS.map((name) => html`<div role="columnheader" key=${name}>${name}</div>`)}
  </div></div>`;
}

// When its state changes, a row often moves in the same frame, by moveBefore(). Chromium then misses what the change means
// for elements inside the row. So each element has the classes that decide how it is drawn.

/** One call: a row on a wide screen, a card on a narrow one. `now` is on the gateway's clock. */
export function CallRow({ past, row, now, narrow, focusable, onFocus }) {
  useEffect(() => past.lookInto(row), [row, row.session.endedAt]);
  const { session, summary, reasons } = row;
  const { sessionId, status, startedAt, endedAt, language } = session;
  const name = callName(session);
  const age = isLive(row) ? "live" : "ended";
  const ms = lasted(session, now);
  return html`<div role="row" class=${`call-grid call-row ${age} ${row.urgency ? "urgent" : ""}`}>
    <div role="cell" class="state"><span class=${`dot ${status}`}></span><span class="state-word">${status}</span></div>
    <div role="cell" class="who">
      <a class=${`call-link ${age}`} href=${callHref(sessionId)} data-call=${sessionId} tabindex=${focusable ? 0 : -1}
        onFocus=${() => onFocus(sessionId)}><bdi>${name}</bdi></a>
      <bdi class="id">${name === sessionId ? language : `${sessionId} · ${language}`}</bdi>
    </div>
    <div role="cell" class="said">
      <${LastLine} row=${row} age=${age} />
      <${Reasons} reasons=${reasons} most=${narrow ? REASONS_ON_A_CARD : undefined} />
    </div>
    <div role="cell" class="turns"><span class="unit">turns </span>${summary ? summary.turns : "–"}<${Cuts} summary=${summary} /></div>
    <${Response} summary=${summary} ended=${endedAt !== null} />
    <div role="cell" class="duration">
      <span class="lasted" aria-label=${spokenDuration(ms)} role="img">${duration(ms)}</span>
      <span class="started">${endedAt ? "ended" : "started"} <${Moment} at=${endedAt ?? startedAt} /></span>
    </div>
  </div>`;
}

function Cuts({ summary }) {
  const { byUser = 0, byBot = 0 } = summary?.interruptions ?? {};
  const cuts = byUser + byBot;
  if (cuts === 0) return null;
  return html`<span class="cuts" title=${`Interrupted ${byUser}× by the user, ${byBot}× by the bot`}><span class="sr-only">, interrupted </span><span aria-hidden="true">✂ </span>${cuts}</span>`;
}

/** The latest response of a live call; the 95th percentile of an ended one. */
function Response({ summary, ended }) {
  const p95 = ended ? (summary?.p95Ms ?? null) : null;
  return html`<div role="cell" class=${p95 === null ? "latency" : "latency is-p95"}><span class="unit">response </span>${latency(ended ? p95 : summary?.responseMs)}${p95 !== null && html`<span class="p95"> p95</span>`}</div>`;
}

function LastLine({ row, age }) {
  const line = row.summary?.lastLine;
  if (!line) {
    const { lastSeq } = row.session;
    const text = lastSeq === 0 ? "nothing said yet" : lastSeq === 1 ? "1 event" : `${lastSeq} events`;
    return html`<span class="line none">${text}</span>`;
  }
  return html`<span class=${`line ${age}`} title=${line.text}>
    <span class=${`side ${line.side}`}>${line.side === "user" ? "User" : "Bot"}</span> <q class=${line.interrupted ? "cut" : ""}><bdi>${line.text}</bdi></q>
  </span>`;
}
