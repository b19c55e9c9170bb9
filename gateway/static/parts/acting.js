// Actions on a call: end it, or compare it with another.
import { credential } from "../data/credential.js";
import { ask, sessionPath } from "../data/rest.js";
import { compareHref, route } from "../data/route.js";
import { Dialog } from "./dialog.js";
import { html, useState } from "./view.js";

export function EndCall({ session }) {
  const [open, setOpen] = useState(false);
  const [failure, setFailure] = useState(null);
  const end = async (event) => {
    event.preventDefault();
    const words = new FormData(event.currentTarget);
    const reason = words.get("reason").trim();
    try {
      const send = { status: words.get("status"), ...(reason && { reason }) };
      await ask(sessionPath(session.sessionId, "/complete"), { send });
      setOpen(false);
    } catch (error) {
      setFailure(error.message);
    }
  };
  if (session.endedAt || !credential.may("session:complete")) return null;
  return html`<button type="button" onClick=${() => setOpen(true)}>End the call …</button>
    <${Dialog} open=${open} close=${() => setOpen(false)} title="End the call">
      <form class="end-form" onSubmit=${end}>
        <p>This ends the session permanently. It does not hang up the phone: a connected bot is told that the session has ended.</p>
        <label>End it as <select name="status"><option value="completed">completed</option><option value="failed">failed</option></select></label>
        <label>Reason <input name="reason" maxlength="256" /></label>
        ${failure && html`<p class="notice" role="alert">${failure}</p>`}
        <button type="submit" class="danger">End the call</button>
      </form>
    <//>`;
}

/** A form to choose another call. `known`: the ids to choose from; any other id may be typed. */
export function CompareWith({ sessionId, known }) {
  const submit = (event) => {
    event.preventDefault();
    const other = new FormData(event.currentTarget).get("other").trim();
    if (other) route.go(compareHref(sessionId, other));
  };
  return html`<form class="compare-form" onSubmit=${submit}>
    <label>Compare with <input name="other" list="known-calls" autocomplete="off" placeholder="session id" /></label>
    <datalist id="known-calls">${known.map((id) => html`<option value=${id} key=${id}></option>`)}</datalist>
    <button type="submit">Compare</button>
  </form>`;
}
