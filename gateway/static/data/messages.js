// Converts a call to messages in OpenAI's chat format, for evaluating and training models.
import { Transcript } from "./transcript.js";
import { field, textOf } from "./values.js";

const ROLES = { user: "user", bot: "assistant" };

/**
 * The messages `{role: "user" | "assistant", content}` in the order spoken, and for each tool call an assistant message
 * with `tool_calls` and the `tool` message that answers it. Text that was cut before it was heard is left out.
 */
export function toMessages(events) {
  const transcript = new Transcript();
  for (const event of events) transcript.add(event);
  return transcript.items.flatMap((item) => {
    if (item.kind === "tool") return toolMessages(item);
    return item.kind === "speech" && item.text?.trim() && !item.interim && item.source !== "noise"
      ? [{ role: ROLES[item.side], content: heard(item) }]
      : [];
  });
}

/** The text without the end that is known to be unsaid. */
export function heard({ text, unsaid }) {
  return unsaid && text.endsWith(unsaid) ? text.slice(0, -unsaid.length).trimEnd() : text;
}

function toolMessages({ name, started, ended, seqs }) {
  const callId = field(started, "callId") ?? field(ended, "callId");
  const id = typeof callId === "string" ? callId : `call_${seqs[0]}`;
  const call = { id, type: "function", function: { name, arguments: textOf(field(started, "arguments") ?? {}) } };
  return [
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: id, content: ended === null ? "" : textOf(toolResult(ended)) },
  ];
}

/** A tool's answer: its error, its result, or the rest of its final event's payload. */
export function toolResult(ended) {
  const { event, name, callId, durationMs, ...others } = ended;
  return field(ended, "error") ?? field(ended, "results") ?? field(ended, "result") ?? others;
}
