// An utterance as its event describes it, and when a cut applies to it.
import { field, numberOf, textOf, wordOf } from "./values.js";

const SOURCES = ["backchannel", "chat", "dtmf", "noise"];
export const CUTTERS = ["user", "bot", "supervisor", "hangup"];

/** The fields of an utterance, except for its times. */
export function spoken({ type, payload, seq, timestamp }) {
  const text = field(payload, "text");
  const source = field(payload, "source");
  const cutter = field(payload, "cutBy");
  return {
    kind: "speech",
    side: type === "user_speech" ? "user" : "bot",
    seqs: [seq],
    timestamp,
    payload,
    turn: numberOf(field(payload, "turn")),
    text: typeof text === "string" ? text : null,
    source: SOURCES.includes(source) ? source : "speech",
    interim: field(payload, "final") === false,
    interrupted: field(payload, "interrupted") === true,
    cutBy: CUTTERS.includes(cutter) ? cutter : null,
    unsaid: wordOf(field(payload, "unsaid")),
    heard: field(payload, "heard") === "unknown" ? "unknown" : null,
    speaker: textOf(field(payload, "speaker")),
  };
}

/** Where an utterance is on the call's clock. Without both times, `duration` is null. */
export function measured(at, started, ended) {
  const known = started !== null && ended !== null && ended >= started;
  return known ? { began: started, ended, duration: ended - started } : { began: at, ended: at, duration: null };
}

const CUT_SLACK_MS = 1000;

/** Whether a cut applies to this utterance, the last one of its side. */
export function isCutBy({ turn, began, ended, duration }, cut) {
  if (cut.turn !== null) return cut.turn === turn;
  return cut.at === null || duration === null || (began <= cut.at && cut.at <= ended + CUT_SLACK_MS);
}

/** Whether a cut that was reported earlier applies to this utterance, which is reported only now. */
export function wasCutBy({ side, turn, began, ended, duration }, cut) {
  if (side !== cut.side) return false;
  if (cut.at !== null && duration !== null) return began <= cut.at && cut.at <= ended;
  return !cut.used && cut.turn !== null && cut.turn === turn;
}
