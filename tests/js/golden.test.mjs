// The vectors that every build answers alike: tests/data/golden/README.md says what they are.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { LoadBalancer, root } from './installed.mjs';

const golden = (file) => readFileSync(join(root, 'tests/data/golden', file), 'utf8');
const fraction = (units) => Number(BigInt(`0x${units}`)) / 2 ** 64;

test('routes.json: positions, owners, candidates, points, shares and fingerprints', () => {
  const { fleets } = JSON.parse(golden('routes.json'));
  let n_routes = 0;
  for (const fleet of fleets) {
    const lb = new LoadBalancer(fleet.config);
    assert.equal(lb.fingerprint, fleet.fingerprint, fleet.about);
    const ring = lb.ring();
    assert.equal(ring.n_points, fleet.n_points, fleet.about);
    assert.equal(ring.points.length, fleet.n_points, fleet.about);
    for (const { index, ...point } of fleet.points) {
      const { position, server } = ring.points[index];
      assert.deepEqual({ position, server }, point, fleet.about);
    }
    assert.deepEqual(
      ring.servers.map(({ name, share }) => [name, share.actual]),
      fleet.shares.map(({ server, units }) => [server, fraction(units)]),
      fleet.about,
    );
    const keys = fleet.routes.map(({ key, key_hex }) => key ?? Buffer.from(key_hex, 'hex'));
    const many = lb.routeMany(keys);
    fleet.routes.forEach((route, i) => {
      const about = `${fleet.about}: ${route.key ?? route.key_hex}`;
      assert.equal(lb.explain(keys[i]).position, route.position, about);
      assert.equal(lb.route(keys[i])?.name ?? null, route.owner, about);
      assert.equal(many[i]?.name ?? null, route.owner, about);
      assert.deepEqual(lb.candidates(keys[i], 8).map((server) => server.name), route.candidates, about);
      n_routes += 1;
    });
    lb.free();
  }
  assert.ok(n_routes > 100);
});

for (const file of ['routes.json', 'algorithms.json']) test(`${file}: what moves when one server comes, goes or changes its weight`, () => {
  const { fleets, changes } = JSON.parse(golden(file));
  let n_compared = 0;
  for (const { before, after, total, flows } of changes) {
    const lb = new LoadBalancer(fleets[before].config);
    const change = changeOf(lb, fleets[before].config.servers, fleets[after].config.servers);
    lb.free();
    if (change === undefined) continue;
    assert.equal(change.moved.fraction, fraction(total));
    assert.deepEqual(change.moved.flows, flows.map(({ from, to, units }) => ({ from, to, fraction: fraction(units) })));
    n_compared += 1;
  }
  assert.ok(n_compared > 0);
});

// The one call that makes the fleet `after` of `before`, made; `undefined` when it takes several.
function changeOf(lb, before, after) {
  const weight = (server) => server.weight ?? 1;
  const find = (servers, name) => servers.find((server) => server.name === name);
  const added = after.filter(({ name }) => !find(before, name));
  const removed = before.filter(({ name }) => !find(after, name));
  const weighed = after.filter((server) => find(before, server.name) && weight(find(before, server.name)) !== weight(server));
  if (added.length + removed.length + weighed.length !== 1) return undefined;
  if (added.length) return lb.addServer(added[0]);
  if (removed.length) return lb.removeServer(removed[0].name);
  return lb.setWeight(weighed[0].name, weighed[0].weight);
}

test('algorithms.json: positions, owners, candidates, shares and fingerprints by other rules', () => {
  const { keys: asked, fleets } = JSON.parse(golden('algorithms.json'));
  const keys = asked.map(({ key, key_hex }) => key ?? Buffer.from(key_hex, 'hex'));
  for (const { about, config, fingerprint, shares, candidates } of fleets) {
    const lb = new LoadBalancer(config);
    assert.equal(lb.fingerprint, fingerprint, about);
    assert.deepEqual(
      lb.ring().servers.map(({ name, share }) => [name, share.actual]),
      shares.map(({ server, units }) => [server, fraction(units)]),
      about,
    );
    const place = new Map(config.servers.map(({ name }, i) => [name, i.toString(36)]));
    const words = keys.map((key) => lb.candidates(key, 8).map(({ name }) => place.get(name)).join(''));
    assert.deepEqual(words, candidates, about);
    const owners = lb.routeMany(keys).map((server) => place.get(server?.name) ?? '');
    assert.deepEqual(owners, candidates.map((word) => word.slice(0, 1)), about);
    assert.deepEqual(keys.map((key) => place.get(lb.route(key)?.name) ?? ''), owners, about);
    assert.deepEqual(keys.map((key) => lb.explain(key).position), asked.map(({ position }) => position), about);
    lb.free();
  }
  assert.ok(keys.length * fleets.length > 10_000);
});

test('keyless.json: whom rules without keys pick', () => {
  const { runs } = JSON.parse(golden('keyless.json'));
  let n_picked = 0;
  for (const { about, config, seed, steps, picked } of runs) {
    const lb = new LoadBalancer(config, { seed });
    const place = new Map(config.servers.map(({ name }, i) => [name, i.toString(36)]));
    const begun = [];
    const found = [];
    for (const step of steps) {
      const [what, first, ms, word] = step.split(' ');
      if (what === 't') lb.advance(Number(first));
      else if (what === 'f') begun[first].finish({ ok: word === 'ok', latencyMs: Number(ms) });
      else found.push(place.get(begun[begun.push(lb.begin()) - 1].server?.name) ?? '-');
    }
    assert.equal(found.join(''), picked, about);
    lb.free();
    n_picked += found.length;
  }
  assert.ok(n_picked > 500);
});

test('trace.jsonl: the state machine, step by step', () => {
  const steps = golden('trace.jsonl').trimEnd().split('\n').map((line) => JSON.parse(line));
  const running = {};
  let lb;
  const methods = {
    new: ({ config }) => { lb = new LoadBalancer(config); },
    advance: ({ nowMs }) => ({ events: lb.advance(nowMs) }),
    addServer: ({ spec }) => ({ answer: lb.addServer(spec) }),
    removeServer: ({ name }) => ({ answer: lb.removeServer(name) }),
    setWeight: ({ name, weight }) => ({ answer: lb.setWeight(name, weight) }),
    setState: ({ name, state }) => ({ answer: lb.setState(name, state) }),
    begin: ({ request, key }) => {
      running[request] = lb.begin(key);
      return { answer: running[request].server?.name ?? null };
    },
    finish: ({ request, result }) => ({ events: running[request]?.finish(result) ?? [] }),
    recordProbe: ({ id, result }) => ({ events: lb.recordProbe({ id }, result) }),
    route: ({ key }) => ({ answer: lb.route(key)?.name ?? null }),
    nextDeadlineMs: () => ({ answer: lb.nextDeadlineMs() ?? null }),
    fingerprint: () => ({ answer: lb.fingerprint }),
    servers: () => ({ answer: lb.servers() }),
    health: () => ({ answer: lb.health() }),
    metrics: () => ({ answer: lb.metrics() }),
  };
  steps.forEach((step, i) => {
    const about = `trace.jsonl:${i + 1}: ${step.do}`;
    let came;
    try {
      came = methods[step.do](step) ?? {};
    } catch (error) {
      if (typeof error.code !== 'string') throw error;
      came = { error: error.code };
    }
    for (const [name, value] of Object.entries(came)) assert.deepEqual(value, step[name], `${about}: ${name}`);
    if ('error' in step) assert.deepEqual(came, { error: step.error }, about);
  });
  assert.ok(steps.length > 100);
});
