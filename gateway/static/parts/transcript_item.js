// One item of a transcript.
import { Bubble, SignalBubble } from "./bubbles.js";
import { Chip, CommandChip, ToolChip, UsageChip } from "./chips.js";
import { html } from "./view.js";

const BODIES = {
  speech: Bubble,
  tool: ToolChip,
  command: CommandChip,
  chip: Chip,
  usage: UsageChip,
  signal: SignalBubble,
};

/** `view`: `{sessionId, responseOf, target, ended, open, toggle}`; `open` has the keys of the unfolded chips. */
export function Item({ item, index, count, view }) {
  const isTarget = view.target !== null && item.seqs.includes(view.target);
  return html`<div role="listitem" aria-posinset=${index + 1} aria-setsize=${count}
    class=${`item is-${item.kind} ${item.side ?? ""} ${isTarget ? "target" : ""}`}><${BODIES[item.kind]} item=${item} view=${view} /></div>`;
}
