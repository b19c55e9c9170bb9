// Supervisors' commands to a bot while it publishes: each is carried out once, and its result is reported.

import type { Logger } from "../connecting/environment.ts";
import { CommandRefused, textOf } from "../errors.ts";
import type { CommandPush, CommandResult, Opened } from "../protocol.ts";

/**
 * A function that carries out a command. A string that it returns is sent with the result. Throwing CommandRefused
 * refuses the command. Any other error means that it failed.
 */
export type CommandHandler = (command: CommandPush) => unknown;

const STANDARD = ["whisper", "say", "end"];
/** The most commands whose ids and results are kept. A command is delivered for a minute at most. */
const REMEMBERED = 1000;
const MESSAGE_CHARS = 400;

interface Known {
  endsCall: boolean;
  result?: CommandResult;
}

/** The commands of one publisher, across connections. */
export class Commands {
  readonly #wake: () => void;
  readonly #log: Logger;
  readonly #handlers = new Map<string, CommandHandler>();
  readonly #known = new Map<string, Known>();
  #results: CommandResult[] = [];
  /** Final results sent on the present connection, which the gateway may not have read. */
  #unsure: CommandResult[] = [];
  #acceptDue = false;
  #closed = false;
  /** How many milliseconds the gateway's clock is ahead of this machine's. */
  #ahead = 0;

  constructor(wake: () => void, log: Logger) {
    this.#wake = wake;
    this.#log = log;
  }

  /** Call the handler for these commands from now on; for the standard ones if none is named. */
  handle(handler: CommandHandler, commands: string[]): void {
    for (const command of commands.length ? commands : STANDARD) this.#handlers.set(command, handler);
    this.#acceptDue = true;
    this.#wake();
  }

  /** On a new connection, send again the accepted commands, and the results that may not have been read. */
  connected(opened: Opened): void {
    this.#ahead = Date.parse(opened.serverTime) - Date.now();
    this.#acceptDue = this.#handlers.size > 0;
    this.#results = [...this.#unsure, ...this.#results];
    this.#unsure = [];
  }

  /** Whether there is something to send. */
  get hasNews(): boolean {
    return this.#acceptDue || this.#results.length > 0;
  }

  /** Return the message to send now, if any. */
  nextMessage(): object | undefined {
    if (this.#acceptDue) {
      this.#acceptDue = false;
      return { type: "accept", commands: [...this.#handlers.keys()] };
    }
    const result = this.#results.shift();
    if (result && result.state !== "accepted") this.#unsure = [...this.#unsure.slice(-REMEMBERED), result];
    return result;
  }

  /** Start a new command unless it has expired. For a known one, send its result again. */
  received(push: CommandPush): void {
    const known = this.#known.get(push.commandId);
    const handler = this.#handlers.get(push.command);
    if (known) {
      if (known.result) this.#results.push(known.result);
    } else if (handler && !this.#closed && Date.now() + this.#ahead < Date.parse(push.expiresAt)) {
      this.#remember(push);
      this.#report(push.commandId, "accepted");
      this.#carryOut(handler, push);
    }
  }

  #remember(push: CommandPush): void {
    const { commandId, command, payload } = push;
    this.#known.set(commandId, { endsCall: command === "end" || payload.end === true });
    const [oldest] = this.#known.keys();
    if (this.#known.size > REMEMBERED) this.#known.delete(oldest as string);
  }

  async #carryOut(handler: CommandHandler, push: CommandPush): Promise<void> {
    try {
      await null; // a handler that fails at once must not end the connection, and none runs inside another call
      const answer = await handler(push);
      this.#report(push.commandId, "done", typeof answer === "string" ? answer : undefined);
    } catch (error) {
      if (error instanceof CommandRefused) {
        this.#report(push.commandId, "refused", error.message || undefined);
      } else {
        this.#log.warn(`the command ${push.command} failed: ${textOf(error)}`);
        this.#report(push.commandId, "failed", textOf(error));
      }
    }
  }

  #report(commandId: string, state: CommandResult["state"], message?: string): void {
    const known = this.#known.get(commandId);
    if (!known || this.#closed || (known.result && known.result.state !== "accepted")) return;
    known.result = {
      type: "commandResult",
      commandId,
      state,
      ...(message !== undefined && { message: sendable(message) }),
    };
    this.#results.push(known.result);
    this.#wake();
  }

  /**
   * Report an end for each started command, because the session's end is requested and no report can follow it. A command
   * that ends the call is done. The others have failed.
   */
  ending(): void {
    for (const [commandId, { endsCall }] of this.#known) {
      if (endsCall) this.#report(commandId, "done");
      else this.#report(commandId, "failed", "the call has ended");
    }
  }

  /** Start and report nothing more. */
  close(): void {
    this.#closed = true;
  }
}

/** Return the text as a gateway accepts it: of a limited length, and without lone surrogates. */
function sendable(message: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(message.slice(0, MESSAGE_CHARS)));
}
