// The servers: who they are, how they are, what they get, and what can be done to them.

import { html, live, named, nothing, render, repeat, svg, swatch } from './dom.js';
import { count, many, percent, standing } from './words.js';

const PAGE = 25;
const SORTS = {
  name: { title: 'Name', of: null },
  trouble: { title: 'Trouble first', of: ({ eligible }) => (eligible ? 1 : 0) },
  share: { title: 'Most keys first', of: ({ share }) => -share.keys },
};
const ICONS = {
  eligible: svg`<path d="M4 8.5 7 11.5 12.5 5"></path>`,
  unproven: svg`<path d="M5.8 6.2a2.3 2.3 0 1 1 3.2 2.2c-.7.3-1 .7-1 1.4M8 12.2v.1"></path>`,
  unhealthy: svg`<path d="M5 5l6 6M11 5l-6 6"></path>`,
  ejected: svg`<path d="M8 4v5M8 11.7v.1"></path>`,
  'on-trial': svg`<path d="M8 4v4l2.5 1.5"></path>`,
  draining: svg`<path d="M8 3.8v7M5 8l3 3 3-3"></path>`,
};

export function createServers({ list, tools, form, signal }, store) {
  let [filter, sort, page] = ['', 'name', 0];

  function shown({ servers }) {
    const wanted = filter.trim().toLowerCase();
    const found = wanted === '' ? [...servers] : servers.filter(({ name, address, standing: word }) =>
      `${name} ${address} ${word}`.toLowerCase().includes(wanted));
    const { of } = SORTS[sort];
    if (of) found.sort((a, b) => of(a) - of(b));
    return found;
  }

  function show() {
    const { state } = store;
    const found = shown(state);
    page = Math.min(page, Math.max(0, Math.ceil(found.length / PAGE) - 1));
    const most = state.servers.reduce((max, { share }) => Math.max(max, share.keys, share.expected), 0);
    render(toolsView(state), tools);
    render(html`
      ${found.length === 0
        ? html`<p class="empty">${state.servers.length === 0 ? 'No servers: requests have nowhere to go.' : 'No server matches.'}</p>`
        : tableView(state, found.slice(page * PAGE, (page + 1) * PAGE), most)}`, list);
    render(html`
      ${found.length > PAGE ? pagerView(found.length) : nothing}
      ${state.mode === 'live' ? html`<p class="hint">This is what the proxy says; nothing can be changed here. To try a change, explore a copy.</p>` : addView(state)}`, form);
  }

  function toolsView({ servers }) {
    if (servers.length <= 8 && filter === '') return html`<span class="note">${many(servers.length, 'server')}</span>`;
    return html`
      <label class="field"><span>Find</span><input type="search" data-testid="find" size="10" .value=${live(filter)} @input=${(event) => { filter = event.target.value; page = 0; show(); }}></label>
      <label class="field"><span>Order</span><select @change=${(event) => { sort = event.target.value; page = 0; show(); }}>
        ${Object.entries(SORTS).map(([name, { title }]) => html`<option value=${name} ?selected=${name === sort}>${title}</option>`)}
      </select></label>`;
  }

  function tableView(state, rows, most) {
    const isLive = state.mode === 'live';
    return html`
      <table class="list" data-mode=${state.mode}>
        <thead><tr>
          <th scope="col">Server</th>
          <th scope="col">Standing</th>
          <th scope="col">Weight</th>
          <th scope="col">Keys <small>│ fair share</small></th>
          ${isLive ? html`<th scope="col" class="num">Requests</th>` : html`<th scope="col"><span class="hidden">What to do</span></th>`}
        </tr></thead>
        <tbody>${repeat(rows, ({ name }) => name, (server) => rowView(state, server, most, isLive))}</tbody>
      </table>`;
  }

  function rowView({ slots, selected }, server, most, isLive) {
    const { name, address, port, weight, share } = server;
    const { word, why } = standing(server);
    const isOut = !server.eligible;
    const bar = (value) => `${most === 0 ? 0 : (100 * value) / most}%`;
    return html`
      <tr data-name=${name} class=${isOut ? 'out' : ''}>
        <th scope="row">
          <button type="button" class="pick" aria-pressed=${selected === name} @click=${() => store.select(selected === name ? null : name)}>
            ${swatch(slots.get(name))}<span class="who">${named(name)}<small>${address}:${port}${server.backup ? ', backup' : ''}</small></span>
          </button>
        </th>
        <td><span class="standing" data-standing=${server.standing} title=${why}><svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[server.standing] ?? nothing}</svg>${word}</span>${reasonView(server)}</td>
        <td class="weight">${isLive ? html`<span class="num">${weight}</span>` : weightView(name, weight)}</td>
        <td class="share">
          <svg class="bar" aria-hidden="true">
            <rect class="fill" data-slot=${slots.get(name) ?? nothing} width=${bar(share.keys)} height="100%"></rect>
            <line class="halo" x1=${bar(share.expected)} x2=${bar(share.expected)} y1="0" y2="100%"></line>
            <line class="fair" x1=${bar(share.expected)} x2=${bar(share.expected)} y1="0" y2="100%"></line>
          </svg>
          <span class="num"><b data-keys=${share.keys}>${percent(share.keys)}</b> <small><span class="hidden">fair share </span>│ ${percent(share.expected)}</small></span>
        </td>
        ${isLive ? trafficView(server) : deedsView(server)}
      </tr>`;
  }

  // What the last probe found, or for how long its traffic keeps it out.
  function reasonView({ standing: word, last_probe: probe, ejected_for_s: wait }) {
    const reason = word === 'unhealthy' ? probe?.why : word === 'ejected' && wait !== null ? `for ${Math.ceil(wait)} s more` : null;
    return reason ? html`<small class="reason" title=${reason}>${reason}</small>` : nothing;
  }

  function weightView(name, weight) {
    const set = (value) => store.setWeight(name, value);
    return html`
      <span class="stepper">
        <button type="button" aria-label="Lower the weight of ${name}" ?disabled=${weight <= 1} @click=${() => set(weight - 1)}>−</button>
        <input type="number" min="1" max="1000" inputmode="numeric" aria-label="Weight of ${name}" .value=${live(String(weight))} @change=${(event) => {
          set(event.target.valueAsNumber);
          event.target.value = String(store.state.servers.find((server) => server.name === name)?.weight ?? weight);
        }}>
        <button type="button" aria-label="Raise the weight of ${name}" ?disabled=${weight >= 1000} @click=${() => set(weight + 1)}>+</button>
      </span>`;
  }

  // One button for each pair of opposites, so that it keeps the focus when it turns round.
  function deedsView({ name, killed, state }) {
    const isDraining = state === 'draining';
    return html`
      <td class="deeds">
        <button type="button" class=${killed ? 'revive' : 'kill'} aria-label="${killed ? 'Revive' : 'Kill'} ${name}"
          @click=${() => (killed ? store.revive(name) : store.kill(name))}>${killed ? 'Revive' : 'Kill'}</button>
        <button type="button" aria-label=${isDraining ? `Let ${name} take requests again` : `Drain ${name}`}
          @click=${() => store.setState(name, isDraining ? 'active' : 'draining')}>${isDraining ? 'Resume' : 'Drain'}</button>
        <button type="button" class="remove" aria-label="Remove ${name}" title="Remove" @click=${() => remove(name)}>×</button>
      </td>`;
  }

  // The focus goes on to a neighbour, or it would be lost with the row.
  function remove(name) {
    const row = [...list.querySelectorAll('tr[data-name]')].find(({ dataset }) => dataset.name === name);
    const heir = (row?.nextElementSibling ?? row?.previousElementSibling)?.dataset.name;
    store.remove(name);
    const target = [...list.querySelectorAll('tr[data-name]')].find(({ dataset }) => dataset.name === heir);
    (target?.querySelector('.remove') ?? form.querySelector('input[name="name"]'))?.focus();
  }

  const trafficView = ({ in_flight: inFlight, requests, errors }) => html`
    <td class="num traffic">${count(requests)} <small>${count(inFlight)} in flight${errors > 0 ? html`, <em>${many(errors, 'error')}</em>` : nothing}</small></td>`;

  function pagerView(n) {
    const last = Math.ceil(n / PAGE) - 1;
    const go = (to) => () => { page = to; list.scrollTop = 0; show(); };
    return html`
      <nav class="pager" aria-label="Pages of servers">
        <button type="button" ?disabled=${page === 0} @click=${go(page - 1)}>Previous</button>
        <span class="num">${count(page * PAGE + 1)}–${count(Math.min(n, (page + 1) * PAGE))} of ${count(n)}</span>
        <button type="button" ?disabled=${page === last} @click=${go(page + 1)}>Next</button>
      </nav>`;
  }

  function addView({ problem }) {
    const offer = store.suggestion();
    return html`
      <form class="add" @submit=${submit} @input=${() => store.clearProblem()} novalidate>
        <label class="field"><span>Name</span><input name="name" placeholder=${offer.name} autocomplete="off" spellcheck="false"></label>
        <label class="field"><span>Weight</span><input name="weight" type="number" min="1" max="1000" placeholder="1" inputmode="numeric"></label>
        <button type="submit" class="primary">Add server</button>
        ${problem ? html`<p class="problem" role="alert">${problem.message}</p>` : nothing}
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

  signal.addEventListener('abort', store.subscribe(show));
  show();
}
