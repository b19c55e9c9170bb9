import { html } from "./view.js";

/** Why a call needs attention: at most `most` reasons, and how many more there are. */
export function Reasons({ reasons, most = Number.POSITIVE_INFINITY }) {
  if (reasons.length === 0) return null;
  const hidden = reasons.slice(most);
  return html`<span class="reasons">
    ${reasons.slice(0, most).map(({ kind, label }) => html`<bdi class=${`reason ${kind}`} key=${kind} title=${label}>${label}</bdi>`)}
    ${
      hidden.length > 0 &&
      html`<span class="reason more" title=${hidden.map(({ label }) => label).join(", ")}>
      <span aria-hidden="true">+${hidden.length}</span><span class="sr-only">${hidden.map(({ label }) => label).join(", ")}</span>
    </span>`
    }
  </span>`;
}
