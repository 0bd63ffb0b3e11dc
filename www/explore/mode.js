// The mode Explore: a fleet of the page's own, which can be changed at will.

import { html, live, render } from '../shared/dom.js';
import { mountFleet } from '../shared/fleet-panels.js';
import { RING_KEYS } from '../shared/ring-view.js';
import { SCENARIOS, VIRTUAL_NODES, createStore } from './store.js';

export const explore = {
  name: 'explore',
  title: 'Explore',
  keys: RING_KEYS,

  start({ LoadBalancer, shell }) {
    const store = createStore(LoadBalancer);

    function showMore(ringTools) {
      const { scenario, view } = store.state;
      shell.title('Ringway: the ring');
      shell.status(html`<span class="chip-note">Nothing leaves this page.</span>`);
      shell.tools(html`
        <label class="field"><span>Start with</span><select data-testid="scenario" .value=${live(scenario ?? '')} @change=${(event) => store.load(event.target.value)}>
          <option value="" disabled hidden ?selected=${scenario === null}>your own fleet</option>
          ${Object.entries(SCENARIOS).map(([name, { title }]) => html`<option value=${name} ?selected=${name === scenario}>${title}</option>`)}
        </select></label>`);
      const steps = VIRTUAL_NODES.includes(view.virtualNodes) ? VIRTUAL_NODES : [...VIRTUAL_NODES, view.virtualNodes].sort((a, b) => a - b);
      render(html`<label class="field"><span>Virtual nodes</span><select data-testid="virtual-nodes" @change=${(event) => store.setVirtualNodes(Number(event.target.value))}>
        ${steps.map((n) => html`<option value=${n} ?selected=${n === view.virtualNodes}>${n}</option>`)}
      </select></label>`, ringTools);
    }

    return {
      mount: (root, { signal }) => mountFleet(root, { signal, shell, store, showMore }),
      receive: store.receive,
    };
  },
};
