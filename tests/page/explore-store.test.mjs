// What Explore knows and does, without a DOM, over the real package: every number it shows is what
// the engine says when asked directly.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SCENARIOS, difference, edited, ofConfig, scenario, toConfig } from '../../www/explore/spec.js';
import { createStore } from '../../www/explore/store.js';
import { least } from '../../www/explore/theory.js';
import { summary } from '../../www/explore/words.js';
import { LoadBalancer } from '../../www/pkg/index.js';
import { differences, stretchesOf } from '../../www/shared/geometry.js';
import { percent, position } from '../../www/shared/words.js';

const KEYS = Array.from({ length: 2000 }, (_, i) => `key-${i}`);
const near = (a, b, by = 1e-12) => assert.ok(Math.abs(a - b) < by, `${a} is not ${b}`);
const direct = ({ servers, routing }) => new LoadBalancer({ servers, routing });
const row = (store, name) => store.state.servers.find((server) => server.name === name);
const names = (store) => store.state.servers.map(({ name }) => name);
const routes = (store) => store.fleet.routeMany(KEYS).map((server) => server?.name);
const asked = (own) => own.routeMany(KEYS).map((server) => server?.name);

for (const [name, { names: expected, virtualNodes }] of Object.entries(SCENARIOS)) {
  test(`scenario ${name}: shares, balance, points and routes are the engine's`, () => {
    const store = createStore(LoadBalancer, name);
    const { view, spec, servers } = store.state;
    const own = direct(spec);
    const ring = own.ring();
    assert.deepEqual(names(store), [...expected].sort());
    assert.equal(view.virtualNodes, virtualNodes);
    assert.equal(view.fingerprint, own.fingerprint);
    assert.deepEqual(view.balance, ring.balance);
    assert.equal(view.nPoints, ring.n_points);
    const shares = new Map(own.servers().map((server) => [server.name, server.share]));
    for (const server of servers) {
      const share = shares.get(server.name);
      assert.deepEqual(server.share, { ...share, keys: share.actual });
      assert.equal(server.standing, 'eligible');
    }
    assert.deepEqual(routes(store), asked(own));
    for (const i of [0, 1, ring.n_points - 1]) {
      const { virtual_node: node, ...point } = view.points.at(i);
      assert.deepEqual(point, ring.points[i]);
      assert.equal(view.points.labels[i], point.server);
      assert.equal(view.points.turns[i], point.turn);
      assert.ok(node < virtualNodes * 2);
    }
  });
}

test('an edit is staged with the engine’s plan of it, and is done when it is committed', () => {
  const store = createStore(LoadBalancer, 'usual');
  const own = direct(store.state.spec);
  const before = routes(store);
  const server = { name: 'new', address: '10.0.0.9', port: 80, weight: 2 };
  store.add(server);
  assert.deepEqual(store.state.plan, own.plan([{ add: server }]));
  assert.equal(store.state.before.servers.length, 8);
  assert.equal(store.state.servers.length, 9);
  assert.deepEqual(store.committed.routeMany(KEYS).map(({ name }) => name), before);
  const { moved } = own.addServer(server);
  near(store.state.plan.moved, moved.fraction);
  assert.deepEqual(routes(store), asked(own));

  store.setWeight('cache-1', 5);
  store.remove('cache-2');
  store.setState('cache-3', 'draining');
  assert.deepEqual(store.state.edits.map(({ kind }) => kind), ['added', 'weighed', 'removed', 'state']);
  store.commit();
  assert.deepEqual([store.state.staged, store.state.plan, store.state.edits], [null, null, []]);
  assert.equal(store.state.ledger[0].edits.length, 4);
  own.setWeight('cache-1', 5);
  own.removeServer('cache-2');
  own.setState('cache-3', 'draining');
  assert.deepEqual(routes(store), asked(own));
});

test('the first of eight is removed: its own share moves, and no more', () => {
  const store = createStore(LoadBalancer, 'usual');
  const { actual, expected } = row(store, 'cache-1').share;
  store.remove('cache-1');
  near(store.state.plan.moved, actual);
  near(store.state.plan.minimum, expected);
  assert.ok(store.state.plan.flows.every(({ from }) => from === 'cache-1'));
  // Each of the seven that stay has another place and the divisor is one: 7 of 56 remainders agree.
  near(store.state.plan.modulo, 1 - 7 / 56);
});

test('there and back is nothing: undo and redo go through every step', () => {
  const store = createStore(LoadBalancer, 'usual');
  const prints = [store.state.view.fingerprint];
  const acts = [() => store.remove('cache-1'), () => store.setWeight('cache-2', 7), () => store.commit(), () => store.setVirtualNodes(40), () => store.discard()];
  for (const act of acts) {
    act();
    prints.push(store.state.view.fingerprint);
  }
  for (const print of [...prints].reverse().slice(1)) {
    store.undo();
    assert.equal(store.state.view.fingerprint, print);
  }
  assert.equal(store.state.past.length, 0);
  for (const print of prints.slice(1)) {
    store.redo();
    assert.equal(store.state.view.fingerprint, print);
  }
  assert.equal(store.state.future.length, 0);
  // Adding and removing one server is what nothing is.
  const print = store.state.view.fingerprint;
  store.add({ name: 'x', address: 'a', port: 1, weight: 3 });
  store.remove('x');
  assert.equal(store.state.view.fingerprint, print);
  assert.equal(store.state.plan.moved, 0);
});

test('a slider that is dragged is one edit, and one step back', () => {
  const store = createStore(LoadBalancer);
  for (const weight of [2, 3, 4, 5]) store.setWeight('cache-1', weight);
  assert.deepEqual(store.state.edits, [{ kind: 'weighed', server: 'cache-1', was: 1, weight: 5 }]);
  store.undo();
  assert.equal(store.state.staged, null);
});

test('the amount painted as moved is the amount the engine says', () => {
  const store = createStore(LoadBalancer, 'usual');
  const acts = [
    () => store.add({ name: 'cache-9', address: 'a', port: 1, weight: 3 }), () => store.setState('cache-3', 'down'), () => store.setWeight('cache-4', 7),
    () => store.remove('cache-5'), () => store.setState('cache-6', 'draining'), () => store.setState('cache-3', 'active'), () => store.setVirtualNodes(160),
    () => store.rename('cache-7', 'other'),
  ];
  for (const act of acts) {
    act();
    const { before, view, plan } = store.state;
    const painted = differences(before.keys, view.keys).reduce((sum, { from, to }) => sum + to - from, 0);
    near(painted, plan.moved, 1e-9);
    assert.ok(plan.moved > 0.01);
    near(plan.flows.reduce((sum, { fraction }) => sum + fraction, 0), plan.moved, 1e-9);
    // One server's change moves just what the shares ask for; other virtual nodes move more.
    const excess = plan.moved - least(plan);
    assert.ok(excess > -1e-9);
    assert.equal(excess > 1e-9, ['virtualNodes', 'renamed'].includes(store.state.edits[0].kind), store.state.edits[0].kind);
    store.commit();
  }
});

test('a server that is down keeps its points and loses its keys to their next candidates', () => {
  const store = createStore(LoadBalancer, 'usual');
  const before = routes(store);
  const own = direct(store.state.spec);
  const gone = own.removeServer('cache-3').moved;
  store.setState('cache-3', 'down');
  const server = row(store, 'cache-3');
  assert.deepEqual([server.health, server.standing, server.eligible, server.share.keys], ['unhealthy', 'unhealthy', false, 0]);
  near(store.state.plan.moved, gone.fraction);
  assert.deepEqual(routes(store), before.map((name, i) => (name === 'cache-3' ? own.route(KEYS[i]).name : name)));
  const shares = new Map(own.servers().map(({ name, share }) => [name, share.actual]));
  for (const { name, share } of store.state.servers) near(share.keys, shares.get(name) ?? 0);
  assert.deepEqual(stretchesOf(store.state.view.keys.turns, store.state.view.keys.labels, 'cache-3'), []);
  // The ring itself is as it was: health moves no point.
  assert.equal(store.state.view.nPoints, 1000);
  store.setState('cache-3', 'active');
  assert.deepEqual(routes(store), before);
});

test('all down: it fails open, and says so; none left, and up again', () => {
  const store = createStore(LoadBalancer);
  for (const name of names(store)) store.setState(name, 'down');
  assert.equal(store.state.walk.fail_open, true);
  near(store.state.servers.reduce((sum, { share }) => sum + share.keys, 0), 1);
  for (const name of names(store)) store.remove(name);
  assert.deepEqual([store.state.servers, store.state.view.nPoints, store.state.walk.server], [[], 0, null]);
  store.commit();
  store.add(store.suggestion());
  assert.equal(store.state.plan.moved, 1);
  assert.equal(store.state.servers[0].share.keys, 1);
});

test('what the engine refuses is said in its words, and changes nothing', () => {
  const store = createStore(LoadBalancer);
  const before = store.state.view;
  assert.equal(store.add({ name: 'cache-1', address: '10.0.0.1', port: 80 }), false);
  assert.match(store.state.problem.message, /cache-1/);
  assert.equal(store.add({ name: '', address: '10.0.0.1', port: 80, weight: 1 }), false);
  store.setWeight('cache-1', 0);
  assert.match(store.state.problem.message, /servers\[0\]\.weight: 0 is not allowed/);
  store.setWeight('cache-1', Number.NaN);
  store.setWeight('cache-1', 1.5);
  assert.equal(store.rename('cache-1', 'cache-2'), false);
  store.setVirtualNodes(0);
  store.setAlgorithm('sundial');
  assert.match(store.state.problem.message, /routing\.algorithm/);
  assert.match(summary(store.state), /routing\.algorithm/);
  assert.deepEqual([store.state.view, store.state.staged, store.state.past], [before, null, []]);
  store.clearProblem();
  assert.equal(store.state.problem, null);
});

test('names that are code elsewhere are names here', () => {
  const store = createStore(LoadBalancer);
  for (const name of ['__proto__', 'constructor', '<img src=x onerror=alert(1)>', '\u202egnp.evil', '😀', 'x'.repeat(255)]) {
    assert.equal(store.add({ name, address: '10.0.0.1', port: 80, weight: 1 }), true, name);
    store.setState(name, 'down');
    assert.equal(row(store, name).standing, 'unhealthy');
    store.remove(name);
  }
  assert.equal(store.state.servers.length, 3);
});

test('a server keeps its colour; in a large fleet only those looked at have one', () => {
  const store = createStore(LoadBalancer);
  const slots = new Map(store.state.slots);
  store.remove('cache-1');
  // It is still seen in what was.
  assert.deepEqual(store.state.slots, slots);
  store.commit();
  store.add({ name: 'a-first', address: 'a', port: 1, weight: 1 });
  for (const name of ['cache-2', 'cache-3']) assert.equal(store.state.slots.get(name), slots.get(name));
  assert.equal(store.state.slots.get('a-first'), slots.get('cache-1'));
  store.load('many');
  assert.equal(new Set(store.state.slots.values()).size, 20);
  store.load('fleet');
  assert.deepEqual([...store.state.slots.keys()], [store.state.walk.server]);
  store.pin('shard-007');
  store.select('shard-008');
  assert.ok(store.state.slots.has('shard-007') && store.state.slots.has('shard-008'));
  for (let i = 10; i < 30; i++) store.pin(`shard-0${i}`);
  assert.equal(store.state.pins.length, 8);
  store.unpin();
  assert.equal(store.state.slots.size, 1);
});

test('rules that are no ring have shares, plans and routes, and no points', () => {
  const store = createStore(LoadBalancer, 'many');
  for (const algorithm of ['maglev', 'rendezvous', 'jump', 'nginx', 'haproxy']) {
    assert.equal(store.setAlgorithm(algorithm), true, store.state.problem?.message);
    assert.equal(store.state.view.isRing, false);
    assert.deepEqual(routes(store), asked(direct(store.state.staged)));
    assert.ok(store.state.plan.moved > 0.5);
  }
  store.commit();
  store.setAlgorithm('jump');
  store.commit();
  assert.equal(store.remove('web-01'), false);
  assert.match(store.state.problem.message, /not the last shard/);
  assert.equal(store.state.staged, null);
});

test('the difference of two specs is what leads from one to the other', () => {
  let spec = scenario('usual');
  const first = spec;
  const edits = [
    { kind: 'removed', server: 'cache-1' }, { kind: 'renamed', server: 'cache-2', to: 'b' }, { kind: 'weighed', server: 'cache-4', weight: 9 },
    { kind: 'state', server: 'cache-5', state: 'down' }, { kind: 'state', server: 'b', state: 'draining' }, { kind: 'virtualNodes', n: 50 },
  ];
  for (const edit of edits) spec = edited(spec, edit);
  assert.deepEqual(difference(first, spec), [
    { remove: 'cache-1' }, { remove: 'cache-2' }, { add: { name: 'b', address: '10.0.0.2', port: 8080, weight: 1 } }, { state: { server: 'b', state: 'draining' } },
    { weight: { server: 'cache-4', weight: 9 } }, { state: { server: 'cache-5', state: 'draining' } }, { virtual_nodes: 50 },
  ]);
  assert.deepEqual(difference(spec, spec), []);
});

test('a configuration comes back as it was given, with what is not shown here', () => {
  const config = { servers: [{ name: 'a', address: '10.0.0.1', port: 80, weight: 2, backup: true }], routing: { virtual_nodes: 50, load_factor: 1.25 }, listen: { port: 8081 } };
  assert.deepEqual(toConfig(ofConfig(config)), config);
});

test('the key may be empty, long, or anything', () => {
  const store = createStore(LoadBalancer);
  store.setKey('');
  assert.equal(store.state.walk, null);
  for (const key of ['a', 'x'.repeat(2000), '\ud800', '😀', ' ']) {
    store.setKey(key);
    assert.deepEqual(store.state.walk, direct(store.state.spec).explain(key));
  }
});

// === Words ===

test('numbers have as many digits as mean something', () => {
  assert.deepEqual([0, 0.00012, 0.0034, 0.01, 0.24812, 0.9999, 1].map((f) => percent(f).replace('\u00a0', ' ')),
    ['0 %', '0.012 %', '0.34 %', '1.0 %', '24.8 %', '100 %', '100 %']);
  assert.equal(position('0123456789abcdef').replace(/\u202f/g, ' '), '0123 4567 89ab cdef');
});
