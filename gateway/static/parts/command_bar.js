// What can be done with a live call: tell its bot something, have it say something, end the call.
import { commandsOf, newCommand, sendCommand } from "../data/commanding.js";
import { credential } from "../data/credential.js";
import { COMMAND_NAMES, commandState } from "./chips.js";
import { EndCall } from "./end_call.js";
import { html, useRef, useState } from "./view.js";

const AT_ONCE = { whisper: { respond: true, interrupt: true }, say: { interrupt: true } };
const HINTS = { whisper: "The caller does not hear it", say: "The bot says exactly this" };

/** The bar below the transcript of a live call. It offers what the bot accepts and the token may do. */
export function CommandBar({ log }) {
  const [text, setText] = useState("");
  const [atOnce, setAtOnce] = useState(false);
  const { sent, failure, send } = useSending(log);
  const accepted = commandsOf(log.session);
  const spoken = ["whisper", "say"].filter((name) => accepted.includes(name));
  const mayEnd = credential.may("session:complete") || accepted.includes("end");
  if (log.session.endedAt || (spoken.length === 0 && !mayEnd)) return null;
  const tell = async (event) => {
    event.preventDefault();
    const name = event.submitter.value;
    if (await send(name, { text: text.trim(), ...(atOnce && AT_ONCE[name]) })) setText("");
  };
  return html`<section class="command-bar" aria-label="Act on the call">
    ${
      spoken.length > 0 &&
      html`<form onSubmit=${tell}>
      <input aria-label="Text for the bot" placeholder="Text for the bot" autocomplete="off" required pattern=".*\\S.*" value=${text} onInput=${(event) => setText(event.currentTarget.value)} />
      <label title="Interrupts what is being said. After a whisper, the bot speaks."><input type="checkbox" checked=${atOnce} onChange=${(event) => setAtOnce(event.currentTarget.checked)} /> at once</label>
      ${spoken.map((name) => html`<button type="submit" key=${name} value=${name} title=${HINTS[name]}>${COMMAND_NAMES.get(name)}</button>`)}
    </form>`
    }
    ${mayEnd && html`<${EndCall} session=${log.session} send=${send} />`}
    <p role="status">${sent && `${COMMAND_NAMES.get(sent.command)}: ${commandState(log.transcript.commandOf(sent.commandId) ?? sent)}`}</p>
    ${failure && html`<p class="notice" role="alert">${failure}</p>`}
  </section>`;
}

/**
 * `{sent, failure, send(command, payload)}`: the last command as answered, why it was not sent, and a function that sends
 * one and returns whether it is in the log.
 */
function useSending(log) {
  const [sent, setSent] = useState(null);
  const [failure, setFailure] = useState(null);
  const asked = useRef(null);
  const send = async (name, payload) => {
    // If the user sends the same again after a failure, the gateway must not do it twice.
    const same = JSON.stringify([asked.current?.command, asked.current?.payload]) === JSON.stringify([name, payload]);
    const command = same ? asked.current : newCommand(name, payload);
    asked.current = command;
    try {
      const answer = await sendCommand(log.sessionId, command);
      asked.current = null;
      setSent({ command: name, ...answer });
      setFailure(null);
      return true;
    } catch (error) {
      setSent(null);
      setFailure(`${COMMAND_NAMES.get(name)}: ${error.message}`);
      return false;
    }
  };
  return { sent, failure, send };
}
