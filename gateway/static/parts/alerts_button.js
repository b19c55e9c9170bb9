// The button and the dialog for alert rules and recent alerts.
import { canNotify, mayNotify } from "../data/alerts.js";
import { callHref } from "../data/route.js";
import { Dialog } from "./dialog.js";
import { Moment } from "./moment.js";
import { html, useClock, useObservable, useState } from "./view.js";

const RULES = [
  ["stalled", "a call is stalled"],
  ["errors", "a call has an error or a tool error"],
  ["failed", "a call fails"],
];
const SHOWN_MS = 10000;

export function AlertsButton({ alerts }) {
  useObservable(alerts);
  const [open, setOpen] = useState(false);
  const on = RULES.some(([name]) => alerts.rules[name]) || alerts.rules.slow;
  return html`<button type="button" class=${`bell ${on ? "on" : ""}`} aria-label=${`Alerts: ${on ? "on" : "off"}`} title="Alerts" onClick=${() => setOpen(true)}>♪</button>
    <${Newest} alerts=${alerts} />
    <${Dialog} open=${open} close=${() => setOpen(false)} title="Alerts"><${Rules} alerts=${alerts} /><//>`;
}

function Rules({ alerts }) {
  const { rules, recent } = alerts;
  const [denied, setDenied] = useState(false);
  const check = (name) => (event) => alerts.set({ [name]: event.currentTarget.checked });
  const checkDesktop = async (event) => {
    const wanted = event.currentTarget.checked;
    const allowed = wanted && (await mayNotify());
    setDenied(wanted && !allowed);
    alerts.set({ desktop: allowed });
  };
  const setSlow = (event) => {
    const seconds = Number(event.currentTarget.value);
    if (seconds > 0) alerts.set({ slowMs: Math.round(seconds * 1000) });
  };
  return html`<div class="alert-rules">
    <p>These rules are stored in this browser. Alert when</p>
    ${RULES.map(([name, label]) => html`<label key=${name}><input type="checkbox" checked=${rules[name]} onChange=${check(name)} /> ${label}</label>`)}
    <span class="pair"><label><input type="checkbox" checked=${rules.slow} onChange=${check("slow")} /> responses take longer than</label>
      <label><input type="number" min="0.1" step="0.1" aria-label="Seconds" defaultValue=${rules.slowMs / 1000} onChange=${setSlow} /> s</label></span>
    <p>Alert by</p>
    <label><input type="checkbox" checked=${rules.sound} onChange=${check("sound")} /> a sound</label>
    ${canNotify && html`<label><input type="checkbox" checked=${rules.desktop} onChange=${checkDesktop} /> a desktop notification</label>`}
    ${denied && html`<p role="alert">The browser does not allow this page to show notifications.</p>`}
    <h3>Recent alerts</h3>
    ${recent.length === 0 ? html`<p class="soft">None so far.</p>` : html`<ul>${recent.map((alert) => html`<li key=${alert.key}><${Alert} alert=${alert} /></li>`)}</ul>`}
  </div>`;
}

function Alert({ alert }) {
  return html`<${Moment} at=${alert.at} seconds /> <a href=${callHref(alert.sessionId)}><bdi>${alert.sessionId}</bdi></a> <bdi>${alert.text}</bdi>`;
}

/** The newest alert, shown for a few seconds. */
function Newest({ alerts }) {
  const now = useClock(1000);
  const alert = alerts.recent[0];
  const fresh = alert && now - Date.parse(alert.at) < SHOWN_MS;
  return html`<div class="toast-place" aria-live="assertive">${fresh && html`<p class="toast"><${Alert} alert=${alert} /></p>`}</div>`;
}
