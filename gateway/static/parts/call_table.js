// The list of calls as a table with keyboard navigation. Only rows in view are drawn.
import { oldestFirst } from "../data/calls.js";
import { CallRow, Columns } from "./call_row.js";
import { html, NARROW, useEffect, useMedia, useRef, useState } from "./view.js";
import { WindowedList } from "./windowed.js";

const ROW = { wide: 53, narrow: 101 };
const HEADING = 42;
const height = (row) => (item) => (item.kind === "heading" ? HEADING : item.kind === "gap" ? item.count * row : row);
const wideHeight = height(ROW.wide);
const narrowHeight = height(ROW.narrow);
const PAGES_SEARCHED_AT_ONCE = 10;
/** The distance from the top, in pixels, from which on the list offers a way back. */
const FAR_PX = 3000;

// The focused call; remembered while another page is shown.
let focused = null;

export function CallTable({ calls, items, now }) {
  const narrow = useMedia(NARROW);
  const { past } = calls;
  const places = items.flatMap((item, index) => (item.kind === "call" ? [index] : []));
  const placeOf = (sessionId) => places.findIndex((index) => items[index].row.session.sessionId === sessionId);
  const [target, setTarget] = useState(null);
  const table = useRef(null);
  const tabStop = placeOf(focused) >= 0 ? focused : items[places[0]]?.row.session.sessionId;

  const { isFar, goToEnd } = useEnds(table, items, {
    depart: () => setTarget(null), // the list would go back to it
    arrive: (end) => goTo(end === "Home" ? 0 : places.length - 1),
  });

  const focus = () =>
    table.current.querySelector(`[data-call="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  useEffect(() => {
    if (target) focus();
  }, [target]);
  useEffect(() => {
    const place = focused === null ? -1 : placeOf(focused);
    if (place >= 0) goTo(place);
  }, []);

  function goTo(place) {
    const index = places[Math.max(0, Math.min(places.length - 1, place))];
    focused = items[index].row.session.sessionId;
    setTarget({ index, align: "nearest", nonce: {} });
    focus(); // at once if the row is drawn already, so that the next key finds it
  }

  function onKeyDown(event) {
    if (!event.target.dataset?.call) return;
    const at = placeOf(event.target.dataset.call);
    const page = Math.max(1, Math.floor(table.current.clientHeight / 60) - 1);
    const moves = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
    };
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Home" || event.key === "End") goToEnd(event.key);
    else if (Object.hasOwn(moves, event.key)) goTo(moves[event.key]);
    else return;
    event.preventDefault();
  }

  const onFocus = (sessionId) => {
    focused = sessionId;
  };
  const renderItem = (item) => {
    if (item.kind === "heading") return html`<${Heading} item=${item} />`;
    if (item.kind === "gap") return html`<${Gap} past=${past} item=${item} row=${narrow ? ROW.narrow : ROW.wide} />`;
    if (item.kind === "more") return html`<${More} past=${past} limited=${calls.filter.searchesHere} />`;
    if (item.kind === "newer") return html`<${Newer} past=${past} />`;
    const focusable = item.row.session.sessionId === tabStop;
    return html`<${CallRow} past=${past} row=${item.row} now=${now} narrow=${narrow} focusable=${focusable} onFocus=${onFocus} />`;
  };
  return html`<div class="call-list">
    <div class="call-table" role="table" aria-label="Calls" aria-rowcount=${past.atEnd ? places.length : -1} ref=${table} onKeyDown=${onKeyDown}>
      <${Columns} />
      <${WindowedList} class="call-scroller" role="presentation" inner=${{ role: "rowgroup" }} items=${items}
        renderItem=${renderItem} estimate=${narrow ? narrowHeight : wideHeight} target=${target} />
    </div>
    ${isFar && html`<button type="button" class="to-top" onClick=${() => goToEnd("Home")}>↑ ${calls.filter.compare === oldestFirst ? "Oldest" : "Newest"}</button>`}
  </div>`;
}

/**
 * The ways to both ends of the list, "Home" and "End". `arrive(end)` is called as soon as the calls at that end are in memory,
 * and `depart()` before that, if they must be read first. Returns `{isFar, goToEnd}`: whether the top is far away, and a
 * function that goes to the given end.
 */
function useEnds(table, items, { depart, arrive }) {
  const [isFar, setFar] = useState(false);
  const wanted = useRef(null);
  const scroller = () => table.current.querySelector(".call-scroller");
  useEffect(() => {
    const list = scroller();
    const look = () => {
      const left = { Home: list.scrollTop, End: list.scrollHeight - list.scrollTop - list.clientHeight };
      setFar(left.Home > FAR_PX);
      if (left[wanted.current] > FAR_PX) wanted.current = null; // the user has scrolled away
    };
    list.addEventListener("scroll", look, { passive: true });
    return () => list.removeEventListener("scroll", look);
  }, []);
  useEffect(() => {
    if (wanted.current !== null && isThere(items, wanted.current)) goToEnd(wanted.current);
  });
  function goToEnd(end) {
    const there = isThere(items, end);
    wanted.current = there ? null : end;
    if (there) return arrive(end);
    depart();
    scroller().scrollTop = end === "Home" ? 0 : scroller().scrollHeight;
  }
  return { isFar, goToEnd };
}

/** Whether the calls at this end of the list are in memory. */
function isThere(items, end) {
  const inOrder = end === "Home" ? items : items.toReversed();
  return inOrder.find(({ kind }) => kind === "call" || kind === "gap")?.kind === "call";
}

function Heading({ item }) {
  return html`<div role="row" class="group"><div role="cell">
    <h2 class=${item.name}>${item.label} <span class="number">${item.count}</span></h2>
  </div></div>`;
}

/** Calls that are no longer in memory. They are read again when they come into view. */
function Gap({ past, item, row }) {
  useEffect(() => {
    past.reload(item.page);
  });
  return html`<div role="row" class="gap" style=${{ height: `${item.count * row}px` }}><div role="cell">${item.count} calls …</div></div>`;
}

/** The end of the loaded calls. More are loaded automatically. A search that only this page can do pauses after some pages. */
function More({ past, limited }) {
  const [allowed, setAllowed] = useState(PAGES_SEARCHED_AT_ONCE);
  const pages = past.pages.length;
  const waits = past.failure !== null || (limited && pages >= allowed);
  useEffect(() => {
    if (!waits) past.loadNext();
  }, [pages, waits]);
  const goOn = () => {
    setAllowed(pages + PAGES_SEARCHED_AT_ONCE);
    past.loadNext();
  };
  return html`<div role="row" class="older"><div role="cell">
    ${waits ? html`<button type="button" onClick=${goOn}>${past.failure ? "Try again" : "Search older calls"}</button>` : html`<span class="soft">Loading older calls …</span>`}
  </div></div>`;
}

function Newer({ past }) {
  return html`<div role="row" class="older"><div role="cell">
    <button type="button" onClick=${() => past.show(past.filter)}>Newer calls have ended. Show them</button>
  </div></div>`;
}
