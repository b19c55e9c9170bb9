// The page with live plots of the gateway's metrics, which are read only while the page is shown.

import { Observable } from "../data/observable.js";
import { bucketsBetween, parseMetrics, quantile, sumOf } from "../data/prometheus.js";
import { ask, askJson, RestError } from "../data/rest.js";
import { clock } from "../data/times.js";
import { color } from "../parts/colors.js";
import { Plot } from "../parts/plot.js";
import { html, NARROW, useEffect, useMedia, useMemo, useObservable, useTitle } from "../parts/view.js";

const EVERY_MS = 2000;
const KEPT = 150;
const SERIES = [
  "events",
  "p50",
  "p95",
  "p99",
  "publishers",
  "subscribers",
  "live",
  "outbox",
  "batch",
  "batchLargest",
  "storage",
];

/** The metrics of the last five minutes, as series for the plots. */
class Readings extends Observable {
  #before = null;
  #beforeAt = 0;
  #timer = null;
  #running = false;

  constructor() {
    super();
    this.times = [];
    this.series = Object.fromEntries(SERIES.map((name) => [name, []]));
    this.failure = null;
    this.health = null;
  }

  start() {
    this.#running = true;
    this.#read();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  last(name) {
    return this.series[name].at(-1) ?? null;
  }

  async #read() {
    try {
      if (!document.hidden) await this.#sample();
      this.failure = null;
    } catch (error) {
      const reason = error instanceof RestError ? error.message : "the gateway does not answer.";
      this.failure = `The gateway's metrics cannot be read: ${reason}`;
      this.#push(Date.now(), {});
      this.#before = null;
    }
    this.changed();
    if (this.#running) this.#timer = setTimeout(() => this.#read(), EVERY_MS);
  }

  async #sample() {
    const samples = parseMetrics(await (await ask("metrics", { accept: "text/plain" })).text());
    this.health ??= await askJson("health").catch(() => null); // an error while the database is away
    const at = Date.now();
    const before = this.#before;
    const seconds = (at - this.#beforeAt) / 1000;
    [this.#before, this.#beforeAt] = [samples, at];
    const value = (name) => sumOf(samples, `turnwire_${name}`);
    const reading = {
      publishers: value("publishers"),
      subscribers: value("subscribers"),
      live: value("live_sessions"),
      outbox: value("outbox_bytes"),
      storage: value("storage_up"),
    };
    if (before && seconds > 0) Object.assign(reading, between(before, samples, seconds));
    this.#push(at, reading);
  }

  #push(at, reading) {
    this.times.push(at / 1000);
    for (const name of SERIES) this.series[name].push(reading[name] ?? null);
    if (this.times.length <= KEPT) return;
    this.times.shift();
    for (const name of SERIES) this.series[name].shift();
  }
}

function between(before, after, seconds) {
  const stored = sumOf(after, "turnwire_events_stored_total") - sumOf(before, "turnwire_events_stored_total");
  const times = bucketsBetween(before, after, "turnwire_ack_seconds");
  const sizes = bucketsBetween(before, after, "turnwire_commit_events");
  const commits = sizes.at(-1)?.count ?? 0;
  const ms = (share) => {
    const found = quantile(times, share);
    return found === null ? null : found * 1000;
  };
  return {
    events: stored < 0 ? null : stored / seconds,
    p50: ms(0.5),
    p95: ms(0.95),
    p99: ms(0.99),
    batch: commits ? Math.max(0, stored) / commits : null,
    batchLargest: quantile(sizes, 0.95, { whole: true }),
  };
}

const PLOTS = [
  { title: "Events per second", unit: number, lines: { events: ["stored", "bot"] } },
  {
    title: "Ack latency",
    about: "from receipt to ack",
    unit: millis,
    lines: { p50: ["median", "bot"], p95: ["p95", "user"], p99: ["p99", "warn"] },
  },
  {
    title: "Connections and sessions",
    unit: number,
    lines: { publishers: ["publishers", "bot"], subscribers: ["subscribers", "user"], live: ["sessions", "soft"] },
  },
  { title: "Outbox", unit: bytes, least: 1024, lines: { outbox: ["waiting", "bot"] } },
  {
    title: "Events per commit",
    unit: number,
    least: 4,
    lines: { batch: ["mean", "bot"], batchLargest: ["p95 at most", "user"] },
  },
  {
    title: "Database",
    unit: (value) => (value === 1 ? "up" : value === 0 ? "down" : ""),
    lines: { storage: ["answers", "good"] },
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
  const storage = readings.last("storage");
  return html`<main class="gateway" aria-labelledby="gateway-title">
    <h1 id="gateway-title">Gateway${/^\d/.test(readings.health?.version) && !readings.health.version.includes("unknown") && html` <span class="version">${readings.health.version}</span>`}</h1>
    ${readings.failure && html`<p class="notice" role="alert">${readings.failure}</p>`}
    ${storage === 0 && html`<p class="notice" role="alert">The database does not answer. Events are held until it does.</p>`}
    <div class="plots">${PLOTS.map((plot) => html`<${Panel} key=${plot.title} plot=${plot} readings=${readings} />`)}</div>
    <p class="soft">Read from <a href="metrics">/metrics</a> every ${EVERY_MS / 1000} s while this page is shown. This gateway only.</p>
  </main>`;
}

function Panel({ plot, readings }) {
  const names = Object.keys(plot.lines);
  const data = useMemo(
    () => [readings.times.slice(), ...names.map((name) => readings.series[name].slice())],
    [readings.version],
  );
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
      { size: 26, space: 90, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) },
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
