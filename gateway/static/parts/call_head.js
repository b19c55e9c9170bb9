// The head of a call: name, status, times, and why it needs attention.
import { callName } from "../data/calls.js";
import { clockOffset } from "../data/rest.js";
import { route } from "../data/route.js";
import { duration, spokenDuration } from "../data/times.js";
import { Moment } from "./moment.js";
import { Reasons } from "./reasons.js";
import { html, useClock, useTitle } from "./view.js";

/** How long a call lasted, or has lasted until `now`, on the gateway's clock. In milliseconds. */
export function lasted({ startedAt, endedAt }, now = Date.now() + clockOffset) {
  return Math.max(0, (endedAt ? Date.parse(endedAt) : now) - Date.parse(startedAt));
}

export function CallHead({ log, reasons }) {
  useClock(1000);
  const { session } = log;
  const name = session ? callName(session) : log.sessionId;
  useTitle(`${session?.endedAt === null ? "● " : ""}${name} · Turnwire`);
  const back = html`<a class="back" href=${route.calls} aria-label="Back to the calls">←</a>`;
  if (!session) {
    return html`<header class="call-head">${back}<div class="title"><h1 id="call-title">${name}</h1></div></header>`;
  }
  const ms = lasted(session);
  return html`<header class="call-head">
    ${back}
    <div class="title">
      <h1 id="call-title" title=${name}><bdi>${name}</bdi></h1>
      ${name !== session.sessionId && html`<bdi class="id">${session.sessionId}</bdi>`}
    </div>
    <div class="facts">
      <${Reasons} reasons=${reasons.filter(({ kind }) => kind !== "failed")} />
      <span class=${`badge ${session.status}`}><span class=${`dot ${session.status}`}></span>${session.status}</span>
      ${session.endReason && html`<bdi class="end-reason" title=${session.endReason}>${session.endReason}</bdi>`}
      <bdi class="language">${session.language}</bdi>
      <span class="duration" role="img" aria-label=${spokenDuration(ms)}>${duration(ms)}</span>
      <span class="since">started <${Moment} at=${session.startedAt} />${session.endedAt && html`, ended <${Moment} at=${session.endedAt} />`}</span>
      <span class="events">${log.lastSeq < log.head ? html`<progress max=${log.head} value=${log.lastSeq} aria-label="Events loaded" /> ${log.lastSeq} of ${log.head}` : log.lastSeq} events</span>
    </div>
  </header>`;
}
