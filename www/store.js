// What the page knows, and everything that can be done to it. No DOM, no clock, no network: they
// call the actions here, and draw `state` when told that it changed.

import { Fleet } from './fleet.js';
import { N_SLOTS, freeSlot } from './palette.js';
import { KEYLESS } from './words.js';

const CHANGES_MAX = 100;

// The fleets to begin with. The first has few virtual nodes, so that single points can be seen; its
// names were chosen for a spread that is usual at so few (0.18, where theory expects 0.23).
export const SCENARIOS = {
  few: { title: '3 servers, 12 virtual nodes', virtualNodes: 12, names: numbered('cache-', 3), weights: [] },
  usual: { title: '8 servers, 100 virtual nodes', virtualNodes: 100, names: numbered('cache-', 8), weights: [1, 1, 2, 1, 1, 1, 2, 1] },
  many: { title: '20 servers, 100 virtual nodes', virtualNodes: 100, names: numbered('web-', 20), weights: [] },
  fleet: { title: '300 servers, 100 virtual nodes', virtualNodes: 100, names: numbered('shard-', 300), weights: [] },
};
export const VIRTUAL_NODES = [1, 4, 12, 40, 100, 160, 500];

function numbered(prefix, n) {
  const digits = String(n).length;
  return Array.from({ length: n }, (_, i) => prefix + String(i + 1).padStart(digits, '0'));
}

// A server called `name` at the `i`-th address of a private network.
function invented(name, i, weight = 1) {
  return { name, address: `10.0.${Math.floor(i / 250)}.${(i % 250) + 1}`, port: 8080, weight };
}

export function createStore(LoadBalancer) {
  const listeners = new Set();
  let fleet = make('few');
  let state = {
    // 'explore': a fleet of this page's own. 'live': the fleet of the proxy that served the page.
    mode: 'explore',
    scenario: 'few',
    live: null,
    key: 'user-42',
    selected: null,
    changes: [],
    slots: new Map(),
    problem: null,
  };
  function make(scenario) {
    const { names, weights, virtualNodes } = SCENARIOS[scenario];
    return new Fleet(LoadBalancer, { servers: names.map((name, i) => invented(name, i, weights[i])), virtualNodes });
  }

  // Takes over what changed, derives the rest and tells everybody.
  function update(patch) {
    const before = state;
    state = { ...state, ...patch };
    state.walk = state.key === '' || state.view.isKeyless ? null : fleet.explain(state.key);
    state.servers = rows(state);
    state.slots = colours(before, state);
    for (const listener of listeners) listener(state);
  }

  // The same after the fleet has changed.
  const updateFleet = (patch) => update({ ...patch, view: fleet.view() });

  // The servers as they are shown: the proxy's own words when live.
  function rows({ view, live }) {
    if (!live?.servers) return view.servers;
    const told = new Map(live.servers.map((server) => [server.name, server]));
    return view.servers.map((server) => ({ ...server, ...told.get(server.name), share: server.share }));
  }

  // Which server has which colour. A server keeps its colour while it is there. In a large fleet
  // only those that are looked at have one.
  function colours({ slots }, { servers, selected, walk, changes }) {
    const names = new Set(servers.map(({ name }) => name));
    if (servers.length > N_SLOTS) {
      const wanted = [selected, walk?.server, walk?.owner, changes[0]?.server];
      for (const name of names) if (!wanted.includes(name)) names.delete(name);
    }
    const kept = new Map([...slots].filter(([name]) => names.has(name)));
    const taken = new Set(kept.values());
    for (const name of names) {
      if (kept.has(name)) continue;
      const slot = freeSlot(taken);
      if (slot === null) break;
      kept.set(name, slot);
      taken.add(slot);
    }
    // The same map when nothing changed, so that nothing is drawn again for it.
    const isSame = kept.size === slots.size && [...kept].every(([name, slot]) => slots.get(name) === slot);
    return isSame ? slots : kept;
  }

  // Does something to the fleet and notes what it moved. A refusal of the engine is shown, not thrown.
  function change(kind, server, act, more = {}) {
    if (state.mode === 'live') return false;
    const before = state.view;
    let moved;
    try {
      moved = act();
    } catch (error) {
      update({ problem: { kind, server, message: error.message } });
      return false;
    }
    note({ kind, server, moved, ...more }, before);
    return true;
  }

  function note(entry, before) {
    const id = (state.changes[0]?.id ?? 0) + 1;
    const [last, ...rest] = state.changes;
    // Only the latest change is drawn; the pictures of those before can go.
    const older = last ? [{ ...last, before: undefined }, ...rest] : [];
    updateFleet({
      changes: [{ id, ...entry, before: before.keys }, ...older].slice(0, CHANGES_MAX),
      problem: null,
    });
  }

  function replace(next, patch) {
    fleet.free();
    fleet = next;
    updateFleet({ changes: [], problem: null, selected: null, ...patch });
  }

  // What has to happen to this fleet to be like the proxy's.
  function difference(servers) {
    const mine = new Map(fleet.servers().map((server) => [server.name, server]));
    const told = new Map(servers.map((server) => [server.name, server]));
    const news = [];
    for (const [server, { share }] of mine) {
      if (!told.has(server)) news.push({ kind: 'removed', server, fair: share.expected, act: () => fleet.remove(server) });
    }
    for (const [server, view] of told) {
      const was = mine.get(server);
      if (!was) news.push({ kind: 'added', server, act: () => fleet.add(specOf(view)) });
      else if (was.weight !== view.weight) {
        news.push({ kind: 'weighed', server, was: was.weight, weight: view.weight, act: () => fleet.setWeight(server, view.weight) });
      }
      if ((was?.state ?? 'active') !== view.state) {
        news.push({ kind: view.state, server, act: () => fleet.setState(server, view.state) });
      }
      const isOut = !view.eligible && view.state !== 'draining';
      if (isOut !== fleet.isKilled(server)) {
        news.push({ kind: isOut ? 'out' : 'back', server, standing: view.standing, act: () => (isOut ? fleet.kill(server) : fleet.revive(server)) });
      }
    }
    return news;
  }

  const find = (name) => state.servers.find((server) => server.name === name);

  updateFleet({});

  return {
    get state() {
      return state;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    // What the fleet would route a key to: for tests, and nothing else.
    route: (key) => fleet.route(key)?.name,

    load(scenario) {
      replace(make(scenario), { mode: 'explore', live: null, scenario });
    },
    setVirtualNodes(virtualNodes) {
      const servers = state.view.servers.map(({ name, address, port, weight, backup }) => ({ name, address, port, weight, backup }));
      let next;
      try {
        next = new Fleet(LoadBalancer, { servers, virtualNodes, failOpen: fleet.failOpen, algorithm: fleet.algorithm });
      } catch (error) {
        update({ problem: { kind: 'virtual nodes', server: null, message: error.message } });
        return;
      }
      for (const { name, state: wish, killed } of state.view.servers) {
        if (wish !== 'active') next.setState(name, wish);
        if (killed) next.kill(name);
      }
      replace(next, { scenario: null, selected: state.selected });
    },

    add(spec) {
      return change('added', spec.name, () => fleet.add(spec));
    },
    // A name and an address that are free, for the form.
    suggestion() {
      const { servers } = state;
      const [, prefix, digits] = /^(.*?)(\d*)$/s.exec(servers[servers.length - 1]?.name ?? 'cache-0');
      for (let i = servers.length; ; i++) {
        const name = prefix + String(i + 1).padStart(digits.length, '0');
        if (!find(name)) return invented(name, i);
      }
    },
    remove(name) {
      const was = find(name);
      if (change('removed', name, () => fleet.remove(name), { fair: was?.share.expected }) && state.selected === name) {
        update({ selected: null });
      }
    },
    setWeight(name, weight) {
      const was = find(name)?.weight;
      if (was !== weight) change('weighed', name, () => fleet.setWeight(name, weight), { was, weight });
    },
    kill(name) {
      change('killed', name, () => fleet.kill(name));
    },
    revive(name) {
      change('revived', name, () => fleet.revive(name));
    },
    setState(name, next) {
      change(next, name, () => fleet.setState(name, next));
    },

    setKey(key) {
      update({ key });
    },
    select(name) {
      if (name !== state.selected) update({ selected: name });
    },
    clearProblem() {
      if (state.problem) update({ problem: null });
    },

    // The proxy answered: show its fleet. `servers`, `ring` and `health` are the API's own answers.
    observe({ servers, ring, health, at }) {
      // Of other rules the page draws what a ring would be, and says so.
      const algorithm = KEYLESS.has(ring.algorithm) ? ring.algorithm : 'ring';
      const isFirst = state.mode !== 'live' || fleet.virtualNodes !== ring.virtual_nodes || fleet.algorithm !== algorithm;
      // Whether it fails open is only known when it would.
      const failOpen = health.n_eligible === 0 ? health.fail_open : isFirst || fleet.failOpen;
      const isNew = isFirst || failOpen !== fleet.failOpen;
      if (isNew) {
        const next = new Fleet(LoadBalancer, { servers: servers.map(specOf), virtualNodes: ring.virtual_nodes, failOpen, algorithm });
        fleet.free();
        fleet = next;
      }
      const live = { servers, health, at, lost: null, fingerprint: ring.fingerprint };
      const news = difference(servers);
      if (isNew) {
        // As it was found: nothing of this happened before our eyes.
        for (const { act } of news) act();
        const fresh = { mode: 'live', scenario: null, changes: [], problem: null, selected: null };
        updateFleet(isFirst ? { ...fresh, live } : { live });
        return;
      }
      state = { ...state, live };
      for (const { act, ...entry } of news) {
        const before = state.view;
        note({ ...entry, moved: act(), at }, before);
      }
      if (news.length === 0) update({});
    },
    // The proxy did not answer: what is shown is as old as the last answer.
    lose(problem, at) {
      if (state.live) update({ live: { ...state.live, lost: { problem, at } } });
    },
    // Goes on with a copy of the fleet, which no proxy sees.
    explore() {
      if (state.mode !== 'live') return;
      update({ mode: 'explore', live: null, changes: [], problem: null });
    },
  };
}

function specOf({ name, address, port, weight, backup }) {
  return { name, address, port, weight, backup };
}
