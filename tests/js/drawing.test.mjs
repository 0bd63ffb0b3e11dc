// The ring in numbers, for those who draw it: the same as in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LoadBalancer } from './installed.mjs';

const servers = ['a', 'b', 'c'].map((name, i) => ({ name, address: '10.0.0.1', port: 80, weight: i + 1 }));
const hex = (upper, lower) => upper.toString(16).padStart(8, '0') + lower.toString(16).padStart(8, '0');

test('points are those of the ring, in their order', () => {
  const lb = new LoadBalancer({ servers, routing: { virtual_nodes: 20 } });
  const { points, servers: placed } = lb.ring();
  const { positions, servers: owners } = lb.points();
  assert.deepEqual(points.map(({ position }) => position), Array.from(owners, (_, i) => hex(positions[2 * i], positions[2 * i + 1])));
  assert.deepEqual(points.map(({ server }) => server), Array.from(owners, (owner) => placed[owner].name));
  const nodes = { a: [], b: [], c: [] };
  points.forEach((point, i) => {
    const { virtual_node: node, ...same } = lb.point(i);
    assert.deepEqual(same, point);
    nodes[point.server].push(node);
  });
  for (const [i, list] of Object.values(nodes).entries()) assert.deepEqual(list.sort((x, y) => x - y), Array.from({ length: 20 * (i + 1) }, (_, n) => n));
  assert.equal(lb.point(points.length), undefined);
});

test('cells add up to shares, and to how many points there are', () => {
  const lb = new LoadBalancer({ servers, routing: { virtual_nodes: 20 } });
  const sum = (cells) => cells.reduce((a, b) => a + b, 0);
  assert.equal(sum(lb.cells(360)), 120);
  lb.ring().servers.forEach(({ share }, server) => assert.ok(Math.abs(sum(lb.cells(4096, { server })) / 4096 - share.actual) < 1e-6));
  const { positions, servers: owners } = lb.points();
  // A window that is just the place of one point.
  const from = [positions[10], positions[11]];
  assert.deepEqual([...lb.cells(1, { from, length: 1 })], [1]);
  assert.deepEqual([...lb.cells(1, { from, length: 1, server: owners[5] })], [1]);
});

test('rules that are no ring have none', () => {
  const lb = new LoadBalancer({ servers, routing: { algorithm: 'rendezvous' } });
  assert.deepEqual([lb.points().servers.length, lb.point(0), [...lb.cells(2)]], [0, undefined, [0, 0]]);
  const other = new LoadBalancer({ servers, routing: { algorithm: 'nginx' } });
  assert.equal(other.point(0).virtual_node, null);
});

test('what is no index, window or number of cells is refused', () => {
  const lb = new LoadBalancer({ servers });
  for (const call of [
    () => lb.point(-1), () => lb.point(0.5), () => lb.cells(0), () => lb.cells(65_537), () => lb.cells(2, { length: 0 }), () => lb.cells(2, { length: 2 ** 65 }),
    () => lb.cells(2, { from: [2 ** 32, 0] }), () => lb.cells(2, { server: -1 }), () => lb.cells(2, 7),
  ]) assert.throws(call, { code: 'invalid-argument' });
  assert.deepEqual([...lb.cells(2, { server: 99 })], [0, 0]);
});
