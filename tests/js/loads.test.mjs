// Bounded loads and slow start in the package, as in the proxy: requests that are begun and not
// finished count, and a server that comes back gets its keys bit by bit.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LoadBalancer } from './installed.mjs';

const servers = ['a', 'b', 'c', 'd'].map((name, i) => ({ name, address: '10.0.0.1', port: 80 + i }));

test('no server takes more than its part, and the rest goes on in the order of the key', () => {
  for (const algorithm of ['ring', 'local-rendezvous', 'maglev', 'rendezvous', 'nginx']) {
    const lb = new LoadBalancer({ servers, routing: { algorithm, load_factor: 1.25 } });
    const order = lb.candidates('hot', 4).map(({ name }) => name);
    const inFlight = Object.fromEntries(order.map((name) => [name, 0]));
    const running = [];
    for (let n = 1; n <= 80; n += 1) {
      const asked = lb.route('hot').name;
      const attempt = lb.begin('hot');
      assert.equal(attempt.server.name, asked);
      running.push(attempt);
      inFlight[asked] += 1;
      assert.ok(inFlight[asked] <= Math.ceil((1.25 * n) / 4), `${algorithm}: ${JSON.stringify(inFlight)}`);
    }
    assert.deepEqual(order.map((name) => inFlight[name]), [25, 25, 25, 5], algorithm);
    // One more would be the 81st: a bound of 26 for each.
    const reasons = lb.explain('hot').candidates.map(({ reason }) => reason);
    assert.deepEqual(reasons, ['chosen', 'next', 'next', 'next'], algorithm);
    const last = lb.begin('hot');
    const [owner] = lb.explain('hot').candidates;
    assert.deepEqual(owner, { server: order[0], reason: 'above-bound', in_flight: 26, bound: 26 }, algorithm);
    running.push(last);
    for (const { finish } of running) finish({ ok: true, latencyMs: 1 });
    assert.equal(lb.route('hot').name, order[0]);
    lb.free();
  }
});

test('a server that comes back gets a tenth of its keys, then more, then all', () => {
  const lb = new LoadBalancer({ servers, routing: { slow_start: 20 }, ejection: { consecutive_5xx: 1, base: 1, jitter_percent: 0 }, health_check: { enabled: false } });
  const keys = Array.from({ length: 4000 }, (_, i) => `key-${i}`);
  const n = () => lb.routeMany(keys).filter(({ name }) => name === 'b').length;
  const words = (events) => events.map(({ event }) => event);
  const home = n();
  const key = keys.find((key) => lb.route(key).name === 'b');
  const early = lb.begin(key);
  lb.begin(key).finish({ ok: false, latencyMs: 1 });
  assert.equal(n(), 0);
  assert.deepEqual(words(lb.advance(1000)), ['trial-began']);
  // One request of its own keys at a time, and the others stay where they are.
  const trial = lb.begin(key);
  assert.equal(trial.server.name, 'b');
  assert.equal(n(), 0);
  assert.notEqual(lb.begin(key).server.name, 'b');
  assert.equal(lb.explain(key).candidates[0].reason, 'on-trial');
  assert.equal(lb.servers().find(({ name }) => name === 'b').standing, 'on-trial');
  // A request from before the ejection says nothing, well or badly.
  assert.deepEqual(early.finish({ ok: true, latencyMs: 900 }), []);
  assert.deepEqual(words(trial.finish({ ok: true, latencyMs: 1 })), ['readmitted', 'slow-started']);
  assert.ok(n() > home * 0.05 && n() < home * 0.15);
  const away = keys.find((key) => lb.explain(key).owner === 'b' && lb.route(key).name !== 'b');
  const [first] = lb.explain(away).candidates;
  assert.equal(first.reason, 'not-admitted');
  assert.ok(Math.abs(first.admission - 0.1) < 0.001);
  lb.advance(11_000);
  assert.ok(n() > home * 0.45 && n() < home * 0.65);
  assert.ok(lb.advance(21_000).some(({ event }) => event === 'slow-start-ended'));
  assert.equal(n(), home);
});
