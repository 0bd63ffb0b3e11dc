// The code in the package's README runs as it stands there, and prints what it says it prints.
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { LoadBalancer, folder, importThere, root, runThere } from './installed.mjs';

const readme = readFileSync(join(folder, 'node_modules/ringway/README.md'), 'utf8');
const blocks = [...readme.matchAll(/^```js\n([\s\S]*?)^```/gm)].map((match) => match[1]);

// A block that begins with the name of a file is that file.
const nameOf = (block) => /^\/\/ (\S+\.mjs)\n/.exec(block)?.[1];
const files = Object.fromEntries(blocks.filter(nameOf).map((block) => [nameOf(block), block]));
const steps = blocks.filter((block) => !nameOf(block));

test('the README has code', () => {
  assert.ok(steps.length >= 3);
  assert.deepEqual(Object.keys(files), ['sharding.mjs', 'worker.mjs', 'express.mjs', 'fastify.mjs', 'follow.mjs']);
});

// The other blocks go on from each other, as a reader takes them. `// → text` is what the line
// prints; a `require` stands alone.
test('the blocks run, one after the other', () => {
  const modules = steps.filter((block) => !block.includes('require('));
  const expected = modules.flatMap((block) => [...block.matchAll(/\/\/ → (.*)$/gm)].map((match) => match[1]));
  assert.ok(expected.length > 0);
  assert.deepEqual(runThere('readme.mjs', modules.join('\n')).trimEnd().split('\n'), expected);
});

test('the CommonJS blocks run', () => {
  for (const block of steps.filter((block) => block.includes('require('))) runThere('readme.cjs', block);
});

test('sharding: users are grouped by their shards', async () => {
  const { byShard } = await importThere(files['sharding.mjs'], 'sharding.mjs');
  const users = Array.from({ length: 100 }, (_, i) => `user:${i}`);
  const groups = byShard(users);
  assert.deepEqual([...groups.keys()].sort(), ['shard-1', 'shard-2', 'shard-3']);
  assert.deepEqual([...groups.values()].flat().sort(), [...users].sort());
});

test('the Worker sends each user to one binding, and to another while that is down', async () => {
  const { default: worker } = await importThere(files['worker.mjs'], 'worker.mjs');
  const isDown = new Set();
  const binding = (name) => ({ fetch: async (request) => (isDown.has(name) ? Promise.reject(new Error('down')) : new Response(`${name} ${new URL(request.url).pathname}`)) });
  const env = Object.fromEntries(['SHARD_A', 'SHARD_B', 'SHARD_C'].map((name) => [name, binding(name)]));
  const ask = async (user) => (await worker.fetch(new Request('https://x.example/path', { headers: { 'x-user-id': user } }), env)).text();
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(`user-${i}`)));
  assert.deepEqual([...new Set(answers)].sort(), ['SHARD_A /path', 'SHARD_B /path', 'SHARD_C /path']);
  const [shard] = answers[0].split(' ');
  isDown.add(shard);
  assert.notEqual(await ask('user-0'), answers[0]);
  isDown.clear();
  assert.equal(await ask('user-0'), answers[0]);
});

// The frameworks are not this package's: they are those of the tests.
const framework = (name) => symlinkSync(join(root, 'tests/node_modules', name), join(folder, 'node_modules', name));

async function asksAs(url, users) {
  return Promise.all(users.map(async (user) => (await fetch(url, { headers: { 'x-user-id': user } })).json()));
}

test('the middlewares give each user a cache of their own', async () => {
  const users = Array.from({ length: 30 }, (_, i) => `user-${i}`);
  const lb = new LoadBalancer({ servers: [1, 2, 3].map((n) => ({ name: `cache-${n}`, address: `10.0.0.${n}`, port: 6379 })) });
  const names = users.map((user) => lb.route(user).name);
  process.env.PORT = '0';
  framework('express');
  const { listening } = await importThere(files['express.mjs'], 'express.mjs');
  try {
    assert.deepEqual(await asksAs(`http://127.0.0.1:${listening.address().port}/`, users), names);
  } finally {
    listening.close();
  }
  framework('fastify');
  const { app } = await importThere(files['fastify.mjs'], 'fastify.mjs');
  try {
    assert.deepEqual(await asksAs(`http://localhost:${app.server.address().port}/`, users), names.map((cache) => ({ cache })));
  } finally {
    await app.close();
  }
});

test('a proxy is followed', async (t) => {
  const config = { servers: ['a', 'b'].map((name) => ({ name, address: '10.0.0.1', port: 80 })) };
  const lb = new LoadBalancer(config);
  const server = createServer((request, response) => {
    assert.equal(request.url, '/api/snapshot');
    response.writeHead(200, { etag: '"1"' }).end(JSON.stringify(lb.snapshot()));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  // Whatever goes wrong, nothing waits for it.
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const said = t.mock.method(console, 'log', () => {});
  await importThere(files['follow.mjs'].replace('http://localhost:9090', `http://127.0.0.1:${server.address().port}`), 'follow.mjs');
  assert.deepEqual(said.mock.calls.map((call) => call.arguments), [[lb.route('user:42').name]]);
});
