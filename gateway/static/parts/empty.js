// What is shown when there are no calls.
import { html, useState } from "./view.js";

function commands() {
  const base = document.baseURI.replace(/[?#].*$/, "").replace(/\/$/, "");
  return `curl ${base}/sessions \\
  -H 'Content-Type: application/json' \\
  -d '{"sessionId": "my-first-call", "language": "en", "metadata": {"bot": "Ada"}}'

curl ${base}/sessions/my-first-call/events \\
  -H 'Content-Type: application/json' \\
  -d '{"eventId": "e1", "type": "user_speech", "payload": {"text": "Hello?"}}'`;
}

export function NoCalls() {
  const text = commands();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return html`<section class="empty">
    <div class="empty-art" aria-hidden="true"><i></i><i></i><i></i></div>
    <h2>No calls yet</h2>
    <p>The gateway is ready. Send the first call, and it appears here as it happens:</p>
    <pre tabindex="0" role="region" aria-label="Commands that send the first call"><code>${text}</code></pre>
    <p class="row">
      ${window.isSecureContext && html`<button type="button" onClick=${copy}>${copied ? "Copied" : "Copy"}</button>`}
      <span>Or see scripted calls in a gateway of their own: <code>turnwire demo</code>. More in the <a href="docs">API reference</a>.</span>
    </p>
  </section>`;
}

export function NothingFound({ clear }) {
  return html`<section class="empty">
    <h2>No call matches</h2>
    <p>No call has all of that.</p>
    <p><button type="button" onClick=${clear}>Clear the filters</button></p>
  </section>`;
}
