// The page that sums up calls by day, language, bot or end reason. A click on a group leads to its calls.
import { boardsHref, callsHref, route } from "../data/route.js";
import { filterOf, GROUPINGS, Sums } from "../data/sums.js";
import { latency } from "../data/times.js";
import { lineOf } from "../data/values.js";
import { Bars, nameOf, share } from "../parts/bars.js";
import { html, useEffect, useMemo, useObservable, useState, useTitle } from "../parts/view.js";

const RANGES = { 7: "7 days", 30: "30 days", 90: "90 days", 365: "A year" };

export function BoardsPage({ by, days }) {
  const sums = useMemo(() => new Sums(by, days), [by, days]);
  useEffect(() => {
    sums.start();
    return () => sums.stop();
  }, [sums]);
  useObservable(sums);
  useTitle("Boards · Turnwire");
  return html`<main class="gateway boards" aria-labelledby="boards-title">
    <header><h1 id="boards-title">Boards</h1>
      <div class="choose" role="group" aria-label="Group by">${Object.entries(GROUPINGS).map(([name, { label }]) => html`<button type="button" key=${name} aria-pressed=${by === name} onClick=${() => route.go(boardsHref({ by: name, days }))}>${label}</button>`)}</div>
      <select aria-label="Range" value=${days} onChange=${(event) => route.go(boardsHref({ by, days: event.currentTarget.value }))}>
        ${Object.entries(RANGES).map(([value, label]) => html`<option value=${value} key=${value}>${label}</option>`)}
      </select>
    </header>
    ${sums.failure && html`<p class="notice" role="alert">${sums.failure}</p>`}
    ${!sums.groups && !sums.failure && html`<p class="soft" role="status">Adding up the calls …</p>`}
    ${sums.groups && html`<${Board} key=${by} sums=${sums} />`}
  </main>`;
}

function Board({ sums }) {
  const { by, groups, total, leftOff } = sums;
  const [over, setOver] = useState(null);
  const open = (key, more = {}) => {
    const filter = filterOf(by, key, sums.range);
    if (filter) route.go(callsHref({ ...filter, ...more }));
  };
  const at = groups[over];
  return html`<${Totals} total=${total} />
    <p class="over" aria-hidden="true">${at ? html`<strong><bdi>${nameOf(by, at.key)}</bdi></strong> ${told(at)}` : "A click on a bar shows its calls."}</p>
    <${Bars} by=${by} groups=${groups} onOver=${setOver} onPick=${open} />
    <${Table} sums=${sums} />
    <p class="soft">Days are in UTC. Latencies are those of the calls’ own figures. Live calls count only as calls.${leftOff > 0 && ` ${leftOff.toLocaleString()} smaller groups are left off.`}</p>`;
}

const told = ({ calls, failed, responseP95Ms }) =>
  `${calls.toLocaleString()} ${calls === 1 ? "call" : "calls"}, ${failed.toLocaleString()} failed, p95 ${latency(responseP95Ms)}`;

function Totals({ total }) {
  const tiles = {
    calls: total.calls.toLocaleString(),
    failed: total.failed.toLocaleString(),
    "share failed": share(total),
    "median response": latency(total.responseP50Ms),
    "p95 response": latency(total.responseP95Ms),
    interruptions: total.interruptions.toLocaleString(),
    "tool errors": total.toolsFailed.toLocaleString(),
    errors: total.errors.toLocaleString(),
  };
  return html`<dl class="tiles">${Object.entries(tiles).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const COLUMNS = ["Calls", "Failed", "Share", "Median", "p95", "Interrupted", "Tool errors", "Errors"];

function Table({ sums: { by, groups, range } }) {
  const shown = by === "day" ? groups.filter(({ calls }) => calls > 0).reverse() : groups;
  return html`<div class="compare-table" tabindex="0" role="region" aria-label=${`Calls by ${GROUPINGS[by].label.toLowerCase()}, scrolls`}>
    <table>
      <thead><tr><th scope="col">${GROUPINGS[by].label}</th>${COLUMNS.map((name) => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
      <tbody>${shown.map((group) => html`<${Group} key=${group.key} by=${by} group=${group} filter=${filterOf(by, group.key, range)} />`)}</tbody>
    </table>
  </div>`;
}

function Group({ by, group, filter }) {
  const { key, failed } = group;
  const name = html`<bdi>${lineOf(nameOf(by, key), 80)}</bdi>`;
  const count = failed.toLocaleString();
  return html`<tr>
    <th scope="row">${filter ? html`<a href=${callsHref(filter)}>${name}</a>` : name}</th>
    <td>${group.calls.toLocaleString()}</td>
    <td>${filter && failed > 0 ? html`<a href=${callsHref({ ...filter, status: "failed" })} aria-label=${`${count} failed`}>${count}</a>` : count}</td>
    <td>${share(group)}</td>
    <td>${latency(group.responseP50Ms)}</td>
    <td>${latency(group.responseP95Ms)}</td>
    <td>${group.interruptions.toLocaleString()}</td>
    <td>${group.toolsFailed.toLocaleString()}</td>
    <td>${group.errors.toLocaleString()}</td>
  </tr>`;
}
