import { copyText } from "../data/clipboard.js";
import { html, useState } from "./view.js";

const SHOWN_MS = 2000;

/** A button that copies the text from `read()` and confirms it. */
export function CopyButton({ label, read, onFailure }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await copyText(await read());
      setCopied(true);
      setTimeout(() => setCopied(false), SHOWN_MS);
    } catch (error) {
      onFailure?.(error.message);
    }
  };
  return html`<button type="button" onClick=${copy}>${copied ? "Copied" : label}</button>
    <span class="sr-only" role="status">${copied && "Copied"}</span>`;
}
