// The transcript of a call, including what is being said right now.
import { sideOfSignal } from "../data/transcript.js";
import { field } from "../data/values.js";
import { Item } from "./transcript_item.js";
import { html, useEffect, useMemo, useRef, useState } from "./view.js";
import { WindowedList } from "./windowed.js";

const estimate = (item) => {
  if (item.kind !== "speech") return 44;
  return 58 + 22 * Math.floor((item.text?.length ?? 40) / 60);
};

/** `target`: `{seq, index, nonce}`, the item to scroll to. `label` tells two transcripts on a page apart. */
export function TranscriptPane({ log, playhead, responseOf, target, label = "Transcript" }) {
  const open = useRef(new Set());
  const [, setOpened] = useState(0);
  const [atEnd, setAtEnd] = useState(target.seq === null);
  const [jump, setJump] = useState(null);
  const items = useMemo(() => shownItems(log, playhead), [log, log.version, playhead]);
  useEffect(() => setJump(null), [target.nonce]);
  const view = {
    sessionId: log.sessionId,
    responseOf,
    target: target.seq,
    ended: log.session.endedAt !== null,
    open: open.current,
    toggle: (key, isOpen) => {
      if (isOpen === open.current.has(key)) return;
      open.current[isOpen ? "add" : "delete"](key);
      setOpened((count) => count + 1);
    },
  };
  const toEnd = () => {
    setAtEnd(true);
    setJump({ index: items.length - 1, align: "end", nonce: {} });
  };
  const inList = target.index >= 0 && target.index < items.length;
  const aim = jump ?? (inList ? { index: target.index, nonce: target.nonce } : null);
  const last = items.findLast((item) => item.kind === "speech");
  return html`<section class="transcript-pane" aria-label=${label}>
    ${items.length === 0 && html`<p class="nothing">${log.caughtUp ? "Nothing has been said yet." : "Loading …"}</p>`}
    <${WindowedList} class="transcript" tabindex="0" role="region" aria-label=${`${label}, scrolls`} inner=${{ role: "list" }} items=${items}
      estimate=${estimate} follow=${true} onFollow=${setAtEnd} target=${aim}
      renderItem=${(item, index) => html`<${Item} item=${item} index=${index} count=${items.length} view=${view} />`} />
    ${!atEnd && items.length > 0 && html`<button type="button" class="to-end" onClick=${toEnd}>↓ Newest</button>`}
    <p class="sr-only" aria-live="polite">${log.caughtUp && atEnd && last?.text ? `${last.side === "user" ? "User" : "Bot"}: ${last.text}` : ""}</p>
  </section>`;
}

/** The items up to the playhead; at the end of the call, with the current signals. */
function shownItems(log, playhead) {
  if (playhead !== null) return log.transcript.itemsAt(playhead);
  if (log.signals.size === 0) return log.transcript.items.slice();
  const signals = [...log.signals].map(([name, payload]) => {
    const text = field(payload, "text");
    const side = typeof text === "string" ? sideOfSignal(name) : null;
    return { key: `signal ${name}`, kind: "signal", side, name, text, payload, seqs: [] };
  });
  return [...log.transcript.items, ...signals];
}
