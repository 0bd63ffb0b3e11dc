// The table of servers: only the rows in view are in the document, problems come first, and no row
// jumps away from under a pointer or the focus.

import { html, live, named, nothing, render, svg, swatch } from '../shared/dom.js';
import { VirtualTable } from '../shared/virtual-table.js';
import { count, many, percent, standing } from '../shared/words.js';
import { csv } from './csv.js';
import { FILTER_HELP, parseFilter, sorted } from './filter.js';
import { clockOf, countOf, errorsOf, millisOf, passed, rateOf } from './format.js';

const SORT_PAUSE_MS = 5000;
const SPARK = { n: 60, width: 60, height: 18 };
const ICONS = {
  eligible: svg`<path d="M4 8.5 7 11.5 12.5 5"></path>`,
  unproven: svg`<path d="M5.8 6.2a2.3 2.3 0 1 1 3.2 2.2c-.7.3-1 .7-1 1.4M8 12.2v.1"></path>`,
  unhealthy: svg`<path d="M5 5l6 6M11 5l-6 6"></path>`,
  ejected: svg`<path d="M8 4v5M8 11.7v.1"></path>`,
  'on-trial': svg`<path d="M8 4v4l2.5 1.5"></path>`,
  draining: svg`<path d="M8 3.8v7M5 8l3 3 3-3"></path>`,
};
const COLUMNS = [
  ['name', 'Server'], ['since', 'Standing'], ['weight', 'Weight'], ['share', 'Share'], ['rps', 'Requests/s'], ['err', 'Errors'],
  ['p50', 'p50'], ['p99', 'p99'], ['inflight', 'In flight'], ['probe', 'Last check'],
];

// Draws in `tools` and `place` until `signal` aborts; `onAct(name)` opens what can be done to a server.
export function createTable({ tools, place, store, signal, onAct }) {
  let filterText = '';
  let filter = parseFilter('');
  let order = { column: 'trouble', isTurned: false };
  let names = [];
  let sortedAt = -Infinity;
  let table;
  let inner;

  const narrow = matchMedia('(max-width: 620px)');
  const build = () => {
    inner?.abort();
    inner = new AbortController();
    table = new VirtualTable(place, {
      signal: AbortSignal.any([signal, inner.signal]), rowHeight: narrow.matches ? 76 : 38, label: 'Servers', columns: COLUMNS.length,
      head: headView, row: rowView, key: ({ name }) => name,
    });
  };
  build();
  narrow.addEventListener('change', () => {
    build();
    show();
  }, { signal });

  const isBusy = () => place.matches(':hover') || place.contains(document.activeElement);

  function show({ isForced = false } = {}) {
    const { servers } = store.state;
    const now = performance.now();
    const known = new Set(names);
    // In between only who is new, or fits no longer, makes a difference.
    const mustSort = isForced || (now - sortedAt > SORT_PAUSE_MS && !isBusy());
    const fitting = servers.filter(filter.test);
    if (mustSort) {
      names = sorted(fitting, order).map(({ name }) => name);
      sortedAt = now;
    } else {
      const fits = new Map(fitting.map((server) => [server.name, server]));
      names = [...names.filter((name) => fits.has(name)), ...fitting.filter(({ name }) => !known.has(name)).map(({ name }) => name)];
    }
    const byName = new Map(servers.map((server) => [server.name, server]));
    table.show(names.map((name) => byName.get(name)));
    render(toolsView(servers, fitting), tools);
  }

  function toolsView(servers, fitting) {
    return html`
      <label class="field grow"><span>Filter</span><input type="search" data-testid="filter" placeholder="down · p99>200 · a name" title=${FILTER_HELP} aria-describedby="filter-note" autocomplete="off" spellcheck="false" .value=${live(filterText)} @input=${({ target }) => { setFilter(target.value); }}></label>
      <button type="button" aria-pressed=${filterText === 'down'} @click=${() => setFilter(filterText === 'down' ? '' : 'down')}>Down only</button>
      <button type="button" aria-pressed=${order.column === 'trouble'} @click=${() => setOrder('trouble')}>Problems first</button>
      <button type="button" @click=${() => download(fitting)}>CSV</button>
      <span class="note" id="filter-note" role="status">${filter.problem ?? (filterText === '' ? many(servers.length, 'server') : `${count(fitting.length)} of ${many(servers.length, 'server')}`)}</span>`;
  }

  function setFilter(text) {
    filterText = text;
    filter = parseFilter(text);
    place.scrollTop = 0;
    show({ isForced: true });
  }

  function setOrder(column) {
    order = { column, isTurned: order.column === column && column !== 'trouble' && !order.isTurned };
    show({ isForced: true });
  }

  function download(servers) {
    const url = URL.createObjectURL(new Blob([csv(sorted(servers, order))], { type: 'text/csv;charset=utf-8' }));
    const link = Object.assign(document.createElement('a'), { href: url, download: 'ringway-servers.csv' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  function headView() {
    const sort = (column) => (order.column !== column ? 'none' : (column === 'name') === order.isTurned ? 'descending' : 'ascending');
    return html`<tr>${COLUMNS.map(([column, title]) => html`
      <th scope="col" class="c-${column}" aria-sort=${sort(column)}><button type="button" @click=${() => setOrder(column)}>${title}</button></th>`)}</tr>`;
  }

  function rowView(server, index) {
    const { state } = store;
    const { name, address, port, weight, share, probe, since } = server;
    const { word, why } = standing(server);
    const now = state.time ?? state.live.at;
    const reason = server.standing === 'unhealthy' ? probe?.why : null;
    return html`
      <tr aria-rowindex=${index + 2} data-name=${name} class=${server.eligible ? '' : 'out'} aria-selected=${state.selected === name}>
        <th scope="row" class="c-name"><button type="button" class="pick" aria-pressed=${state.selected === name} @click=${() => store.select(state.selected === name ? null : name)} @focus=${() => {}}>
          ${swatch(state.slots.get(name))}<span class="who">${named(name)}<small>${address}:${port}${server.backup ? ', backup' : ''}</small></span></button></th>
        <td class="c-since"><span class="standing" data-standing=${server.standing} title=${reason ?? why}><svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[server.standing] ?? nothing}</svg>${word}</span>
          <small title=${clockOf(since)}>${state.time === null ? passed(now - since) : nothing}${reason ? html`, <span class="why">${reason}</span>` : nothing}</small></td>
        <td class="c-weight num">${weight}</td>
        <td class="c-share num" title="expected → actual">${percent(share.expected)} → ${percent(share.actual)}</td>
        <td class="c-rps num">${sparkView(name, now)}<span>${rateOf(server.rps)}</span></td>
        <td class="c-err num ${server.errorRate > 0 ? 'some' : ''}"><span class="tag">err </span>${errorsOf(server.errorRate)}</td>
        <td class="c-p50 num">${millisOf(server.p50)}</td>
        <td class="c-p99 num"><span class="tag">p99 </span>${millisOf(server.p99)}</td>
        <td class="c-inflight num">${countOf(server.inFlight)}</td>
        <td class="c-probe"><span class="probe" title=${probe?.why ?? nothing}>${probe === null || probe === undefined ? html`<small>none yet</small>` : html`${probe.ok ? millisOf(probe.tookMs) : html`<em>${probe.why}</em>`} <small>${passed(Math.max(0, now - probe.at))} ago</small>`}</span>
          ${onAct ? html`<button type="button" class="more" aria-label="Change ${name}" @click=${() => onAct(name)}>⋯</button>` : nothing}</td>
      </tr>`;
  }

  // Requests in the last minute; where nobody told, there is no line.
  function sparkView(name, now) {
    const values = store.history.last(name, 'rps', now, SPARK.n);
    const most = values.reduce((max, value) => (value > max ? value : max), 0);
    let path = '';
    let isDown = false;
    values.forEach((value, i) => {
      if (Number.isNaN(value)) {
        isDown = false;
        return;
      }
      path += `${isDown ? 'L' : 'M'}${i} ${most === 0 ? SPARK.height : (SPARK.height - (value / most) * (SPARK.height - 1)).toFixed(1)}`;
      isDown = true;
    });
    return svg`<svg class="spark" viewBox="0 -1 ${SPARK.width} ${SPARK.height + 2}" preserveAspectRatio="none" aria-hidden="true"><path d=${path}></path></svg>`;
  }

  return {
    show,
    reveal(name) {
      const index = names.indexOf(name);
      if (index >= 0) table.reveal(index);
    },
  };
}
