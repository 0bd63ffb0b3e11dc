// The ring unrolled: the window of it that is looked at, down to a single virtual node. What moved is
// drawn at its true width, which may be nothing; a mark above it says that it is there.

import { mixed, rgb } from '../shared/annuli.js';
import { PALETTES, isHatched } from '../shared/palette.js';
import { turnOf } from '../shared/picture.js';
import { colour, shownOf } from '../shared/ring-base.js';
import { ALL, WHOLE, distance, moved, zoomed } from '../shared/window.js';

const RATIO_MAX = 3;
const HEIGHT = 58;
// From the top: marks, what moved, who gets the keys, who got them, the points.
const ROWS = { marks: [0, 5], moved: [6, 6], band: [14, 26], ghost: [41, 4], points: [47, 10] };
// So far can be zoomed in, in units of positions.
const LEAST = 64;
const STEP = 2;
const WHEEL = 0.0025;

export const STRIP_KEYS = [
  ['+ −', 'on the strip: nearer, further off'],
  ['← →', 'on the strip: along the ring'],
  ['0', 'on the strip: all of the ring'],
];

// Which point is the first at or after a place; as many as there are when none is.
export function firstAt(positions, [upper, lower]) {
  let [low, high] = [0, positions.length / 2];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [a, b] = [positions[2 * middle], positions[2 * middle + 1]];
    if (a < upper || (a === upper && b < lower)) low = middle + 1;
    else high = middle;
  }
  return low;
}

// How many points stand in a window, from which one on.
export function pointsIn({ positions, turns }, { from, length }) {
  const first = firstAt(positions, from);
  if (length === WHOLE) return { first, count: turns.length };
  let [low, high] = [0, turns.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const i = (first + middle) % turns.length;
    if (distance(from, positions[2 * i], positions[2 * i + 1]) < length) low = middle + 1;
    else high = middle;
  }
  return { first, count: low };
}

export class Strip {
  #place;
  #base;
  #over;
  #model;
  // What shall be looked at: ahead of the model until that is shown.
  #window = ALL;
  #width = 0;
  #ratio = 1;
  #cursor = -1;
  #onWindow;
  #onPoint;
  #pointers = new Map();
  #drawn = 0;

  // `onWindow(window)` is told what shall be looked at, `onPoint(index)` what is pointed at.
  constructor(place, { signal, onWindow, onPoint }) {
    this.#place = place;
    [this.#base, this.#over] = place.querySelectorAll('canvas');
    this.#onWindow = onWindow;
    this.#onPoint = onPoint;
    const sizes = new ResizeObserver(() => this.#fit());
    sizes.observe(place);
    signal.addEventListener('abort', () => sizes.disconnect());
    // The wheel alone scrolls the page.
    place.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    place.addEventListener('keydown', (event) => this.#press(event));
    place.addEventListener('pointerdown', (event) => this.#down(event));
    place.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) place.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    place.addEventListener('pointerleave', () => this.#onPoint(-1));
    place.addEventListener('dblclick', (event) => this.#zoom(STEP * STEP, this.#at(event)));
  }

  // What the ring is shown, with `window`.
  show(model) {
    const before = this.#model;
    this.#model = model;
    this.#window = model.window;
    const drawn = ['points', 'keys', 'ghost', 'moved', 'slots', 'servers', 'theme', 'window', 'walk'];
    if (!before || drawn.some((name) => before[name] !== model[name]) || `${before.pins}` !== `${model.pins}`) this.#draw();
  }

  // Marks the arc of a point.
  mark(index) {
    this.#cursor = index;
    this.#drawOver();
  }

  zoomIn() {
    this.#zoom(STEP, 0.5);
  }

  zoomOut() {
    this.#zoom(1 / STEP, 0.5);
  }

  #fit() {
    const width = this.#place.clientWidth;
    const ratio = Math.min(RATIO_MAX, devicePixelRatio || 1);
    if (width === 0 || (width === this.#width && ratio === this.#ratio)) return;
    [this.#width, this.#ratio] = [width, ratio];
    for (const canvas of [this.#base, this.#over]) [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(HEIGHT * ratio)];
    if (this.#model) this.#draw();
  }

  #begin(canvas) {
    const context = canvas.getContext('2d');
    context.setTransform(canvas.width / this.#width, 0, 0, canvas.height / HEIGHT, 0, 0);
    context.clearRect(0, 0, this.#width, HEIGHT);
    return context;
  }

  #draw() {
    if (this.#width === 0) return;
    this.#drawn += 1;
    this.#place.dataset.base = this.#drawn;
    const context = this.#begin(this.#base);
    const { points, keys, ghost, window, theme } = this.#model;
    const palette = PALETTES[theme];
    const { count } = pointsIn(points, window);
    if (points.turns.length > 0) {
      if (count < this.#width * this.#ratio) {
        this.#arcs(context, keys, ROWS.band, palette);
        if (ghost) this.#arcs(context, ghost, ROWS.ghost, palette);
        this.#ticks(context, palette);
      } else this.#cells(context, palette);
      this.#moves(context, palette);
    }
    this.#drawOver();
  }

  // Where a point stands, in CSS pixels from the left.
  #x(picture, i) {
    const { from, length } = this.#model.window;
    return (distance(from, picture.positions[2 * i], picture.positions[2 * i + 1]) / length) * this.#width;
  }

  #arcs(context, picture, [top, height], palette) {
    const { pins, slots, window } = this.#model;
    const n = picture.turns.length;
    const { first, count } = pointsIn(picture, window);
    let left = 0;
    for (let k = 0; k <= count; k++) {
      const i = (first + k) % n;
      // Behind the last of the window its arc goes on, to a point that is not seen.
      const right = k === count ? this.#width : this.#x(picture, i);
      const label = picture.labels[i];
      // What belongs together has no seam.
      if (k < count && label === picture.labels[(i + 1) % n]) continue;
      context.globalAlpha = pins.length === 0 || pins.includes(label) || !slots.has(label) ? 1 : 0.22;
      context.fillStyle = colour(this.#model, label, palette) ?? palette.neutral;
      context.fillRect(left, top, right - left, height);
      if (isHatched(slots.get(label) ?? 0)) {
        context.fillStyle = palette.background;
        for (let x = Math.ceil(left / 5) * 5; x < right; x += 5) context.fillRect(x, top, 1.5, height);
      }
      left = right;
    }
    context.globalAlpha = 1;
  }

  #ticks(context, palette) {
    const { points, window, servers } = this.#model;
    const out = new Set(servers.filter(({ eligible }) => !eligible).map(({ name }) => name));
    const { first, count } = pointsIn(points, window);
    const [top, height] = ROWS.points;
    for (let k = 0; k < count; k++) {
      const i = (first + k) % points.turns.length;
      const isOut = out.has(points.labels[i]);
      context.fillStyle = isOut ? palette.out : (colour(this.#model, points.labels[i], palette) ?? palette.muted);
      context.fillRect(this.#x(points, i) - 1, top, 2, isOut ? height / 2 : height);
    }
  }

  #cells(context, palette) {
    const { points, keys, ghost, window } = this.#model;
    const n = this.#base.width;
    const shown = shownOf(this.#model);
    const layers = (picture) => shown.map((label) => ({ cells: picture.cells(n, { ...window, label }), colour: rgb(colour(this.#model, label, palette) ?? palette.ink) }));
    const band = (picture, row) => {
      const colours = new Uint8ClampedArray(4 * n);
      mixed(n, rgb(palette.neutral), layers(picture), colours, 0);
      this.#row(context, colours, row);
    };
    band(keys, ROWS.band);
    if (ghost) band(ghost, ROWS.ghost);
    const cells = points.cells(n, window);
    const most = cells.reduce((a, b) => Math.max(a, b), 1);
    const [top, height] = ROWS.points;
    context.fillStyle = palette.muted;
    for (let i = 0; i < n; i++) context.fillRect(i / this.#ratio, top, 1 / this.#ratio, (height * cells[i]) / most);
    const { first, count } = pointsIn(points, window);
    for (let k = 0; k < count; k++) {
      const i = (first + k) % points.turns.length;
      if (!shown.includes(points.labels[i])) continue;
      context.fillStyle = colour(this.#model, points.labels[i], palette) ?? palette.ink;
      context.fillRect(this.#x(points, i), top, 1, height);
    }
  }

  // A row of pixels, as high as is wanted.
  #row(context, colours, [top, height]) {
    const line = new OffscreenCanvas(colours.length / 4, 1);
    line.getContext('2d').putImageData(new ImageData(colours, colours.length / 4, 1), 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(line, 0, top, this.#width, height);
  }

  #moves(context, palette) {
    const { window } = this.#model;
    const origin = turnOf(...window.from);
    const scale = (WHOLE / window.length) * this.#width;
    const marks = new Set();
    for (const { from, to, after } of this.#model.moved) {
      const size = (to - from) * scale;
      let left = ((((from - origin) % 1) + 1) % 1) * scale;
      // It may begin before the window and reach into it.
      if (left + size > scale) left -= scale;
      if (left > this.#width || left + size < 0) continue;
      context.fillStyle = colour(this.#model, after, palette) ?? palette.ink;
      const [top, height] = ROWS.moved;
      context.fillRect(left, top, size, height);
      marks.add(Math.round(Math.min(this.#width - 1, Math.max(0, left + size / 2))));
    }
    context.fillStyle = palette.ink;
    for (const x of marks) context.fillRect(x, ROWS.marks[0], 1, ROWS.marks[1]);
  }

  #drawOver() {
    if (this.#width === 0 || !this.#model) return;
    const context = this.#begin(this.#over);
    const { points, window, theme, walk } = this.#model;
    const { ink, background } = PALETTES[theme];
    const [top, height] = ROWS.band;
    if (walk) {
      const x = ((((walk.turn - turnOf(...window.from)) % 1) + 1) % 1) * (WHOLE / window.length) * this.#width;
      if (x < this.#width) {
        context.fillStyle = ink;
        context.fillRect(x - 1, top - 3, 2, height + 6);
        context.beginPath();
        context.arc(x, top - 3, 4, 0, 2 * Math.PI);
        context.fillStyle = background;
        context.fill();
        context.strokeStyle = ink;
        context.lineWidth = 2;
        context.stroke();
      }
    }
    const n = points.turns.length;
    if (this.#cursor < 0 || this.#cursor >= n) return;
    const end = this.#x(points, this.#cursor);
    const start = n === 1 ? 0 : this.#x(points, (this.#cursor + n - 1) % n);
    if (end > this.#width && start > this.#width) return;
    const [a, b] = start < end ? [start, end] : end <= this.#width ? [0, end] : [start, this.#width];
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.strokeRect(Math.max(a, 1), top - 1, Math.max(1, Math.min(b, this.#width - 1) - Math.max(a, 1)), height + 2);
  }

  // === Pointer and keyboard ===

  #at(event) {
    const box = this.#place.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  }

  #zoom(factor, at) {
    this.#go(zoomed(this.#window, factor, at, LEAST));
  }

  #go(window) {
    this.#window = window;
    this.#onWindow(window);
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#zoom(Math.exp(-event.deltaY * WHEEL), this.#at(event));
  }

  #down(event) {
    this.#pointers.set(event.pointerId, this.#at(event));
    this.#place.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const at = this.#at(event);
    const was = this.#pointers.get(event.pointerId);
    if (was === undefined) {
      this.#onPoint(this.#under(at));
      return;
    }
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, at);
    if (other === undefined) this.#go(moved(this.#window, was - at));
    // Two fingers: what is between them stays between them.
    else if (Math.abs(was - other) > 0.01) this.#zoom(Math.abs(at - other) / Math.abs(was - other), (at + other) / 2);
  }

  #under(at) {
    const { points, window } = this.#model;
    const n = points.turns.length;
    if (n === 0) return -1;
    let [low, high] = [0, pointsIn(points, window).count];
    const first = firstAt(points.positions, window.from);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#x(points, (first + middle) % n) < at * this.#width) low = middle + 1;
      else high = middle;
    }
    return (first + low) % n;
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      '+': () => this.#zoom(STEP, 0.5),
      '=': () => this.#zoom(STEP, 0.5),
      '-': () => this.#zoom(1 / STEP, 0.5),
      ArrowRight: () => this.#go(moved(this.#window, 0.2)),
      ArrowLeft: () => this.#go(moved(this.#window, -0.2)),
      0: () => this.#go(ALL),
      Escape: () => this.#go(ALL),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
