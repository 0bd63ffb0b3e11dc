// Draws the ring on two canvases: one for what changes when the fleet does, one above it for what
// changes with every move of the pointer. Draws what it is given and hands back what is pointed at.

import { angle, arcAt, arcStart, coverage, density, detail, differences, pointAt, stretches, stretchesOf, turnAt } from './geometry.js';
import { PALETTES, colourOf, isHatched } from './palette.js';

const RATIO_MAX = 3;
const WALK_MS = 700;
// So many servers, each at its true place, are still a picture where points share pixels.
const DRAWN_WHOLE_MAX = 6;
// So far apart are things that are not on the ring, in CSS pixels.
const MARGIN = 24;
const GAP = 5;

// What the keyboard does on the ring, for the help.
export const RING_KEYS = [
  ['← →', 'on the ring: the point before, the next point'],
  ['PgUp PgDn', 'the point before or after of the same server'],
  ['Home End', 'the first and the last point'],
  ['Enter', 'pick the server'],
];

export class RingView {
  #stage;
  #base;
  #over;
  #onPoint;
  #onPick;
  #model;
  // The stretches that the last change moved.
  #moved = [];
  #size = 0;
  #ratio = 1;
  // The point whose arc the pointer or the keyboard is at; -1 for none.
  #cursor = -1;
  #walk = { key: null, from: 0 };
  #frame = 0;

  // `onPoint(index)` is told which arc is looked at (-1: none), `onPick(index)` which is chosen,
  // until `signal` aborts.
  constructor(stage, { signal, onPoint, onPick }) {
    this.#stage = stage;
    [this.#base, this.#over] = stage.querySelectorAll('canvas');
    this.#onPoint = onPoint;
    this.#onPick = onPick;
    const sizes = new ResizeObserver(() => this.#fit());
    sizes.observe(stage);
    signal.addEventListener('abort', () => {
      sizes.disconnect();
      cancelAnimationFrame(this.#frame);
    });
    // Another screen, or another zoom, has other pixels.
    addEventListener('resize', () => this.#fit(), { signal });
    stage.addEventListener('pointermove', (event) => this.#look(this.#under(event)));
    stage.addEventListener('pointerleave', () => this.#look(-1));
    stage.addEventListener('click', (event) => this.#onPick(this.#under(event)));
    stage.addEventListener('keydown', (event) => this.#press(event));
    stage.addEventListener('blur', () => this.#look(-1));
  }

  // What to draw: { points, keys, slots, servers, selected, walk, change, theme, isStill }.
  show(model) {
    const before = this.#model;
    this.#model = model;
    if (before && before.points !== model.points) this.#look(-1);
    if (before?.change !== model.change || before?.keys !== model.keys) {
      this.#moved = model.change?.before ? differences(model.change.before, model.keys) : [];
    }
    const { walk } = model;
    const route = walk && `${walk.position} ${walk.owner} ${walk.server}`;
    if (route !== this.#walk.key) this.#walk = { key: route, from: model.isStill || !before ? -Infinity : performance.now() };
    const drawn = ['points', 'keys', 'slots', 'servers', 'selected', 'change', 'theme'];
    if (!before || drawn.some((name) => before[name] !== model[name])) this.#drawBase();
    this.#drawOver();
  }

  // The level of detail the ring is drawn at.
  get detail() {
    return detail(this.#model.points.turns.length, this.#radii().band[1], this.#ratio);
  }

  step(by) {
    const n = this.#model.points.turns.length;
    if (n > 0) this.#look(this.#cursor < 0 ? (by < 0 ? n - 1 : 0) : (this.#cursor + by + n) % n);
  }

  #fit() {
    const size = this.#stage.clientWidth;
    const ratio = Math.min(RATIO_MAX, devicePixelRatio || 1);
    if (size === 0 || (size === this.#size && ratio === this.#ratio)) return;
    [this.#size, this.#ratio] = [size, ratio];
    for (const canvas of [this.#base, this.#over]) canvas.width = canvas.height = Math.round(size * ratio);
    if (this.#model) {
      this.#drawBase();
      this.#drawOver();
    }
  }

  // From the outside in: the way of the key, what moved, who gets the keys, the points.
  #radii() {
    const outer = this.#size / 2 - MARGIN;
    const [moved, band, points] = [6, Math.max(16, outer * 0.16), Math.max(8, outer * 0.075)];
    const bandOuter = outer - moved - GAP;
    const pointsOuter = bandOuter - band - GAP;
    return {
      way: outer + 9,
      moved: [outer - moved, outer],
      band: [bandOuter - band, bandOuter],
      points: [pointsOuter - points, pointsOuter],
    };
  }

  get #centre() {
    return { x: this.#size / 2, y: this.#size / 2 };
  }

  #begin(canvas) {
    const context = canvas.getContext('2d');
    const scale = canvas.width / this.#size;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.#size, this.#size);
    return context;
  }

  #drawBase() {
    if (this.#size === 0) return;
    const context = this.#begin(this.#base);
    const { points, keys, theme } = this.#model;
    const palette = PALETTES[theme];
    const radii = this.#radii();
    this.#ring(context, radii.band, palette.line, 0, 1);
    if (points.turns.length > 0) {
      if (this.detail.level === 'condensed') {
        this.#drawCells(context, radii, palette);
      } else {
        this.#drawArcs(context, keys, radii.band, palette);
        this.#drawPoints(context, points, radii.points, palette);
      }
    }
    for (const { from, to, after } of this.#moved) {
      this.#ring(context, radii.moved, this.#colour(after, palette) ?? palette.ink, from, to);
    }
  }

  #drawArcs(context, { turns, labels }, band, palette) {
    for (const { from, to, label } of stretches(turns, labels)) this.#stretch(context, band, from, to, label, palette);
  }

  #stretch(context, band, from, to, label, palette) {
    context.globalAlpha = this.#strength(label);
    this.#ring(context, band, this.#colour(label, palette) ?? palette.neutral, from, to);
    if (isHatched(this.#model.slots.get(label) ?? 0)) this.#hatch(context, band, from, to, palette.background);
    context.globalAlpha = 1;
  }

  #drawPoints(context, { turns, labels }, [inner, outer], palette) {
    const out = this.#out();
    context.lineWidth = Math.min(2, Math.max(0.75, (200 / turns.length) * 2));
    for (let i = 0; i < turns.length; i++) {
      const isOut = out.has(labels[i]);
      context.globalAlpha = this.#strength(labels[i]);
      context.strokeStyle = isOut ? palette.out : (this.#colour(labels[i], palette) ?? palette.neutral);
      this.#tick(context, turns[i], isOut ? (inner + outer) / 2 : inner, outer);
    }
    context.globalAlpha = 1;
  }

  // Several points share a pixel. Few coloured servers are drawn over a neutral ring at their true
  // width, which may be less than a pixel and then faint. With many, a cell of the circle is filled
  // from the inside by how much of it each gets. Below, how dense the points are.
  #drawCells(context, { band, points: [inner, outer] }, palette) {
    const { points, keys, slots, selected } = this.#model;
    const n = Math.round(2 * Math.PI * band[1] * this.#ratio);
    // The ring below is all there is to see of the others.
    const shown = selected === null ? [...slots.keys()] : [selected];
    if (shown.length <= DRAWN_WHOLE_MAX) {
      for (const label of shown) {
        for (const { from, to } of stretchesOf(keys.turns, keys.labels, label)) this.#stretch(context, band, from, to, label, palette);
      }
    } else {
      this.#drawMosaic(context, band, n, palette);
    }
    const dense = density(points.turns, n);
    const most = dense.reduce((a, b) => Math.max(a, b), 1);
    context.fillStyle = palette.neutral;
    context.beginPath();
    for (let i = 0; i < n; i++) {
      if (dense[i] > 0) this.#cell(context, i / n, (i + 1) / n, outer - (outer - inner) * 0.6 * (dense[i] / most), outer);
    }
    context.fill();
    if (shown.length > DRAWN_WHOLE_MAX) return;
    const out = this.#out();
    context.lineWidth = 1;
    for (let i = 0; i < points.turns.length; i++) {
      if (!shown.includes(points.labels[i])) continue;
      context.strokeStyle = out.has(points.labels[i]) ? palette.out : this.#colour(points.labels[i], palette);
      this.#tick(context, points.turns[i], inner, outer);
    }
  }

  #drawMosaic(context, [inner, outer], n, palette) {
    const { keys, slots } = this.#model;
    const filled = new Float32Array(n);
    for (const label of slots.keys()) {
      const cells = coverage(stretchesOf(keys.turns, keys.labels, label), n);
      context.fillStyle = this.#colour(label, palette);
      context.beginPath();
      for (let i = 0; i < n; i++) {
        if (cells[i] === 0) continue;
        const [from, to] = [filled[i], Math.min(1, filled[i] + cells[i])];
        this.#cell(context, i / n, (i + 1) / n, inner + from * (outer - inner), inner + to * (outer - inner));
        filled[i] = to;
      }
      context.fill();
    }
  }

  // What is looked at, and the way of the key: from where it stands to its owner's point, and on
  // to the one that gets it.
  #drawOver() {
    cancelAnimationFrame(this.#frame);
    if (this.#size === 0) return;
    const context = this.#begin(this.#over);
    const { points, keys, walk, theme } = this.#model;
    const palette = PALETTES[theme];
    const radii = this.#radii();
    if (this.#cursor >= 0) {
      const to = points.turns[this.#cursor];
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      this.#outline(context, radii.band, arcStart(points.turns, this.#cursor), to);
      this.#tick(context, to, radii.points[0] - 3, radii.band[1]);
    }
    if (!walk || points.turns.length === 0) return;
    const passed = Math.min(1, (performance.now() - this.#walk.from) / WALK_MS);
    const eased = 1 - (1 - passed) ** 3;
    const ends = [points.turns[arcAt(points.turns, walk.turn)]];
    if (walk.server && walk.server !== walk.owner && keys.turns.length > 0) ends.push(keys.turns[arcAt(keys.turns, walk.turn)]);
    const end = ends[ends.length - 1] + (ends[ends.length - 1] < walk.turn ? 1 : 0);
    const now = walk.turn + (end - walk.turn) * eased;
    context.strokeStyle = palette.ink;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(this.#centre.x, this.#centre.y, radii.way, angle(walk.turn), angle(now));
    context.stroke();
    this.#tick(context, walk.turn, radii.band[0], radii.way);
    ends.forEach((turn, i) => {
      if (now < turn + (turn < walk.turn ? 1 : 0)) return;
      this.#dot(context, turn, (radii.points[0] + radii.points[1]) / 2, i < ends.length - 1 ? palette.background : palette.ink, palette.ink, 4);
    });
    // No room for its head beside the dot, no arrow.
    if (walk.server && (now - walk.turn) * 2 * Math.PI * radii.way > 16) this.#arrow(context, now, radii.way, palette.ink);
    this.#dot(context, walk.turn, radii.way, palette.background, palette.ink, 5.5);
    if (passed < 1) this.#frame = requestAnimationFrame(() => this.#drawOver());
  }

  // === Strokes ===

  #ring(context, [inner, outer], fill, from, to) {
    const { x, y } = this.#centre;
    context.fillStyle = fill;
    context.beginPath();
    context.arc(x, y, outer, angle(from), angle(to));
    context.arc(x, y, inner, angle(to), angle(from), true);
    context.fill();
  }

  #outline(context, [inner, outer], from, to) {
    const { x, y } = this.#centre;
    context.beginPath();
    context.arc(x, y, outer, angle(from), angle(to));
    context.arc(x, y, inner, angle(to), angle(from), true);
    context.closePath();
    context.stroke();
  }

  // Lines across a stretch, so that the second dozen of servers differs from the first.
  #hatch(context, [inner, outer], from, to, colour) {
    const spacing = 5 / (2 * Math.PI * outer);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    for (let turn = Math.ceil(from / spacing) * spacing; turn < to; turn += spacing) this.#tick(context, turn, inner, outer);
  }

  #cell(context, from, to, inner, outer) {
    const corners = [pointAt(from, inner, this.#centre), pointAt(from, outer, this.#centre), pointAt(to, outer, this.#centre), pointAt(to, inner, this.#centre)];
    corners.forEach(({ x, y }, i) => (i === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
    context.closePath();
  }

  #tick(context, turn, inner, outer) {
    const [a, b] = [pointAt(turn, inner, this.#centre), pointAt(turn, outer, this.#centre)];
    context.beginPath();
    context.moveTo(a.x, a.y);
    context.lineTo(b.x, b.y);
    context.stroke();
  }

  #dot(context, turn, radius, fill, stroke, size) {
    const { x, y } = pointAt(turn, radius, this.#centre);
    context.beginPath();
    context.arc(x, y, size, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
    context.strokeStyle = stroke;
    context.lineWidth = 2;
    context.stroke();
  }

  // The head of an arrow that runs clockwise.
  #arrow(context, turn, radius, colour) {
    const { x, y } = pointAt(turn, radius, this.#centre);
    context.save();
    context.translate(x, y);
    context.rotate(angle(turn) + Math.PI / 2);
    context.beginPath();
    context.moveTo(1, 0);
    context.lineTo(-8, -4.5);
    context.lineTo(-8, 4.5);
    context.closePath();
    context.fillStyle = colour;
    context.fill();
    context.restore();
  }

  // === What things look like ===

  #colour(label, palette) {
    const slot = this.#model.slots.get(label);
    return slot === undefined ? undefined : palette.servers[colourOf(slot)];
  }

  #strength(label) {
    const { selected } = this.#model;
    return selected === null || selected === label ? 1 : 0.22;
  }

  #out() {
    return new Set(this.#model.servers.filter(({ eligible }) => !eligible).map(({ name }) => name));
  }

  // === Pointer and keyboard ===

  #under(event) {
    if (!this.#model) return -1;
    const box = this.#stage.getBoundingClientRect();
    const { turn, distance } = turnAt(event.clientX - box.left, event.clientY - box.top, this.#centre);
    const { points, moved } = this.#radii();
    return distance < points[0] - 4 || distance > moved[1] + MARGIN ? -1 : arcAt(this.#model.points.turns, turn);
  }

  #look(index) {
    if (index === this.#cursor) return;
    this.#cursor = index;
    if (this.#model) this.#drawOver();
    this.#onPoint(index);
  }

  #press(event) {
    const { points } = this.#model ?? {};
    const n = points?.turns.length ?? 0;
    if (n === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const sameOwner = (by) => {
      let i = this.#cursor;
      if (i < 0) return this.step(by);
      do i = (i + by + n) % n; while (points.labels[i] !== points.labels[this.#cursor]);
      this.#look(i);
    };
    const keys = {
      ArrowRight: () => this.step(1),
      ArrowUp: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      ArrowDown: () => this.step(-1),
      PageDown: () => sameOwner(1),
      PageUp: () => sameOwner(-1),
      Home: () => this.#look(0),
      End: () => this.#look(n - 1),
      Enter: () => this.#onPick(this.#cursor),
      ' ': () => this.#onPick(this.#cursor),
      Escape: () => {
        this.#look(-1);
        this.#onPick(-1);
      },
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
