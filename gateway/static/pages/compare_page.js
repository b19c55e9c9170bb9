// The page that compares two calls on one time axis.
import { callName } from "../data/calls.js";
import { callHref, route } from "../data/route.js";
import { latency } from "../data/times.js";
import { lasted } from "../parts/call_head.js";
import { Lanes } from "../parts/lanes.js";
import { Player } from "../parts/player.js";
import { TranscriptPane } from "../parts/transcript_pane.js";
import { html, NARROW, useClock, useKey, useMedia, useState, useTitle } from "../parts/view.js";
import { endOf, useCall } from "./call_page.js";

export function ComparePage({ a, b, connection }) {
  const calls = [useCall(connection, a), useCall(connection, b)];
  useClock(calls.some(({ log }) => log.session?.endedAt === null) ? 1000 : 60000);
  useKey("Escape", () => route.go(route.calls));
  const [playhead, setPlayhead] = useState(null);
  const narrow = useMedia(NARROW);
  const [tab, setTab] = useState(0);
  const names = calls.map(({ log }) => (log.session ? callName(log.session) : log.sessionId));
  useTitle(`${names.join(" | ")} · Turnwire`);
  const end = Math.max(...calls.map(({ log }) => endOf(log)));
  return html`<main class="call compare" aria-labelledby="compare-title">
    <header class="call-head"><a class="back" href=${route.calls} aria-label="Back to the calls">←</a>
      <div class="title"><h1 id="compare-title">Two calls on one time axis</h1></div>
    </header>
    ${calls.map(({ log }) => log.failure && html`<p class="notice" role="alert" key=${log.sessionId}>${log.failure}</p>`)}
    <section class="stage" aria-label="Timelines">
      ${calls.map(
        ({ log }, index) => html`<div class="compared" key=${index}>
        <h2><a href=${callHref(log.sessionId)}><bdi>${names[index]}</bdi></a> ${log.absent && html`<span role="status">This call does not exist.</span>`}</h2>
        <${Lanes} transcript=${log.transcript} end=${end} version=${log.version} playhead=${playhead} onPick=${setPlayhead} />
      </div>`,
      )}
      <${Player} end=${end} playhead=${playhead} setPlayhead=${setPlayhead} />
    </section>
    <${Table} calls=${calls} names=${names} />
    ${narrow && html`<div class="tabs" role="group" aria-label="Which call">${names.map((name, index) => html`<button type="button" key=${index} aria-pressed=${tab === index} onClick=${() => setTab(index)}>${"AB"[index]}: ${name}</button>`)}</div>`}
    <div class="panes two">
      ${calls.map(({ log, figures }, index) =>
        log.session && (!narrow || tab === index)
          ? html`<${TranscriptPane} key=${index} label=${`Transcript ${"AB"[index]}`} log=${log} playhead=${playhead} responseOf=${figures.responseOf} target=${NOWHERE} />`
          : null,
      )}
    </div>
  </main>`;
}

const NOWHERE = { seq: null, index: -1, nonce: {} };

const ROWS = [
  ["state", ({ log }) => log.session?.endReason ?? log.session?.status ?? "–"],
  ["duration", ({ log }) => (log.session ? latency(lasted(log.session)) : "–")],
  ["turns", ({ figures: { figures } }) => figures?.turns.total ?? "–"],
  ["response median", ({ figures: { figures } }) => latency(figures?.responses.p50Ms)],
  ["response p95", ({ figures: { figures } }) => latency(figures?.responses.p95Ms)],
  [
    "interruptions",
    ({ figures: { figures } }) => (figures ? figures.interruptions.byUser + figures.interruptions.byBot : "–"),
  ],
  ["tools failed", ({ figures: { figures } }) => figures?.tools.failed ?? "–"],
  ["errors", ({ figures: { figures } }) => figures?.errors ?? "–"],
];

function Table({ calls, names }) {
  return html`<div class="compare-table" tabindex="0" role="region" aria-label="Figures, scroll"><table>
    <thead><tr><th scope="col"><span class="sr-only">Call</span></th>${ROWS.map(([name]) => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
    <tbody>${calls.map((call, index) => html`<tr key=${index}><th scope="row"><bdi>${names[index]}</bdi></th>${ROWS.map(([name, read]) => html`<td key=${name}>${read(call)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}
