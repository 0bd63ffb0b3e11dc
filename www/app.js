// Wires the page together. The only file that imports the package.

import { LoadBalancer } from './pkg/index.js';

import { balanceView } from './charts.js';
import { changesView } from './changes.js';
import { html, live, nothing, render, tagged } from './dom.js';
import { walkView } from './key-walk.js';
import { watch } from './live.js';
import { PALETTES } from './palette.js';
import { pointsView } from './points.js';
import { RingView } from './ring-view.js';
import { createServers } from './servers.js';
import { SCENARIOS, VIRTUAL_NODES, createStore } from './store.js';
import { count, keyless, many, percent, position, summary } from './words.js';

const THEMES = { auto: 'System', light: 'Light', dark: 'Dark' };
const THEME_KEY = 'ringway.theme';

const at = (id) => document.getElementById(id);
const darkness = matchMedia('(prefers-color-scheme: dark)');
const stillness = matchMedia('(prefers-reduced-motion: reduce)');

const store = createStore(LoadBalancer);
let wish = readTheme();
let point = -1;
let pointsPage = 0;
let isDue = false;
// Whether a proxy serves this page, and could be watched again.
let hasProxy = false;

const ring = new RingView(at('stage'), {
  onPoint: (index) => {
    point = index;
    showReadout();
  },
  onPick: (index) => {
    const name = store.state.view.points.labels[index];
    store.select(name === undefined || name === store.state.selected ? null : name);
  },
});

at('key').value = store.state.key;
at('key').addEventListener('input', ({ target }) => store.setKey(target.value));
at('key-form').addEventListener('submit', (event) => event.preventDefault());
at('point-before').addEventListener('click', () => ring.step(-1));
at('point-after').addEventListener('click', () => ring.step(1));
at('points-details').addEventListener('toggle', show);
document.addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof Element && event.target.closest('input, select, textarea');
  if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  at('key').focus();
  at('key').select();
});
darkness.addEventListener('change', applyTheme);
stillness.addEventListener('change', show);

createServers({ list: at('servers'), tools: at('servers-tools'), form: at('servers-add') }, store);
store.subscribe(() => {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    show();
  });
});

at('starting').remove();
document.querySelector('main').hidden = false;
applyTheme();

let watching = attach();
// What is shown grows old without any news.
setInterval(() => store.state.live && showMode(), 1000);
// Ready is what is drawn: in the frame after the one that an answer asked for.
watching.started.then(() => requestAnimationFrame(() => {
  document.documentElement.dataset.ready = '';
}));

function attach() {
  return watch({
    onAnswer(answer) {
      hasProxy = true;
      store.observe(answer);
    },
    onLoss: (why, when) => store.lose(why, when),
  });
}

function show() {
  const { state } = store;
  const { view, servers, slots, selected, walk, changes } = state;
  ring.show({
    points: view.points, keys: view.keys, slots, servers, selected, walk,
    change: changes[0], theme: theme(), isStill: stillness.matches,
  });
  showMode();
  showTools();
  showReadout();
  showAnswer();
  render(walkView(state), at('walk'));
  render(changesView(state), at('changes'));
  render(balanceView(state), at('balance'));
  render(at('points-details').open ? pointsView(state, pointsPage, (page) => { pointsPage = page; show(); }) : nothing, at('points'));
  render(html`Ring <code>${view.fingerprint}</code>`, at('foot'));
  const news = summary(state);
  if (at('aloud').textContent !== news) at('aloud').textContent = news;
  document.title = state.mode === 'live' ? `${state.live.health.n_eligible}/${state.live.health.n_servers} eligible · Ringway` : 'Ringway: the ring';
  document.documentElement.dataset.mode = state.mode;
}

function showMode() {
  const { mode, live: proxy, view } = store.state;
  const isLost = Boolean(proxy?.lost);
  const age = proxy ? Math.max(0, Math.round((Date.now() - proxy.at) / 1000)) : 0;
  document.documentElement.toggleAttribute('data-stale', isLost);
  render(mode === 'live'
    ? html`
      <span class="chip ${isLost ? 'lost' : 'live'}"><i></i>${isLost ? 'No news' : 'Live'}: this proxy</span>
      <span class="chip-note" role=${isLost ? 'alert' : nothing}>${isLost
        ? `${proxy.lost.problem}. This is what it said ${age} s ago; asking again each second.`
        : proxy.fingerprint === view.fingerprint
          ? `${proxy.health.n_eligible} of ${many(proxy.health.n_servers, 'server')} eligible${proxy.health.fail_open ? ': it fails open' : ''}`
          : 'This page’s engine makes another ring than the proxy’s: their versions differ. Do not trust the picture.'}</span>`
    : html`<span class="chip"><i></i>Explore</span><span class="chip-note">Nothing leaves this page.</span>`, at('mode'));
}

function showTools() {
  const { mode, scenario, view } = store.state;
  render(html`
    ${mode === 'live'
      ? html`<button type="button" class="primary" data-testid="fork" @click=${fork} title="Changes are made in Explore: this view only watches">Explore a copy</button>`
      : html`${hasProxy ? html`<button type="button" class="primary" data-testid="watch" @click=${watchAgain}>Watch the proxy</button>` : nothing}
        <label class="field"><span>Start with</span><select data-testid="scenario" .value=${live(scenario ?? '')} @change=${(event) => store.load(event.target.value)}>
          <option value="" disabled hidden ?selected=${scenario === null}>your own fleet</option>
          ${Object.entries(SCENARIOS).map(([name, { title }]) => html`<option value=${name} ?selected=${name === scenario}>${title}</option>`)}
        </select></label>`}
    <label class="field"><span>Theme</span><select data-testid="theme" @change=${(event) => chooseTheme(event.target.value)}>
      ${Object.entries(THEMES).map(([name, title]) => html`<option value=${name} ?selected=${name === wish}>${title}</option>`)}
    </select></label>`, at('tools'));
  const steps = VIRTUAL_NODES.includes(view.virtualNodes) ? VIRTUAL_NODES : [...VIRTUAL_NODES, view.virtualNodes].sort((a, b) => a - b);
  render(mode === 'live'
    ? html`<span class="note">${many(view.virtualNodes, 'virtual node')} a weight</span>`
    : html`<label class="field"><span>Virtual nodes</span><select data-testid="virtual-nodes" @change=${(event) => store.setVirtualNodes(Number(event.target.value))}>
        ${steps.map((n) => html`<option value=${n} ?selected=${n === view.virtualNodes}>${n}</option>`)}
      </select></label>`, at('ring-tools'));
}

// The copy is made of what is shown now; the proxy is no longer asked.
function fork() {
  watching.stop();
  store.explore();
}

function watchAgain() {
  watching.stop();
  watching = attach();
}

function showAnswer() {
  const { walk, slots, servers, view, key } = store.state;
  render(walk?.server ? html`<span aria-hidden="true">→</span> ${tagged(walk.server, slots)}` : walk ? 'nowhere' : nothing, at('key-answer'));
  render(walk?.server
    ? html`
      <p class="small"><bdi>${key}</bdi></p>
      <p class="small">goes to</p>
      <p class="answer">${tagged(walk.server, slots)}</p>
      ${walk.server === walk.owner ? nothing : html`<p class="small">instead of ${tagged(walk.owner, slots)}</p>`}`
    : html`<p class="answer">${count(servers.length)}</p><p class="small">${servers.length === 1 ? 'server' : 'servers'}, ${view.isKeyless ? 'no ring' : many(view.nPoints, 'point')}</p>`, at('centre'));
}

function showReadout() {
  const { view, selected } = store.state;
  const stage = at('stage');
  const shown = view.points.points[point];
  stage.setAttribute('aria-valuemax', Math.max(0, view.nPoints - 1));
  stage.setAttribute('aria-valuenow', Math.max(0, point));
  if (!shown) {
    const { level, perPixel } = ring.detail;
    const words = {
      ticks: `${many(view.nPoints, 'point')}, each drawn for itself.`,
      fine: `${many(view.nPoints, 'point')}: too many to tell apart; the arcs are true.`,
      condensed: `Condensed: ${perPixel.toFixed(1)} points a pixel. Pick servers to see theirs.`,
    };
    stage.setAttribute('aria-valuetext', 'No point chosen');
    if (view.isKeyless) {
      render(keyless(view.algorithm), at('readout'));
      return;
    }
    render(html`${words[level]} <span class="quiet">${selected === null ? 'Point at the ring, or focus it and use the arrow keys.' : html`Showing <bdi>${selected}</bdi>.`}</span>`, at('readout'));
    return;
  }
  const { server, after, share } = shown;
  stage.setAttribute('aria-valuetext', `${server}, at ${shown.position}, owns ${percent(share)} up to here`);
  render(html`Up to <code class="hex">${position(shown.position)}</code> from <code class="hex">${position(after)}</code>:
    ${percent(share)} of the ring, owned by ${tagged(server, store.state.slots)}`, at('readout'));
}

// === Theme ===

function theme() {
  return wish === 'auto' ? (darkness.matches ? 'dark' : 'light') : wish;
}

function chooseTheme(name) {
  wish = name;
  try {
    localStorage.setItem(THEME_KEY, name);
  } catch {
    // Not remembered, then.
  }
  applyTheme();
}

function readTheme() {
  try {
    const name = localStorage.getItem(THEME_KEY);
    return Object.hasOwn(THEMES, name) ? name : 'auto';
  } catch {
    return 'auto';
  }
}

// The palette is in one place, palette.js; the style sheet gets it from there.
function applyTheme() {
  const root = document.documentElement;
  const palette = PALETTES[theme()];
  root.dataset.theme = theme();
  palette.servers.forEach((colour, i) => root.style.setProperty(`--server-${i}`, colour));
  for (const name of ['background', 'neutral', 'out', 'ink', 'muted', 'line']) root.style.setProperty(`--${name}`, palette[name]);
  show();
}
