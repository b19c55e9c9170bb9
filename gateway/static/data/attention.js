// Which live calls want to be looked at, and why. Times in milliseconds.

export const STALL_MS = 8000;
export const SILENCE_MS = 20000;
export const MANY_INTERRUPTIONS = 3;

/** When this call was last heard of, on the gateway's clock: its last event, to the end of what is being said. */
export function quietSince(row) {
  const { session, summary } = row;
  if (!session.lastEventAt) return Date.parse(session.startedAt);
  const line = summary?.lastLine;
  const speaking = line && line.side === "bot" && line.seq === session.lastSeq ? (line.durationMs ?? 0) : 0;
  return Date.parse(session.lastEventAt) + speaking;
}

/** The reasons, the gravest first: `[{kind, label}]`. `now` is on the gateway's clock. */
export function attention(row, now) {
  const { session, summary } = row;
  const reasons = [];
  if (session.endedAt) {
    if (session.status === "failed") reasons.push({ kind: "failed", label: session.endReason ?? "failed" });
  } else {
    const quiet = now - quietSince(row);
    const waiting = summary?.lastLine?.side === "user" || summary?.toolsRunning > 0;
    if (waiting && quiet >= STALL_MS) reasons.push({ kind: "stalled", label: "stalled" });
    else if (quiet >= SILENCE_MS) reasons.push({ kind: "silent", label: "long silence" });
  }
  if (summary?.toolsFailed) reasons.push({ kind: "tool", label: count(summary.toolsFailed, "tool error") });
  if (summary?.errors) reasons.push({ kind: "error", label: count(summary.errors, "error") });
  if (summary?.interruptions.byUser >= MANY_INTERRUPTIONS) {
    reasons.push({ kind: "interrupted", label: `interrupted ${summary.interruptions.byUser}×` });
  }
  return reasons;
}

const WEIGHT = { stalled: 8, silent: 4, error: 2, tool: 2, interrupted: 1, failed: 0 };

/** How urgent: 0 for a call that is fine. */
export function urgency(reasons) {
  return reasons.reduce((sum, reason) => sum + WEIGHT[reason.kind], 0);
}

function count(number, noun) {
  return number === 1 ? noun : `${number} ${noun}s`;
}
