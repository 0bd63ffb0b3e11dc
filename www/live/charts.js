// Requests, errors and p99 over time, with one cursor for the three. Gaps stay gaps.

import { clockOf } from './format.js';

const METRICS = [
  { metric: 'rps', title: 'Requests a second', digits: 1, factor: 1 },
  { metric: 'errorRate', title: 'Errors, %', digits: 1, factor: 100 },
  { metric: 'p99', title: 'p99, ms', digits: 0, factor: 1 },
];
const HEIGHT = 96;
export const WINDOWS = { 300: '5 minutes', 3600: '1 hour' };

// Draws in `place` until `signal` aborts; `onTime(ms)` is told which moment is clicked.
export function createCharts({ place, signal, onTime }) {
  const sync = globalThis.uPlot.sync('ringway-live');
  let charts = [];
  let key = '';
  let marks = [];
  let shown = null;

  function build(looks, name) {
    for (const { chart } of charts) chart.destroy();
    place.replaceChildren();
    charts = METRICS.map(({ metric, title, digits, factor }) => {
      const figure = document.createElement('figure');
      const caption = document.createElement('figcaption');
      caption.textContent = title;
      figure.append(caption);
      place.append(figure);
      const axis = { stroke: looks.muted, grid: { stroke: looks.line, width: 1 }, ticks: { stroke: looks.line, width: 1, size: 4 }, font: '11px system-ui', labelFont: '11px system-ui' };
      const chart = new globalThis.uPlot({
        width: Math.max(160, place.clientWidth), height: HEIGHT, legend: { show: false }, padding: [8, 8, 0, 0],
        cursor: { sync: { key: sync.key }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 0, digits === 0 ? 1 : 0.1) * 1.08] } },
        axes: [{ ...axis, size: 22, space: 80, values: (_, times) => times.map((time) => clockOf(time * 1000)) }, { ...axis, size: 50, space: 26 }],
        series: [
          {},
          { label: 'all', stroke: name === null ? looks.ink : looks.muted, width: name === null ? 1.5 : 1, dash: name === null ? undefined : [4, 3], spanGaps: false, points: { show: false } },
          ...(name === null ? [] : [{ label: 'one', stroke: looks.accent, width: 1.75, spanGaps: false, points: { show: false } }]),
        ],
        hooks: {
          draw: [(u) => drawMarks(u, looks)],
          setCursor: [(u) => {
            const i = u.cursor.idx;
            const value = i === null || i === undefined ? null : u.data.at(-1)[i];
            caption.textContent = value === null || value === undefined ? title : `${title}: ${value.toFixed(digits)}`;
          }],
        },
      }, [[], [], ...(name === null ? [] : [[]])], figure);
      chart.over.addEventListener('click', () => {
        const time = chart.posToVal(chart.cursor.left, 'x');
        if (Number.isFinite(time)) onTime(time * 1000);
      });
      return { chart, metric, factor };
    });
  }

  // When something happened, and the moment that is shown.
  function drawMarks(u, looks) {
    const { ctx, bbox } = u;
    ctx.save();
    const line = (at, colour, width) => {
      const x = u.valToPos(at / 1000, 'x', true);
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) return;
      ctx.strokeStyle = colour;
      ctx.lineWidth = width;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    };
    for (const at of marks) line(at, looks.bad, 1);
    if (shown !== null) line(shown, looks.ink, 2);
    ctx.restore();
  }

  const sizes = new ResizeObserver(() => {
    for (const { chart } of charts) chart.setSize({ width: Math.max(160, place.clientWidth), height: HEIGHT });
  });
  sizes.observe(place);
  signal.addEventListener('abort', () => {
    sizes.disconnect();
    for (const { chart } of charts) chart.destroy();
    charts = [];
  });

  return {
    // `series(name, metric)` answers with { times, columns }.
    show({ name, series, from, to, events, time, looks, nServers }) {
      const now = JSON.stringify([looks, name]);
      if (now !== key) build(looks, name);
      key = now;
      [marks, shown] = [events, time];
      for (const { chart, metric, factor } of charts) {
        const all = series(null, metric);
        // Of requests the others' part is what compares: that of the mean server.
        const part = metric === 'rps' && name !== null ? factor / Math.max(1, nServers) : factor;
        const scaled = (values, by) => values.map((value) => (value === null ? null : value * by));
        const data = [all.times, scaled(all.columns[0], part)];
        if (name !== null) data.push(scaled(series(name, metric).columns[0], factor));
        chart.setData(data, false);
        chart.batch(() => {
          chart.setScale('x', { min: from / 1000, max: to / 1000 });
        });
      }
    },
  };
}
