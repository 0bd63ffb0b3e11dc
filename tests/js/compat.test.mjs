// The rules of other products, and plans, from the packed tarball: the answers that the real
// products gave are the package's, and what is planned is what then happens.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { LoadBalancer } from './installed.mjs';

const folder = new URL('../data/compat/', import.meta.url);
const read = (file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8'));

test('every recorded answer of a real product is given', () => {
  const keys = read('keys.json');
  const fleets = readdirSync(folder).filter((file) => file !== 'keys.json');
  assert.ok(fleets.length >= 56);
  for (const file of fleets) {
    const { config, keys: own, owners } = read(file);
    const lb = new LoadBalancer(config);
    const names = lb.routeMany(own ?? keys).map((server) => server.name);
    const theirs = [...owners].map((digit) => config.servers[parseInt(digit, 36)].name);
    assert.deepEqual(names, theirs, file);
    lb.free();
  }
});

test('a plan says what then moves', () => {
  const servers = ['a', 'b', 'c', 'd'].map((name, i) => ({ name, address: '10.0.0.1', port: 80 + i }));
  for (const algorithm of ['ring', 'local-rendezvous', 'rendezvous', 'maglev', 'jump']) {
    const lb = new LoadBalancer({ servers, routing: { algorithm } });
    const keys = Array.from({ length: 20_000 }, (_, i) => `key-${i}`);
    const before = lb.routeMany(keys);
    const plan = lb.plan([{ remove: 'd' }]);
    assert.equal(lb.servers().length, 4);
    lb.removeServer('d');
    const moved = lb.routeMany(keys).filter((server, i) => server.name !== before[i].name).length / keys.length;
    assert.ok(Math.abs(plan.moved - moved) < 0.015, `${algorithm}: ${plan.moved} ${moved}`);
    assert.ok(plan.minimum > 0.24 && plan.minimum < 0.26);
    lb.free();
  }
});

test('what cannot be planned or done is refused with a code', () => {
  const servers = ['a', 'b', 'c'].map((name) => ({ name, address: '10.0.0.1', port: 80 }));
  const lb = new LoadBalancer({ servers, routing: { algorithm: 'jump' } });
  assert.throws(() => lb.plan([{ remove: 'nobody' }]), { code: 'unknown-server' });
  assert.throws(() => lb.plan([{ remove: 'c', virtual_nodes: 3 }]), { code: 'invalid-argument' });
  assert.throws(() => lb.removeServer('a'), { code: 'not-last-shard' });
  assert.throws(() => lb.addServer({ name: 'd', address: '10.0.0.1', port: 80, id: 2 }), { code: 'duplicate-id' });
  assert.throws(() => lb.plan(), { code: 'invalid-argument' });
  assert.equal(lb.servers().length, 3);
});

test('a server that a rule cannot have is refused with a code and its field', () => {
  const first = { name: 'a', address: '10.0.0.1', port: 80 };
  const host = { name: 'b', address: 'cache.example', port: 80 };
  for (const [algorithm, compat, server, field] of [
    ['envoy-ring', {}, host, 'address'],
    ['envoy-maglev', {}, host, 'address'],
    ['haproxy', { server_key: 'addr' }, host, 'address'],
    ['haproxy', { server_key: 'addr-port' }, host, 'address'],
    ['twemproxy', {}, { ...host, hash_name: 'x'.repeat(76) }, 'hash_name'],
    ['jump', {}, { ...host, weight: 2 }, 'weight'],
  ]) {
    const config = { servers: [first], routing: { algorithm }, compat };
    const refused = (code, path) => (error) => error.code === code && error.errors.length === 1 && error.errors[0].path === path;
    assert.throws(() => new LoadBalancer({ ...config, servers: [first, server] }), refused('invalid-config', `servers[1].${field}`), algorithm);
    const lb = new LoadBalancer(config);
    assert.throws(() => lb.addServer(server), refused('not-laid-out', field), algorithm);
    assert.equal(lb.servers().length, 1);
    lb.free();
  }
  for (const [config, path] of [
    [{ routing: { algorithm: 'haproxy' }, compat: { key_hash: 'md5' } }, 'compat.key_hash'],
    [{ routing: { algorithm: 'libmemcached' }, compat: { key_hash: 'sdbm' } }, 'compat.key_hash'],
    [{ routing: { algorithm: 'envoy-maglev', table_size: 65536 } }, 'routing.table_size'],
    [{ servers: [{ name: 'a', address: '10.0.0.1' }], routing: { algorithm: 'nginx' } }, 'servers[0].port'],
    [{ servers: [{ name: 'a', address: '10.0.0.1' }], routing: { algorithm: 'ketama' } }, 'servers[0].port'],
  ]) {
    assert.throws(() => new LoadBalancer({ servers: [first], ...config }), (error) => error.errors?.some((fault) => fault.path === path));
  }
});
