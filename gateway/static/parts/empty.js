// What the list shows without calls.
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
    <p>The gateway is ready. Send a first call, and watch it appear here:</p>
    <pre tabindex="0" role="region" aria-label="Commands that send the first call"><code>${text}</code></pre>
    <p class="row">
      ${window.isSecureContext && html`<button type="button" onClick=${copy}>${copied ? "Copied" : "Copy"}</button>`}
      <span>Or watch scripted calls on a separate gateway: <code>turnwire demo</code>. See the <a href="docs">API reference</a> for more.</span>
    </p>
  </section>`;
}

export function NothingFound({ clear }) {
  return html`<section class="empty">
    <h2>No call matches</h2>
    <p>No call passes all filters.</p>
    <p><button type="button" onClick=${clear}>Clear the filters</button></p>
  </section>`;
}

/** For a token that may read calls but not list them. */
export function NotListed() {
  return html`<section class="empty">
    <h2>This token may not list calls</h2>
    <p>Open the calls that it covers by their links.</p>
  </section>`;
}
