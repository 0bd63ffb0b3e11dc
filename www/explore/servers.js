// The fleet at the side: its rules, its servers, and the one that is picked, to be changed.

import { html, live, named, nothing, render, svg, swatch } from '../shared/dom.js';
import { VirtualTable } from '../shared/virtual-table.js';
import { count, many, percent, standing } from '../shared/words.js';
import { STATES, VIRTUAL_NODES, stateOf } from './spec.js';

// A finger needs more than a pointer.
const TOUCH = matchMedia('(max-width: 760px)');
const rowHeight = () => (TOUCH.matches ? 46 : 34);
const FIND_FROM = 12;
const SLIDER_MAX = 20;
const WEIGHT_MAX = 1000;
const STATE_WORDS = { active: 'Up', draining: 'Draining', down: 'Down' };
// The rules that have keys. Of the others there is nothing to draw.
export const ALGORITHMS = [
  'ring', 'local-rendezvous', 'rendezvous', 'maglev', 'jump', 'nginx', 'ketama', 'libmemcached', 'twemproxy', 'envoy-ring', 'envoy-maglev', 'haproxy',
];
const SORTS = {
  name: { title: 'by name', of: null },
  trouble: { title: 'trouble first', of: ({ eligible }) => (eligible ? 1 : 0) },
  share: { title: 'most keys first', of: ({ share }) => -share.keys },
};
const ICONS = {
  eligible: svg`<path d="M4 8.5 7 11.5 12.5 5"></path>`,
  unhealthy: svg`<path d="M5 5l6 6M11 5l-6 6"></path>`,
  draining: svg`<path d="M8 3.8v7M5 8l3 3 3-3"></path>`,
};

export function createServers({ rules, list, editor, form, tools, signal }, store) {
  let [filter, sort] = ['', 'name'];
  const table = new VirtualTable(list, {
    signal,
    rowHeight,
    columns: 4,
    label: 'Servers',
    head: () => html`<tr><th scope="col">Server</th><th scope="col">Standing</th><th scope="col" class="num">Weight</th><th scope="col" class="num">Keys</th></tr>`,
    row,
    key: ({ name }) => name,
  });

  function shown({ servers }) {
    const wanted = filter.trim().toLowerCase();
    const found = servers.filter(({ name, address, standing: word }) => wanted === '' || `${name} ${address} ${word}`.toLowerCase().includes(wanted));
    const { of } = SORTS[sort];
    return of ? found.sort((a, b) => of(a) - of(b)) : found;
  }

  function show() {
    const { state } = store;
    render(rulesView(state), rules);
    render(state.servers.length < FIND_FROM ? html`<span class="note">${many(state.servers.length, 'server')}</span>` : html`
      <label class="field find"><span class="hidden">Find</span><input type="search" data-testid="find" placeholder="Find in ${count(state.servers.length)}" size="9" .value=${live(filter)} @input=${(event) => { filter = event.target.value; show(); }}></label>
      <label class="field"><span class="hidden">Order</span><select aria-label="Order" @change=${(event) => { sort = event.target.value; show(); }}>
        ${Object.entries(SORTS).map(([name, { title }]) => html`<option value=${name} ?selected=${name === sort}>${title}</option>`)}
      </select></label>`, tools);
    table.show(shown(state));
    render(editorView(state), editor);
    render(addView(state), form);
  }

  function rulesView({ view, problem }) {
    const steps = VIRTUAL_NODES.includes(view.virtualNodes) ? VIRTUAL_NODES : [...VIRTUAL_NODES, view.virtualNodes].sort((a, b) => a - b);
    const setNodes = (n) => store.setVirtualNodes(n);
    return html`
      <label class="field"><span>Rule</span><select data-testid="algorithm" .value=${live(view.algorithm)} @change=${(event) => {
        store.setAlgorithm(event.target.value);
        event.target.value = store.state.view.algorithm;
      }}>
        ${(ALGORITHMS.includes(view.algorithm) ? ALGORITHMS : [view.algorithm, ...ALGORITHMS]).map((name) => html`<option value=${name} ?selected=${name === view.algorithm}>${name}</option>`)}
      </select></label>
      <div class="field nodes"><label><span>Virtual nodes</span> <input type="number" data-testid="virtual-nodes" min="1" max="10000" inputmode="numeric" .value=${live(String(view.virtualNodes))} @change=${(event) => {
        setNodes(event.target.valueAsNumber);
        event.target.value = String(store.state.view.virtualNodes);
      }}></label>
        <input type="range" min="0" max=${steps.length - 1} aria-label="Virtual nodes in steps" aria-valuetext=${count(view.virtualNodes)} .value=${live(String(steps.indexOf(view.virtualNodes)))} @input=${(event) => setNodes(steps[event.target.valueAsNumber])}></div>
      ${problem && problem.kind !== 'added' ? html`<p class="problem" role="alert">${problem.message}</p>` : nothing}`;
  }

  function row(server, index) {
    const { slots, selected, pins } = store.state;
    const { name, weight, share } = server;
    const { word, why } = standing(server);
    const pick = () => store.select(selected === name ? null : name);
    return html`
      <tr data-name=${name} aria-rowindex=${index + 2} class=${server.eligible ? '' : 'out'}>
        <th scope="row"><button type="button" class="pick" aria-pressed=${selected === name} @click=${pick}>${swatch(slots.get(name))}${named(name)}${pins.includes(name) ? html`<i class="pinned" title="Pinned"></i><span class="hidden">, pinned</span>` : nothing}</button></th>
        <td><span class="standing" data-standing=${server.standing} title=${why}><svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[server.standing] ?? nothing}</svg><span class="word">${word}</span></span></td>
        <td class="num">${weight}</td>
        <td class="num" data-keys=${share.keys}>${percent(share.keys)}</td>
      </tr>`;
  }

  function editorView({ selected, servers, slots, staged, spec, pins }) {
    if (selected === null) return html`<p class="hint">Pick a server to change it; every change is shown before it is made.</p>`;
    const server = servers.find(({ name }) => name === selected);
    if (!server) return html`<p class="hint"><bdi>${selected}</bdi> would leave. <button type="button" class="plain" @click=${() => store.select(null)}>Let go</button></p>`;
    const { name, weight, address, port, share } = server;
    const now = stateOf(staged ?? spec, name);
    const set = (value) => store.setWeight(name, value);
    return html`
      <fieldset class="editor">
        <legend class="hidden">Change ${name}</legend>
        <form class="line" @submit=${(event) => event.preventDefault()}>
          ${swatch(slots.get(name))}
          <input name="to" aria-label="Name of ${name}" .value=${live(name)} spellcheck="false" autocomplete="off" @change=${(event) => {
            if (!store.rename(name, event.target.value)) event.target.value = name;
          }}>
          <button type="button" aria-pressed=${pins.includes(name)} aria-label="Pin ${name}: its colour stays" title="Keep its colour where there are too many" @click=${() => store.pin(name)}>Pin</button>
        </form>
        <div class="line"><label class="grow"><span class="hidden">Weight of ${name}, slider</span><input type="range" min="1" max=${Math.max(SLIDER_MAX, weight)} .value=${live(String(weight))} @input=${(event) => set(event.target.valueAsNumber)}></label>
          <label>weight <input type="number" min="1" max=${WEIGHT_MAX} inputmode="numeric" aria-label="Weight of ${name}" .value=${live(String(weight))} @change=${(event) => {
            set(event.target.valueAsNumber);
            event.target.value = String(store.state.servers.find((one) => one.name === name)?.weight ?? weight);
          }}></label></div>
        <div class="line states" role="group" aria-label="State of ${name}">
          ${STATES.map((state) => html`<button type="button" aria-pressed=${state === now} @click=${() => store.setState(name, state)}>${STATE_WORDS[state]}</button>`)}
          <button type="button" class="remove" aria-label="Remove ${name}" @click=${() => remove(name)}>Remove</button>
        </div>
        <p class="hint"><bdi>${address}:${port}</bdi>${server.backup ? ', a backup' : ''} · ${percent(share.keys)} of keys, fair ${percent(share.expected)}</p>
      </fieldset>`;
  }

  // The focus goes on to a neighbour, or it would be lost with the row.
  function remove(name) {
    const rows = shown(store.state);
    const at = rows.findIndex((server) => server.name === name);
    if (!store.remove(name)) return;
    show();
    const left = rows.length - 1;
    if (left > 0) table.reveal(Math.min(at, left - 1), '.pick');
    else form.querySelector('input[name="name"]')?.focus();
  }

  function addView({ problem }) {
    const offer = store.suggestion();
    return html`
      <form class="add" @submit=${submit} @input=${() => store.clearProblem()} novalidate>
        <label class="field"><span class="hidden">Name</span><input name="name" aria-label="Name" placeholder=${offer.name} autocomplete="off" spellcheck="false"></label>
        <label class="field"><span class="hidden">Weight</span><input name="weight" aria-label="Weight" type="number" min="1" max=${WEIGHT_MAX} placeholder="1" inputmode="numeric"></label>
        <button type="submit" class="primary">Add server</button>
        ${problem && problem.kind === 'added' ? html`<p class="problem" role="alert">${problem.message}</p>` : nothing}
      </form>`;
  }

  function submit(event) {
    event.preventDefault();
    const { name, weight } = event.target.elements;
    const spec = store.suggestion();
    if (name.value !== '') spec.name = name.value;
    if (weight.value !== '') spec.weight = weight.valueAsNumber;
    if (!store.add(spec)) return;
    event.target.reset();
    show();
  }

  return { show };
}
