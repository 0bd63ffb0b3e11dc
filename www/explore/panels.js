// What there is to know, in tabs: only the one that is shown is drawn.

import { html, render } from '../shared/dom.js';
import { VirtualTable } from '../shared/virtual-table.js';
import { balanceView } from './balance.js';
import { KEYS, comparePage, paint } from './compare.js';
import { countsView, keyHead, keyRow, parseKeys, routed, walkView } from './keys.js';
import { failurePage } from './failure.js';
import { ledgerView } from './ledger.js';
import { overloadPage } from './overload.js';
import { measure } from './theory.js';

const TOUCH = matchMedia('(max-width: 760px)');
const keyRowHeight = () => (TOUCH.matches ? 46 : 30);

export function createPanels({ place, signal, store, shell, LoadBalancer }) {
  let [shown, page] = [null, null];
  let measured = { of: null, answer: null };

  const pages = {
    moves: () => ({ show: (body) => render(ledgerView(store.state), body) }),
    balance: () => ({
      show(body) {
        const { state } = store;
        const spec = state.staged ?? state.spec;
        if (measured.of !== spec) measured = { of: spec, answer: measure(LoadBalancer, spec, state.view) };
        render(balanceView(state, measured.answer), body);
      },
    }),
    keys: keysPage,
    compare: (body, ending) => comparePage(body, ending, { store, shell, LoadBalancer }),
    overload: (body, ending) => overloadPage(body, ending, { store, LoadBalancer }),
    failure: (body, ending) => failurePage(body, ending, { store, LoadBalancer }),
  };

  function keysPage(body, ending) {
    render(html`<div id="walk"></div>
      <h3><label for="keys">Many keys</label></h3>
      <textarea id="keys" rows="3" spellcheck="false" placeholder="user-1&#10;user-2"></textarea>
      <div id="key-counts"></div><div class="rows" id="key-rows" tabindex="-1"></div>`, body);
    const at = (id) => body.querySelector(`#${id}`);
    at('keys').value = store.state.keys;
    at('keys').addEventListener('input', ({ target }) => store.setKeys(target.value));
    const table = new VirtualTable(at('key-rows'), {
      signal: ending, rowHeight: keyRowHeight, columns: 2, label: 'Where the keys go', head: keyHead, row: (row, i) => keyRow(store.state.slots, store.setKey)(row, i), key: ({ i }) => i,
    });
    let last = {};
    return {
      show() {
        const { state } = store;
        render(walkView(state), at('walk'));
        if (last.text !== state.keys || last.view !== state.view) {
          const { keys, dropped } = parseKeys(state.keys);
          last = { text: state.keys, view: state.view, dropped, routed: routed(store.fleet, keys) };
        }
        render(countsView(last.routed, last.dropped, state.slots), at('key-counts'));
        at('key-rows').hidden = last.routed.rows.length === 0;
        table.show(last.routed.rows);
      },
    };
  }

  return {
    show(name) {
      if (name !== shown) {
        page?.ending.abort();
        const body = document.createElement('div');
        place.replaceChildren(body);
        const ending = new AbortController();
        signal.addEventListener('abort', () => ending.abort(), { signal: ending.signal });
        page = { body, ending, ...pages[name](body, ending.signal) };
        shown = name;
      }
      page.show(page.body);
    },
    // In place of the ring, where the rule is none: whose each of many keys is.
    carpet(at) {
      const { state } = store;
      const isWide = at.querySelector('canvas');
      if (!isWide) render(html`<canvas width="768" height="768" aria-hidden="true"></canvas><p class="hint"></p>`, at);
      const owners = (fleet) => fleet.routeMany(KEYS).map((server) => server?.name ?? null);
      const [before, after] = [owners(store.committed), owners(store.fleet)];
      paint(at.querySelector('canvas'), { owners: after, after: before }, state, shell.theme);
      at.querySelector('p').textContent = `${state.view.algorithm} is no ring. A carpet of ${KEYS.length.toLocaleString('en-US')} keys, in the colours of their servers${state.staged === null ? '' : '; framed are those that move'}.`;
    },
  };
}
