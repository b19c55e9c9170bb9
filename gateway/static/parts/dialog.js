import { html, useEffect, useRef } from "./view.js";

/** A modal dialog. Escape or its button closes it. */
export function Dialog({ open, close, title, children }) {
  const element = useRef(null);
  useEffect(() => {
    if (open && !element.current.open) element.current.showModal();
    else if (!open && element.current.open) element.current.close();
  }, [open]);
  return html`<dialog ref=${element} class="dialog" aria-label=${title} onClose=${close}>
    ${open && html`<header><h2>${title}</h2><button type="button" onClick=${close}>Close</button></header>${children}`}
  </dialog>`;
}
