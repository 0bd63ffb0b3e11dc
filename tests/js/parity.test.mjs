// The package and the program send the same keys to the same servers, line by line: the client
// addresses and paths of an access log. Of a real one, if ACCESS_LOG names it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { LoadBalancer, folder, root } from './installed.mjs';

const program = join(root, 'target/debug/ringway');

const config = {
  servers: Array.from({ length: 17 }, (_, i) => ({
    name: `cache-${i}.example`,
    address: `10.0.0.${i + 1}`,
    port: 8080,
    weight: 1 + (i % 4),
  })),
};

// Lines as a proxy writes them, from a fixed seed.
function madeUp(lines) {
  let state = 20_261_123;
  const random = (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const paths = ['/', '/index.html', '/api/data', '/größe/☃', '/a%20b?q=1&r=%E2%98%83', '/' + 'x'.repeat(300)];
  return Array.from({ length: lines }, () => {
    const client = [0, 0, 0, 0].map(() => random(256)).join('.');
    return `${client} - - [23/Nov/2026:09:00:00 +0000] "GET ${paths[random(paths.length)]}?u=${random(5000)} HTTP/1.1" 200 612`;
  });
}

test('an access log is routed alike by the program and the package', () => {
  const log = process.env.ACCESS_LOG;
  const lines = log ? readFileSync(log, 'utf8').trimEnd().split('\n') : madeUp(10_000);
  assert.ok(lines.length >= 10_000, `${lines.length} lines`);
  const keys = lines.flatMap((line) => [line.split(' ', 1)[0], /"\S+ (\S+)/.exec(line)?.[1] ?? '']);

  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const output = execFileSync(program, ['route', '--config', file], {
    input: keys.map((key) => `${key}\n`).join(''),
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  });

  const routed = output.trimEnd().split('\n').map((line) => JSON.parse(line));
  const lb = new LoadBalancer(config);
  assert.equal(routed.length, keys.length);
  routed.forEach(({ key, server, position }, i) => {
    assert.equal(key, keys[i]);
    assert.equal(lb.route(key).name, server, `line ${i}: ${key}`);
    if (i % 100 === 0) assert.equal(lb.explain(key).position, position);
  });
  assert.deepEqual(lb.routeMany(keys).map(({ name }) => name), routed.map(({ server }) => server));
  console.log(`${lines.length} lines, ${keys.length} keys, ${new Set(keys).size} of them different: all alike`);
});
