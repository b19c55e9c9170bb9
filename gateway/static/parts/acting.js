// Actions on a call besides talking to its bot: compare it with another.
import { compareHref, route } from "../data/route.js";
import { html } from "./view.js";

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
