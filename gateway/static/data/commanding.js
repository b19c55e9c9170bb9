// Commands to the bot of a call. Their outcomes are in the call's log.
import { credential } from "./credential.js";
import { askFigures, sessionPath } from "./rest.js";

/** The names of the commands that this page may send to the call's bot, among those that it accepts. */
export function commandsOf(session) {
  if (session.endedAt || !credential.may("session:command")) return [];
  return session.commands ?? [];
}

/**
 * A command in the gateway's form. Its id makes sure that it is carried out once, however often it is sent.
 * `crypto.randomUUID` is missing on pages without TLS.
 */
export function newCommand(command, payload) {
  const digits = crypto.getRandomValues(new Uint8Array(16));
  return {
    commandId: `page-${[...digits].map((each) => each.toString(16).padStart(2, "0")).join("")}`,
    command,
    payload,
  };
}

/** Send a command: `{commandId, state, message?}` once it is in the log. Throws RestError, and TypeError without an answer. */
export function sendCommand(sessionId, command) {
  return askFigures(sessionPath(sessionId, "/commands"), { send: command });
}
