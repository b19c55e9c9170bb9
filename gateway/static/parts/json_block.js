import { textOf } from "../data/values.js";
import { html } from "./view.js";

/** Any JSON value, indented, with its numbers as they were sent. */
export function JsonBlock({ title, value, bad = false }) {
  return html`<h4>${title}</h4>
    <pre class=${bad ? "bad" : ""} tabindex="0" role="region" aria-label=${title}>${textOf(value, 2)}</pre>`;
}
