// The mode Live: the fleet of the proxy that served the page, as it is and as it was.

import { RING_KEYS } from '../shared/ring-view.js';
import { createApi } from './api.js';
import { createStore } from './store.js';
import { mountLive } from './view.js';

export const live = {
  name: 'live',
  title: 'Live',
  keys: [...RING_KEYS, ['p', 'pause, and go on']],

  start({ LoadBalancer, shell }) {
    const store = createStore(LoadBalancer);
    // In memory and nowhere else: gone with the page.
    const session = { token: null, mayAct: true };
    const api = createApi({ token: () => session.token });

    return {
      // Whether there is a proxy behind this page: it has servers, or wants a token. A static server
      // has a file there that says there are none, or nothing at all.
      async find() {
        try {
          const answer = await fetch('./api/servers', { cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(5000) });
          if (answer.status === 401) return true;
          const { servers } = await answer.json();
          return answer.ok && Array.isArray(servers);
        } catch {
          return false;
        }
      },
      mount: (root, { signal }) => mountLive(root, { signal, shell, store, api, session }),
    };
  },
};
