// Made-up requests and made-up failures, by the engine's own rules; and what theory says of spread.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CHOICES, outage, victims } from '../../www/explore/outage.js';
import { scenario } from '../../www/explore/spec.js';
import { band, measure, spread } from '../../www/explore/theory.js';
import { createKeys, createRandom, simulate } from '../../www/explore/traffic.js';
import { LoadBalancer } from '../../www/pkg/index.js';

const spec = scenario('usual');

test('the same seed gives the same numbers, evenly', () => {
  const [a, b] = [createRandom(7), createRandom(7)];
  const seen = Array.from({ length: 20_000 }, () => a());
  assert.deepEqual(seen, Array.from({ length: 20_000 }, () => b()));
  assert.ok(seen.every((value) => value >= 0 && value < 1));
  assert.ok(Math.abs(seen.reduce((sum, value) => sum + value, 0) / seen.length - 0.5) < 0.01);
});

test('keys follow Zipf’s law, and the hot one has its part', () => {
  const random = createRandom(1);
  const draw = createKeys(1000, 1, 0.2);
  const counts = new Array(1000).fill(0);
  for (let i = 0; i < 100_000; i++) counts[draw(random)] += 1;
  const sum = Array.from({ length: 1000 }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(counts[0] / 100_000 - (0.2 + 0.8 / sum)) < 0.01);
  assert.ok(Math.abs(counts[1] / counts[3] - 2) < 0.2);
});

test('nobody has more in flight than the bound lets it, and somebody would have without', () => {
  for (const loadFactor of [1.05, 1.25, 2]) {
    const { rows, hops, requests } = simulate(LoadBalancer, spec, { loadFactor, hot: 0.2 });
    for (const { name, most, fair } of rows) assert.ok(most <= Math.ceil(loadFactor * fair), `${name}: ${most} of ${loadFactor * fair}`);
    assert.equal(hops.reduce((a, b) => a + b, 0), requests);
    assert.equal(rows.reduce((sum, { now }) => sum + now, 0), 400);
    assert.ok(hops[1] > 0);
  }
  const free = simulate(LoadBalancer, spec, { loadFactor: null, hot: 0.2 });
  assert.ok(free.rows.some(({ most, fair }) => most > 2 * fair));
  assert.deepEqual(free.hops.slice(1), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual(simulate(LoadBalancer, spec, { loadFactor: 1.25 }), simulate(LoadBalancer, spec, { loadFactor: 1.25 }));
});

for (const how of ['fail', 'drain']) {
  for (const slow of [0, 10]) {
    test(`servers ${how}, slowly over ${slow} s: every key is home again, each moving once`, () => {
      for (const n of [1, 3]) {
        const names = victims(spec, 'random', n);
        const moments = [...outage(LoadBalancer, spec, { names, how, detect: 3, slow, gone: 20 })];
        const last = moments[moments.length - 1];
        assert.equal(last.away, 0);
        const most = Math.max(...moments.map(({ away }) => away));
        assert.ok(most > 0.05);
        // There and back is all that moves, where nobody comes back into the keys of another.
        if (n === 1) assert.ok(Math.abs(last.moved - 2 * most) < 1e-9, `${last.moved} of ${most}`);
        const blind = moments.filter(({ lost }) => lost > 0).length;
        assert.equal(blind, how === 'fail' ? 2 : 0);
        if (slow > 0) assert.ok(new Set(moments.slice(25).map(({ away }) => away)).size > 5, 'they come back all at once');
        const events = moments.flatMap(({ events: list }) => list.map(({ event, server }) => `${server} ${event}`));
        if (how === 'fail') for (const name of names) assert.equal(events.filter((event) => event === `${name} health-changed`).length, 2, `${events}`);
      }
    });
  }
}

test('victims are as many as asked for, and chosen as asked for', () => {
  for (const choice of Object.keys(CHOICES)) assert.equal(new Set(victims(spec, choice, 3)).size, 3);
  assert.deepEqual(victims(spec, 'heaviest', 2), ['cache-3', 'cache-7']);
  assert.deepEqual(victims(spec, 'random', 3, 5), victims(spec, 'random', 3, 5));
});

test('of a hundred fleets ninety-nine have the spread that theory says', () => {
  for (const [servers, nodes] of [[8, 40], [20, 100], [3, 160]]) {
    let inside = 0;
    let sum = 0;
    const n = 300;
    for (let fleet = 0; fleet < n; fleet++) {
      const engine = new LoadBalancer({ servers: Array.from({ length: servers }, (_, i) => ({ name: `f${fleet}-${i}`, address: 'x', port: 1 })), routing: { virtual_nodes: nodes } });
      const { cv } = engine.ring({ limit: 1 }).balance;
      engine.free();
      const [low, high] = band(servers, servers * nodes);
      if (cv >= low && cv <= high) inside += 1;
      sum += cv * cv;
    }
    assert.ok(inside >= n * 0.96, `${inside} of ${n} for ${servers} × ${nodes}`);
    const expected = spread(servers, servers * nodes);
    assert.ok(Math.abs(Math.sqrt(sum / n) / expected - 1) < 0.08, `${Math.sqrt(sum / n)}, expected ${expected}`);
  }
});

test('the spread is measured by the engine, and not where theory says nothing', () => {
  const { seen } = measure(LoadBalancer, spec, { isRing: true, virtualNodes: 100 });
  const here = seen.find(({ n }) => n === 100);
  assert.equal(here.cv, new LoadBalancer({ servers: spec.servers, routing: spec.routing }).ring().balance.cv);
  assert.equal(measure(LoadBalancer, spec, { isRing: false, virtualNodes: 100 }), null);
});
