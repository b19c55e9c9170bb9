// What the keys do, when `?` asks for it.
import { Dialog } from "./dialog.js";
import { html, useKey, useState } from "./view.js";

const KEYS = [
  ["?", "show this"],
  ["/", "search the calls"],
  ["↑ ↓ PgUp PgDn Home End", "go through the list, then Enter opens a call"],
  ["Space", "play the call, or pause"],
  ["Esc", "back to the calls"],
];

export function Keys() {
  const [open, setOpen] = useState(false);
  useKey("?", () => setOpen(true));
  return html`<${Dialog} open=${open} close=${() => setOpen(false)} title="Keys">
    <dl class="keys">${KEYS.map(([key, what]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
  <//>`;
}
