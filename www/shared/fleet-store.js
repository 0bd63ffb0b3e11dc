// What a mode that shows a fleet knows of it, and how it tells that something changed. No DOM, no
// clock, no network. The modes' own stores are built on this one.

import { assign } from './slots.js';

const CHANGES_MAX = 100;

// Begins with `fleet`; `own` is what the mode adds to the state, and `tell(servers, state)` may put
// a proxy's words in place of the engine's.
export function createFleetStore(fleet, own, tell = (servers) => servers) {
  const listeners = new Set();
  let state = { key: 'user-42', selected: null, changes: [], slots: new Map(), problem: null, ...own };

  // Takes over what changed, derives the rest and tells everybody.
  function update(patch) {
    const { slots } = state;
    state = { ...state, ...patch };
    state.walk = state.key === '' || state.view.isKeyless ? null : fleet.explain(state.key);
    state.servers = tell(state.view.servers, state);
    const { servers, selected, walk, changes } = state;
    state.slots = assign(slots, servers.map(({ name }) => name), [selected, walk?.server, walk?.owner, changes[0]?.server]);
    for (const listener of listeners) listener(state);
  }

  // The same after the fleet has changed.
  const updateFleet = (patch) => update({ ...patch, view: fleet.view() });

  updateFleet({});

  return {
    get state() {
      return state;
    },
    get fleet() {
      return fleet;
    },
    update,
    updateFleet,
    // Notes what a change of the fleet moved; `before` is the view before it.
    note(entry, before) {
      const id = (state.changes[0]?.id ?? 0) + 1;
      const [last, ...rest] = state.changes;
      // Only the latest change is drawn; the pictures of those before can go.
      const older = last ? [{ ...last, before: undefined }, ...rest] : [];
      updateFleet({ changes: [{ id, ...entry, before: before.keys }, ...older].slice(0, CHANGES_MAX), problem: null });
    },
    // Goes on with another fleet.
    replace(next, patch) {
      fleet.free();
      fleet = next;
      updateFleet(patch);
    },
    // Takes over without telling anybody: an update follows.
    prepare(patch) {
      state = { ...state, ...patch };
    },
    // What every store of a fleet offers.
    doors: {
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      // What the fleet would route a key to: for tests, and nothing else.
      route: (key) => fleet.route(key)?.name,
      setKey(key) {
        update({ key });
      },
      select(name) {
        if (name !== state.selected) update({ selected: name });
      },
      clearProblem() {
        if (state.problem) update({ problem: null });
      },
    },
  };
}
