// The page with the list of calls: those that need attention, those that are live, those that have ended.

import { credential } from "../data/credential.js";
import { features } from "../data/features.js";
import { wantsPast } from "../data/filter.js";
import { listItems, liveGroups, pastItems } from "../data/list_items.js";
import { clockOffset } from "../data/rest.js";
import { route } from "../data/route.js";
import { CallTable } from "../parts/call_table.js";
import { NoCalls, NothingFound, NotListed } from "../parts/empty.js";
import { Filters } from "../parts/filters.js";
import { html, useClock, useEffect, useObservable, useRef, useState, useTitle } from "../parts/view.js";

export function CallsPage({ calls, values }) {
  if (credential.may("session:list")) return html`<${Listed} calls=${calls} values=${values} />`;
  return html`<main class="calls"><${NotListed} /></main>`;
}

function Listed({ calls, values }) {
  const { live, past } = calls;
  useObservable(live);
  useObservable(past);
  useObservable(live.connection);
  useObservable(features);
  useClock(1000);
  calls.apply(values);
  const change = (changes) => route.filter({ ...route.current.filter, ...changes });
  // A call does not become quiet while the gateway is silent.
  const now = live.connection.trueAt;
  const groups = liveGroups(calls, now);
  const recent = wantsPast(values) ? pastItems(calls, now) : { items: [], count: "0" };
  const items = listItems(groups, recent);
  const urgent = groups.attention.length;
  useTitle(`${urgent > 0 ? `(${urgent}) ` : ""}Calls · Turnwire`);
  const known = live.loaded && past.loaded;
  const isFiltered = Object.entries(values).some(([name, value]) => value && name !== "order");
  const isEmpty = items.every((item) => item.kind === "more");
  const failure = live.failure ?? past.failure;
  return html`<main class="calls" aria-labelledby="calls-title">
    <h1 id="calls-title" class="sr-only">Calls</h1>
    ${(isFiltered || !isEmpty) && html`<${Filters} values=${values} change=${change} languages=${languages(calls, values)} live=${live.rows.size} urgent=${urgent} />`}
    ${failure && html`<p class="notice" role="alert">${failure}</p>`}
    ${shown()}
    <${Announcer} rows=${groups.attention} />
  </main>`;

  function shown() {
    if (!isEmpty || (!past.atEnd && (known || past.failure)))
      return html`<${CallTable} calls=${calls} items=${items} now=${Date.now() + clockOffset} />`;
    if (!known) return null;
    return isFiltered ? html`<${NothingFound} clear=${() => route.filter({})} />` : html`<${NoCalls} />`;
  }
}

function languages(calls, values) {
  const seen = new Set(values.language ? [values.language] : []);
  for (const row of calls.live.rows.values()) seen.add(row.session.language);
  for (const row of calls.held()) seen.add(row.session.language);
  return [...seen].sort();
}

/** Announces to screen readers the calls that newly need attention. */
function Announcer({ rows }) {
  const known = useRef(new Set());
  const [text, setText] = useState("");
  useEffect(() => {
    const fresh = rows.filter((row) => !known.current.has(row.session.sessionId));
    known.current = new Set(rows.map((row) => row.session.sessionId));
    if (fresh.length > 3) setText(`${fresh.length} more calls need attention`);
    else if (fresh.length) setText(fresh.map((row) => `${row.session.sessionId}: ${row.reasons[0].label}`).join("; "));
  }, [rows.map((row) => row.session.sessionId).join("\n")]);
  return html`<p class="sr-only" aria-live="polite">${text}</p>`;
}
