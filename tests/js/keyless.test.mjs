// Rules without keys: keys may be left out, seeds repeat, and what goes by keys is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LoadBalancer } from './installed.mjs';

const servers = [
  { name: 'a', address: '10.0.0.1', port: 80 },
  { name: 'b', address: '10.0.0.2', port: 80, weight: 2 },
];
const make = (algorithm, options) => new LoadBalancer({ servers, routing: { algorithm }, health_check: { enabled: false } }, options);
const names = (list) => list.map((server) => server?.name).join('');

test('round-robin goes round with and without keys, one by one and many at once', () => {
  const lb = make('round-robin');
  assert.equal(names([lb.route(), lb.route('same'), lb.route(new Uint8Array(3))]), 'bab');
  assert.equal(names(lb.routeMany(['same', 'same', 'same'])), 'bab');
  assert.equal(names(lb.routeMany([undefined, undefined, undefined])), 'bab');
  assert.equal(lb.begin().server.name, 'b');
  assert.equal(names(lb.candidates(undefined, 5)), 'ab');
  lb.free();
  // By a rule with keys a key is needed, as ever.
  const ring = make('ring');
  assert.throws(() => ring.route(), { code: 'invalid-key' });
  ring.free();
});

test('the same seed draws the same, another another, and none any', () => {
  const draw = (options) => {
    const lb = make('random', options);
    const drawn = names(Array.from({ length: 64 }, () => lb.route()));
    lb.free();
    return drawn;
  };
  assert.equal(draw({ seed: 7 }), draw({ seed: 7 }));
  assert.notEqual(draw({ seed: 7 }), draw({ seed: 8 }));
  assert.notEqual(draw(), draw());
  for (const seed of [-1, 0.5, 2 ** 53, '7', null]) {
    assert.throws(() => make('random', { seed }), { code: 'invalid-argument' }, String(seed));
  }
  assert.throws(() => make('random', 7), { code: 'invalid-argument' });
});

test('least-connections and response-time go by what was begun and finished', () => {
  const lb = make('least-connections', { seed: 1 });
  const running = Array.from({ length: 30 }, () => lb.begin());
  const n = (name) => running.filter(({ server }) => server.name === name).length;
  assert.deepEqual([n('a'), n('b')], [10, 20]);
  assert.deepEqual(lb.explain().candidates.map(({ server, in_flight }) => [server, in_flight]), [['a', 10], ['b', 20]]);
  lb.free();
  const timed = make('response-time', { seed: 1 });
  for (let known = new Set(); known.size < 2;) {
    const { server, finish } = timed.begin();
    known.add(server.name);
    finish({ ok: true, latencyMs: server.name === 'a' ? 1000 : 10 });
  }
  assert.deepEqual(timed.explain().candidates.map(({ latency_ms }) => Math.round(latency_ms)), [1000, 10]);
  assert.equal(names(Array.from({ length: 9 }, () => timed.route())), 'bbbbbbbbb');
  timed.free();
});

test('explain says that no key decides, and a plan is refused', () => {
  const lb = make('round-robin');
  const { algorithm, position, turn, owner, server, candidates } = lb.explain('key');
  assert.deepEqual({ algorithm, position, turn, owner, server }, { algorithm: 'round-robin', position: null, turn: null, owner: null, server: null });
  assert.deepEqual(candidates.map(({ reason }) => reason), ['usable', 'usable']);
  assert.throws(() => lb.plan([{ remove: 'a' }]), { code: 'no-keys' });
  assert.deepEqual(lb.removeServer('a').moved, { fraction: 0, flows: [] });
  assert.equal(lb.ring().n_points, 0);
  assert.throws(() => new LoadBalancer({ servers, routing: { algorithm: 'random', load_factor: 1.25 } }), /load_factor/);
  lb.free();
});
