// A fleet in panels: ring, way of the key, servers, what moved, balance, table of points. What
// Explore and Live have in common.

import { balanceView } from './balance.js';
import { changesView } from './changes.js';
import { html, nothing, render, tagged } from './dom.js';
import { walkView } from './key-walk.js';
import { pointsView } from './points.js';
import { RingView } from './ring-view.js';
import { createServers } from './servers.js';
import { count, keyless, many, percent, position, summary } from './words.js';

const FRAME = html`
  <section class="card ring" aria-labelledby="ring-title">
    <div class="head">
      <h1 id="ring-title">The ring</h1>
      <div class="head-tools" id="ring-tools"></div>
    </div>
    <form class="key" id="key-form">
      <label for="key">Key</label>
      <input id="key" type="text" maxlength="2000" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="A user, a session, a path…" aria-describedby="key-answer" aria-keyshortcuts="/">
      <output id="key-answer" for="key"></output>
    </form>
    <div class="stage" id="stage" role="slider" tabindex="0" aria-label="Ring cursor: arrow keys go from point to point, Page Up and Page Down from point to point of one server, Enter picks the server" aria-valuemin="0" aria-valuemax="0" aria-valuenow="0" aria-valuetext="No point chosen" aria-describedby="readout">
      <canvas aria-hidden="true"></canvas>
      <canvas aria-hidden="true"></canvas>
      <div class="centre" id="centre" aria-hidden="true"></div>
    </div>
    <div class="under">
      <button type="button" class="step" id="point-before" aria-label="The point before">‹</button>
      <p class="readout" id="readout"></p>
      <button type="button" class="step" id="point-after" aria-label="The next point">›</button>
    </div>
    <ul class="legend" aria-label="What the ring shows">
      <li><i class="mark moved"></i>moved last</li>
      <li><i class="mark band"></i>who gets the keys now</li>
      <li><i class="mark ticks"></i>points</li>
    </ul>
  </section>

  <section class="card walk" aria-labelledby="walk-title">
    <div class="head"><h2 id="walk-title">The way of the key</h2></div>
    <div id="walk"></div>
  </section>

  <section class="card servers" aria-labelledby="servers-title">
    <div class="head">
      <h2 id="servers-title">Servers</h2>
      <div class="head-tools" id="servers-tools"></div>
    </div>
    <div class="scroll" id="servers"></div>
    <div id="servers-add"></div>
  </section>

  <div class="lower">
    <section class="card changes" aria-labelledby="changes-title">
      <div class="head"><h2 id="changes-title">What moved</h2></div>
      <div id="changes"></div>
    </section>

    <section class="card balance" aria-labelledby="balance-title">
      <div class="head"><h2 id="balance-title">Balance</h2></div>
      <div id="balance"></div>
    </section>
  </div>

  <section class="card table" aria-labelledby="table-title">
    <details id="points-details">
      <summary><h2 id="table-title">The ring as a table</h2></summary>
      <div id="points"></div>
    </details>
  </section>`;

// Draws the fleet of `store` in `root` until `signal` aborts. `showMore()` draws what the mode adds.
export function mountFleet(root, { signal, shell, store, showMore }) {
  root.classList.add('fleet');
  render(FRAME, root);
  const at = (id) => root.querySelector(`#${id}`);
  let point = -1;
  let pointsPage = 0;
  let isDue = false;

  const ring = new RingView(at('stage'), {
    signal,
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
  createServers({ list: at('servers'), tools: at('servers-tools'), form: at('servers-add'), signal }, store);
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

  function show() {
    const { state } = store;
    const { view, servers, slots, selected, walk, changes } = state;
    ring.show({ points: view.points, keys: view.keys, slots, servers, selected, walk, change: changes[0], theme: shell.theme, isStill: shell.isStill });
    showReadout();
    showAnswer();
    render(walkView(state), at('walk'));
    render(changesView(state), at('changes'));
    render(balanceView(state), at('balance'));
    render(at('points-details').open ? pointsView(state, pointsPage, (page) => { pointsPage = page; show(); }) : nothing, at('points'));
    shell.foot(html`Ring <code>${view.fingerprint}</code>`);
    shell.say(summary(state));
    showMore(at('ring-tools'));
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
    const shown = view.points.at(point);
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
}
