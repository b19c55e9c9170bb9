// The dialog that lists the keys, opened by `?`.
import { Dialog } from "./dialog.js";
import { html, useKey, useState } from "./view.js";

const KEYS = [
  ["?", "show this list"],
  ["/", "search the calls"],
  ["↑ ↓ PgUp PgDn Home End", "move through the list; Enter opens a call"],
  ["Space", "play or pause the call"],
  ["Esc", "back to the calls"],
];

export function Keys() {
  const [open, setOpen] = useState(false);
  useKey("?", () => setOpen(true));
  return html`<${Dialog} open=${open} close=${() => setOpen(false)} title="Keys">
    <dl class="keys">${KEYS.map(([key, what]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
  <//>`;
}
