// Live as it is seen: the stream in, figures, ring, servers, charts and what happened out.

import { html, named, nothing, render, tagged } from '../shared/dom.js';
import { walkView } from '../shared/key-walk.js';
import { RingView } from '../shared/ring-view.js';
import { count, keyless, many, percent, position } from '../shared/words.js';
import { createActions } from './actions.js';
import { createBadge, lookOf } from './badge.js';
import { createCharts } from './charts.js';
import { createEvents } from './events.js';
import { clockOf, passed } from './format.js';
import { frame } from './frame.js';
import { kpisView } from './kpis.js';
import { loginView } from './login.js';
import { follow, staleness } from './stream.js';
import { createTable } from './table.js';
import { TRACKS, drawTracks } from './tracks.js';

const HOT_PAUSE_MS = 5000;
const ASK_PAUSE_MS = 250;
const MARKS_MAX = 200;

// Draws Live in `root` until `signal` aborts. `session` keeps what outlives a visit: { token, mayAct }.
export function mountLive(root, { signal, shell, store, api, session }) {
  const badge = createBadge(document.querySelector('link[rel="icon"]'));
  let window = 300;
  let track = 'health';
  let point = -1;
  let isDue = false;
  let isHeard = false;
  let parts = null;
  let following = null;
  let askTimer;
  let asking;
  let askedFor = '';
  let ready;
  const isReady = new Promise((done) => { ready = done; });

  start();
  shell.onLook(() => parts && show(), signal);
  signal.addEventListener('abort', store.subscribe(later));
  // What is shown grows old without any news.
  const aging = setInterval(age, 500);
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'p' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input, select, textarea, dialog')) return;
    pause();
  }, { signal });
  signal.addEventListener('abort', () => {
    clearInterval(aging);
    clearTimeout(askTimer);
    asking?.abort();
    following?.stop();
    badge.show(null);
    document.documentElement.removeAttribute('data-stale');
  });
  return isReady;

  function start() {
    following?.stop();
    let wasLost = false;
    following = follow({
      token: session.token,
      onStart: () => {
        if (!parts) build();
        wasLost = false;
      },
      onText(text) {
        try {
          store.hear(text);
          isHeard = true;
          later();
        } catch (error) {
          shell.say(error.message);
        }
      },
      onChange(status) {
        if (status.kind === 'locked') showLogin(status.problem);
        if ((status.kind === 'waiting' || status.kind === 'hidden') && !wasLost && store.state.live) {
          wasLost = true;
          store.broke(status.kind === 'hidden' ? 'The page was hidden: it did not listen' : `The stream broke: ${status.problem}`, Date.now());
        }
        if (following) age();
        if (status.kind === 'waiting' && !parts) showWaiting();
      },
    });
  }

  function showLogin(problem) {
    parts?.ending.abort();
    parts = null;
    render(loginView(session.token === null ? null : problem, (given) => {
      session.token = given;
      start();
    }), root);
    root.className = 'mode-live';
    root.querySelector('input').focus();
    shell.status(html`<span class="chip lost"><i></i>Locked</span>`);
    shell.tools(nothing);
    ready();
  }

  function showWaiting() {
    render(html`<section class="card"><p class="empty" role="status">${staleness({ status: following.status, age: following.age() }, Date.now())}</p></section>`, root);
    ready();
  }

  function build() {
    const ending = new AbortController();
    signal.addEventListener('abort', () => ending.abort());
    root.className = 'mode-live live';
    render(frame({
      onTrack(name) { track = name; show(); },
      onWindow(seconds) { window = seconds; show(); },
    }), root);
    const at = (id) => root.querySelector(`#${id}`);
    const own = { signal: ending.signal };
    const actions = createActions(at('act'), { api, find: (name) => store.state.servers.find((server) => server.name === name), say: shell.say, onForbidden() { session.mayAct = false; show(); } });
    parts = {
      at, ending, actions,
      ring: new RingView(at('stage'), {
        ...own,
        onPoint(index) { point = index; showReadout(); },
        onPick(index) {
          const name = store.state.view.points.labels[index];
          store.select(name === undefined || name === store.state.selected ? null : name);
          if (name !== undefined) parts.table.reveal(name);
        },
      }),
      table: createTable({ ...own, tools: at('filters'), place: at('rows'), store, onAct: (name) => session.mayAct && actions.open(name) }),
      charts: createCharts({ ...own, place: at('plots'), onTime: (time) => store.showTime(Math.min(time, store.state.live.at)) }),
      events: createEvents({ ...own, place: at('events'), aloud: at('said'), store }),
    };
    at('key').value = store.state.key;
    at('key').addEventListener('input', ({ target }) => { store.setKey(target.value); askSoon(); });
    at('key-form').addEventListener('submit', (event) => event.preventDefault());
    at('point-before').addEventListener('click', () => parts.ring.step(-1));
    at('point-after').addEventListener('click', () => parts.ring.step(1));
    askHot(ending.signal);
    askSoon();
  }

  function later() {
    if (isDue || !parts) return;
    isDue = true;
    requestAnimationFrame(() => {
      if (signal.aborted || !parts) return;
      if (isHeard) store.settle(performance.now());
      isDue = isHeard = false;
      if (store.state.live) show();
    });
  }

  // === What is asked beside the stream ===

  // The proxy itself, since its table is what counts.
  function askSoon() {
    clearTimeout(askTimer);
    askTimer = setTimeout(async () => {
      const { key } = store.state;
      asking?.abort();
      asking = new AbortController();
      if (key === '') return store.answer(null);
      try {
        store.answer({ key, walk: await api.explain(key, asking.signal), problem: null });
      } catch (error) {
        if (!asking.signal.aborted) store.answer({ key, walk: null, problem: error.message });
      }
    }, ASK_PAUSE_MS);
  }

  async function askHot(ended) {
    while (!ended.aborted) {
      if (!document.hidden) {
        try {
          showHot(await api.hotKeys(ended), null);
        } catch (error) {
          if (!ended.aborted) showHot(null, error.message);
        }
      }
      await new Promise((done) => {
        const timer = setTimeout(done, HOT_PAUSE_MS);
        ended.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
      });
    }
  }

  // === What is shown ===

  function show() {
    const { state } = store;
    const { at, ring, table, charts, events } = parts;
    const { view, servers, slots, selected, changes, live: proxy, time } = state;
    // What the proxy says of the key is worth more than what the page's engine does.
    const walk = state.asked?.key === state.key && state.asked.walk ? state.asked.walk : state.walk;
    // Another table may have another answer.
    const table_ = `${proxy.fingerprint} ${changes[0]?.id}`;
    if (table_ !== askedFor) {
      askedFor = table_;
      askSoon();
    }
    ring.show({ points: view.points, keys: view.keys, slots, servers, selected, walk, change: changes[0], theme: shell.theme, isStill: shell.isStill });
    const load = store.load();
    const looks = colours();
    drawTracks(at('tracks'), {
      track, points: view.points, keys: view.keys, ratios: load.ratios, out: new Set(servers.filter(({ eligible }) => !eligible).map(({ name }) => name)),
      colours: looks,
    });
    render(TRACKS[track].what, at('track-note'));
    table.show();
    events.show();
    render(`${count(store.log.count)} since this page was opened`, at('events-note'));
    const to = time ?? proxy.at;
    const from = (time === null ? to : Math.min(to + (window * 1000) / 4, proxy.at)) - window * 1000;
    charts.show({
      name: selected, from, to: from + window * 1000, time: time === null ? null : time, looks, nServers: servers.length,
      series: (name, metric) => store.history.series(name, from, from + window * 1000, [metric]),
      events: store.log.entries.slice(-MARKS_MAX).map((entry) => entry.at),
    });
    render(kpisView({
      total: store.total(), servers, load, expected: view.isKeyless ? null : view.balance.peak_to_mean,
      nEligible: servers.filter(({ eligible }) => eligible).length, isLate: following.age().isLate,
    }), at('kpis'));
    showScrub(to);
    showReadout();
    showKey(walk);
    shell.foot(html`Ring <code>${proxy.fingerprint}</code>, proxy ${proxy.program}, configuration ${count(proxy.generation)}`);
    shell.tools(html`
      ${session.mayAct ? html`<button type="button" data-testid="add" @click=${() => parts.actions.open(null, 'add')}>Add server…</button>` : nothing}
      <button type="button" class="primary" data-testid="fork" @click=${() => shell.go('explore', store.copy())} title="Changes made there never reach the proxy">Explore a copy</button>`);
    age();
    ready();
  }

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { ink: of('ink'), muted: of('muted'), line: of('line'), good: of('good'), bad: of('bad'), accent: of('focus') };
  }

  // How old all of this is: in the header, over the page, in the tab.
  function age() {
    if (following.status.kind === 'locked' || !parts || !store.state.live) return;
    const { live: proxy, time, servers } = store.state;
    const now = Date.now();
    const old = staleness({ status: following.status, age: following.age() }, now);
    const isOld = old !== '' || following.status.kind === 'hidden';
    const nEligible = [...proxy.servers.values()].filter(({ standing }) => standing === 'eligible').length;
    const nWanted = [...proxy.servers.values()].filter(({ standing }) => standing !== 'draining').length;
    document.documentElement.toggleAttribute('data-stale', isOld);
    render(isOld
      ? html`<p class="banner lost">${old} <button type="button" @click=${() => following.retry()}>Try now</button></p>`
      : time !== null
        ? html`<p class="banner">Showing ${clockOf(time)}, ${passed(now - time)} ago. <button type="button" class="primary" data-testid="present" @click=${() => store.showTime(null)}>Back to now</button></p>`
        : proxy.isAlike
          ? nothing
          : html`<p class="banner lost">This page’s engine makes another ring than the proxy’s: their versions differ. Do not trust the picture; the proxy’s answers for a key hold.</p>`, parts.at('banner'));
    shell.status(html`
      <span class="chip ${isOld ? 'lost' : 'live'}"><i></i>${isOld ? 'No news' : following.status.kind === 'polling' ? 'Live, in pieces' : 'Live'}: this proxy</span>
      <span class="chip-note">${nEligible} of ${many(servers.length, 'server')} eligible${proxy.failOpen && nEligible === 0 ? ': it fails open' : ''}</span>`);
    const ageBox = parts.at('age');
    if (ageBox) ageBox.textContent = passed(time === null ? (following.age().ms ?? 0) : now - time);
    badge.show(lookOf({ isOld, nEligible, nWanted }));
    shell.title(isOld ? `No news · Ringway` : nEligible < nWanted ? `▼ ${nWanted - nEligible} out, ${nEligible}/${nWanted} eligible · Ringway` : `${nEligible}/${nWanted} eligible · Ringway`);
  }

  function pause() {
    const { time, live: proxy } = store.state;
    if (proxy) store.showTime(time === null ? proxy.at : null);
  }

  function showScrub(to) {
    const { time, live: proxy } = store.state;
    const oldest = Math.min(proxy.at, store.history.oldest);
    const ago = Math.round((proxy.at - (time ?? proxy.at)) / 1000);
    render(html`
      <button type="button" aria-pressed=${time !== null} data-testid="pause" aria-keyshortcuts="p" @click=${pause}>${time === null ? 'Pause' : 'Go on'}</button>
      <input type="range" aria-label="Moment" min=${-Math.max(1, Math.round((proxy.at - oldest) / 1000))} max="0" step="1" .value=${String(-ago)} aria-valuetext=${time === null ? 'now' : `${clockOf(to)}, ${passed(ago * 1000)} before now`}
        @input=${({ target }) => store.showTime(target.valueAsNumber === 0 ? null : proxy.at + 1000 * target.valueAsNumber)}>
      <span class="num">${time === null ? 'now' : clockOf(to)}</span>`, parts.at('scrub'));
  }

  function showKey(walk) {
    const { slots, asked, key, servers, view, live: proxy } = store.state;
    const { at } = parts;
    const isAnswer = asked?.key === key && key !== '';
    render(isAnswer && asked.walk?.server ? html`<span aria-hidden="true">→</span> ${tagged(asked.walk.server, slots)}` : isAnswer && asked.problem ? 'no answer' : nothing, at('key-answer'));
    const nEligible = servers.filter(({ eligible }) => eligible).length;
    render(html`<p class="answer">${`${count(nEligible)} of ${count(servers.length)}`}</p><p class="small">eligible</p>`, at('centre'));
    render(key === '' ? nothing : !isAnswer ? html`<p class="note">Asking the proxy…</p>` : asked.problem
      ? html`<p class="note" role="alert">${asked.problem}</p>`
      : html`<p class="note">The proxy says (configuration ${count(proxy.generation)}):</p>${walkView({ view, walk, slots })}`, at('walk'));
  }

  function showReadout() {
    const { view, slots, selected, servers } = store.state;
    const stage = parts.at('stage');
    const shown = view.points.at(point);
    stage.setAttribute('aria-valuemax', Math.max(0, view.nPoints - 1));
    stage.setAttribute('aria-valuenow', Math.max(0, point));
    if (shown) {
      const standing = servers.find(({ name }) => name === shown.server)?.standing;
      stage.setAttribute('aria-valuetext', `${shown.server}, ${standing}, at ${shown.position}, owns ${percent(shown.share)} up to here`);
      render(html`Up to <code class="hex">${position(shown.position)}</code>: ${percent(shown.share)} of ${tagged(shown.server, slots)}, ${standing}`, parts.at('readout'));
      return;
    }
    stage.setAttribute('aria-valuetext', 'No point chosen');
    render(view.isKeyless ? keyless(view.algorithm) : html`<span class="quiet">${many(view.nPoints, 'point')}${store.state.live.rule === view.algorithm ? '' : `; the proxy goes by ${store.state.live.rule}, this is what a ring would be`}. ${selected === null ? '' : html`Showing <bdi>${selected}</bdi>.`}</span>`, parts.at('readout'));
  }

  function showHot(answer, problem) {
    const { at } = parts;
    render(answer === null || answer.capacity === 0 ? '' : `of late: half of it is of the last ${passed(1000 * answer.half_life_s)}`, at('hot-note'));
    render(problem !== null
      ? html`<p class="note">${problem}</p>`
      : answer.keys.length === 0
        ? html`<p class="empty">No key has a part of the traffic worth naming.</p>`
        : html`<table class="hot-keys"><thead><tr><th scope="col">Key</th><th scope="col">Share</th><th scope="col">Goes to</th></tr></thead><tbody>${answer.keys.map(({ key, truncated, share, server, spread }) => html`
          <tr><td><button type="button" class="link" ?disabled=${truncated} @click=${() => lookUp(key)}>${named(key)}${truncated ? '…' : nothing}</button></td>
            <td class="num" title="at least – at most">${percent(share.at_least)} – ${percent(share.at_most)}</td>
            <td>${server ? tagged(server, store.state.slots) : spread ? html`spread over ${count(spread.length)}` : 'nowhere'}</td></tr>`)}</tbody></table>`, at('hot'));
  }

  function lookUp(key) {
    parts.at('key').value = key;
    store.setKey(key);
    askSoon();
  }
}
