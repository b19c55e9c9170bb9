// The page with plots of the gateway's metrics: the last ten minutes, which the gateway keeps, and then each new reading.

import { Readings } from "../data/readings.js";
import { clock } from "../data/times.js";
import { color } from "../parts/colors.js";
import { Plot } from "../parts/plot.js";
import { html, NARROW, useEffect, useMedia, useMemo, useObservable, useTitle } from "../parts/view.js";

const PLOTS = [
  { title: "Events per second", unit: number, lines: { eventsPerSecond: ["stored", "bot"] } },
  {
    title: "Ack latency",
    about: "from receipt to ack",
    unit: millis,
    lines: { ackP50Ms: ["median", "bot"], ackP95Ms: ["p95", "user"], ackP99Ms: ["p99", "warn"] },
  },
  {
    title: "Connections and sessions",
    unit: number,
    lines: {
      publishers: ["publishers", "bot"],
      subscribers: ["subscribers", "user"],
      liveSessions: ["sessions", "soft"],
    },
  },
  { title: "Outbox", unit: bytes, least: 1024, lines: { outboxBytes: ["waiting", "bot"] } },
  {
    title: "Events per commit",
    unit: number,
    least: 4,
    lines: { eventsPerCommit: ["mean", "bot"], commitP95: ["p95 at most", "user"] },
  },
  {
    title: "Database",
    unit: (value) => (value === 1 ? "up" : value === 0 ? "down" : ""),
    lines: { storageUp: ["answers", "good"] },
    top: 1.2,
    ticks: [0, 1],
  },
];

function number(value) {
  return value === null ? "–" : value >= 100 ? Math.round(value).toLocaleString() : String(Math.round(value * 10) / 10);
}

function millis(value) {
  return value === null
    ? "–"
    : value === 0
      ? "0 ms"
      : value >= 1000
        ? `${(value / 1000).toFixed(1)} s`
        : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function bytes(value) {
  if (value === null) return "–";
  if (value < 1024) return `${Math.round(value)} B`;
  return value < 1048576 ? `${(value / 1024).toFixed(1)} KiB` : `${(value / 1048576).toFixed(1)} MiB`;
}

const HALF_A_TIME_PX = 32;

/** The text of a tick; none so close to the right edge that it would be cut off. */
function timeOf(plot, tick) {
  const left = plot.bbox.width / devicePixelRatio - plot.valToPos(tick, "x");
  return left < HALF_A_TIME_PX ? "" : clock(tick * 1000);
}

/** The indices of values without a neighbour, which no line would show. */
function withoutNeighbours(plot, series) {
  const values = plot.data[series];
  const none = (at) => (values[at] ?? null) === null;
  return values.flatMap((_, at) => (!none(at) && none(at - 1) && none(at + 1) ? [at] : []));
}

export function GatewayPage() {
  const readings = useMemo(() => new Readings(), []);
  useEffect(() => {
    readings.start();
    return () => readings.stop();
  }, [readings]);
  useObservable(readings);
  useTitle("Gateway · Turnwire");
  const storage = readings.last("storageUp");
  return html`<main class="gateway" aria-labelledby="gateway-title">
    <h1 id="gateway-title">Gateway${/^\d/.test(readings.health?.version) && !readings.health.version.includes("unknown") && html` <span class="version">${readings.health.version}</span>`}</h1>
    ${readings.failure && html`<p class="notice" role="alert">${readings.failure}</p>`}
    ${storage === 0 && html`<p class="notice" role="alert">The database does not answer. Events are held until it does.</p>`}
    <div class="plots">${PLOTS.map((plot) => html`<${Panel} key=${plot.title} plot=${plot} readings=${readings} />`)}</div>
    <p class="soft">The gateway keeps ten minutes of readings, one every 2 s, of this gateway only. All its metrics: <a href="metrics">/metrics</a>.</p>
  </main>`;
}

function Panel({ plot, readings }) {
  const names = Object.keys(plot.lines);
  const data = useMemo(() => [readings.times.slice(), ...names.map((name) => readings.of(name))], [readings.version]);
  const narrow = useMedia(NARROW);
  const options = () => ({
    height: narrow ? 150 : 200,
    legend: { show: false },
    scales: {
      x: {
        range: ({ data: [times] }) => {
          // without this, uPlot stretches a single reading to a whole day
          const now = times.at(-1) ?? Date.now() / 1000;
          return [Math.min(times[0] ?? now, now - 60), now];
        },
      },
      y: { range: (_, __, high) => [0, plot.top ?? Math.max(plot.least ?? 1, (high ?? 0) * 1.15)] },
    },
    axes: [
      { size: 26, space: 90, values: (plot, ticks) => ticks.map((tick) => timeOf(plot, tick)) },
      {
        size: 58,
        values: (_, ticks) => ticks.map((tick) => plot.unit(tick)),
        ...(plot.ticks && { splits: plot.ticks }),
      },
    ],
    series: [
      {},
      ...names.map((name) => ({
        label: plot.lines[name][0],
        stroke: color(plot.lines[name][1]),
        width: 1.75,
        points: { show: true, size: 4, filter: withoutNeighbours },
        spanGaps: false,
      })),
    ],
  });
  const now = names.map((name) => `${plot.lines[name][0]} ${plot.unit(readings.last(name))}`).join(", ");
  return html`<section class="panel" aria-label=${plot.title}>
    <h2>${plot.title}${plot.about && html` <span class="about">${plot.about}</span>`}</h2>
    <ul class="now">${names.map((name) => html`<li key=${name}><span class=${`key ${plot.lines[name][1]}`}></span>${plot.lines[name][0]} <strong>${plot.unit(readings.last(name))}</strong></li>`)}</ul>
    <${Plot} options=${options} data=${data} label=${`${plot.title}: ${now}`} />
  </section>`;
}
