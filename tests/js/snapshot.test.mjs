// Snapshots: what one balancer knows, another goes on with; and the package follows the program
// itself, `ringway serve`, while its servers are drained and killed.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { LoadBalancer, folder, importThere, root } from './installed.mjs';

const { follow } = await importThere("export * from 'ringway/fetch';", 'follow.mjs');
const program = join(root, 'target/debug/ringway');

const keys = Array.from({ length: 10_000 }, (_, i) => `user:${i}`);
const owners = (lb) => lb.routeMany(keys).map((server) => server?.name);
const words = (events) => events.map(({ event }) => event);

const names = ['a', 'b', 'c', 'd', 'e'];
const config = {
  servers: names.map((name, i) => ({ name, address: '10.0.0.1', port: 80 + i, weight: 1 + (i % 2) })),
  routing: { slow_start: 20, drain: 30 },
  health_check: { headers: { 'x-key': 'secret' } },
  ejection: { consecutive_5xx: 1, base: 10, jitter_percent: 0, max_percent: 100 },
};

// At 13 s: a is ill, b ejected until 22 s, c on trial since 11 s, d drained since 10 s.
function inTrouble() {
  const lb = new LoadBalancer(config, { seed: 1 });
  for (const probe of lb.probesDue()) lb.recordProbe(probe, { ok: probe.server.name !== 'a', latencyMs: 1 });
  const fail = (name) => lb.begin(keys.find((key) => lb.route(key).name === name)).finish({ ok: false, latencyMs: 1 });
  lb.advance(1000);
  fail('c');
  lb.advance(10_000);
  lb.setState('d', 'draining');
  lb.advance(12_000);
  fail('b');
  lb.advance(13_000);
  return lb;
}

const standings = (lb) => lb.servers().map(({ standing }) => standing);

test('a balancer of a snapshot goes on where the other was', () => {
  const lb = inTrouble();
  assert.deepEqual(standings(lb), ['unhealthy', 'ejected', 'on-trial', 'draining', 'eligible']);
  const text = JSON.stringify(lb.snapshot());
  assert.ok(!text.includes('secret'));
  assert.deepEqual(JSON.parse(text), lb.snapshot());
  for (const now of [undefined, 0, 1e9]) {
    const other = LoadBalancer.fromSnapshot(JSON.parse(text), now === undefined ? undefined : { now });
    const from = now ?? 0;
    assert.deepEqual(standings(other), standings(lb));
    assert.deepEqual(owners(other), owners(lb));
    assert.equal(other.fingerprint, lb.fingerprint);
    assert.deepEqual(other.snapshot(), lb.snapshot());
    // b waits until 22 s: nine more. d has given its keys away at 40 s.
    other.advance(from + 8999);
    assert.equal(standings(other)[1], 'ejected');
    assert.ok(words(other.advance(from + 9000)).includes('trial-began'));
    assert.ok(words(other.advance(from + 27_500)).includes('drained'));
    assert.ok(!owners(other).includes('d'));
    other.free();
  }
});

test('a server that comes back comes back there as far as it was', () => {
  const lb = inTrouble();
  const own = keys.find((key) => lb.route(key).name === 'c');
  assert.ok(words(lb.begin(own).finish({ ok: true, latencyMs: 1 })).includes('slow-started'));
  lb.advance(23_000);
  const other = LoadBalancer.fromSnapshot(lb.snapshot(), { now: 5 });
  assert.deepEqual(owners(other), owners(lb));
  const part = (lb) => lb.servers()[2].admission;
  assert.ok(part(other) > 0.4 && part(other) < 0.7, part(other));
  // Halfway there it was, so the rest takes as long as is left.
  lb.advance(28_000);
  other.advance(5005);
  assert.ok(Math.abs(part(other) - part(lb)) < 0.03, `${part(other)} ${part(lb)}`);
  assert.ok(words(other.advance(10_400)).includes('slow-start-ended'));
});

test('a running balancer takes over what another knows, and keeps what is under way', () => {
  const theirs = inTrouble();
  const ours = new LoadBalancer(config);
  ours.advance(1000);
  const running = ours.begin(keys.find((key) => ours.route(key).name === 'e'));
  ours.restore(theirs.snapshot(), { now: 2000 });
  assert.deepEqual(standings(ours), standings(theirs));
  assert.deepEqual(owners(ours), owners(theirs));
  assert.equal(ours.servers()[4].in_flight, 1);
  running.finish({ ok: true, latencyMs: 1 });
  assert.equal(ours.servers()[4].in_flight, 0);
  // And back: the ejection that was set is no more.
  ours.restore(new LoadBalancer(config).snapshot());
  assert.deepEqual(standings(ours), Array(5).fill('eligible'));
  assert.ok(!words(ours.advance(60_000)).includes('trial-began'));
  assert.throws(() => ours.restore(new LoadBalancer({ servers: config.servers.slice(1) }).snapshot()), { code: 'not-alike' });
});

test('rules without keys and rules that go by ids are followed too', () => {
  const jump = new LoadBalancer({ servers: config.servers.map((server) => ({ ...server, weight: 1 })), routing: { algorithm: 'jump' } });
  jump.removeServer('e');
  jump.addServer({ name: 'Early', address: '10.0.0.9', port: 80 });
  assert.deepEqual(owners(LoadBalancer.fromSnapshot(jump.snapshot())), owners(jump));
  const lb = new LoadBalancer({ ...config, routing: { algorithm: 'random' } }, { seed: 5 });
  const [one, other] = [0, 0].map(() => LoadBalancer.fromSnapshot(lb.snapshot(), { seed: 5 }));
  assert.deepEqual(Array.from({ length: 50 }, () => one.route().name), Array.from({ length: 50 }, () => other.route().name));
});

test('what is no snapshot is refused with its faults', () => {
  const good = inTrouble().snapshot();
  const refused = (snapshot, paths) => {
    const running = new LoadBalancer(config);
    for (const take of [() => LoadBalancer.fromSnapshot(snapshot), ...(paths[0]?.startsWith('config') ? [] : [() => running.restore(snapshot)])]) {
      assert.throws(take, (error) => {
        assert.equal(error.code, 'invalid-snapshot', error.message);
        assert.deepEqual((error.errors ?? []).map(({ path }) => path), paths);
        for (const { path, message } of error.errors ?? []) assert.ok(error.message.includes(`${path}: ${message}`));
        return true;
      });
    }
    assert.deepEqual(standings(running), Array(5).fill('eligible'));
  };
  for (const nothing of [undefined, null, 5, 'text', () => 1]) refused(nothing, []);
  for (const version of [undefined, 0, 2, '1', null]) refused({ ...good, version, config: 5 }, ['version']);
  refused({ ...good, fingerprint: undefined }, ['fingerprint']);
  refused({ ...good, config: undefined }, ['config']);
  refused({ ...good, config: { ...good.config, servers: [{ ...good.config.servers[0], weight: 0 }] } }, ['config.servers[0].weight']);
  refused({ ...good, config: { ...good.config, ejection: { base: 9, cap: 1 } } }, ['config.ejection.cap']);
  refused({ ...good, servers: undefined }, ['servers']);
  const servers = structuredClone(good.servers);
  servers[1].admission = -1;
  servers[3].state = 'gone';
  refused({ ...good, servers }, ['servers[1].admission', 'servers[3].state']);
  assert.throws(() => LoadBalancer.fromSnapshot({ ...good, fingerprint: '0000000000000000' }), { code: 'not-alike' });
  assert.throws(() => LoadBalancer.fromSnapshot(good, { now: -1 }), { code: 'invalid-argument' });
  assert.throws(() => LoadBalancer.fromSnapshot(good, { seed: 0.5 }), { code: 'invalid-argument' });
});

const ended = [];
after(async () => {
  for (const end of ended.reverse()) await end();
});

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

// Starts a process of ours; it ends with the tests.
function started(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.gone = new Promise((done) => child.once('exit', done));
  child.stderr.resume();
  ended.push(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    return child.gone;
  });
  return child;
}

// A server that is well, in a process of its own.
function origin(name) {
  const source = "const s = require('http').createServer((q, r) => r.end('ok')).listen(0, '127.0.0.1', () => console.log(s.address().port));";
  const child = started(process.execPath, ['-e', source]);
  return new Promise((done) => child.stdout.once('data', (port) => done({ name, child, port: Number(port) })));
}

async function until(what, condition) {
  for (let n = 0; n < 1000; n += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`${what}: it never came`);
}

test('the program is followed: routes, drained and killed servers, 304, and its end', { timeout: 60_000 }, async () => {
  const origins = await Promise.all(['w', 'x', 'y', 'z'].map(origin));
  const [port, apiPort] = await Promise.all([freePort(), freePort()]);
  const file = join(folder, 'serve.json');
  const token = '0123456789abcdef';
  writeFileSync(file, JSON.stringify({
    servers: origins.map(({ name, port }, i) => ({ name, address: '127.0.0.1', port, weight: 1 + (i % 2) })),
    listen: { port },
    process: { workers: 1 },
    api: { host: '127.0.0.1', port: apiPort, token },
    health_check: { interval: 0.2, timeout: 0.2, fast_interval: 0.05, fall: 2 },
  }));
  const proxy = started(program, ['serve', '--config', file]);
  proxy.stdout.resume();
  const api = `http://127.0.0.1:${apiPort}`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const ask = async (path, init) => (await fetch(`${api}${path}`, { headers, ...init })).json();
  const healthy = async () => (await ask('/api/servers').catch(() => ({ servers: [] }))).servers.filter(({ health }) => health === 'healthy').length;
  await until('all are healthy', async () => (await healthy()) === 4);

  const statuses = [];
  const counting = async (url, init) => {
    const response = await fetch(url, init);
    statuses.push(response.status);
    return response;
  };
  const errors = [];
  await assert.rejects(follow(api, { intervalMs: 0, LoadBalancer }), { code: 'not-loaded' });
  const followed = await follow(api, { intervalMs: 0, LoadBalancer, token, fetch: counting });
  const { lb } = followed;
  assert.equal(lb.fingerprint, (await ask('/api/ring?limit=1')).fingerprint);
  assert.ok(!JSON.stringify(followed.snapshot).includes(token));

  // Where the program itself says that keys go: all of them at rest, and some as it runs.
  const asProgram = async () => {
    const sample = keys.filter((_, i) => i % 50 === 0);
    assert.equal(sample.length, 200);
    const chosen = await Promise.all(sample.map(async (key) => {
      const { candidates } = await ask(`/api/explain?key=${encodeURIComponent(key)}`);
      return candidates.find(({ reason }) => reason === 'chosen').server;
    }));
    assert.deepEqual(lb.routeMany(sample).map(({ name }) => name), chosen);
    for (const key of sample.slice(0, 20)) {
      const { server } = await ask('/api/route', { method: 'POST', body: JSON.stringify({ key }) });
      assert.equal(lb.route(key).name, server);
    }
  };
  const routed = execFileSync(program, ['route', '--config', file], { input: keys.map((key) => `${key}\n`).join(''), maxBuffer: 1 << 26, encoding: 'utf8' });
  assert.deepEqual(owners(lb), routed.trimEnd().split('\n').map((line) => JSON.parse(line).server));
  await asProgram();

  // Nothing has changed, however often one looks and whatever was asked.
  for (let n = 0; n < 3; n += 1) assert.equal(await followed.refresh(), false);
  assert.deepEqual(statuses, [200, 304, 304, 304]);

  // Drained: its keys alone move.
  const moves = async (name, before) => {
    const now = owners(lb);
    assert.ok(!now.includes(name));
    assert.deepEqual(now.filter((_, i) => before[i] !== name), before.filter((owner) => owner !== name));
    await asProgram();
    return now;
  };
  await ask('/api/servers/w/state', { method: 'PUT', body: '{"state":"draining"}' });
  const home = owners(lb);
  assert.equal(await followed.refresh(), true);
  const drained = await moves('w', home);

  // Killed: the same, as soon as the program has seen it.
  process.kill(origins[1].child.pid, 'SIGKILL');
  await until('x is out', async () => (await healthy()) === 3);
  assert.equal(await followed.refresh(), true);
  assert.equal(followed.lb, lb);
  const killed = await moves('x', drained);
  assert.equal(await followed.refresh(), false);

  // The program is gone: what was known last stays, and errors are told.
  const watched = await follow(api, { intervalMs: 10, LoadBalancer, token, onError: (error) => errors.push(error.code) });
  proxy.kill('SIGTERM');
  await proxy.gone;
  await assert.rejects(followed.refresh(), { code: 'not-loaded' });
  await until('errors are told', () => errors.length > 1);
  watched.stop();
  assert.ok(errors.every((code) => code === 'not-loaded'));
  assert.deepEqual(owners(lb), killed);
  assert.deepEqual(owners(watched.lb), killed);
});
