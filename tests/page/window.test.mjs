// Windows of the ring, to the last of 64 bits: checked with numbers that are exact.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { pointsIn } from '../../www/explore/strip.js';
import { LoadBalancer } from '../../www/pkg/index.js';
import { pictureOf, turnOf } from '../../www/shared/picture.js';
import { ALL, WHOLE, around, distance, halvesOf, hexOf, moved, shift, zoomed } from '../../www/shared/window.js';

const RING = 1n << 64n;
const big = ([upper, lower]) => (BigInt(upper) << 32n) | BigInt(lower);
const halves = (value) => [Number((value >> 32n) & 0xffffffffn), Number(value & 0xffffffffn)];
const wrap = (value) => ((value % RING) + RING) % RING;

test('places are shifted exactly, over both ends', () => {
  for (const hex of ['0000000000000000', 'ffffffffffffffff', '00000000ffffffff', '123456789abcdef0']) {
    const from = halvesOf(hex);
    assert.equal(hexOf(from), hex);
    for (const by of [0, 1, -1, 2 ** 32, -(2 ** 32), 2 ** 40 + 3, -(2 ** 52) - 1, 2 ** 63]) {
      assert.equal(big(shift(from, by)), wrap(big(from) + BigInt(by)), `${hex} by ${by}`);
    }
  }
});

test('keys one unit apart are apart', () => {
  const at = halvesOf('7fffffffffffffff');
  const next = shift(at, 1);
  assert.equal(hexOf(next), '8000000000000000');
  assert.equal(distance(at, ...next), 1);
  assert.equal(distance(next, ...at), WHOLE);
  assert.equal(turnOf(0xffffffff, 0xffffffff) < 1, true);
});

test('zooming keeps what is under the pointer, and ends at the whole ring', () => {
  let window = ALL;
  for (let i = 0; i < 50; i++) window = zoomed(window, 2, 0.3, 64);
  assert.equal(window.length, 64 * Math.ceil(window.length / 64));
  const held = distance(window.from, ...shift(window.from, 0.3 * window.length));
  const next = zoomed(window, 0.5, 0.3, 64);
  assert.ok(Math.abs(distance(next.from, ...shift(window.from, held)) / next.length - 0.3) < 0.05);
  for (let i = 0; i < 60; i++) window = zoomed(window, 0.5, 0.5, 64);
  assert.deepEqual(window, ALL);
  assert.deepEqual(moved(ALL, 0.5), ALL);
  assert.deepEqual(halves(big(around(halvesOf('8000000000000000'), 16).from)), halvesOf('7ffffffffffffff8'));
});

test('the points of a window are those that stand in it', () => {
  const engine = new LoadBalancer({ servers: ['a', 'b', 'c'].map((name) => ({ name, address: 'x', port: 1 })), routing: { virtual_nodes: 50 } });
  const picture = pictureOf(engine);
  const all = engine.ring().points.map(({ position }) => BigInt(`0x${position}`));
  for (const [hex, length] of [['0000000000000000', WHOLE], ['f000000000000000', 2 ** 61], [engine.ring().points[7].position, 1], ['8000000000000000', 2 ** 60]]) {
    const window = { from: halvesOf(hex), length };
    const { first, count } = pointsIn(picture, window);
    const inside = all.filter((at) => wrap(at - BigInt(`0x${hex}`)) < BigInt(length));
    assert.equal(count, inside.length, hex);
    if (count > 0) assert.equal(picture.at(first % all.length).position, inside.sort((a, b) => Number(wrap(a - BigInt(`0x${hex}`)) - wrap(b - BigInt(`0x${hex}`))))[0].toString(16).padStart(16, '0'));
    // The engine's cells know the same.
    assert.equal(picture.cells(64, window).reduce((a, b) => a + b, 0), count);
    const covered = ['a', 'b', 'c'].map((label) => picture.cells(64, { ...window, label }));
    for (let i = 0; i < 64; i++) assert.ok(Math.abs(covered[0][i] + covered[1][i] + covered[2][i] - 1) < 1e-4);
  }
});
