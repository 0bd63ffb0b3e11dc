// Hot keys in the package: begun requests count, questions do not, and a hot key is spread.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LoadBalancer } from './installed.mjs';

const servers = ['a', 'b', 'c', 'd'].map((name, i) => ({ name, address: '10.0.0.1', port: 80 + i }));
const begin = (lb, key) => {
  const { server, finish } = lb.begin(key);
  finish({ ok: true, latencyMs: 1 });
  return server.name;
};

test('begin counts, route and routeMany do not', () => {
  const lb = new LoadBalancer({ servers });
  for (let i = 0; i < 10; i += 1) lb.route('asked');
  lb.routeMany(['asked', 'asked']);
  assert.equal(lb.hotKeys().total, 0);
  for (let i = 0; i < 6; i += 1) begin(lb, i % 3 ? 'often' : 'seldom');
  const { total, keys } = lb.hotKeys();
  assert.equal(total, 6);
  assert.deepEqual(keys.map(({ key, count, error }) => [key, count, error]), [['often', 4, 0], ['seldom', 2, 0]]);
  assert.equal(lb.hotKeys(1).keys.length, 1);
  lb.advance(60_000);
  assert.equal(lb.hotKeys().total, 3);
  assert.throws(() => lb.hotKeys(-1), { code: 'invalid-argument' });
});

test('a hot key goes round its first candidates, from the 64th request', () => {
  const lb = new LoadBalancer({ servers, hot_keys: { spread: 3 } });
  const names = lb.candidates('hot', 3).map(({ name }) => name);
  for (let i = 0; i < 63; i += 1) assert.equal(begin(lb, 'hot'), names[0]);
  for (let i = 63; i < 90; i += 1) assert.equal(begin(lb, 'hot'), names[i % 3]);
  assert.deepEqual(lb.hotKeys().keys[0].spread, names);
  assert.equal(lb.route('hot').name, names[0]);
});
