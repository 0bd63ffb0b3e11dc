// What the page knows and does, without a DOM, over the real package: every number it shows is
// what the engine says when asked directly.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { differences, stretchesOf } from '../../www/shared/geometry.js';
import { LoadBalancer } from '../../www/pkg/index.js';
import { SCENARIOS, createStore } from '../../www/explore/store.js';
import { deed, movement, percent, position, summary } from '../../www/shared/words.js';

const KEYS = Array.from({ length: 2000 }, (_, i) => `key-${i}`);
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);
const spec = ({ name, address, port, weight, backup }) => ({ name, address, port, weight, backup });
const engine = (servers, virtualNodes) => new LoadBalancer({ servers: servers.map(spec), routing: { virtual_nodes: virtualNodes } });
const direct = (state) => engine(state.servers, state.view.virtualNodes);
const row = (store, name) => store.state.servers.find((server) => server.name === name);
const names = (store) => store.state.servers.map(({ name }) => name);

for (const [name, { names: expected, virtualNodes }] of Object.entries(SCENARIOS)) {
  test(`scenario ${name}: shares, balance, points and routes are the engine's`, () => {
    const store = createStore(LoadBalancer);
    store.load(name);
    const { state } = store;
    const own = direct(state);
    const ring = own.ring();
    assert.deepEqual(names(store), [...expected].sort());
    assert.equal(state.view.virtualNodes, virtualNodes);
    assert.equal(state.view.fingerprint, own.fingerprint);
    assert.deepEqual(state.view.balance, ring.balance);
    assert.equal(state.view.nPoints, ring.n_points);
    assert.deepEqual(state.view.points.points, ring.points);
    for (const server of own.servers()) {
      assert.deepEqual(row(store, server.name).share, { ...server.share, keys: server.share.actual });
      assert.equal(row(store, server.name).standing, 'eligible');
    }
    for (const key of KEYS) assert.equal(store.route(key), own.route(key).name);
  });
}

test('adding, removing and weighing answer with what moved, exactly', () => {
  const store = createStore(LoadBalancer);
  const own = direct(store.state);
  assert.equal(store.add({ name: 'new', address: '10.0.0.9', port: 80, weight: 2 }), true);
  assert.deepEqual(store.state.changes[0].moved, own.addServer({ name: 'new', address: '10.0.0.9', port: 80, weight: 2 }).moved);
  assert.equal(movement(store.state.changes[0]), 'Keys moved only to new; none moved between the others.');
  store.setWeight('cache-1', 5);
  assert.deepEqual(store.state.changes[0].moved, own.setWeight('cache-1', 5).moved);
  assert.equal(deed(store.state.changes[0]), 'Weight of cache-1: 1 → 5');
  store.setWeight('cache-1', 2);
  assert.deepEqual(store.state.changes[0].moved, own.setWeight('cache-1', 2).moved);
  store.remove('cache-2');
  assert.deepEqual(store.state.changes[0].moved, own.removeServer('cache-2').moved);
  assert.equal(movement(store.state.changes[0]), 'Only keys of cache-2 moved; everyone else’s stayed.');
  assert.deepEqual(store.state.changes.map(({ kind }) => kind), ['removed', 'weighed', 'weighed', 'added']);
  for (const key of KEYS) assert.equal(store.route(key), own.route(key).name);
});

test('the first of eight is removed: its own share moves, and no more', () => {
  const store = createStore(LoadBalancer);
  store.load('usual');
  const { actual } = row(store, 'cache-1').share;
  store.remove('cache-1');
  near(store.state.changes[0].moved.fraction, actual);
});

test('the amount painted as moved is the amount the engine says', () => {
  const store = createStore(LoadBalancer);
  store.load('usual');
  const painted = () => {
    const [{ before }] = store.state.changes;
    return differences(before, store.state.view.keys).reduce((sum, { from, to }) => sum + to - from, 0);
  };
  const acts = [
    () => store.add({ name: 'cache-9', address: 'a', port: 1, weight: 3 }),
    () => store.kill('cache-3'), () => store.setWeight('cache-4', 7), () => store.remove('cache-5'),
    () => store.setState('cache-6', 'draining'), () => store.revive('cache-3'), () => store.setState('cache-6', 'active'),
  ];
  for (const act of acts) {
    act();
    const [{ moved }] = store.state.changes;
    assert.ok(moved.fraction > 0.01);
    assert.ok(Math.abs(painted() - moved.fraction) < 1e-9, `${painted()} is painted, ${moved.fraction} moved`);
  }
});

test('a killed server is found out by its probes; its keys, and only they, go to the next candidate', () => {
  const store = createStore(LoadBalancer);
  store.load('usual');
  const before = new Map(KEYS.map((key) => [key, store.route(key)]));
  const own = direct(store.state);
  const gone = own.removeServer('cache-3').moved;
  store.kill('cache-3');
  const server = row(store, 'cache-3');
  assert.deepEqual([server.health, server.standing, server.eligible, server.share.keys], ['unhealthy', 'unhealthy', false, 0]);
  assert.equal(server.last_probe.why, 'killed here');
  assert.deepEqual(store.state.changes[0].moved, gone);
  for (const [key, was] of before) assert.equal(store.route(key), was === 'cache-3' ? own.route(key).name : was);
  // Who gets the keys is drawn from the ring of those in use: it must be where the engine routes.
  const keys = new Map(own.servers().map(({ name, share }) => [name, share.actual]));
  for (const { name, share } of store.state.servers) near(share.keys, keys.get(name) ?? 0);
  assert.deepEqual(stretchesOf(store.state.view.keys.turns, store.state.view.keys.labels, 'cache-3'), []);
  // The ring itself is as it was: health moves no point.
  assert.equal(store.state.view.nPoints, 1000);

  store.revive('cache-3');
  assert.equal(row(store, 'cache-3').standing, 'eligible');
  assert.equal(store.state.changes[0].moved.fraction, gone.fraction);
  for (const [key, was] of before) assert.equal(store.route(key), was);
});

test('draining passes the keys on and resuming takes them back', () => {
  const store = createStore(LoadBalancer);
  store.setState('cache-1', 'draining');
  assert.equal(row(store, 'cache-1').standing, 'draining');
  near(store.state.changes[0].moved.fraction, row(store, 'cache-1').share.actual);
  // Nothing moves when a server is killed that had no keys.
  store.kill('cache-1');
  assert.equal(store.state.changes[0].moved.fraction, 0);
  assert.equal(movement(store.state.changes[0]), 'No key moved.');
  store.revive('cache-1');
  store.setState('cache-1', 'active');
  near(row(store, 'cache-1').share.keys, row(store, 'cache-1').share.actual);
});

test('everybody is killed: it fails open, and says so', () => {
  const store = createStore(LoadBalancer);
  for (const name of names(store)) store.kill(name);
  assert.equal(store.state.walk.fail_open, true);
  assert.equal(store.state.changes[0].moved, null);
  assert.match(summary(store.state), /^Killed cache-3\. Several servers/);
  near(store.state.servers.reduce((sum, { share }) => sum + share.keys, 0), 1);
  store.revive('cache-2');
  assert.equal(row(store, 'cache-2').share.keys, 1);
});

test('down to no server, and up again', () => {
  const store = createStore(LoadBalancer);
  for (const name of names(store)) store.remove(name);
  assert.deepEqual([store.state.servers, store.state.view.nPoints, store.state.walk.server], [[], 0, null]);
  assert.equal(movement(store.state.changes[0]), 'No key has a server now.');
  assert.equal(store.add(store.suggestion()), true);
  assert.equal(movement(store.state.changes[0]), 'All keys have a server again.');
  assert.equal(store.state.servers[0].share.keys, 1);
});

test('what the engine refuses is said in its words, and changes nothing', () => {
  const store = createStore(LoadBalancer);
  const before = store.state.view;
  assert.equal(store.add({ name: 'cache-1', address: '10.0.0.1', port: 80 }), false);
  assert.match(store.state.problem.message, /already a server named "cache-1"/);
  assert.equal(store.add({ name: '', address: '10.0.0.1', port: 80, weight: 1 }), false);
  store.setWeight('cache-1', 0);
  assert.match(store.state.problem.message, /drain the server instead/);
  store.setWeight('cache-1', Number.NaN);
  store.setWeight('cache-1', 1.5);
  assert.equal(store.state.view, before);
  assert.deepEqual(store.state.changes, []);
  store.clearProblem();
  assert.equal(store.state.problem, null);
});

test('names that are code elsewhere are names here', () => {
  const store = createStore(LoadBalancer);
  for (const name of ['__proto__', 'constructor', '<img src=x onerror=alert(1)>', '\u202egnp.evil', '😀', 'x'.repeat(255)]) {
    assert.equal(store.add({ name, address: '10.0.0.1', port: 80 }), true, name);
    store.kill(name);
    assert.equal(row(store, name).standing, 'unhealthy');
    store.remove(name);
  }
  assert.equal(store.state.servers.length, 3);
});

test('a server keeps its colour; in a large fleet only those looked at have one', () => {
  const store = createStore(LoadBalancer);
  const slots = new Map(store.state.slots);
  store.remove('cache-1');
  store.add({ name: 'a-first', address: 'a', port: 1 });
  for (const name of ['cache-2', 'cache-3']) assert.equal(store.state.slots.get(name), slots.get(name));
  assert.equal(store.state.slots.get('a-first'), slots.get('cache-1'));
  store.load('many');
  assert.equal(new Set(store.state.slots.values()).size, 20);
  store.load('fleet');
  assert.deepEqual([...store.state.slots.keys()], [store.state.walk.server]);
  store.select('shard-007');
  assert.ok(store.state.slots.has('shard-007'));
  store.select(null);
  assert.ok(!store.state.slots.has('shard-007'));
});

test('the key may be empty, long, or anything', () => {
  const store = createStore(LoadBalancer);
  store.setKey('');
  assert.equal(store.state.walk, null);
  for (const key of ['a', 'x'.repeat(2000), '\ud800', '😀', ' ']) {
    store.setKey(key);
    assert.deepEqual(store.state.walk, direct(store.state).explain(key));
  }
});

test('virtual nodes are chosen anew, with the same servers', () => {
  const store = createStore(LoadBalancer);
  store.setWeight('cache-2', 3);
  store.kill('cache-1');
  store.setState('cache-3', 'draining');
  store.setVirtualNodes(100);
  assert.equal(store.state.view.nPoints, 500);
  assert.deepEqual(store.state.servers.map(({ standing }) => standing), ['unhealthy', 'eligible', 'draining']);
  assert.deepEqual(names(store), ['cache-1', 'cache-2', 'cache-3']);
  store.setWeight('cache-2', 1000);
  store.setVirtualNodes(10_000);
  assert.match(store.state.problem.message, /points/);
  assert.equal(store.state.view.virtualNodes, 100);
});

// === Words ===

test('numbers have as many digits as mean something', () => {
  assert.deepEqual([0, 0.00012, 0.0034, 0.01, 0.24812, 0.9999, 1].map((f) => percent(f).replace('\u00a0', ' ')),
    ['0 %', '0.012 %', '0.34 %', '1.0 %', '24.8 %', '100 %', '100 %']);
  assert.equal(position('0123456789abcdef').replace(/\u202f/g, ' '), '0123 4567 89ab cdef');
});
