// The mode Live: the fleet of the proxy that served the page, watched.

import { html, nothing, render } from '../shared/dom.js';
import { mountFleet } from '../shared/fleet-panels.js';
import { RING_KEYS } from '../shared/ring-view.js';
import { many } from '../shared/words.js';
import { createStore } from './store.js';
import { watch } from './watch.js';

export const live = {
  name: 'live',
  title: 'Live',
  keys: RING_KEYS,

  start({ LoadBalancer, shell }) {
    const store = createStore(LoadBalancer);
    let watching = attach();
    let isShown = false;

    function attach() {
      return watch({ onAnswer: store.observe, onLoss: store.lose });
    }

    function stop() {
      watching?.stop();
      watching = null;
    }

    function showStatus() {
      const { live: proxy, view } = store.state;
      const isLost = Boolean(proxy?.lost);
      const age = proxy ? Math.max(0, Math.round((Date.now() - proxy.at) / 1000)) : 0;
      document.documentElement.toggleAttribute('data-stale', isLost);
      shell.status(proxy === null ? nothing : html`
        <span class="chip ${isLost ? 'lost' : 'live'}"><i></i>${isLost ? 'No news' : 'Live'}: this proxy</span>
        <span class="chip-note" role=${isLost ? 'alert' : nothing}>${isLost
          ? `${proxy.lost.problem}. This is what it said ${age} s ago; asking again each second.`
          : proxy.fingerprint === view.fingerprint
            ? `${proxy.health.n_eligible} of ${many(proxy.health.n_servers, 'server')} eligible${proxy.health.fail_open ? ': it fails open' : ''}`
            : 'This page’s engine makes another ring than the proxy’s: their versions differ. Do not trust the picture.'}</span>`);
    }

    function showMore(ringTools) {
      const { live: proxy, view } = store.state;
      shell.title(proxy === null ? 'Ringway: live' : `${proxy.health.n_eligible}/${proxy.health.n_servers} eligible · Ringway`);
      showStatus();
      shell.tools(html`<button type="button" class="primary" data-testid="fork" @click=${() => shell.go('explore', store.copy())} title="Changes are made in Explore: this view only watches">Explore a copy</button>`);
      render(html`<span class="note">${many(view.virtualNodes, 'virtual node')} a weight</span>`, ringTools);
    }

    return {
      async find() {
        await watching.started;
        // Asked once; again only when somebody looks.
        if (!isShown) stop();
        return store.state.live !== null;
      },
      mount(root, { signal }) {
        isShown = true;
        watching ??= attach();
        // What is shown grows old without any news.
        const aging = setInterval(showStatus, 1000);
        signal.addEventListener('abort', () => {
          isShown = false;
          clearInterval(aging);
          stop();
          document.documentElement.removeAttribute('data-stale');
        });
        mountFleet(root, { signal, shell, store, showMore });
        return watching.started;
      },
    };
  },
};
