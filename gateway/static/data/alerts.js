import { attention } from "./attention.js";
import { Observable } from "./observable.js";

const STORED = "turnwire-alerts";
const NONE = { stalled: false, errors: false, failed: false, slow: false, slowMs: 3000, sound: true, desktop: false };
const TICK_MS = 1000;
const MOST_RECENT = 20;

/** The text that each rule has for a live call, or null: `(row, reasons, rules) => text`. */
const TELLS = {
  stalled: (_row, reasons) => reasons.find(({ kind }) => kind === "stalled")?.label,
  errors: (_row, reasons) => reasons.find(({ kind }) => kind === "error" || kind === "tool")?.label,
  slow: ({ session, summary }, _reasons, { slowMs }) => {
    const p95 = session.figures?.responseP95Ms;
    const ms = p95 ?? summary?.responseMs;
    return ms > slowMs ? `${p95 === undefined ? "response" : "p95"} over ${slowMs / 1000} s` : null;
  },
};

/** The alert rules, stored in this browser, and the alerts they have raised: `{key, sessionId, text, at}`, newest first. */
export class Alerts extends Observable {
  #calls;
  #active = null;

  constructor(calls) {
    super();
    this.rules = storedRules();
    this.recent = [];
    this.#calls = calls;
    setInterval(() => this.#look(), TICK_MS);
    calls.onEnd((row) => {
      const { status, sessionId, endReason } = row.session;
      if (this.rules.failed && status === "failed") this.#raise(sessionId, endReason ?? "failed");
    });
  }

  /** Change some rules. A condition that holds already when its rule is switched on raises no alert. */
  set(changes) {
    this.rules = { ...this.rules, ...changes };
    this.#active = null;
    try {
      localStorage.setItem(STORED, JSON.stringify(this.rules));
    } catch {
      // storage is off: the rules last until the page is closed
    }
    this.changed();
  }

  #look() {
    const { live } = this.#calls;
    if (!live.loaded || live.connection.state !== "live") return;
    const now = new Map();
    for (const row of live.rows.values()) {
      const reasons = attention(row, Date.now());
      for (const [rule, tells] of Object.entries(TELLS)) {
        const text = this.rules[rule] ? tells(row, reasons, this.rules) : null;
        if (text) now.set(`${rule} ${row.session.sessionId}`, [row.session.sessionId, text]);
      }
    }
    const before = this.#active ?? now;
    this.#active = now;
    for (const [key, [sessionId, text]] of now) if (!before.has(key)) this.#raise(sessionId, text);
  }

  #raise(sessionId, text) {
    const alert = { key: `${Date.now()} ${sessionId} ${text}`, sessionId, text, at: new Date().toISOString() };
    this.recent = [alert, ...this.recent].slice(0, MOST_RECENT);
    if (this.rules.sound) sound();
    if (this.rules.desktop) notify(alert);
    this.changed();
  }
}

function storedRules() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    const valid = Object.entries(NONE).filter(([name, value]) => typeof kept[name] === typeof value);
    return { ...NONE, ...Object.fromEntries(valid.map(([name]) => [name, kept[name]])) };
  } catch {
    return { ...NONE }; // storage is off, or holds something else
  }
}

let audio = null;

/** Play two short tones. Browsers allow sound only after the user has interacted with the page. */
function sound() {
  if (!navigator.userActivation?.hasBeenActive) return;
  audio ??= new AudioContext();
  const start = audio.currentTime;
  for (const [at, pitch] of [
    [0, 880],
    [0.16, 660],
  ]) {
    const tone = new OscillatorNode(audio, { frequency: pitch });
    tone.connect(new GainNode(audio, { gain: 0.08 })).connect(audio.destination);
    tone.start(start + at);
    tone.stop(start + at + 0.12);
  }
}

/** Whether this browser can show notifications for this page. */
export const canNotify = typeof Notification === "function" && window.isSecureContext;

/** Ask the user for permission to notify. Resolves to whether it was granted. */
export async function mayNotify() {
  return canNotify && (await Notification.requestPermission()) === "granted";
}

function notify({ sessionId, text }) {
  if (!canNotify || Notification.permission !== "granted") return;
  const note = new Notification(text, { body: sessionId, tag: sessionId });
  note.onclick = () => {
    window.focus();
    location.hash = `#/s/${encodeURIComponent(sessionId)}`;
    note.close();
  };
}
