// The mode Explore: a fleet of the page's own. Every change of it is shown before it is made.

import { html, nothing, render, tagged, live } from '../shared/dom.js';
import { differences } from '../shared/geometry.js';
import { pointsView } from '../shared/points.js';
import { RING_KEYS, RingView } from '../shared/ring-view.js';
import { around, halvesOf, WHOLE } from '../shared/window.js';
import { count, many, percent } from '../shared/words.js';
import { FRAME, TABS } from './frame.js';
import { stagedView } from './ledger.js';
import { ADDRESS_MAX, pack, unpack } from './link.js';
import { createPanels } from './panels.js';
import { readoutText, readoutView } from './readout.js';
import { readFleet, stateOf } from './outside.js';
import { pngOf, svgOf } from './picture.js';
import { createServers } from './servers.js';
import { createShare } from './share.js';
import { SCENARIOS, ofFleet } from './spec.js';
import { createStore } from './store.js';
import { STRIP_KEYS, Strip, pointsIn } from './strip.js';
import { summary } from './words.js';

const NOTHING = [];
// An address follows what is seen when that has been at rest for so long.
const ADDRESS_PAUSE_MS = 200;

export const explore = {
  name: 'explore',
  title: 'Explore',
  keys: [...RING_KEYS, ...STRIP_KEYS, ['Ctrl+Z', 'undo'], ['Ctrl+Shift+Z', 'redo']],

  start({ LoadBalancer, shell }) {
    const store = createStore(LoadBalancer);
    let tab = 'moves';
    let kept = JSON.stringify(stateOf(store.state));

    // Takes over what an address says. What is wrong with it is shown.
    async function goTo(rest) {
      if (rest === '') return;
      try {
        const { fleet, key = '', pins = [] } = await unpack(rest);
        if (store.receive(readFleet(LoadBalancer, fleet))) {
          store.setKey(String(key));
          for (const name of Array.isArray(pins) ? pins : []) store.pin(name);
        }
        kept = JSON.stringify(stateOf(store.state));
      } catch (error) {
        store.refuse(error.message);
      }
    }

    function mount(root, { signal, rest }) {
      root.classList.add('explore');
      render(FRAME, root);
      const at = (id) => root.querySelector(`#${id}`);
      let point = -1;
      let pointsPage = 0;
      let isDue = false;
      let moves = { before: null, after: null, list: NOTHING };

      const ring = new RingView(at('stage'), { signal, onPoint: look, onPick: pick });
      const strip = new Strip(at('strip'), { signal, onWindow: store.setWindow, onPoint: (index) => ring.look(index) });
      const servers = createServers({ rules: at('rules'), list: at('servers'), editor: at('editor'), form: at('servers-add'), tools: at('servers-tools'), signal }, store);
      const panels = createPanels({ place: at('panel'), signal, store, shell, LoadBalancer });

      const share = createShare(at('share'), {
        store, LoadBalancer, pictures: { svg: () => svgOf(store.state, shell.theme), png: () => pngOf(store.state, shell.theme, [...at('stage').querySelectorAll('canvas')]) },
      });
      let addressTimer;
      signal.addEventListener('abort', () => clearTimeout(addressTimer));

      function look(index, isStep) {
        point = index;
        strip.mark(index);
        // What is stepped to is brought into the window.
        const { view, window } = store.state;
        if (isStep && index >= 0 && window.length < WHOLE) {
          const { first, count: n } = pointsIn(view.points, window);
          const total = view.points.turns.length;
          if ((index - first + total) % total >= n) store.setWindow(around(halvesOf(view.points.at(index).position), window.length));
        }
        showReadout();
      }

      function pick(index) {
        const name = store.state.view.points.labels[index];
        if (name === undefined) store.unpin();
        else store.select(name === store.state.selected ? null : name);
      }

      at('key').addEventListener('input', ({ target }) => store.setKey(target.value));
      at('key-form').addEventListener('submit', (event) => event.preventDefault());
      at('point-before').addEventListener('click', () => ring.step(-1));
      at('point-after').addEventListener('click', () => ring.step(1));
      at('zoom-in').addEventListener('click', () => strip.zoomIn());
      at('zoom-out').addEventListener('click', () => strip.zoomOut());
      at('points-details').addEventListener('toggle', show);
      document.addEventListener('keydown', (event) => {
        const isField = event.target instanceof Element && event.target.closest('input:not([type=range]), textarea, dialog');
        if (isField || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
        event.preventDefault();
        if (event.shiftKey) store.redo();
        else store.undo();
      }, { signal });
      signal.addEventListener('abort', store.subscribe(() => {
        if (isDue) return;
        isDue = true;
        requestAnimationFrame(() => {
          isDue = false;
          if (!signal.aborted) show();
        });
      }));
      shell.onLook(show, signal);
      show();
      return goTo(rest);

      function keepAddress() {
        const now = JSON.stringify(stateOf(store.state));
        if (now === kept) return;
        kept = now;
        clearTimeout(addressTimer);
        addressTimer = setTimeout(async () => {
          const packed = await pack(JSON.parse(now));
          if (!signal.aborted) shell.keep(packed.length > ADDRESS_MAX ? '' : packed);
        }, ADDRESS_PAUSE_MS);
      }

      function show() {
        const { state } = store;
        const { view, before, staged, selected, pins, slots, walk, window } = state;
        // It may have come from elsewhere than the field.
        if (at('key').value !== state.key) at('key').value = state.key;
        const ghost = staged === null ? null : before.keys;
        if (moves.before !== ghost || moves.after !== view.keys) {
          moves = { before: ghost, after: view.keys, list: ghost === null || !view.isRing || !before.isRing ? NOTHING : differences(ghost, view.keys) };
        }
        const model = {
          points: view.points, keys: view.keys, ghost: before.isRing ? ghost : null, moved: moves.list, slots, servers: view.servers,
          pins: selected === null || pins.includes(selected) ? pins : [...pins, selected],
          walk, theme: shell.theme, isStill: shell.isStill, window,
        };
        for (const id of ['stage', 'unrolled', 'under', 'zoom']) at(id).hidden = !view.isRing;
        at('carpet').hidden = view.isRing || view.isKeyless;
        if (view.isRing) {
          ring.show(model);
          strip.show(model);
        } else panels.carpet(at('carpet'));
        servers.show();
        render(stagedView(store), at('staged'));
        render(legendView(ghost !== null), at('legend'));
        showTabs();
        panels.show(tab);
        showReadout();
        showAnswer();
        showWindow();
        render(at('points-details').open ? pointsView(state, pointsPage, (page) => { pointsPage = page; show(); }) : nothing, at('points'));
        showTools();
        shell.foot(html`Ring <code>${view.fingerprint}</code>`);
        shell.say(summary(state));
        keepAddress();
      }

      function legendView(hasGhost) {
        return html`
          <li><i class="mark band"></i>${hasGhost ? 'keys after' : 'who gets the keys'}</li>
          ${hasGhost ? html`<li><i class="mark ghost"></i>before</li><li><i class="mark moved"></i>moves</li>` : nothing}
          <li><i class="mark ticks"></i>points</li>`;
      }

      function showTabs() {
        render(Object.entries(TABS).map(([name, title]) => html`
          <button type="button" role="tab" id="tab-${name}" aria-controls="panel" aria-selected=${name === tab} tabindex=${name === tab ? 0 : -1}
            @click=${() => { tab = name; show(); }} @keydown=${turn}>${title}</button>`), at('tabs'));
        at('panel').setAttribute('aria-labelledby', `tab-${tab}`);
      }

      function turn(event) {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const names = Object.keys(TABS);
        tab = names[(names.indexOf(tab) + by + names.length) % names.length];
        show();
        at(`tab-${tab}`).focus();
      }

      function showAnswer() {
        const { walk, slots, servers: all, view, key } = store.state;
        render(walk?.server ? html`<span aria-hidden="true">→</span> ${tagged(walk.server, slots)}` : walk ? 'nowhere' : nothing, at('key-answer'));
        render(walk?.server
          ? html`
            <p class="small"><bdi>${key}</bdi></p>
            <p class="small">goes to</p>
            <p class="answer">${tagged(walk.server, slots)}</p>
            ${walk.server === walk.owner ? nothing : html`<p class="small">instead of ${tagged(walk.owner, slots)}</p>`}`
          : html`<p class="answer">${count(all.length)}</p><p class="small">${all.length === 1 ? 'server' : 'servers'}, ${view.isKeyless ? 'no ring' : many(view.nPoints, 'point')}</p>`, at('centre'));
      }

      function showReadout() {
        const { state } = store;
        const stage = at('stage');
        stage.setAttribute('aria-valuemax', Math.max(0, state.view.nPoints - 1));
        stage.setAttribute('aria-valuenow', Math.max(0, point));
        stage.setAttribute('aria-valuetext', readoutText(state, point));
        render(readoutView(state, point, ring.detail), at('readout'));
      }

      function showWindow() {
        const { view, window } = store.state;
        const { count: n } = pointsIn(view.points, window);
        const zoom = Math.log2(WHOLE / window.length);
        at('strip').setAttribute('aria-valuenow', Math.round((100 * zoom) / 58));
        at('strip').setAttribute('aria-valuetext', window.length === WHOLE ? `All of the ring, ${many(n, 'point')}` : `${percent(window.length / WHOLE)} of the ring, ${many(n, 'point')}`);
      }

      function showTools() {
        const { scenario, past, future } = store.state;
        shell.title('Ringway: the ring');
        shell.status(html`<span class="chip-note">Nothing leaves this page.</span>`);
        shell.tools(html`
          <label class="field"><span>Start with</span><select data-testid="scenario" .value=${live(scenario ?? '')} @change=${(event) => store.load(event.target.value)}>
            <option value="" disabled hidden ?selected=${scenario === null}>your own fleet</option>
            ${Object.entries(SCENARIOS).map(([name, { title }]) => html`<option value=${name} ?selected=${name === scenario}>${title}</option>`)}
          </select></label>
          <button type="button" data-testid="undo" ?disabled=${past.length === 0} @click=${() => store.undo()}>Undo</button>
          <button type="button" data-testid="redo" ?disabled=${future.length === 0} @click=${() => store.redo()}>Redo</button>
          <button type="button" data-testid="share" @click=${() => share.open()}>Share</button>`);
      }
    }

    return { mount, goTo, receive: (about) => store.receive(ofFleet(about)) };
  },
};
