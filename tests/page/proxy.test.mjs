// The page as a real proxy serves it: `ringway demo`, one of its servers killed while we look.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { after, test } from 'node:test';

import { launch, open } from './browser.mjs';

const root = resolve(import.meta.dirname, '../..');
// The native tests build it; a debug build reads the page's files from www/ as they are.
const binary = [process.env.RINGWAY, 'target/debug/ringway', 'target/release/ringway']
  .filter(Boolean).map((path) => resolve(root, path)).find((path) => existsSync(path));

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

// Starts the demo on free ports. Answers with where its API is and what it printed.
async function demo() {
  const [port, apiPort] = await Promise.all([freePort(), freePort()]);
  const child = spawn(binary, ['demo', '--port', `${port}`, '--api-port', `${apiPort}`], { cwd: root });
  ended.push(() => new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.once('exit', done);
    return child.kill('SIGTERM');
  }));
  let text = '';
  return new Promise((done, fail) => {
    const hear = (chunk) => {
      text += chunk;
      const [, api] = /the ring:\s+(http:\S+)/.exec(text) ?? [];
      if (api && /Ctrl-C/.test(text)) done({ api, text, child });
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('exit', (code) => fail(new Error(`the demo ended with ${code}:\n${text}`)));
  });
}

test('the demo’s page shows who was killed, within seconds, and that the proxy is gone', { skip: binary ? false : 'no ringway binary is built', timeout: 90_000 }, async () => {
  const { api, text, child } = await demo();
  const browser = await launch();
  ended.push(() => browser.close());
  const { page, close } = await open(browser, api, { allow: /ERR_CONNECTION_REFUSED|failed: / });
  assert.match((await page.locator('#status').innerText()).replace(/\s+/g, ' '), /^Live: this proxy 3 of 3 servers eligible$/);
  const { servers } = await (await fetch(new URL('api/servers', api))).json();
  const ring = await (await fetch(new URL('api/ring?limit=1', api))).json();
  assert.equal(await page.locator('#foot code').innerText(), ring.fingerprint);
  assert.deepEqual(await page.locator('tr[data-name]').evaluateAll((rows) => rows.map(({ dataset }) => dataset.name)), servers.map(({ name }) => name));
  const shown = await page.locator('[data-keys]').evaluateAll((all) => all.map(({ dataset }) => Number(dataset.keys)));
  assert.deepEqual(shown, servers.map(({ share }) => share.actual));

  const [, id, name] = /kill (\d+)\s+# (\S+)/.exec(text);
  process.kill(Number(id));
  await page.locator(`tr[data-name="${name}"].out`).waitFor({ timeout: 20_000 });
  const moved = Number(await page.locator('[data-moved]').getAttribute('data-moved'));
  assert.equal(moved, servers.find((server) => server.name === name).share.actual);
  assert.match(await page.locator('#changes').innerText(), new RegExp(`^${name} is `));

  child.kill('SIGTERM');
  await page.locator('.chip.lost').waitFor({ timeout: 20_000 });
  await close();
});
