// The page of one call: transcript, timeline, figures, replay.

import { attention } from "../data/attention.js";
import { CallFigures, CallLog } from "../data/call_log.js";
import { summaryOf } from "../data/calls.js";
import { callHref, route } from "../data/route.js";
import { CompareWith, EraseCall } from "../parts/acting.js";
import { CallHead, lasted } from "../parts/call_head.js";
import { CommandBar } from "../parts/command_bar.js";
import { CopyButton } from "../parts/copy_button.js";
import { FiguresPanel } from "../parts/figures_panel.js";
import { Lanes } from "../parts/lanes.js";
import { Player } from "../parts/player.js";
import { TranscriptPane } from "../parts/transcript_pane.js";
import {
  html,
  NARROW,
  useClock,
  useEffect,
  useKey,
  useMedia,
  useMemo,
  useObservable,
  useState,
} from "../parts/view.js";

/** The log and the figures of a call, kept as long as the component is mounted. */
export function useCall(connection, sessionId) {
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
  return { log, figures };
}

/** The end of a call's timeline, in milliseconds: the end of the last event or of the call, whichever is later. */
export function endOf({ transcript, session, lastSeq }) {
  return Math.max(1000, transcript.end, session && lastSeq > 0 ? lasted(session) : 0);
}

export function CallPage({ sessionId, seq, at, connection, calls }) {
  const { log, figures } = useCall(connection, sessionId);
  useKey("Escape", () => route.go(route.calls));
  const [playhead, setPlayhead] = useState(at);
  useEffect(() => setPlayhead(at), [at]);
  const narrow = useMedia(NARROW);
  const [tab, setTab] = useState("transcript");
  const target = useTarget(log, seq);
  useClock(log.session?.endedAt === null ? 1000 : 60000);
  const reasons = useReasons(log, figures.figures, calls);
  const { transcript } = log;
  const end = endOf(log);
  const pick = (ms) => {
    const item = transcript.itemsAt(ms).reduce((last, each) => (last && last.at > each.at ? last : each), null);
    if (!item) return;
    setPlayhead(null);
    route.go(callHref(sessionId, { seq: item.seqs[0] }));
  };
  const moment = () => new URL(callHref(sessionId, { at: playhead ?? end }), location.href).href;
  return html`<main class=${`call ${narrow ? `narrow tab-${tab}` : ""}`} aria-labelledby="call-title">
    <${CallHead} log=${log} reasons=${reasons} />
    ${log.failure && html`<p class="notice" role="alert">${log.failure}</p>`}
    ${log.absent && html`<p class="absent" role="status">There is no call with this id yet. It appears here when it begins.</p>`}
    ${
      log.session &&
      html`<section class="stage" aria-label="Timeline">
      <${Lanes} transcript=${transcript} end=${end} version=${log.version} playhead=${playhead} onPick=${pick} />
      <${Player} end=${end} playhead=${playhead} setPlayhead=${setPlayhead}>
        <${CopyButton} label="Copy link" read=${moment} />
      <//>
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
      <${CommandBar} log=${log} />
      <${FiguresPanel} log=${log} figures=${figures.figures} failure=${figures.failure}>
        <h2>More</h2>
        <div class="acting">
          <${CompareWith} sessionId=${sessionId} known=${calls.ids().filter((id) => id !== sessionId)} />
          <${EraseCall} sessionId=${sessionId} />
        </div>
      <//>
    </div>`
    }
  </main>`;
}

/** The seq in the address and its index in the transcript, once it is loaded: `{seq, index, nonce, missing}`. */
function useTarget(log, seq) {
  const nonce = useMemo(() => ({}), [seq]);
  const index = seq === null ? -1 : log.transcript.indexOfSeq(seq);
  return { seq, index, nonce, missing: seq !== null && index < 0 && log.caughtUp };
}

/** Why the call needs attention, as in the list. */
function useReasons(log, figures, calls) {
  useObservable(calls.live);
  if (!log.session || !log.caughtUp) return [];
  const row = calls.live.rows.get(log.sessionId);
  const summary = row?.summary ?? (figures && summaryOf(figures));
  const heardAt = Math.max(row?.heardAt ?? 0, row ? 0 : log.heardAt);
  const botState = log.transcript.states.bot ?? row?.botState;
  return attention({ session: log.session, summary, heardAt, botState }, calls.live.connection.trueAt);
}

/** A form to go to any seq. */
function GoTo({ log, target }) {
  const submit = (event) => {
    event.preventDefault();
    const seq = Number.parseInt(new FormData(event.currentTarget).get("seq"), 10);
    if (seq > 0) route.go(callHref(log.sessionId, { seq }));
  };
  return html`<form class="go-to" onSubmit=${submit}>
    <label><span class="words">Go to </span># <input name="seq" type="number" min="1" inputmode="numeric" defaultValue=${target.seq ?? ""} key=${target.seq} /></label>
    <button type="submit">Go</button>
    ${target.missing && html`<span role="status">There is no event ${target.seq} yet.</span>`}
  </form>`;
}
