// Lists of which only the items in view are in the document.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./view.js";

const OVERSCAN_PX = 400;

/** The scroll position and height of an element. Renders again when they change. */
function useViewport(ref) {
  const [viewport, setViewport] = useState({ top: 0, height: 800 });
  useLayoutEffect(() => {
    const element = ref.current;
    const update = () =>
      setViewport((before) =>
        before.top === element.scrollTop && before.height === element.clientHeight
          ? before
          : { top: element.scrollTop, height: element.clientHeight },
      );
    const observer = new ResizeObserver(update);
    observer.observe(element);
    element.addEventListener("scroll", update, { passive: true });
    update();
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", update);
    };
  }, []);
  return viewport;
}

/** The heights of items, measured once they have been drawn and estimated before that, and their offsets. */
class Heights {
  #measured = new Map();
  #offsets = [0];

  constructor(estimate) {
    this.estimate = estimate;
  }

  /** The offset of each item, and the end of the last one. */
  layout(items) {
    const offsets = this.#offsets;
    offsets.length = 1;
    for (let index = 0; index < items.length; index += 1) {
      offsets.push(offsets[index] + this.of(items[index]));
    }
    return offsets;
  }

  of(item) {
    return this.#measured.get(item.key) ?? this.estimate(item);
  }

  /** Note a measured height. Returns whether it is new. Nothing is kept of an item that is as high as estimated. */
  measured(item, height) {
    if (height === 0 || this.of(item) === height) return false;
    this.#measured.set(item.key, height);
    return true;
  }
}

function firstVisible(offsets, top) {
  let [low, high] = [0, offsets.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (offsets[middle + 1] <= top) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * A scrolling list of `items`, each with a `key`. `renderItem(item, index)` returns an element.
 * `follow`: stay at the end while the end is in view. `target`: `{index, nonce}`, an item to scroll to.
 * Other properties go to the scrolling element.
 */
export function WindowedList({
  items,
  renderItem,
  estimate,
  follow = false,
  target = null,
  onFollow,
  inner = {},
  ...rest
}) {
  const scroller = useRef(null);
  const viewport = useViewport(scroller);
  const heights = useMemo(() => new Heights(estimate), [estimate]);
  const [, remeasured] = useState(0);
  const atEnd = useRef(follow);
  const known = useRef(0);
  const offsets = heights.layout(items);
  const total = offsets[items.length];
  const first = items.length ? firstVisible(offsets, viewport.top - OVERSCAN_PX) : 0;
  let last = first;
  while (last < items.length && offsets[last] < viewport.top + viewport.height + OVERSCAN_PX) last += 1;

  useMeasuring(scroller, known, heights, items, offsets, () => remeasured((count) => count + 1));

  useEffect(() => {
    const element = scroller.current;
    const onScroll = () => {
      const isEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
      // Only the user scrolls up. A list that has merely grown has not left its end.
      const wentUp = element.scrollTop < known.current - 1;
      known.current = element.scrollTop;
      const end = isEnd || (atEnd.current && !wentUp);
      if (end !== atEnd.current) onFollow?.(end);
      atEnd.current = end;
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => element.removeEventListener("scroll", onScroll);
  }, [onFollow]);

  useLayoutEffect(() => {
    if (!follow || !atEnd.current) return;
    scroller.current.scrollTop = total;
    known.current = scroller.current.scrollTop;
  }, [total, viewport.height, follow]);

  const lastTarget = useRef({});
  useLayoutEffect(() => {
    if (!target || target.index < 0 || target.index >= items.length) return;
    const settled = lastTarget.current;
    if (settled.nonce === target.nonce && settled.top === offsets[target.index]) return;
    if (settled.nonce === target.nonce && settled.tries > 6) return;
    const tries = settled.nonce === target.nonce ? settled.tries + 1 : 0;
    lastTarget.current = { nonce: target.nonce, top: offsets[target.index], tries };
    scrollTo(scroller.current, offsets, target);
    atEnd.current = target.align === "end";
  });

  const shown = [];
  for (let index = first; index < last; index += 1) {
    const style = { transform: `translateY(${offsets[index]}px)` };
    shown.push(
      html`<div class="windowed-item" role="presentation" data-index=${index} key=${items[index].key} style=${style}>
        ${renderItem(items[index], index)}
      </div>`,
    );
  }
  return html`<div ref=${scroller} ...${rest}>
    <div class="windowed" style=${{ height: `${total}px` }} ...${inner}>${shown}</div>
  </div>`;
}

/** Measure the items shown, and keep the view still if items above it differ from their estimated heights. */
function useMeasuring(scroller, known, heights, items, offsets, changed) {
  useLayoutEffect(() => {
    const element = scroller.current;
    const top = element.scrollTop;
    let [news, above] = [false, 0];
    for (const child of element.firstElementChild.children) {
      const index = Number(child.dataset.index);
      const before = heights.of(items[index]);
      if (!heights.measured(items[index], child.offsetHeight)) continue;
      news = true;
      if (offsets[index] + before <= top) above += child.offsetHeight - before;
    }
    if (above) {
      element.scrollTop = top + above;
      known.current = element.scrollTop;
    }
    if (news) changed();
  });
}

function scrollTo(element, offsets, { index, align = "center" }) {
  const [top, bottom] = [offsets[index], offsets[index + 1]];
  if (align === "end") {
    element.scrollTop = bottom;
  } else if (align === "nearest") {
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
  } else {
    element.scrollTop = Math.max(0, (top + bottom) / 2 - element.clientHeight / 2);
  }
}
