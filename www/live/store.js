// What Live knows: the fleet of the proxy that served the page, as an engine of the page's own
// makes it again from what the proxy says. No DOM, no clock, no network.

import { Fleet } from '../shared/fleet.js';
import { createFleetStore } from '../shared/fleet-store.js';
import { KEYLESS } from '../shared/words.js';

export function createStore(LoadBalancer) {
  const nobody = new Fleet(LoadBalancer, { servers: [], virtualNodes: 100 });
  const base = createFleetStore(nobody, { mode: 'live', live: null }, rows);
  const { update, updateFleet, note, replace, prepare } = base;

  // The servers as they are shown: in the proxy's own words.
  function rows(servers, { live }) {
    if (!live) return servers;
    const told = new Map(live.servers.map((server) => [server.name, server]));
    return servers.map((server) => ({ ...server, ...told.get(server.name), share: server.share }));
  }

  // What has to happen to this fleet to be like the proxy's.
  function difference(servers) {
    const { fleet } = base;
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

  return {
    ...base.doors,
    get state() {
      return base.state;
    },

    // The proxy answered: show its fleet. `servers`, `ring` and `health` are the API's own answers.
    observe({ servers, ring, health, at }) {
      const { fleet, state } = base;
      // Of other rules the page draws what a ring would be, and says so.
      const algorithm = KEYLESS.has(ring.algorithm) ? ring.algorithm : 'ring';
      const isFirst = !state.live || fleet.virtualNodes !== ring.virtual_nodes || fleet.algorithm !== algorithm;
      // Whether it fails open is only known when it would.
      const failOpen = health.n_eligible === 0 ? health.fail_open : isFirst || fleet.failOpen;
      const live = { servers, health, at, lost: null, fingerprint: ring.fingerprint };
      if (isFirst || failOpen !== fleet.failOpen) {
        // As it was found: nothing of this happened before our eyes.
        const next = new Fleet(LoadBalancer, { servers: servers.map(specOf), virtualNodes: ring.virtual_nodes, failOpen, algorithm });
        replace(next, { live, ...(isFirst ? { changes: [], problem: null, selected: null } : {}) });
        for (const { act } of difference(servers)) act();
        updateFleet({});
        return;
      }
      prepare({ live });
      const news = difference(servers);
      for (const { act, ...entry } of news) {
        const before = base.state.view;
        note({ ...entry, moved: act(), at }, before);
      }
      if (news.length === 0) update({});
    },
    // The proxy did not answer: what is shown is as old as the last answer.
    lose(problem, at) {
      const { live } = base.state;
      if (live) update({ live: { ...live, lost: { problem, at } } });
    },
    // A copy for Explore to go on with, which no proxy sees.
    copy() {
      const { fleet, state } = base;
      return { servers: state.view.servers, virtualNodes: fleet.virtualNodes, algorithm: fleet.algorithm, failOpen: fleet.failOpen };
    },
  };
}

function specOf({ name, address, port, weight, backup }) {
  return { name, address, port, weight, backup };
}
