// What is remembered of the figures: each second for five minutes, each ten seconds for an hour.
// Times that nobody told of are gaps, and stay so. No DOM, no clock.

export const METRICS = ['rps', 'errorRate', 'p50', 'p99', 'inFlight'];
const SPANS = [{ step: 1000, length: 300 }, { step: 10_000, length: 360 }];
// Ticks further apart have a gap between them.
const NEIGHBOURS_MS = 3500;
const TOTAL = Symbol('all servers');

export function createHistory() {
  // For each span: the time that each slot was last written for, and for each server its columns.
  const spans = SPANS.map(({ step, length }) => ({ step, length, times: new Float64Array(length).fill(NaN), rows: new Map(), last: -Infinity }));

  function put(span, at, entries) {
    const { step, length, times, rows } = span;
    const time = Math.floor(at / step) * step;
    // A tick speaks of all the time since the one before it. What nobody spoke of is a gap.
    const since = at - span.last <= NEIGHBOURS_MS ? Math.floor(span.last / step) * step + step : time;
    span.last = at;
    for (let slotTime = Math.min(since, time); slotTime <= time; slotTime += step) {
      const slot = (slotTime / step) % length;
      // Of ten seconds the last one counts: none of the figures may be averaged.
      if (times[slot] !== slotTime) for (const row of rows.values()) row.fill(NaN, slot * METRICS.length, (slot + 1) * METRICS.length);
      times[slot] = slotTime;
      for (const [name, figures] of entries) {
        let row = rows.get(name);
        if (!row) rows.set(name, row = new Float32Array(length * METRICS.length).fill(NaN));
        METRICS.forEach((metric, i) => { row[slot * METRICS.length + i] = figures[metric] ?? NaN; });
      }
    }
  }

  return {
    // The figures of a tick: what a feed knows.
    put(state) {
      const entries = [[TOTAL, state.total], ...state.servers];
      for (const span of spans) put(span, state.at, entries);
      for (const { rows } of spans) {
        for (const name of rows.keys()) if (name !== TOTAL && !state.servers.has(name)) rows.delete(name);
      }
    },
    // The figures of a server (`null`: of all together) from `from` to `to`, in the finest steps that
    // reach so far back: { times, columns }, times in seconds as charts take them, gaps as null.
    series(name, from, to, wanted = METRICS) {
      const span = spans.find(({ step, length }) => to - from <= step * length && Math.floor(from / step) * step >= newest(spans[0].times) - step * length) ?? spans.at(-1);
      const row = span.rows.get(name ?? TOTAL);
      const times = [];
      const columns = wanted.map(() => []);
      for (let time = Math.ceil(from / span.step) * span.step; time <= to; time += span.step) {
        const slot = (time / span.step) % span.length;
        const isThere = row && span.times[slot] === time;
        times.push(time / 1000);
        wanted.forEach((metric, i) => {
          const value = isThere ? row[slot * METRICS.length + METRICS.indexOf(metric)] : NaN;
          columns[i].push(Number.isNaN(value) ? null : value);
        });
      }
      return { times, columns };
    },
    // The figures of a moment: { rps, … } with NaN for what nobody told; null when it is forgotten.
    at(name, time) {
      for (const { step, length, times, rows } of spans) {
        const start = Math.floor(time / step) * step;
        const slot = (start / step) % length;
        const row = rows.get(name ?? TOTAL);
        if (times[slot] !== start || !row) continue;
        return Object.fromEntries(METRICS.map((metric, i) => [metric, row[slot * METRICS.length + i]]));
      }
      return null;
    },
    // The last `n` values of a metric, the newest last; NaN for gaps. For a small line in a row.
    last(name, metric, now, n) {
      const { step, length, times, rows } = spans[0];
      const row = rows.get(name);
      const out = new Float32Array(n).fill(NaN);
      if (!row) return out;
      for (let i = 0; i < n; i++) {
        const time = Math.floor(now / step) * step - (n - 1 - i) * step;
        const slot = (time / step) % length;
        if (times[slot] === time) out[i] = row[slot * METRICS.length + METRICS.indexOf(metric)];
      }
      return out;
    },
    // How far back it reaches.
    get oldest() {
      return spans.reduce((min, { times }) => times.reduce((a, b) => (b < a ? b : a), min), Infinity);
    },
    get bytes() {
      return spans.reduce((sum, { rows, length }) => sum + rows.size * length * METRICS.length * 4, 0);
    },
  };
}

const newest = (times) => times.reduce((a, b) => (b > a ? b : a), -Infinity);
