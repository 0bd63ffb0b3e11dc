// The mode Replay: what happened to a fleet, and to the keys of a log, gone through again.

import { RING_KEYS } from '../shared/ring-view.js';
import { createStore } from './store.js';
import { mountReplay } from './view.js';

export const replay = {
  name: 'replay',
  title: 'Replay',
  keys: [...RING_KEYS, ['Space', 'play, pause'], [', .', 'the event before, the next one']],

  start({ LoadBalancer, shell }) {
    const store = createStore(LoadBalancer);
    let mounted = null;

    return {
      mount(root, { signal, rest }) {
        mounted = mountReplay(root, { signal, shell, store, rest });
        signal.addEventListener('abort', () => { mounted = null; });
      },
      goTo: (rest) => mounted?.goTo(rest),
    };
  },
};
