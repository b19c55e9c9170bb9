// The list of calls: those that want attention, those that go on, those that have ended.
import { attention, urgency } from "../data/attention.js";
import { haystack, isLive } from "../data/calls.js";
import { clockOffset } from "../data/rest.js";
import { CallRow, Columns } from "../parts/call_row.js";
import { NoCalls, NothingFound } from "../parts/empty.js";
import {
  html,
  NARROW,
  useClock,
  useEffect,
  useLayoutEffect,
  useMedia,
  useObservable,
  useRef,
  useState,
} from "../parts/view.js";
import { WindowedList } from "../parts/windowed.js";

const STATUSES = {
  "": "All states",
  live: "Live",
  initiated: "Initiated",
  active: "Active",
  completed: "Completed",
  failed: "Failed",
};

// Kept while another page is shown.
const kept = { text: "", status: "", language: "", focused: null };

function noteFocus(sessionId) {
  kept.focused = sessionId;
}

export function CallsPage({ calls }) {
  useObservable(calls);
  useObservable(calls.connection);
  const now = useClock(1000) + clockOffset;
  const [, setFilterVersion] = useState(0);
  const setFilter = (change) => {
    Object.assign(kept, change);
    setFilterVersion((version) => version + 1);
  };
  // While nothing is heard of the gateway, nobody knows whether a call has gone quiet.
  const groups = grouped(calls, calls.connection.trueAt + clockOffset);
  const shown = groups.attention.length + groups.live.length + groups.recent.length;
  return html`<main class="calls" aria-labelledby="calls-title">
    <h1 id="calls-title" class="sr-only">Calls</h1>
    ${calls.rows.size > 0 && html`<${Filters} groups=${groups} setFilter=${setFilter} />`}
    ${calls.failure && html`<p class="notice" role="alert">${calls.failure}</p>`}
    ${
      calls.rows.size === 0
        ? calls.loaded && html`<${NoCalls} />`
        : shown === 0
          ? html`<${NothingFound} clear=${() => setFilter({ text: "", status: "", language: "" })} />`
          : html`<${CallTable} calls=${calls} groups=${groups} now=${now} />`
    }
    <${Announcer} rows=${groups.attention} />
  </main>`;
}

function grouped(calls, now) {
  const groups = { attention: [], live: [], recent: [], total: 0, languages: new Set() };
  const text = kept.text.trim().toLowerCase();
  for (const row of calls.rows.values()) {
    const { status, language } = row.session;
    groups.languages.add(language);
    const live = isLive(row);
    if (live) groups.total += 1;
    if (kept.status && kept.status !== status && !(kept.status === "live" && live)) continue;
    if (kept.language && kept.language !== language) continue;
    if (text && !haystack(row).includes(text)) continue;
    row.reasons = attention(row, now);
    row.urgency = live ? urgency(row.reasons) : 0;
    groups[row.urgency ? "attention" : live ? "live" : "recent"].push(row);
  }
  groups.attention.sort((a, b) => b.urgency - a.urgency || newestFirst(a, b));
  groups.live.sort(newestFirst);
  groups.recent.sort((a, b) => compare(b.session.endedAt, a.session.endedAt) || newestFirst(a, b));
  return groups;
}

function newestFirst(a, b) {
  return compare(b.session.startedAt, a.session.startedAt) || compare(a.session.sessionId, b.session.sessionId);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function Filters({ groups, setFilter }) {
  const search = useRef(null);
  useLayoutEffect(() => {
    // the key works as soon as the field is to be seen
    const onKey = (event) => {
      if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      event.preventDefault();
      search.current.focus();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  const languages = [...groups.languages].sort();
  return html`<search class="filters" aria-label="Filter calls">
    <p class="count"><strong>${groups.total}</strong> live${
      groups.attention.length > 0 && html`, <span class="warn-text">${groups.attention.length} to look at</span>`
    }</p>
    <input ref=${search} type="search" aria-label="Search calls" aria-keyshortcuts="/" placeholder="Search text, id, bot …  ( / )"
      value=${kept.text} onInput=${(event) => setFilter({ text: event.currentTarget.value })} />
    <select aria-label="State" value=${kept.status} onChange=${(event) => setFilter({ status: event.currentTarget.value })}>
      ${Object.entries(STATUSES).map(([value, label]) => html`<option value=${value} key=${value}>${label}</option>`)}
    </select>
    <select aria-label="Language" value=${kept.language} onChange=${(event) => setFilter({ language: event.currentTarget.value })}>
      <option value="">All languages</option>
      ${languages.map((language) => html`<option value=${language} key=${language}>${language}</option>`)}
    </select>
  </search>`;
}

const HEADINGS = { attention: "Attention", live: "Live", recent: "Recent" };

function listItems(groups, calls) {
  const items = [];
  for (const [name, label] of Object.entries(HEADINGS)) {
    const rows = groups[name];
    if (rows.length === 0) continue;
    items.push({ key: `heading ${name}`, kind: "heading", name, label, count: rows.length });
    for (const row of rows) items.push({ key: `call ${row.session.sessionId}`, kind: "call", row, name });
  }
  if (calls.olderLeft) items.push({ key: "older", kind: "older" });
  return items;
}

const wideHeight = (item) => (item.kind === "heading" ? 42 : 53);
const narrowHeight = (item) => (item.kind === "heading" ? 42 : 92);

function CallTable({ calls, groups, now }) {
  const narrow = useMedia(NARROW);
  const items = listItems(groups, calls);
  const places = items.flatMap((item, index) => (item.kind === "call" ? [index] : []));
  const [target, setTarget] = useState(null);
  const table = useRef(null);
  const focusedExists = places.some((index) => items[index].row.session.sessionId === kept.focused);
  const tabStop = focusedExists ? kept.focused : items[places[0]]?.row.session.sessionId;

  const focus = () =>
    table.current.querySelector(`[data-call="${CSS.escape(kept.focused)}"]`)?.focus({ preventScroll: true });
  useEffect(() => {
    if (target) focus();
  }, [target]);
  useEffect(() => {
    if (kept.focused && focusedExists)
      goTo(places.findIndex((index) => items[index].row.session.sessionId === kept.focused));
  }, []);

  function goTo(place) {
    const index = places[Math.max(0, Math.min(places.length - 1, place))];
    kept.focused = items[index].row.session.sessionId;
    setTarget({ index, align: "nearest", nonce: {} });
    focus(); // at once if it is drawn already, so that the next key finds it
  }

  function onKeyDown(event) {
    if (!event.target.dataset?.call) return;
    const at = places.findIndex((index) => items[index].row.session.sessionId === event.target.dataset.call);
    const page = Math.max(1, Math.floor(table.current.clientHeight / 60) - 1);
    const moves = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: places.length - 1,
    };
    if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    goTo(moves[event.key]);
  }

  const renderItem = (item) => {
    if (item.kind === "heading") return html`<${Heading} item=${item} />`;
    if (item.kind === "older") return html`<${Older} calls=${calls} />`;
    const focusable = item.row.session.sessionId === tabStop;
    return html`<${CallRow} calls=${calls} row=${item.row} now=${now} focusable=${focusable} onFocus=${noteFocus} />`;
  };
  return html`<div class="call-table" role="table" aria-label="Calls" aria-rowcount=${places.length} ref=${table} onKeyDown=${onKeyDown}>
    <${Columns} />
    <${WindowedList} class="call-scroller" role="presentation" inner=${{ role: "rowgroup" }} items=${items}
      renderItem=${renderItem} estimate=${narrow ? narrowHeight : wideHeight} target=${target} />
  </div>`;
}

function Heading({ item }) {
  return html`<div role="row" class="group"><div role="cell">
    <h2 class=${item.name}>${item.label} <span class="number">${item.count}</span></h2>
  </div></div>`;
}

function Older({ calls }) {
  return html`<div role="row" class="older"><div role="cell">
    <button type="button" disabled=${calls.loadingOlder} onClick=${() => calls.loadOlder()}>Load older calls</button>
  </div></div>`;
}

/** Says to a screen reader which calls have come to want attention. */
function Announcer({ rows }) {
  const known = useRef(new Set());
  const text = useRef("");
  const ids = new Set(rows.map((row) => row.session.sessionId));
  const fresh = rows.filter((row) => !known.current.has(row.session.sessionId));
  known.current = ids;
  if (fresh.length) {
    text.current =
      fresh.length > 3
        ? `${fresh.length} more calls need attention`
        : fresh.map((row) => `${row.session.sessionId}: ${row.reasons[0].label}`).join("; ");
  }
  return html`<p class="sr-only" aria-live="polite">${text.current}</p>`;
}
