// The button and the dialog that end a call: through its bot if the bot accepts that, or else by ending the session.
import { commandsOf } from "../data/commanding.js";
import { credential } from "../data/credential.js";
import { ask, sessionPath } from "../data/rest.js";
import { Dialog } from "./dialog.js";
import { html, useState } from "./view.js";

/** `send(command, payload)` asks the bot and returns whether the command is in the log. */
export function EndCall({ session, send }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return html`<button type="button" onClick=${() => setOpen(true)}>End the call …</button>
    <${Dialog} open=${open} close=${close} title="End the call"><${EndForm} session=${session} send=${send} done=${close} /><//>`;
}

function EndForm({ session, send, done }) {
  const mayAsk = commandsOf(session).includes("end");
  const mayEnd = credential.may("session:complete");
  const [chosen, setChosen] = useState("bot");
  const [failure, setFailure] = useState(null);
  const byBot = mayAsk && (chosen === "bot" || !mayEnd);
  const end = async (event) => {
    event.preventDefault();
    const words = new FormData(event.currentTarget);
    try {
      if (byBot) await send("end", given(words, "say", "reason"));
      else await ask(sessionPath(session.sessionId, "/complete"), { send: given(words, "status", "reason") });
      done();
    } catch (error) {
      setFailure(error.message);
    }
  };
  return html`<form class="end-form" onSubmit=${end}>
    ${mayAsk && mayEnd && html`<${Ways} byBot=${byBot} choose=${setChosen} />`}
    ${byBot ? html`<${ByBot} />` : html`<${BySession} />`}
    <label>Reason <input name="reason" maxlength="256" /></label>
    ${failure && html`<p class="notice" role="alert">${failure}</p>`}
    <button type="submit" class="danger">End the call</button>
  </form>`;
}

function Ways({ byBot, choose }) {
  const way = (name, label) =>
    html`<label key=${name}><input type="radio" name="way" value=${name} checked=${byBot === (name === "bot")} onChange=${() => choose(name)} /> ${label}</label>`;
  return html`<div class="ways" role="group" aria-label="Who ends it">${way("bot", "The bot ends it")}${way("session", "End the session only")}</div>`;
}

function ByBot() {
  return html`<p>The bot is asked to end the call.</p>
    <label>The bot says first <input name="say" /></label>`;
}

function BySession() {
  return html`<p>This ends the session permanently. It does not hang up the phone: a connected bot is told that the session has ended.</p>
    <label>End it as <select name="status"><option value="completed">completed</option><option value="failed">failed</option></select></label>`;
}

/** The fields that are not blank. */
function given(words, ...names) {
  return Object.fromEntries(names.flatMap((name) => (words.get(name).trim() ? [[name, words.get(name).trim()]] : [])));
}
