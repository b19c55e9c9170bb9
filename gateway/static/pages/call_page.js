// One call: its transcript, who spoke when, its figures, its replay.

import { CallFigures, CallLog } from "../data/call_log.js";
import { callName } from "../data/calls.js";
import { clockOffset } from "../data/rest.js";
import { callHref, route } from "../data/route.js";
import { duration, spokenDuration } from "../data/times.js";
import { sideOfSignal } from "../data/transcript.js";
import { Item } from "../parts/bubbles.js";
import { FiguresPanel } from "../parts/figures_panel.js";
import { Lanes } from "../parts/lanes.js";
import { Moment } from "../parts/moment.js";
import { Player } from "../parts/player.js";
import {
  html,
  NARROW,
  useClock,
  useEffect,
  useLayoutEffect,
  useMedia,
  useMemo,
  useObservable,
  useRef,
  useState,
} from "../parts/view.js";
import { WindowedList } from "../parts/windowed.js";

export function CallPage({ sessionId, seq, connection }) {
  const log = useMemo(() => new CallLog(connection, sessionId), [sessionId]);
  const figures = useMemo(() => new CallFigures(log), [log]);
  useEffect(() => {
    return () => {
      figures.close();
      log.close();
    };
  }, [log]);
  useObservable(log);
  useObservable(figures);
  useLayoutEffect(() => {
    const onKey = (event) => {
      if (event.key === "Escape" && !/^(INPUT|SELECT)$/.test(event.target.tagName)) route.go("#/");
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);

  const [playhead, setPlayhead] = useState(null);
  const narrow = useMedia(NARROW);
  const [tab, setTab] = useState("transcript");
  const target = useTarget(log, seq);
  const { transcript } = log;
  const pick = (ms) => {
    const item = transcript.items[Math.max(0, transcript.countAt(ms) - 1)];
    if (!item) return;
    setPlayhead(null);
    route.go(callHref(sessionId, item.seqs[0]));
  };
  return html`<main class=${`call ${narrow ? `narrow tab-${tab}` : ""}`} aria-labelledby="call-title">
    <${CallHead} log=${log} />
    ${log.failure && html`<p class="notice" role="alert">${log.failure}</p>`}
    ${log.absent && html`<p class="absent" role="status">There is no call of this id yet. It appears here when it begins.</p>`}
    ${
      log.session &&
      html`<section class="stage" aria-label="Timeline">
      <${Lanes} transcript=${transcript} version=${log.version} playhead=${playhead} onPick=${pick} />
      <${Player} transcript=${transcript} playhead=${playhead} setPlayhead=${setPlayhead} />
      ${!narrow && html`<${GoTo} log=${log} target=${target} />`}
    </section>`
    }
    ${
      narrow &&
      log.session &&
      html`<div class="tabs" role="group" aria-label="Part of the call">
      ${["transcript", "figures"].map((name) => html`<button type="button" key=${name} aria-pressed=${tab === name} onClick=${() => setTab(name)}>${name}</button>`)}
      <${GoTo} log=${log} target=${target} />
    </div>`
    }
    ${
      log.session &&
      html`<div class="panes">
      <${TranscriptPane} log=${log} playhead=${playhead} responseOf=${figures.responseOf} target=${target} />
      <${FiguresPanel} log=${log} figures=${figures.figures} failure=${figures.failure} />
    </div>`
    }
  </main>`;
}

/** The seq of the address as a place in the list, once it is there: `{seq, index, nonce}`. */
function useTarget(log, seq) {
  const nonce = useMemo(() => ({}), [seq]);
  const index = seq === null ? -1 : log.transcript.indexOfSeq(seq);
  return { seq, index, nonce, missing: seq !== null && index < 0 && log.caughtUp };
}

function CallHead({ log }) {
  const now = useClock(1000) + clockOffset;
  const { session } = log;
  const back = html`<a class="back" href="#/" aria-label="Back to the calls">←</a>`;
  if (!session)
    return html`<header class="call-head">${back}<div class="title"><h1 id="call-title">${log.sessionId}</h1></div></header>`;
  const lasted = (session.endedAt ? Date.parse(session.endedAt) : now) - Date.parse(session.startedAt);
  const name = callName(session);
  return html`<header class="call-head">
    ${back}
    <div class="title">
      <h1 id="call-title">${name}</h1>
      ${name !== session.sessionId && html`<span class="id">${session.sessionId}</span>`}
    </div>
    <p class="facts">
      <span class=${`badge ${session.status}`}><span class=${`dot ${session.status}`}></span>${session.status}</span>
      ${session.endReason && html`<span>${session.endReason.replaceAll("_", " ")}</span>`}
      <span>${session.language}</span>
      <span class="duration" role="img" aria-label=${spokenDuration(lasted)}>${duration(lasted)}</span>
      <span class="since">since <${Moment} at=${session.startedAt} /></span>
      <span class="events">${log.lastSeq < log.head ? html`<progress max=${log.head} value=${log.lastSeq} aria-label="Events loaded" /> ${log.lastSeq} of ${log.head}` : log.lastSeq} events</span>
    </p>
  </header>`;
}

/** Go to any seq. */
function GoTo({ log, target }) {
  const submit = (event) => {
    event.preventDefault();
    const seq = Number.parseInt(new FormData(event.currentTarget).get("seq"), 10);
    if (seq > 0) route.go(callHref(log.sessionId, seq));
  };
  return html`<form class="go-to" onSubmit=${submit}>
    <label><span class="words">Go to </span># <input name="seq" type="number" min="1" inputmode="numeric" defaultValue=${target.seq ?? ""} key=${target.seq} /></label>
    <button type="submit">Go</button>
    ${target.missing && html`<span role="status">Event ${target.seq} is not there yet.</span>`}
  </form>`;
}

const estimate = (item) => {
  if (item.kind !== "speech") return 44;
  return 58 + 22 * Math.floor((item.text?.length ?? 40) / 60);
};

function TranscriptPane({ log, playhead, responseOf, target }) {
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
  const aim =
    jump ?? (target.index >= 0 && target.index < items.length ? { index: target.index, nonce: target.nonce } : null);
  const last = items.findLast((item) => item.kind === "speech");
  return html`<section class="transcript-pane" aria-label="Transcript">
    ${items.length === 0 && html`<p class="nothing">${log.caughtUp ? "Nothing has been said yet." : "Loading …"}</p>`}
    <${WindowedList} class="transcript" tabindex="0" role="region" aria-label="Transcript, scrolls" inner=${{ role: "list" }} items=${items}
      estimate=${estimate} follow=${true} onFollow=${setAtEnd} target=${aim}
      renderItem=${(item, index) => html`<${Item} item=${item} index=${index} count=${items.length} view=${view} />`} />
    ${!atEnd && items.length > 0 && html`<button type="button" class="to-end" onClick=${toEnd}>↓ Newest</button>`}
    <p class="sr-only" aria-live="polite">${log.caughtUp && atEnd && last?.text ? `${last.side === "user" ? "User" : "Bot"}: ${last.text}` : ""}</p>
  </section>`;
}

/** What there was at the playhead; at the end, also what is being said this moment. */
function shownItems(log, playhead) {
  const { items } = log.transcript;
  if (playhead !== null) return items.slice(0, log.transcript.countAt(playhead));
  if (log.signals.size === 0) return items.slice();
  const signals = [...log.signals].map(([name, payload]) => ({
    key: `signal ${name}`,
    kind: "signal",
    side: typeof payload.text === "string" ? sideOfSignal(name) : null,
    name,
    payload,
    seqs: [],
  }));
  return [...items, ...signals];
}
