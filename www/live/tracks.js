// Two thin rings inside the ring: how well the servers of each place are, and how busy. Drawn on a
// canvas of their own, from what the ring is drawn from.

import { angle, stretches } from '../shared/geometry.js';

const RATIO_MAX = 3;
const CELLS = 1440;
// As far as the ring's own canvas goes inwards, and the middle outwards, in parts of the radius.
const INNER = 0.43;
const OUTER = 0.53;
// Twice its part fills the track.
const LOAD_MAX = 2;

const pictures = new WeakMap();

export const TRACKS = {
  health: { title: 'Health', what: 'red: servers that get no keys, as wide as their part of the ring' },
  load: { title: 'Load', what: 'how many times its part each server gets; the line is its fair part' },
  none: { title: 'None', what: '' },
};

// What each cell of the circle shows: for each, how much of it is `of(label)`.
function cells(turns, labels, of) {
  const sums = new Float32Array(CELLS);
  const add = (from, to, value) => {
    const [a, b] = [from * CELLS, to * CELLS];
    for (let i = Math.floor(a); i < Math.min(CELLS, Math.ceil(b)); i++) sums[i] += (Math.min(b, i + 1) - Math.max(a, i)) * value;
  };
  for (const { from, to, label } of stretches(turns, labels)) {
    const value = of(label);
    if (value === 0) continue;
    if (from < 0) {
      add(from + 1, 1, value);
      add(0, to, value);
    } else add(from, to, value);
  }
  return sums;
}

// `track` is a name of TRACKS, `out` the names of servers that take no keys, `ratios` how many times
// its part each server gets, `colours` { good, bad, ink, line }.
export function drawTracks(canvas, { track, points, keys, out, ratios, colours }) {
  const size = canvas.clientWidth;
  // Drawn again only when it would be another picture; how busy servers are is another each second.
  const what = track === 'load' ? null : { track, points, keys, out: [...out].join('\n'), size, ratio: devicePixelRatio, colour: colours.good };
  const drawn = pictures.get(canvas);
  if (what && drawn && Object.keys(what).every((name) => what[name] === drawn[name])) return;
  pictures.set(canvas, what);
  const ratio = Math.min(RATIO_MAX, devicePixelRatio || 1);
  const pixels = Math.round(size * ratio);
  if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size, size);
  if (track === 'none' || points.turns.length === 0) return;
  const centre = size / 2;
  const [inner, outer] = [centre * INNER, centre * OUTER];
  const ring = (from, to, low, high, fill, alpha = 1) => {
    context.globalAlpha = alpha;
    context.fillStyle = fill;
    context.beginPath();
    context.arc(centre, centre, high, angle(from), angle(to));
    context.arc(centre, centre, low, angle(to), angle(from), true);
    context.fill();
  };
  if (track === 'health') {
    ring(0, 1, inner, outer, colours.good, 0.35);
    cells(points.turns, points.labels, (label) => (out.has(label) ? 1 : 0)).forEach((part, i) => {
      if (part > 0.005) ring(i / CELLS, (i + 1.05) / CELLS, inner, outer, colours.bad, Math.min(1, part));
    });
  } else {
    const height = outer - inner;
    ring(0, 1, inner, outer, colours.line, 0.5);
    cells(keys.turns, keys.labels, (label) => Math.min(LOAD_MAX, ratios.get(label) ?? 0)).forEach((part, i) => {
      if (part > 0) ring(i / CELLS, (i + 1.05) / CELLS, inner, inner + (height * Math.min(LOAD_MAX, part)) / LOAD_MAX, colours.ink, 0.75);
    });
    context.globalAlpha = 1;
    context.strokeStyle = colours.bad;
    context.lineWidth = 1;
    context.beginPath();
    context.arc(centre, centre, (inner + outer) / 2, 0, 2 * Math.PI);
    context.stroke();
  }
  context.globalAlpha = 1;
}
