// What Explore knows, and everything that can be done to it. No DOM, no clock, no network: the
// page calls the actions here, and draws `state` when told that it changed.

import { Fleet } from '../shared/fleet.js';
import { createFleetStore } from '../shared/fleet-store.js';

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
  const base = createFleetStore(make('few'), { mode: 'explore', scenario: 'few' });
  const { update, note, replace } = base;
  const find = (name) => base.state.servers.find((server) => server.name === name);

  function make(scenario) {
    const { names, weights, virtualNodes } = SCENARIOS[scenario];
    return new Fleet(LoadBalancer, { servers: names.map((name, i) => invented(name, i, weights[i])), virtualNodes });
  }

  // A fleet with the same standing of its servers as `about` tells.
  function remake({ servers, ...settings }) {
    const next = new Fleet(LoadBalancer, {
      servers: servers.map(({ name, address, port, weight, backup }) => ({ name, address, port, weight, backup })), ...settings,
    });
    for (const { name, state, killed } of servers) {
      if (state !== 'active') next.setState(name, state);
      if (killed) next.kill(name);
    }
    return next;
  }

  // Does something to the fleet and notes what it moved. A refusal of the engine is shown, not thrown.
  function change(kind, server, act, more = {}) {
    const before = base.state.view;
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

  return {
    ...base.doors,
    get state() {
      return base.state;
    },

    load(scenario) {
      replace(make(scenario), { scenario, changes: [], problem: null, selected: null });
    },
    // Goes on with a copy of another mode's fleet: { servers, virtualNodes, algorithm, failOpen }.
    receive(about) {
      replace(remake(about), { scenario: null, changes: [], problem: null, selected: null });
    },
    setVirtualNodes(virtualNodes) {
      const { fleet, state } = base;
      try {
        const next = remake({ servers: state.view.servers, virtualNodes, failOpen: fleet.failOpen, algorithm: fleet.algorithm });
        replace(next, { scenario: null, changes: [], problem: null });
      } catch (error) {
        update({ problem: { kind: 'virtual nodes', server: null, message: error.message } });
      }
    },

    add(spec) {
      return change('added', spec.name, () => base.fleet.add(spec));
    },
    // A name and an address that are free, for the form.
    suggestion() {
      const { servers } = base.state;
      const [, prefix, digits] = /^(.*?)(\d*)$/s.exec(servers[servers.length - 1]?.name ?? 'cache-0');
      for (let i = servers.length; ; i++) {
        const name = prefix + String(i + 1).padStart(digits.length, '0');
        if (!find(name)) return invented(name, i);
      }
    },
    remove(name) {
      const was = find(name);
      if (change('removed', name, () => base.fleet.remove(name), { fair: was?.share.expected }) && base.state.selected === name) {
        update({ selected: null });
      }
    },
    setWeight(name, weight) {
      const was = find(name)?.weight;
      if (was !== weight) change('weighed', name, () => base.fleet.setWeight(name, weight), { was, weight });
    },
    kill(name) {
      change('killed', name, () => base.fleet.kill(name));
    },
    revive(name) {
      change('revived', name, () => base.fleet.revive(name));
    },
    setState(name, next) {
      change(next, name, () => base.fleet.setState(name, next));
    },
  };
}
