// The ring itself, as it is drawn when the fleet changes: from the outside in what moved, who gets
// the keys, who got them before, the points. How it is drawn depends on how many points share a
// pixel: see `detail` in geometry.js.

import { Annuli, mixed, rgb } from './annuli.js';
import { coverage, detail, stretches } from './geometry.js';
import { PALETTES, colourOf, isHatched } from './palette.js';
import { Strokes } from './strokes.js';

// So many servers at most are shown where points share pixels: more are grey noise.
export const PINS_MAX = 8;
const CELLS_MAX = 8192;
// So far apart are things that are not on the ring, in CSS pixels.
export const MARGIN = 24;
const GAP = 5;
const GHOST = 5;
// Where something moved, a mark of at least this width says so.
const MARK = 2;

// The radii of a ring on a square of this size, in CSS pixels.
export function radii(size, hasGhost) {
  const outer = size / 2 - MARGIN;
  const [moved, band, points] = [6, Math.max(16, outer * 0.16), Math.max(8, outer * 0.075)];
  const bandOuter = outer - moved - GAP;
  const ghostOuter = bandOuter - band - 2;
  const pointsOuter = (hasGhost ? ghostOuter - GHOST : bandOuter - band) - GAP;
  return {
    way: outer + 9,
    moved: [outer - moved, outer],
    band: [bandOuter - band, bandOuter],
    ghost: [ghostOuter - GHOST, ghostOuter],
    points: [pointsOuter - points, pointsOuter],
  };
}

// Which servers are shown by their colour where not all can be: those that are pinned, else all of
// a few, else whom the key goes to.
export function shownOf({ pins, slots, servers, walk }) {
  if (pins.length > 0) return pins;
  if (servers.length <= PINS_MAX) return servers.map(({ name }) => name).filter((name) => slots.has(name));
  return walk?.server ? [walk.server] : [];
}

export class RingBase {
  #canvas;
  #annuli = null;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  // Draws { points, keys, ghost, moved, pins, slots, servers, walk, theme } on a square of `size` CSS
  // pixels with `ratio` pixels each. Answers with the level of detail.
  draw(model, size, ratio) {
    const context = this.#canvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    const at = radii(size, Boolean(model.ghost));
    const level = detail(model.points.turns.length, at.band[1], ratio);
    const palette = PALETTES[model.theme];
    const scale = this.#canvas.width / size;
    if (level.level === 'condensed') {
      this.#condensed(model, at, scale, palette);
      return level;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const strokes = new Strokes(context, { x: size / 2, y: size / 2 });
    strokes.ring(at.band, palette.line, 0, 1);
    if (model.points.turns.length === 0) return level;
    for (const part of stretches(model.keys.turns, model.keys.labels)) stretch(strokes, model, at.band, part, palette);
    if (model.ghost) for (const part of stretches(model.ghost.turns, model.ghost.labels)) stretch(strokes, model, at.ghost, part, palette);
    points(strokes, model, at.points, palette);
    context.fillStyle = palette.ink;
    for (const { from, to, after } of model.moved) {
      strokes.ring(at.moved, colour(model, after, palette) ?? palette.ink, from, to);
      context.strokeStyle = palette.ink;
      context.lineWidth = MARK;
      strokes.tick((from + to) / 2, at.moved[1] + 2, at.moved[1] + 5);
    }
    return level;
  }

  // Several points share a pixel: cells of the circle are drawn. Of the servers that are shown each
  // has of a cell's colour what it has of the cell; how many points there are is how dark they are.
  #condensed(model, at, scale, palette) {
    const size = this.#canvas.width;
    const n = Math.min(CELLS_MAX, Math.round(2 * Math.PI * at.band[1] * scale));
    const rings = [at.band, at.points, at.ghost, at.moved, [at.moved[1] + 2, at.moved[1] + 5]].map((pair) => pair.map((radius) => radius * scale));
    const key = `${size} ${n} ${rings}`;
    if (this.#annuli?.key !== key) this.#annuli = Object.assign(new Annuli(size, rings, n), { key });
    const colours = new Uint8ClampedArray(4 * n * rings.length);
    const shown = shownOf(model);
    const layers = (picture) => shown.map((label) => ({ cells: picture.cells(n, { label }), colour: rgb(colour(model, label, palette) ?? palette.ink) }));
    mixed(n, rgb(palette.neutral), layers(model.keys), colours, 0);
    this.#density(model.points.cells(n), rgb(palette.muted), colours, 4 * n);
    if (model.ghost) mixed(n, rgb(palette.neutral), layers(model.ghost), colours, 8 * n);
    const ink = rgb(palette.ink);
    coverage(model.moved, n).forEach((part, i) => {
      put(colours, 12 * n + 4 * i, ink, part * 255);
      put(colours, 16 * n + 4 * i, ink, part > 0 ? 255 : 0);
    });
    this.#annuli.paint(this.#canvas, colours);
    this.#marks(model, shown, at.points, scale, palette);
  }

  // Where the points of those are that are shown: what they own may be too narrow to be seen.
  #marks(model, shown, [inner, outer], scale, palette) {
    const context = this.#canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const strokes = new Strokes(context, { x: this.#canvas.width / scale / 2, y: this.#canvas.width / scale / 2 });
    context.lineWidth = 1;
    const { turns, labels } = model.points;
    for (const label of shown) {
      context.strokeStyle = colour(model, label, palette) ?? palette.ink;
      for (let i = 0; i < turns.length; i++) if (labels[i] === label) strokes.tick(turns[i], inner, outer);
    }
  }

  #density(cells, ink, colours, at) {
    const most = cells.reduce((a, b) => Math.max(a, b), 1);
    cells.forEach((value, i) => put(colours, at + 4 * i, ink, 40 + 190 * (value / most)));
  }
}

function put(colours, at, [red, green, blue], alpha) {
  colours[at] = red;
  colours[at + 1] = green;
  colours[at + 2] = blue;
  colours[at + 3] = alpha;
}

function stretch(strokes, model, band, { from, to, label }, palette) {
  strokes.context.globalAlpha = strength(model, label);
  strokes.ring(band, colour(model, label, palette) ?? palette.neutral, from, to);
  if (isHatched(model.slots.get(label) ?? 0)) strokes.hatch(band, from, to, palette.background);
  strokes.context.globalAlpha = 1;
}

function points(strokes, model, [inner, outer], palette) {
  const { turns, labels } = model.points;
  const out = new Set(model.servers.filter(({ eligible }) => !eligible).map(({ name }) => name));
  strokes.context.lineWidth = Math.min(2, Math.max(0.75, (200 / turns.length) * 2));
  for (let i = 0; i < turns.length; i++) {
    const isOut = out.has(labels[i]);
    strokes.context.globalAlpha = strength(model, labels[i]);
    strokes.context.strokeStyle = isOut ? palette.out : (colour(model, labels[i], palette) ?? palette.neutral);
    strokes.tick(turns[i], isOut ? (inner + outer) / 2 : inner, outer);
  }
  strokes.context.globalAlpha = 1;
}

// The colour of a server; undefined for those that have none.
export function colour({ slots }, label, palette) {
  const slot = slots.get(label);
  return slot === undefined ? undefined : palette.servers[colourOf(slot)];
}

// What has no colour stands back already.
const strength = ({ pins, slots }, label) => (pins.length === 0 || pins.includes(label) || !slots.has(label) ? 1 : 0.22);
