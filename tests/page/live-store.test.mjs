// What Live knows of a proxy, without a DOM, over the real package.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ofFleet } from '../../www/explore/spec.js';
import { createStore as createExplore } from '../../www/explore/store.js';
import { createStore } from '../../www/live/store.js';
import { LoadBalancer } from '../../www/pkg/index.js';
import { deed } from '../../www/shared/words.js';

const KEYS = Array.from({ length: 2000 }, (_, i) => `key-${i}`);
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);
const row = (store, name) => store.state.servers.find((server) => server.name === name);
const names = (store) => store.state.servers.map(({ name }) => name);

// What a proxy's API says: the engine's own words.
function proxy(servers, virtualNodes = 100) {
  const own = new LoadBalancer({ servers, routing: { virtual_nodes: virtualNodes } });
  return {
    own,
    says: (at, change = {}) => ({
      servers: own.servers().map((server) => ({ ...server, ...change[server.name] })), ring: own.ring({ limit: 1 }), health: own.health(), at,
    }),
  };
}
const FLEET = ['demo-1', 'demo-2', 'demo-3'].map((name) => ({ name, address: '127.0.0.1', port: 9001 }));
const OUT = { health: 'unhealthy', standing: 'unhealthy', eligible: false };

test('the fleet is the proxy’s, and what fails there is seen here', () => {
  const store = createStore(LoadBalancer);
  const { own, says } = proxy(FLEET);
  store.observe(says(1000));
  assert.equal(store.state.mode, 'live');
  assert.equal(store.state.view.fingerprint, own.fingerprint);
  assert.deepEqual(store.state.changes, []);
  const seen = [];
  store.subscribe(({ changes }) => seen.push(changes.length));
  store.observe(says(2000));
  assert.deepEqual(store.state.changes, []);
  store.observe(says(3000, { 'demo-2': { ...OUT, requests: 7 } }));
  const [change] = store.state.changes;
  assert.deepEqual([deed(change), change.at], ['demo-2 is unhealthy', 3000]);
  near(change.moved.fraction, own.servers()[1].share.actual);
  assert.deepEqual([row(store, 'demo-2').requests, row(store, 'demo-2').share.keys], [7, 0]);
  store.observe(says(4000));
  assert.equal(deed(store.state.changes[0]), 'demo-2 is eligible again');
  assert.deepEqual(seen.slice(-1), [2]);
});

test('a proxy whose rule has no keys has a fleet, its parts and no ring', () => {
  const store = createStore(LoadBalancer);
  const own = new LoadBalancer({ servers: FLEET, routing: { algorithm: 'round-robin' } });
  const says = (at) => ({ servers: own.servers(), ring: own.ring({ limit: 1 }), health: own.health(), at });
  store.observe(says(1000));
  const { view, walk, live } = store.state;
  assert.deepEqual([view.algorithm, view.isKeyless, view.nPoints, walk], ['round-robin', true, 0, null]);
  assert.equal(view.fingerprint, live.fingerprint);
  near(row(store, 'demo-1').share.keys, 1 / 3);
  own.removeServer('demo-2');
  store.observe(says(2000));
  assert.deepEqual(names(store), ['demo-1', 'demo-3']);
  // And the rule may change while we look.
  store.observe(proxy(FLEET).says(3000));
  assert.deepEqual([store.state.view.algorithm, store.state.view.isKeyless, store.state.view.nPoints], ['ring', false, 300]);
  assert.notEqual(store.state.walk, null);
});

test('servers added, weighed, drained and removed by others are changes too', () => {
  const store = createStore(LoadBalancer);
  const { own, says } = proxy(FLEET);
  store.observe(says(0));
  const added = own.addServer({ name: 'demo-4', address: '127.0.0.1', port: 9004, weight: 2 }).moved;
  store.observe(says(1));
  assert.deepEqual(store.state.changes[0].moved, added);
  own.setWeight('demo-4', 1);
  own.setState('demo-1', 'draining');
  store.observe(says(2));
  assert.deepEqual(store.state.changes.map(({ kind }) => kind), ['weighed', 'draining', 'added']);
  assert.equal(row(store, 'demo-1').standing, 'draining');
  own.removeServer('demo-2');
  store.observe(says(3));
  assert.equal(deed(store.state.changes[0]), 'Removed demo-2');
  assert.equal(store.state.view.fingerprint, own.fingerprint);
  for (const key of KEYS) assert.equal(store.route(key), own.route(key).name);
});

test('nothing can be changed, news may stop, and a copy goes on alone', () => {
  const store = createStore(LoadBalancer);
  const { says } = proxy(FLEET);
  store.observe(says(0, { 'demo-3': { ...OUT, standing: 'ejected', health: 'healthy', ejected: true } }));
  assert.deepEqual(Object.keys(store).filter((name) => /add|remove|kill|Weight|State/.test(name)), []);
  assert.equal(store.state.servers.length, 3);
  assert.equal(row(store, 'demo-3').standing, 'ejected');
  store.lose('the API cannot be reached', 5000);
  assert.deepEqual(store.state.live.lost, { problem: 'the API cannot be reached', at: 5000 });
  store.observe(says(6000, { 'demo-3': OUT }));
  assert.equal(store.state.live.lost, null);
  const explore = createExplore(LoadBalancer);
  explore.receive(ofFleet(store.copy()));
  assert.equal(explore.state.view.fingerprint, store.state.view.fingerprint);
  assert.equal(row(explore, 'demo-3').standing, 'unhealthy');
  explore.setState('demo-3', 'active');
  assert.equal(row(explore, 'demo-3').standing, 'eligible');
  assert.equal(row(store, 'demo-3').standing, 'unhealthy');
});

test('a proxy that does not fail open has nowhere to send keys when nobody is eligible', () => {
  const store = createStore(LoadBalancer);
  const { says } = proxy(FLEET);
  store.observe(says(0));
  const out = Object.fromEntries(FLEET.map(({ name }) => [name, OUT]));
  const answer = says(1, out);
  store.observe({ ...answer, health: { ...answer.health, n_eligible: 0, fail_open: false } });
  assert.equal(store.state.walk.server, null);
  assert.deepEqual(store.state.servers.map(({ share }) => share.keys), [0, 0, 0]);
  store.observe({ ...answer, health: { ...answer.health, n_eligible: 0, fail_open: true }, at: 2 });
  assert.equal(store.state.walk.fail_open, true);
  store.observe(says(3));
  assert.deepEqual(store.state.servers.map(({ share }) => share.keys > 0.2), [true, true, true]);
});
