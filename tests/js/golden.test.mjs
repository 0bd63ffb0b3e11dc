// The vectors that every build answers alike: tests/data/golden/README.md says what they are.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { LoadBalancer, root } from './installed.mjs';
import * as replay from './replay.mjs';

const golden = (file) => readFileSync(join(root, 'tests/data/golden', file), 'utf8');
const routes = JSON.parse(golden('routes.json'));
const algorithms = JSON.parse(golden('algorithms.json'));
const keyless = JSON.parse(golden('keyless.json'));
const steps = golden('trace.jsonl').trimEnd().split('\n').map((line) => JSON.parse(line));

test('routes.json: positions, owners, candidates, points, shares and fingerprints', () => {
  assert.ok(replay.routes(LoadBalancer, routes) > 1000);
});

test('algorithms.json: the same by other rules', () => {
  assert.ok(replay.algorithms(LoadBalancer, algorithms) > 40_000);
});

for (const [file, data] of Object.entries({ routes, algorithms })) {
  test(`${file}.json: what moves when one server comes, goes or changes its weight`, () => {
    assert.ok(replay.changes(LoadBalancer, data) > 0);
  });
}

test('trace.jsonl: the state machine, step by step', () => {
  assert.ok(steps.length > 100);
  assert.ok(replay.trace(LoadBalancer, steps) > 100);
});

test('keyless.json: whom rules without keys pick', () => {
  assert.ok(replay.keyless(LoadBalancer, keyless) > 500);
});

// A replay that could not fail would prove nothing.
test('a wrong answer is found', () => {
  class Wrong extends LoadBalancer {
    route(key) {
      return super.route(`${key}x`);
    }
  }
  assert.throws(() => replay.routes(Wrong, routes), /instead of/);
  assert.throws(() => replay.trace(LoadBalancer, steps.map((step) => (step.do === 'route' ? { ...step, answer: 'nobody' } : step))), /instead of/);
});
