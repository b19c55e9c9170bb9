// The page: its frame, and the view that the route selects.

import { Alerts } from "../data/alerts.js";
import { CallList } from "../data/call_list.js";
import { PageConnection } from "../data/connection.js";
import { credential } from "../data/credential.js";
import { route } from "../data/route.js";
import { AlertsButton } from "../parts/alerts_button.js";
import { Keys } from "../parts/keys.js";
import { Login } from "../parts/login.js";
import { html, render, useClock, useObservable, useState } from "../parts/view.js";
import { BoardsPage } from "./boards_page.js";
import { CallPage } from "./call_page.js";
import { CallsPage } from "./calls_page.js";
import { ComparePage } from "./compare_page.js";
import { GatewayPage } from "./gateway_page.js";

const connection = new PageConnection();
const calls = new CallList(connection);
const alerts = new Alerts(calls);

function App() {
  useObservable(route);
  useObservable(credential);
  const { page } = route.current;
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to content</a>
    <header class="top">
      <a class="brand" href=${route.calls} aria-label="Turnwire"><img src="static/icon.svg" alt="" width="24" height="24" /><span>Turnwire</span></a>
      <nav aria-label="Pages">
        <a href=${route.calls} aria-current=${OTHERS.includes(page) ? null : "page"}>Calls</a>
        ${credential.coversAll && html`<a href="#/boards" aria-current=${page === "boards" ? "page" : null}>Boards</a>`}
        ${credential.may("metrics") && html`<a href="#/gateway" aria-current=${page === "gateway" ? "page" : null}>Gateway</a>`}
        <a href="docs">API</a>
      </nav>
      <${ConnectionState} />
      <${AlertsButton} alerts=${alerts} />
      <${ThemeButton} />
    </header>
    <div id="main" tabindex="-1" class="view">
      ${credential.isRefused ? html`<${Login} />` : pageOf(route.current)}
    </div>
    <${Keys} />`;
}

/** The pages that are not about calls one by one. */
const OTHERS = ["gateway", "boards"];

function pageOf({ page, sessionId, seq, at, a, b, filter, by, days }) {
  if (page === "boards") return html`<${BoardsPage} by=${by} days=${days} />`;
  if (page === "gateway") return html`<${GatewayPage} />`;
  if (page === "compare") return html`<${ComparePage} key=${`${a} ${b}`} a=${a} b=${b} connection=${connection} />`;
  if (page === "calls") return html`<${CallsPage} calls=${calls} values=${filter} />`;
  return html`<${CallPage} key=${sessionId} sessionId=${sessionId} seq=${seq} at=${at} connection=${connection} calls=${calls} />`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

const WORDS = {
  connecting: ["connecting", "Connecting …"],
  live: ["live", "LIVE"],
  stale: ["stale", "stale"],
  reconnecting: ["reconnecting", "reconnecting"],
  closed: ["reconnecting", "refused"],
};

/** Shows how current the page is. */
function ConnectionState() {
  useObservable(connection);
  const now = useClock(500);
  const [kind, word] = WORDS[connection.state];
  const wait = connection.retryAt ? Math.max(0, Math.ceil((connection.retryAt - now) / 1000)) : 0;
  const explained = {
    connecting: "The page has not reached the gateway yet.",
    live: "The page shows the current state of the gateway.",
    stale: "The connection is open, but the gateway is silent. The page may be out of date.",
    reconnecting: "The connection was lost. The page shows the state of that moment, and continues from there.",
    closed: "The gateway refuses the page.",
  }[connection.state];
  return html`<div class=${`connection ${kind}`}>
    <span role="status" title=${explained}><span class="pulse" aria-hidden="true"></span>${word}</span>
    ${wait > 1 && html`<button type="button" onClick=${() => connection.retry()}>Retry<span class="in"> (${wait} s)</span></button>`}
  </div>`;
}

const THEMES = ["light dark", "light", "dark"];
const THEME_NAMES = { "light dark": "as the system", light: "light", dark: "dark" };

function storedTheme() {
  try {
    const theme = localStorage.getItem("turnwire-theme");
    return THEMES.includes(theme) ? theme : THEMES[0];
  } catch {
    return THEMES[0]; // storage is off
  }
}

function applyTheme(theme) {
  document.documentElement.style.colorScheme = theme;
  try {
    localStorage.setItem("turnwire-theme", theme);
  } catch {
    // storage is off: the theme lasts until the page is closed
  }
  window.dispatchEvent(new Event("themechange"));
}

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme());
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const change = () => {
    applyTheme(next);
    setTheme(next);
  };
  const label = `Colours: ${THEME_NAMES[theme]}. Change to ${THEME_NAMES[next]}`;
  const icon = { "light dark": "◐", light: "☀", dark: "☾" }[theme];
  return html`<button type="button" class="theme" aria-label=${label} title=${label} onClick=${change}>${icon}</button>`;
}

document.documentElement.style.colorScheme = storedTheme();
document.getElementById("app").replaceChildren();
render(html`<${App} />`, document.getElementById("app"));
