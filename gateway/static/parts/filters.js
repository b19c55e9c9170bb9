// The filters of the list. They are also in the page's address.
import { features } from "../data/features.js";
import { canFilter } from "../data/filter.js";
import { html, useEffect, useKey, useObservable, useRef, useState } from "./view.js";

const STATUSES = {
  "": "All states",
  live: "Live",
  initiated: "Initiated",
  active: "Active",
  completed: "Completed",
  failed: "Failed",
};
const WITHOUT = { "": "–", bot: "a bot", endReason: "an end reason" };
const MORE = ["from", "to", "endReason", "bot", "without", "errors", "slower"];

/** An input that may differ from the address while the user types into it. */
function Typed({ of, value, change, ...rest }) {
  const own = useRef(null);
  const element = of ?? own;
  const [text, setText] = useState(value);
  useEffect(() => {
    if (document.activeElement !== element.current) setText(value);
  }, [value]);
  const onInput = (event) => {
    setText(event.currentTarget.value);
    change(event.currentTarget.value);
  };
  return html`<input ref=${element} ...${rest} value=${text} onInput=${onInput} />`;
}

/** A day in the viewer's zone, or in UTC as the boards name it: `2026-11-28Z`. */
function Day({ label, value, change }) {
  return html`<label>${label}${value.endsWith("Z") && " (UTC)"} <input type="date" value=${value.replace("Z", "")} onChange=${(event) => change(event.currentTarget.value)} /></label>`;
}

/** The form with all filters. `values`: by name; `change({name: value})` sets some. */
export function Filters({ values, change, languages, live, urgent }) {
  useObservable(features);
  const search = useRef(null);
  useKey("/", () => search.current.focus());
  const can = (name) => canFilter(features.listing, name);
  const set = (name) => (event) => change({ [name]: event.currentTarget.value });
  return html`<search class="filters" aria-label="Filter calls">
    <p class="count"><strong>${live}</strong> live${urgent > 0 && html`, <span class="warn-text">${urgent} ${urgent === 1 ? "needs" : "need"} attention</span>`}</p>
    <${Typed} of=${search} type="search" aria-label="Search calls" aria-keyshortcuts="/" placeholder="Search text, id, bot …  ( / )"
      value=${values.q} change=${(q) => change({ q })} />
    <select aria-label="State" value=${values.status} onChange=${set("status")}>
      ${Object.entries(STATUSES).map(([value, label]) => html`<option value=${value} key=${value}>${label}</option>`)}
    </select>
    <select aria-label="Language" value=${values.language} onChange=${set("language")}>
      <option value="">All languages</option>
      ${languages.map((language) => html`<option value=${language} key=${language}>${language}</option>`)}
    </select>
    ${
      can("order") &&
      html`<select aria-label="Order" value=${values.order} onChange=${set("order")}>
      <option value="">Newest first</option>
      <option value="asc">Oldest first</option>
    </select>`
    }
    <details class="more-filters" open=${MORE.some((name) => values[name])}>
      <summary>More</summary>
      <div>
        <${Day} label="From" value=${values.from} change=${(from) => change({ from })} />
        <${Day} label="To" value=${values.to} change=${(to) => change({ to })} />
        ${can("endReason") && html`<label>End reason <${Typed} value=${values.endReason} change=${(endReason) => change({ endReason })} /></label>`}
        ${can("bot") && html`<label>Bot <${Typed} value=${values.bot} change=${(bot) => change({ bot })} /></label>`}
        ${
          can("without") &&
          html`<span class="pair"><span aria-hidden="true">Without</span> <select aria-label="Without" value=${values.without} onChange=${set("without")}>
          ${Object.entries(WITHOUT).map(([value, label]) => html`<option value=${value} key=${value}>${label}</option>`)}
        </select></span>`
        }
        ${can("slower") && html`<label>p95 over <${Typed} type="number" min="0" step="0.1" value=${values.slower} change=${(slower) => change({ slower })} /> s</label>`}
        ${can("errors") && html`<label><input type="checkbox" checked=${Boolean(values.errors)} onChange=${(event) => change({ errors: event.currentTarget.checked ? "1" : "" })} /> with errors</label>`}
      </div>
    </details>
  </search>`;
}
