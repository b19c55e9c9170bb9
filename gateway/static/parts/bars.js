// Bars for groups of calls: how many, how many failed, and how slow the bot was.
import { latency } from "../data/times.js";
import { lineOf } from "../data/values.js";
import { color } from "./colors.js";
import { Plot } from "./plot.js";
import { html, NARROW, useMedia, useMemo, useRef } from "./view.js";

const MOST_BARS = 30;
const LABEL_PX = 44;
const CHARACTER_PX = 6.5;
const BETWEEN_PX = 8;
const INCREMENTS = [1, 2, 5, 10, 20, 50, 100];
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });

const percent = (value) => `${Math.round(value * 10) / 10} %`;
const failedPercent = ({ calls, failed }) => (calls > 0 ? (100 * failed) / calls : null);

/** The share of calls that failed, as text. A small share is never shown as none. */
export function share(group) {
  if (group.calls === 0) return "–";
  const failed = failedPercent(group);
  return failed > 0 && failed < 0.1 ? "< 0.1 %" : percent(failed);
}

/** The name of a group. */
export const nameOf = (by, key) => (key === null ? "none" : by === "day" ? DAY.format(new Date(key)) : key);

// `lines`: `[label, colour, value(group)]`, drawn over each other.
const PLOTS = [
  {
    title: "Calls",
    unit: (value) => (Number.isInteger(value) ? value.toLocaleString() : ""),
    least: 4,
    lines: [
      ["all", "bot", ({ calls }) => calls],
      ["failed", "bad", ({ failed }) => failed],
    ],
  },
  { title: "Failed", unit: percent, least: 5, lines: [["share of calls", "bad", failedPercent]] },
  { title: "Response p95", unit: latency, least: 500, lines: [["p95", "user", (group) => group.responseP95Ms]] },
];

/** `onOver(index or null)` is called as the pointer moves over bars, `onPick(key)` for a click on one. */
export function Bars({ by, groups, onOver, onPick }) {
  const drawn = by === "day" ? groups : groups.slice(0, MOST_BARS);
  return html`<div class="plots">
    ${PLOTS.map((plot) => html`<${Panel} key=${plot.title} plot=${plot} by=${by} groups=${drawn} onOver=${onOver} onPick=${onPick} />`)}
  </div>`;
}

function Panel({ plot, by, groups, onOver, onPick }) {
  const latest = useRef(null);
  latest.current = { groups, onOver, onPick };
  const narrow = useMedia(NARROW);
  const data = useMemo(
    () => [groups.map((_, index) => index), ...plot.lines.map(([, , value]) => groups.map(value))],
    [groups, by],
  );
  const label = (tick, px) => {
    const group = latest.current.groups[tick];
    return group ? lineOf(nameOf(by, group.key), Math.floor((px - BETWEEN_PX) / CHARACTER_PX)) : "";
  };
  const options = (uPlot) => ({
    height: narrow ? 150 : 200,
    legend: { show: false },
    scales: {
      x: { time: false, range: (_, low, high) => [(low ?? 0) - 0.5, (high ?? 0) + 0.5] },
      y: { range: (_, __, high) => [0, Math.max(plot.least, (high ?? 0) * 1.1)] },
    },
    axes: [
      {
        size: 26,
        space: LABEL_PX,
        incrs: INCREMENTS,
        values: (_, ticks, __, px) => ticks.map((tick) => label(tick, px)),
      },
      { size: 58, values: (_, ticks) => ticks.map(plot.unit) },
    ],
    series: [
      {},
      ...plot.lines.map(([name, colour]) => ({
        label: name,
        stroke: color(colour),
        fill: color(colour),
        width: 0,
        paths: uPlot.paths.bars({ size: [0.7, 40, 1] }),
        points: { show: false },
      })),
    ],
    hooks: {
      setCursor: [({ cursor }) => latest.current.onOver(cursor.idx ?? null)],
      ready: [(made) => made.over.addEventListener("click", () => pick(made))],
    },
  });
  const pick = ({ cursor }) => {
    const group = latest.current.groups[cursor.idx];
    if (group) latest.current.onPick(group.key);
  };
  return html`<section class="panel" aria-label=${plot.title}>
    <h2>${plot.title}</h2>
    <ul class="now">${plot.lines.map(([name, colour]) => html`<li key=${name}><span class=${`key ${colour}`}></span>${name}</li>`)}</ul>
    <${Plot} options=${options} data=${data} label=${`${plot.title} by ${by === "endReason" ? "end reason" : by}: the table below has the figures`} />
  </section>`;
}
