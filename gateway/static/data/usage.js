// The usage of a call, summed over its `usage` events.
import { field, numberOf, textOf } from "./values.js";

const SUMMED = ["inputTokens", "outputTokens", "audioSeconds", "characters", "cost"];
const NAMED = ["kind", "provider", "model"];

/** The sums including one more payload, by kind, provider and model: `Map(name → {name, inputTokens?, …})`. */
export function addUsage(sums, payload) {
  const name = NAMED.map((key) => textOf(field(payload, key)))
    .filter(Boolean)
    .join(" · ");
  const sum = { ...(sums.get(name) ?? { name }) };
  for (const key of SUMMED) {
    const number = numberOf(field(payload, key));
    if (number !== null) sum[key] = (sum[key] ?? 0) + number;
  }
  return new Map(sums).set(name, sum);
}

/** All sums in one line. */
export function usageLine(sums) {
  const total = (key) => [...sums.values()].reduce((sum, each) => sum + (each[key] ?? 0), 0);
  const words = {
    inputTokens: "tokens in",
    outputTokens: "tokens out",
    audioSeconds: "s of audio",
    characters: "characters",
    cost: "cost",
  };
  return SUMMED.filter((key) => total(key))
    .map(
      (key) =>
        `${total(key).toLocaleString(undefined, { maximumFractionDigits: key === "cost" ? 6 : 1 })} ${words[key]}`,
    )
    .join(" · ");
}
