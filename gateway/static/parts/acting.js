// Actions on a call besides talking to its bot: compare it with another, erase it.
import { credential } from "../data/credential.js";
import { ask, sessionPath } from "../data/rest.js";
import { compareHref, route } from "../data/route.js";
import { Dialog } from "./dialog.js";
import { html, useState } from "./view.js";

/** The button that erases a call, and the question before it. */
export function EraseCall({ sessionId }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  if (!credential.may("session:delete")) return null;
  return html`<button type="button" onClick=${() => setOpen(true)}>Erase the call …</button>
    <${Dialog} open=${open} close=${close} title="Erase the call"><${EraseForm} sessionId=${sessionId} close=${close} /><//>`;
}

function EraseForm({ sessionId, close }) {
  const [failure, setFailure] = useState(null);
  const erase = async (event) => {
    event.preventDefault();
    const force = new FormData(event.currentTarget).has("force") ? "?force=true" : "";
    try {
      await ask(sessionPath(sessionId, force), { method: "DELETE" });
      route.go(route.calls);
    } catch (error) {
      setFailure(error);
    }
  };
  return html`<form class="end-form" onSubmit=${erase}>
    <p>Erase <bdi class="erased-id">${sessionId}</bdi> with all that was said, its metadata and its figures? This cannot be undone.</p>
    ${failure && html`<p class="notice" role="alert">${failure.status === 409 ? "Its bot is connected." : failure.message}</p>`}
    ${failure?.status === 409 && html`<label><input type="checkbox" name="force" /> Cut off its bot</label>`}
    <div class="ways"><button type="button" onClick=${close}>Keep it</button><button type="submit" class="danger">Erase the call</button></div>
  </form>`;
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
