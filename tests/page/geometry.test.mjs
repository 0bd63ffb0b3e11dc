// Where things are drawn: without a DOM, and without an engine.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { arcAt, arcStart, coverage, detail, differences, pointAt, stretches, stretchesOf, turnAt } from '../../www/shared/geometry.js';

const centre = { x: 100, y: 100 };
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);

// Numbers that look random and are the same in each run.
function* numbers(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

function ring(n, nLabels, seed) {
  const random = numbers(seed);
  const turns = Float64Array.from({ length: n }, () => random.next().value).sort();
  return { turns, labels: Array.from(turns, () => Math.floor(random.next().value * nLabels)) };
}

test('the ring begins at twelve and runs clockwise', () => {
  for (const [turn, x, y] of [[0, 100, 90], [0.25, 110, 100], [0.5, 100, 110], [0.75, 90, 100], [1, 100, 90]]) {
    const place = pointAt(turn, 10, centre);
    near(place.x, x);
    near(place.y, y);
  }
});

test('a place leads back to its turn', () => {
  for (let turn = 0; turn < 1; turn += 1 / 64) {
    const { x, y } = pointAt(turn, 42, centre);
    const back = turnAt(x, y, centre);
    near(back.distance, 42);
    near((back.turn - turn + 1.5) % 1, 0.5);
    assert.ok(back.turn >= 0 && back.turn < 1);
  }
});

test('a turn lies in the arc that ends at or after it, and wraps', () => {
  const turns = Float64Array.of(0.1, 0.4, 0.4, 0.9);
  for (const [turn, arc] of [[0, 0], [0.1, 0], [0.100001, 1], [0.4, 1], [0.5, 3], [0.9, 3], [0.95, 0]]) assert.equal(arcAt(turns, turn), arc, turn);
  assert.equal(arcAt(new Float64Array(0), 0.5), -1);
  near(arcStart(turns, 0), -0.1);
  near(arcStart(turns, 3), 0.4);
});

test('neighbouring arcs of one label are one stretch, also across the top', () => {
  const turns = Float64Array.of(0.1, 0.3, 0.5, 0.9);
  const joined = stretches(turns, ['a', 'b', 'b', 'a']);
  assert.deepEqual(joined.map(({ label }) => label), ['a', 'b']);
  near(joined[0].from, -0.5);
  near(joined[0].to, 0.1);
  assert.deepEqual(stretches(turns, ['a', 'a', 'a', 'a']).map(({ from, to }) => Math.round((to - from) * 10)), [10]);
  assert.deepEqual(stretches(new Float64Array(0), []), []);
  assert.deepEqual(stretches(Float64Array.of(0.25), ['a']), [{ from: -0.75, to: 0.25, label: 'a' }]);
});

test('stretches cover the circle exactly once', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { turns, labels } = ring(200, 3, seed);
    near(stretches(turns, labels).reduce((sum, { from, to }) => sum + to - from, 0), 1);
    let sum = 0;
    for (const label of [0, 1, 2]) sum += stretchesOf(turns, labels, label).reduce((all, { from, to }) => all + to - from, 0);
    near(sum, 1);
  }
});

test('two pictures differ just where their labels do', () => {
  assert.deepEqual(differences({ turns: Float64Array.of(0.5), labels: ['a'] }, { turns: Float64Array.of(0.5), labels: ['a'] }), []);
  const [only] = differences({ turns: Float64Array.of(0.5), labels: ['a'] }, { turns: Float64Array.of(0.25, 0.5), labels: ['b', 'a'] });
  assert.deepEqual([only.before, only.after], ['a', 'b']);
  near(only.to - only.from, 0.75);
  const [before, after] = [ring(300, 4, 7), ring(280, 4, 8)];
  const found = differences(before, after);
  const isInside = (turn) => found.some(({ from, to }) => (turn > from && turn <= to) || (turn - 1 > from && turn - 1 <= to));
  const random = numbers(9);
  for (let i = 0; i < 2000; i++) {
    const turn = random.next().value;
    const differs = before.labels[arcAt(before.turns, turn)] !== after.labels[arcAt(after.turns, turn)];
    assert.equal(isInside(turn), differs, `at ${turn}`);
  }
});

test('cells hold what falls in them', () => {
  const cells = coverage([{ from: -0.25, to: 0.125 }, { from: 0.5, to: 0.53125 }], 8);
  assert.deepEqual([...cells], [1, 0, 0, 0, 0.25, 0, 1, 1]);
  assert.deepEqual([...coverage([{ from: -0.5, to: 0.5 }], 2)], [1, 1]);
});

test('the level of detail follows the points for each pixel', () => {
  assert.equal(detail(36, 200, 1).level, 'ticks');
  assert.equal(detail(800, 200, 1).level, 'fine');
  assert.equal(detail(800, 200, 3).level, 'ticks');
  assert.equal(detail(30_000, 200, 2).level, 'condensed');
});
