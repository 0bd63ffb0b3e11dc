// The page as a real proxy serves it: `ringway demo`, one of its servers killed while we look.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createOrigin } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';

import { LoadBalancer } from '../../www/pkg/index.js';
import { createTraveller, parseRecording } from '../../www/replay/recording.js';
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

const says = async (locator) => (await locator.innerText()).replace(/\s+/g, ' ').trim();
const metric = async (api, name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(new URL('metrics', api))).text())[1]);

test('the demo’s page shows who was killed, within seconds, and that the proxy is gone', { skip: binary ? false : 'no ringway binary is built', timeout: 120_000 }, async () => {
  const { api, text, child } = await demo();
  const browser = await launch();
  ended.push(() => browser.close());
  const { page, close } = await open(browser, api, { allow: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|failed: / });
  assert.equal(await says(page.locator('#status')), 'Live: this proxy 3 of 3 servers eligible');
  const { servers } = await (await fetch(new URL('api/servers', api))).json();
  const ring = await (await fetch(new URL('api/ring?limit=1', api))).json();
  assert.equal(await page.locator('#foot code').innerText(), ring.fingerprint);
  assert.equal(await page.locator('.banner').count(), 0, 'its engine is the proxy’s');
  assert.deepEqual(await page.locator('#rows tr[data-name]').evaluateAll((rows) => rows.map(({ dataset }) => dataset.name).sort()), servers.map(({ name }) => name));

  // Seven tabs, a stream each: browsers hold six connections to a site at most, pages included.
  const pages = await Promise.all(Array.from({ length: 6 }, () => open(browser, api, { allow: /failed: / })));
  for (const { page: other } of pages) assert.match(await says(other.locator('[data-kpi="up"]')), /3\/3/);
  assert.equal(await metric(api, 'ringway_event_streams'), 7);
  for (const { close: leave } of pages) await leave();
  while (await metric(api, 'ringway_event_streams') !== 1) await new Promise((done) => setTimeout(done, 50));

  const [, id, name] = /kill (\d+)\s+# (\S+)/.exec(text);
  process.kill(Number(id));
  const row = page.locator(`#rows tr[data-name="${name}"]`);
  await page.locator(`#rows tr[data-name="${name}"].out`).waitFor({ timeout: 20_000 });
  const { servers: now } = await (await fetch(new URL('api/servers', api))).json();
  assert.equal(await row.locator('.standing').getAttribute('data-standing'), now.find((server) => server.name === name).standing);
  const entry = page.locator('#events tr[data-event="health-changed"], #events tr[data-event="ejected"]').first();
  await entry.waitFor();
  assert.match(await says(entry), new RegExp(`${name} (is unhealthy|was ejected)`));
  assert.equal(await page.locator('link[rel="icon"]').getAttribute('data-look'), 'trouble');

  // Another one is drained: what the plan says is what the proxy says it is.
  const other = servers.find((server) => server.name !== name).name;
  await page.getByRole('button', { name: `Change ${other}` }).click();
  await page.getByRole('button', { name: 'Drain…' }).click();
  await page.locator('[data-planned]').waitFor();
  const plan = await (await fetch(new URL('api/plan', api), {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ changes: [{ state: { server: other, state: 'draining' } }] }),
  })).json();
  assert.equal(Number(await page.locator('[data-planned]').getAttribute('data-planned')), plan.moved);
  await page.getByTestId('confirm').click();
  await page.locator(`#rows tr[data-name="${other}"] .standing[data-standing="draining"]`).waitFor({ timeout: 5000 });

  child.kill('SIGTERM');
  await page.locator('.banner.lost').waitFor({ timeout: 20_000 });
  await close();
});

test('a recording, gone through again, sends keys where the proxy sent them at each moment', { skip: binary ? false : 'no ringway binary is built', timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringway-recording-'));
  ended.push(() => rmSync(folder, { recursive: true, force: true }));
  const origins = await Promise.all(Array.from({ length: 4 }, () => new Promise((done) => {
    const origin = createOrigin((_, response) => response.end('ok')).listen(0, '127.0.0.1', () => done(origin));
  })));
  ended.push(() => origins.forEach((origin) => { origin.close(); origin.closeAllConnections(); }));
  const [port, apiPort] = await Promise.all([freePort(), freePort()]);
  const [config, record] = [join(folder, 'config.json'), join(folder, 'record.jsonl')];
  writeFileSync(config, JSON.stringify({
    servers: origins.map((origin, i) => ({ name: `cache-${i + 1}`, address: '127.0.0.1', port: origin.address().port })),
    listen: { port }, api: { port: apiPort }, health_check: { interval: 0.5, timeout: 0.5, fast_interval: 0.1, fall: 2, rise: 1 },
  }));
  const child = spawn(binary, ['serve', '--config', config, '--record', record], { stdio: 'ignore' });
  ended.push(() => child.kill('SIGKILL'));
  const api = `http://127.0.0.1:${apiPort}/api/`;
  const ask = async (path, method = 'GET', body) => (await fetch(api + path, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) })).json();
  const until = async (isSo) => {
    while (!(await ask('servers').then(({ servers }) => isSo(servers)).catch(() => false))) await new Promise((done) => setTimeout(done, 20));
  };
  const KEYS = Array.from({ length: 40 }, (_, i) => `key-${i}`);
  const seen = [];
  async function look() {
    // Nothing happens between these.
    await new Promise((done) => setTimeout(done, 30));
    const answers = await Promise.all(KEYS.map((key) => ask('route', 'POST', { key })));
    seen.push({ at: Date.now(), names: answers.map(({ server }) => server) });
    await new Promise((done) => setTimeout(done, 30));
  }
  const healthy = (n) => until((servers) => servers.filter(({ health }) => health === 'healthy').length === n);
  await healthy(4);
  await look();
  origins[1].close();
  origins[1].closeAllConnections();
  await healthy(3);
  await look();
  await ask('servers', 'POST', { name: 'extra', address: '127.0.0.1', port: origins[0].address().port, weight: 3 });
  await healthy(4);
  await look();
  await ask('servers/cache-3/state', 'PUT', { state: 'draining' });
  await look();
  await ask('servers/cache-4/weight', 'PUT', { weight: 4 });
  await look();
  await ask('servers/cache-1', 'DELETE');
  await look();
  child.kill('SIGTERM');
  await new Promise((done) => child.once('exit', done));
  const recording = parseRecording(readFileSync(record, 'utf8'));
  assert.equal(recording.rejected, 0);
  const traveller = createTraveller(LoadBalancer, recording);
  assert.equal(new Set(seen.map(({ names }) => names.join())).size, 6, 'each change moves keys');
  for (const { at, names } of [...seen, ...seen.toReversed()]) {
    traveller.goTo(at);
    assert.deepEqual(KEYS.map((key) => traveller.engine.route(key).name), names);
  }
});
