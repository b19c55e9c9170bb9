// The figures of a call, drawn.
import { latency } from "../data/times.js";
import { color } from "./colors.js";
import { Plot } from "./plot.js";
import { html, useMemo } from "./view.js";

export function Figures({ figures, ended }) {
  const { turns, talk, responses, interruptions, silences, tools, errors } = figures;
  return html`<h2>Response latency</h2>
    <dl class="tiles">
      <${Tile} name="median" value=${latency(responses.p50Ms)} />
      <${Tile} name="p95" value=${latency(responses.p95Ms)} />
      <${Tile} name="longest" value=${latency(responses.maxMs)} />
      ${responses.missed > 0 && html`<${Tile} name="missed" value=${responses.missed} warn />`}
      ${figures.yield?.count > 0 && html`<${Tile} name="time to yield" value=${latency(figures.yield.p50Ms)} />`}
    </dl>
    ${responses.count > 1 && html`<${LatencyPlot} responses=${responses} />`}
    <h2>Talk</h2>
    <${TalkShare} talk=${talk} />
    <dl class="tiles">
      <${Tile} name="turns" value=${turns.total} />
      <${Tile} name="user turns" value=${turns.user} />
      <${Tile} name="bot turns" value=${turns.bot} />
      <${Tile} name="interrupted by user" value=${interruptions.byUser} warn=${interruptions.byUser >= 3} />
      <${Tile} name="interrupted by bot" value=${interruptions.byBot} warn=${interruptions.byBot > 0} />
      <${Tile} name="overlap" value=${latency(talk.overlapMs)} />
      <${Tile} name=${`silences, ${silences.thresholdMs / 1000} s+`} value=${silences.count} />
      <${Tile} name="longest" value=${silences.count ? latency(silences.longestMs) : "–"} />
    </dl>
    <h2>Tools</h2>
    <dl class="tiles">
      <${Tile} name="calls" value=${tools.calls} />
      <${Tile} name="failed" value=${tools.failed} bad=${tools.failed > 0} />
      <${Tile} name=${ended ? "no answer" : "running"} value=${tools.running} warn=${ended && tools.running > 0} />
      <${Tile} name="errors" value=${errors} bad=${errors > 0} />
    </dl>`;
}

function Tile({ name, value, bad = false, warn = false }) {
  return html`<div class=${bad ? "bad" : warn ? "warn" : ""}><dt>${name}</dt><dd>${value}</dd></div>`;
}

function TalkShare({ talk }) {
  if (talk.userShare === null) {
    const some = talk.userMs + talk.botMs > 0;
    const text = some
      ? `Partly measured: user ${latency(talk.userMs)}, bot ${latency(talk.botMs)}`
      : "Talk times have not been measured.";
    return html`<p class="nothing">${text}</p>`;
  }
  const [user, bot] = [Math.round(talk.userShare * 100), Math.round(talk.botShare * 100)];
  return html`<div class="share" role="img" aria-label=${`Talk: user ${user} %, bot ${bot} %`}>
    ${user > 0 && html`<div class="user" style=${{ flexGrow: talk.userShare }}>${user >= 15 && `User ${user} %`}</div>`}
    ${bot > 0 && html`<div class="bot" style=${{ flexGrow: talk.botShare }}>${bot >= 15 && `Bot ${bot} %`}</div>`}
  </div>
  <p class="share-times">${latency(talk.userMs)} and ${latency(talk.botMs)}</p>`;
}

const MOST_BARS = 60;

function LatencyPlot({ responses }) {
  const { each, p50Ms, p95Ms } = responses;
  const data = useMemo(() => {
    const times = each.map((response) => response.ms);
    return [each.map((_, index) => index + 1), times, times.map(() => p50Ms), times.map(() => p95Ms)];
  }, [responses]);
  const bars = (uPlot) => ({ paths: uPlot.paths.bars({ size: [0.6, 14, 2] }), points: { show: false } });
  const dots = { paths: () => null, points: { show: true, size: 3, width: 0, fill: color("bot") } };
  const options = (uPlot) => ({
    height: 150,
    legend: { show: false },
    scales: {
      x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] },
      y: { range: (_, __, high) => [0, Math.max(500, high * 1.1)] },
    },
    axes: [
      { size: 24, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick : "")) },
      { size: 54, values: (_, ticks) => ticks.map(latency) },
    ],
    series: [
      {},
      {
        label: "response",
        stroke: color("bot"),
        fill: color("bot"),
        width: 0,
        ...(each.length > MOST_BARS ? dots : bars(uPlot)),
      },
      { label: "median", stroke: color("soft"), width: 1, dash: [4, 4], points: { show: false } },
      { label: "p95", stroke: color("warn"), width: 1, dash: [4, 4], points: { show: false } },
    ],
  });
  const label = `Response latency of ${responses.count} responses: median ${latency(p50Ms)}, p95 ${latency(p95Ms)}`;
  return html`<${Plot} key=${each.length > MOST_BARS} options=${options} data=${data} label=${label} />`;
}
