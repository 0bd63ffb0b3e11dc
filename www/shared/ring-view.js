// The ring on two canvases: one for what changes when the fleet does (ring-base.js), one above it
// for what changes with every move of the pointer. Draws what it is given and hands back what is
// pointed at.

import { arcAt, arcStart, differences, turnAt } from './geometry.js';
import { PALETTES } from './palette.js';
import { turnOf } from './picture.js';
import { MARGIN, RingBase, radii } from './ring-base.js';
import { Strokes } from './strokes.js';
import { WHOLE } from './window.js';

const RATIO_MAX = 3;
const WALK_MS = 700;

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
  #canvases;
  #onPoint;
  #onPick;
  #model;
  // The stretches that the last change moved.
  #moved = [];
  #level = { level: 'ticks', perPixel: 0 };
  #size = 0;
  #ratio = 1;
  // The point whose arc the pointer or the keyboard is at; -1 for none.
  #cursor = -1;
  #walk = { key: null, from: 0 };
  #frame = 0;
  #drawn = { base: 0, over: 0 };

  // `onPoint(index, isStep)` is told which arc is looked at (-1: none) and whether by stepping there,
  // `onPick(index)` which is chosen, until `signal` aborts.
  constructor(stage, { signal, onPoint, onPick }) {
    this.#stage = stage;
    // A third one is the mode's own.
    this.#canvases = [...stage.querySelectorAll('canvas')].slice(0, 2);
    this.#base = new RingBase(this.#canvases[0]);
    this.#over = this.#canvases[1];
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
    stage.addEventListener('pointermove', (event) => this.look(this.#under(event)));
    stage.addEventListener('pointerleave', () => this.look(-1));
    stage.addEventListener('click', (event) => this.#onPick(this.#under(event)));
    stage.addEventListener('keydown', (event) => this.#press(event));
    stage.addEventListener('blur', () => this.look(-1));
  }

  // What to draw:
  //   points, keys     pictures (picture.js) of all points, and of who gets the keys
  //   ghost            a picture of who got them before; optional
  //   moved            stretches that differ, or `change.before`, a picture to compare `keys` with
  //   slots, servers   who has which colour, and who is eligible
  //   pins             names of servers that stand out, or one `selected`
  //   walk             where a key goes; `theme`, `isStill`
  //   window           the part that is shown elsewhere; optional
  show({ selected = null, pins = selected === null ? [] : [selected], change, ...model }) {
    const before = this.#model;
    this.#model = { ghost: null, ...model, pins, change };
    if (before && before.points !== model.points) this.look(-1);
    if (model.moved) this.#moved = model.moved;
    else if (before?.change !== change || before?.keys !== model.keys) {
      this.#moved = change?.before ? differences(change.before, model.keys) : [];
    }
    const { walk } = model;
    const route = walk && `${walk.position} ${walk.owner} ${walk.server}`;
    if (route !== this.#walk.key) this.#walk = { key: route, from: model.isStill || !before ? -Infinity : performance.now() };
    const drawn = ['points', 'keys', 'ghost', 'moved', 'slots', 'servers', 'change', 'theme'];
    const isSame = before && drawn.every((name) => before[name] === this.#model[name]) && `${before.pins}` === `${pins}`;
    if (!isSame) this.#drawBase();
    this.#drawOver();
  }

  // The level of detail the ring is drawn at.
  get detail() {
    return this.#level;
  }

  step(by) {
    const n = this.#model.points.turns.length;
    if (n > 0) this.look(this.#cursor < 0 ? (by < 0 ? n - 1 : 0) : (this.#cursor + by + n) % n, true);
  }

  // Looks at the arc of this point; at none with -1. `isStep` when it was stepped to, not pointed at.
  look(index, isStep = false) {
    if (index === this.#cursor) return;
    this.#cursor = index;
    if (this.#model) this.#drawOver();
    this.#onPoint(index, isStep);
  }

  #fit() {
    const size = this.#stage.clientWidth;
    const ratio = Math.min(RATIO_MAX, devicePixelRatio || 1);
    if (size === 0 || (size === this.#size && ratio === this.#ratio)) return;
    [this.#size, this.#ratio] = [size, ratio];
    for (const canvas of this.#canvases) canvas.width = canvas.height = Math.round(size * ratio);
    if (this.#model) {
      this.#drawBase();
      this.#drawOver();
    }
  }

  get #radii() {
    return radii(this.#size, Boolean(this.#model.ghost));
  }

  get #centre() {
    return { x: this.#size / 2, y: this.#size / 2 };
  }

  // How often each canvas was drawn can be read from outside: hovering draws one of them only.
  #count(layer) {
    this.#drawn[layer] += 1;
    this.#stage.dataset[layer] = this.#drawn[layer];
  }

  #drawBase() {
    if (this.#size === 0) return;
    this.#count('base');
    this.#level = this.#base.draw({ ...this.#model, moved: this.#moved }, this.#size, this.#ratio);
  }

  // What is looked at, and the way of the key: from where it stands to its owner's point, and on
  // to the one that gets it.
  #drawOver() {
    cancelAnimationFrame(this.#frame);
    if (this.#size === 0) return;
    this.#count('over');
    const context = this.#over.getContext('2d');
    const scale = this.#over.width / this.#size;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.#size, this.#size);
    const strokes = new Strokes(context, this.#centre);
    const { points, keys, walk, theme, window } = this.#model;
    const palette = PALETTES[theme];
    const at = this.#radii;
    if (window && window.length < WHOLE) {
      const from = turnOf(...window.from);
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      strokes.outline([at.points[0] - 6, at.points[0] - 3], from, from + Math.max(window.length / WHOLE, 0.002));
    }
    if (this.#cursor >= 0) {
      const to = points.turns[this.#cursor];
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      strokes.outline(at.band, arcStart(points.turns, this.#cursor), to);
      strokes.tick(to, at.points[0] - 3, at.band[1]);
    }
    if (!walk || points.turns.length === 0) return;
    const passed = Math.min(1, (performance.now() - this.#walk.from) / WALK_MS);
    const eased = 1 - (1 - passed) ** 3;
    const ends = [points.turns[arcAt(points.turns, walk.turn)]];
    if (walk.server && walk.server !== walk.owner && keys.turns.length > 0) ends.push(keys.turns[arcAt(keys.turns, walk.turn)]);
    const end = ends[ends.length - 1] + (ends[ends.length - 1] < walk.turn ? 1 : 0);
    const now = walk.turn + (end - walk.turn) * eased;
    this.#stage.dataset.walked = eased.toFixed(3);
    context.strokeStyle = palette.ink;
    context.lineWidth = 1.5;
    strokes.arc(at.way, walk.turn, now);
    strokes.tick(walk.turn, at.band[0], at.way);
    ends.forEach((turn, i) => {
      if (now < turn + (turn < walk.turn ? 1 : 0)) return;
      strokes.dot(turn, (at.points[0] + at.points[1]) / 2, i < ends.length - 1 ? palette.background : palette.ink, palette.ink, 4);
    });
    // No room for its head beside the dot, no arrow.
    if (walk.server && (now - walk.turn) * 2 * Math.PI * at.way > 16) strokes.arrow(now, at.way, palette.ink);
    strokes.dot(walk.turn, at.way, palette.background, palette.ink, 5.5);
    if (passed < 1) this.#frame = requestAnimationFrame(() => this.#drawOver());
  }

  // === Pointer and keyboard ===

  #under(event) {
    if (!this.#model) return -1;
    const box = this.#stage.getBoundingClientRect();
    const { turn, distance } = turnAt(event.clientX - box.left, event.clientY - box.top, this.#centre);
    const { points, moved } = this.#radii;
    return distance < points[0] - 4 || distance > moved[1] + MARGIN ? -1 : arcAt(this.#model.points.turns, turn);
  }

  #press(event) {
    const { points } = this.#model ?? {};
    const n = points?.turns.length ?? 0;
    if (n === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const sameOwner = (by) => {
      let i = this.#cursor;
      if (i < 0) return this.step(by);
      do i = (i + by + n) % n; while (points.labels[i] !== points.labels[this.#cursor]);
      this.look(i, true);
    };
    const keys = {
      ArrowRight: () => this.step(1),
      ArrowUp: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      ArrowDown: () => this.step(-1),
      PageDown: () => sameOwner(1),
      PageUp: () => sameOwner(-1),
      Home: () => this.look(0, true),
      End: () => this.look(n - 1, true),
      Enter: () => this.#onPick(this.#cursor),
      ' ': () => this.#onPick(this.#cursor),
      Escape: () => {
        this.look(-1);
        this.#onPick(-1);
      },
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
