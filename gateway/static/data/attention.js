// Which live calls need attention, and why. Times are in milliseconds on this browser's clock, because a bot's clock does
// not tell when its events arrived.

export const STALL_MS = 8000;
export const SILENCE_MS = 20000;
export const IDLE_MS = 900000;
export const MANY_INTERRUPTIONS = 3;
/** Longest plausible speech. A bot that reported speaking, and then sent nothing, counts as silent after this time. */
const LONGEST_SPEECH_MS = 120000;

/** Whether the bot is expected to answer: the user spoke last, or a tool is running. */
export function isWaiting({ summary }) {
  return summary?.lastLine?.side === "user" || summary?.toolsRunning > 0;
}

/** How long no event of this call has arrived, counted from the end of what its bot is saying. */
export function quietFor(row, now) {
  const quiet = now - row.heardAt;
  if (botState(row) === "speaking") return Math.max(0, quiet - LONGEST_SPEECH_MS);
  const line = row.summary?.lastLine;
  const speaking = line && line.side === "bot" && line.seq === row.session.lastSeq ? (line.durationMs ?? 0) : 0;
  return Math.max(0, quiet - speaking);
}

const botState = (row) => row.summary?.botState ?? row.botState ?? null;

/** The reasons for attention, the most serious first: `[{kind, label}]`. `row`: `{session, summary, heardAt, botState?}`. */
export function attention(row, now) {
  const { session, summary } = row;
  const reasons = session.endedAt ? outcome(session) : silence(row, now);
  if (summary?.toolsFailed) reasons.push({ kind: "tool", label: count(summary.toolsFailed, "tool error") });
  if (summary?.errors) reasons.push({ kind: "error", label: count(summary.errors, "error") });
  if (summary?.interruptions.byUser >= MANY_INTERRUPTIONS) {
    reasons.push({ kind: "interrupted", label: `interrupted ${summary.interruptions.byUser}×` });
  }
  return reasons;
}

function outcome({ status, endReason }) {
  return status === "failed" ? [{ kind: "failed", label: endReason ?? "failed" }] : [];
}

function silence(row, now) {
  const quiet = quietFor(row, now);
  if (quiet >= IDLE_MS) return [{ kind: "idle", label: `idle for ${longTime(quiet)}` }];
  if (isWaiting(row) && quiet >= STALL_MS) return [{ kind: "stalled", label: "stalled" }];
  return quiet >= SILENCE_MS ? [{ kind: "silent", label: "long silence" }] : [];
}

const WEIGHT = { stalled: 8, silent: 4, error: 2, tool: 2, interrupted: 1, failed: 0, idle: 0 };

/** How urgent the reasons are together; 0 for none. */
export function urgency(reasons) {
  return reasons.reduce((sum, reason) => sum + WEIGHT[reason.kind], 0);
}

function count(number, noun) {
  return number === 1 ? noun : `${number} ${noun}s`;
}

function longTime(ms) {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
}
