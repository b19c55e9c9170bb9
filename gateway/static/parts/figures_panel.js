// The panel beside a transcript: the figures that the gateway computes, exports, actions, and the session's fields.
import { callText, EXPORTS, exportCall } from "../data/export.js";
import { textOf } from "../data/values.js";
import { CopyButton } from "./copy_button.js";
import { Figures } from "./figures.js";
import { Moment } from "./moment.js";
import { html, useState } from "./view.js";

export function FiguresPanel({ log, figures, failure, children }) {
  const none = failure ? `There are no figures. ${failure}` : "Figures appear once the call has been read.";
  return html`<aside class="figures" aria-label="Figures">
    ${figures ? html`<${Figures} figures=${figures} ended=${log.session.endedAt !== null} />` : html`<p class="nothing">${none}</p>`}
    <${Export} log=${log} />
    ${children}
    <${Details} session=${log.session} />
  </aside>`;
}

function Export({ log }) {
  const [failure, setFailure] = useState(null);
  const run = async (format) => {
    setFailure(null);
    try {
      await exportCall(log.sessionId, format);
    } catch (error) {
      setFailure(error.message);
    }
  };
  return html`<h2>Export</h2>
    <p class="exports">
      ${Object.entries(EXPORTS).map(([format, { label }]) => html`<button type="button" key=${format} onClick=${() => run(format)}>${label}</button>`)}
      <${CopyButton} label="Copy transcript" read=${() => callText(log.sessionId)} onFailure=${setFailure} />
    </p>
    ${failure && html`<p class="notice" role="alert">${failure}</p>`}`;
}

function Details({ session }) {
  return html`<h2>Session</h2>
    <dl class="details">
      <dt>Id</dt><dd><code>${session.sessionId}</code></dd>
      <dt>Started</dt><dd><${Moment} at=${session.startedAt} full /></dd>
      <dt>Ended</dt><dd><${Moment} at=${session.endedAt} full /></dd>
      ${session.endReason && html`<dt>Reason</dt><dd>${session.endReason}</dd>`}
      <dt>Language</dt><dd>${session.language}</dd>
      ${Object.entries(session.metadata).map(([name, value]) => html`<dt key=${`metadata ${name}`}>${name}</dt><dd>${textOf(value)}</dd>`)}
    </dl>`;
}
