// The rules beside each other: where the same keys go by each, what one server more or less moves,
// how even it is, and what it costs in this browser.

import { html, nothing, render } from '../shared/dom.js';
import { colourOf, isHatched, PALETTES } from '../shared/palette.js';
import { percent, ratio } from '../shared/words.js';
import { ALGORITHMS } from './servers.js';
import { difference, edited, suggestion } from './spec.js';

// A carpet of so many cells a side: a key each.
export const SIDE = 64;
export const KEYS = Array.from({ length: SIDE * SIDE }, (_, i) => `key-${i}`);
const LOOKUPS = 8;

export const CHANGES = { more: 'one server more', less: 'one server less', staged: 'what is staged' };

// The spec after the change that is compared; null where there is none.
export function changed(spec, staged, change) {
  if (change === 'staged') return staged;
  if (change === 'more') {
    const server = suggestion(spec);
    return edited(spec, { kind: 'added', server: server.name, spec: server });
  }
  const last = spec.servers[spec.servers.length - 1];
  return spec.servers.length > 1 ? edited(spec, { kind: 'removed', server: last.name }) : null;
}

// One rule on this fleet: owners of KEYS before and after, what the engine says of both, how long it
// took; or { problem } where the rule cannot have such a fleet. `now()` is in milliseconds.
export function tried(LoadBalancer, algorithm, spec, next, now = () => performance.now()) {
  const engines = [];
  const make = ({ servers, routing }) => {
    const engine = new LoadBalancer({ servers, routing: { ...routing, algorithm } });
    engines.push(engine);
    return engine;
  };
  try {
    const begun = now();
    const engine = make(spec);
    const built = now();
    const before = engine.routeMany(KEYS);
    const asked = now();
    for (let i = 0; i < LOOKUPS; i++) engine.routeMany(KEYS);
    const done = now();
    const { balance } = engine.ring({ limit: 1 });
    const owners = before.map((server) => server?.name ?? null);
    const about = { algorithm, owners, balance, buildMs: built - begun, lookupNs: ((done - asked) / LOOKUPS / KEYS.length) * 1e6 };
    if (next === null) return { ...about, after: owners, plan: null };
    const after = make(next).routeMany(KEYS).map((server) => server?.name ?? null);
    const rules = { ...spec.routing, algorithm };
    return { ...about, after, plan: engine.plan(difference({ ...spec, routing: rules }, { ...next, routing: { ...next.routing, algorithm } })) };
  } catch (error) {
    return { algorithm, problem: error.message };
  } finally {
    for (const engine of engines) engine.free();
  }
}

// Draws whose each key is; those that change are framed.
export function paint(canvas, { owners, after }, { slots, pins }, theme) {
  const palette = PALETTES[theme];
  const size = canvas.width / SIDE;
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, canvas.width, canvas.height);
  owners.forEach((name, i) => {
    const [x, y] = [(i % SIDE) * size, Math.floor(i / SIDE) * size];
    const slot = slots.get(name);
    context.globalAlpha = pins.length === 0 || pins.includes(name) ? 1 : 0.25;
    context.fillStyle = slot === undefined ? palette.neutral : palette.servers[colourOf(slot)];
    context.fillRect(x, y, size, size);
    if (slot !== undefined && isHatched(slot)) {
      context.fillStyle = palette.background;
      context.fillRect(x, y + size / 2, size, Math.max(1, size / 4));
    }
    if (after[i] === name) return;
    context.globalAlpha = 1;
    context.fillStyle = palette.ink;
    const line = Math.max(1, size / 4);
    context.fillRect(x, y, size, line);
    context.fillRect(x, y + size - line, size, line);
    context.fillRect(x, y, line, size);
    context.fillRect(x + size - line, y, line, size);
  });
  context.globalAlpha = 1;
}

// The page of it. It tries one rule after the other, and draws each when it is known.
export function comparePage(body, ending, { store, shell, LoadBalancer }) {
  let change = 'more';
  let known = new Map();
  let last = {};
  let timer;
  ending.addEventListener('abort', () => clearTimeout(timer));

  const isOver = () => ALGORITHMS.every((name) => known.has(name));

  function goOn() {
    const algorithm = ALGORITHMS.find((name) => !known.has(name));
    if (algorithm === undefined) return;
    known.set(algorithm, tried(LoadBalancer, algorithm, last.spec, last.next));
    draw();
    timer = setTimeout(goOn);
  }

  function show() {
    const { spec, staged } = store.state;
    if (change === 'staged' && staged === null) change = 'more';
    if (last.spec !== spec || last.staged !== staged || last.change !== change) {
      last = { spec, staged, change, next: changed(spec, staged, change) };
      known = new Map();
      clearTimeout(timer);
      timer = setTimeout(goOn);
    }
    draw();
  }

  function draw() {
    const { state } = store;
    render(html`
      <label class="field"><span>What changes</span><select data-testid="change" @change=${(event) => { change = event.target.value; show(); }}>
        ${Object.entries(CHANGES).map(([name, title]) => html`<option value=${name} ?selected=${name === change} ?disabled=${name === 'staged' && state.staged === null}>${title}</option>`)}
      </select></label>
      <p class="hint">The same ${KEYS.length.toLocaleString('en-US')} keys by each rule, in the colours of their servers; framed are those that move. Times are of this browser.</p>
      <div class="carpets" aria-busy=${!isOver()}>${ALGORITHMS.map((name) => cardView(name, known.get(name)))}</div>`, body);
    for (const [name, result] of known) {
      if (result.problem !== undefined) continue;
      const canvas = body.querySelector(`canvas[data-rule="${name}"]`);
      const key = `${shell.theme} ${state.pins} ${last.change}`;
      if (canvas.result === result && canvas.slots === state.slots && canvas.key === key) continue;
      Object.assign(canvas, { result, slots: state.slots, key });
      paint(canvas, result, state, shell.theme);
    }
  }

  function cardView(name, result) {
    return html`
      <article class="carpet" aria-label=${name} data-rule=${name}>
        <h3>${name}</h3>
        ${result?.problem === undefined ? html`<canvas width="256" height="256" data-rule=${name} aria-hidden="true"></canvas>` : html`<p class="hint">${result.problem}</p>`}
        ${result === undefined || result.problem !== undefined ? nothing : html`
          <dl>
            <div><dt>moved</dt><dd data-value=${result.plan?.moved ?? 0}>${result.plan === null ? '–' : percent(result.plan.moved)}</dd></div>
            <div><dt>least</dt><dd>${result.plan === null ? '–' : percent(result.plan.minimum)}</dd></div>
            <div><dt>peak</dt><dd>${ratio(result.balance.peak_to_mean)}</dd></div>
            <div><dt>cv</dt><dd>${percent(result.balance.cv)}</dd></div>
            <div><dt>build</dt><dd>${result.buildMs.toFixed(1)} ms</dd></div>
            <div><dt>lookup</dt><dd>${result.lookupNs.toFixed(0)} ns</dd></div>
          </dl>`}
      </article>`;
  }

  return { show };
}
