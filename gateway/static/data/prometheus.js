// Reads the gateway's metrics from the text at `/metrics`.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples, by name: `[{labels, value}]`. */
export function parseMetrics(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    const value = found[3] === "+Inf" ? Infinity : Number(found[3]);
    if (!samples.has(found[1])) samples.set(found[1], []);
    samples.get(found[1]).push({ labels, value });
  }
  return samples;
}

export function sumOf(samples, name) {
  return samples.get(name)?.reduce((sum, sample) => sum + sample.value, 0) ?? null;
}

/** The counts of a histogram between two readings, cumulative: `[{upTo, count}]`. After a restart, since the restart. */
export function bucketsBetween(before, after, name) {
  const old = new Map((before?.get(`${name}_bucket`) ?? []).map(({ labels, value }) => [labels.le, value]));
  const now = after.get(`${name}_bucket`) ?? [];
  const restarted = now.some(({ labels, value }) => value < (old.get(labels.le) ?? 0));
  return now.map(({ labels, value }) => ({
    upTo: labels.le === "+Inf" ? Infinity : Number(labels.le),
    count: value - (restarted ? 0 : (old.get(labels.le) ?? 0)),
  }));
}

/** A quantile of such buckets, interpolated, or the bucket's bound if `whole`; null if they are empty. */
export function quantile(buckets, share, { whole = false } = {}) {
  const total = buckets.at(-1)?.count ?? 0;
  if (!total) return null;
  const rank = share * total;
  let [below, from] = [0, 0];
  for (const { upTo, count } of buckets) {
    if (count >= rank) {
      if (upTo === Infinity) return from;
      return whole || count === below ? upTo : from + ((upTo - from) * (rank - below)) / (count - below);
    }
    [below, from] = [count, upTo];
  }
  return from;
}
