// What the page says is what the native program says: owners, shares, what moves; for fleets of all
// kinds, key by key.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

import { difference, edited, ofConfig } from '../../www/explore/spec.js';
import { configText, readConfig } from '../../www/explore/outside.js';
import { createStore } from '../../www/explore/store.js';
import { LoadBalancer } from '../../www/pkg/index.js';
import { launch, open } from './browser.mjs';
import { keysOf, moved } from './reading.mjs';
import { serve } from './serve.mjs';

const root = resolve(import.meta.dirname, '../..');
const binary = [process.env.RINGWAY, 'target/debug/ringway', 'target/release/ringway']
  .filter(Boolean).map((path) => resolve(root, path)).find((path) => existsSync(path));
const skip = binary ? false : 'no ringway binary is built';
const folder = mkdtempSync(join(tmpdir(), 'ringway-truth-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const N_KEYS = 10_000;
const KEYS = Array.from({ length: N_KEYS }, (_, i) => (i % 3 === 0 ? `user:${i}` : i % 3 === 1 ? `/a/path/${i}?q=größe` : `${i}`));

let nFiles = 0;
function file(text) {
  const path = join(folder, `${nFiles++}.json`);
  writeFileSync(path, typeof text === 'string' ? text : JSON.stringify(text));
  return path;
}
const ringway = (args, input = '') => execFileSync(binary, args, { input, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['pipe', 'pipe', 'pipe'] });
const asked = (config) => ({
  ring: JSON.parse(ringway(['ring', '--config', config, '--json'])),
  owners: ringway(['route', '--config', config], KEYS.join('\n')).trim().split('\n').map((line) => JSON.parse(line)),
});

const server = (name, i, more = {}) => ({ name, address: `10.0.0.${i + 1}`, port: 8080, weight: 1, ...more });
const fleet = (n, prefix = 'cache-') => Array.from({ length: n }, (_, i) => server(`${prefix}${i + 1}`, i));
const remove = (name) => ({ kind: 'removed', server: name });
const CORPUS = {
  'the first of eight is removed': [{ servers: fleet(8) }, remove('cache-1')],
  'the last of eight is removed': [{ servers: fleet(8) }, remove('cache-8')],
  'one server joins one': [{ servers: fleet(1), routing: { virtual_nodes: 1 } }, { kind: 'added', server: 'x', spec: server('x', 9) }],
  'the only server leaves': [{ servers: fleet(1) }, remove('cache-1')],
  'weights of 1 and 1000': [{ servers: [server('light', 0), server('heavy', 1, { weight: 1000 })], routing: { virtual_nodes: 10 } }, { kind: 'weighed', server: 'light', weight: 1000 }],
  'names of all kinds': [{ servers: ['größe', '😀', '__proto__', '<b>', 'a b', '\u202egnp', 'e\u0301', '\u00e9'].map((name, i) => server(name, i)) }, remove('__proto__')],
  'so few points that the arc over the top is large': [{ servers: fleet(3), routing: { virtual_nodes: 1 } }, { kind: 'weighed', server: 'cache-2', weight: 3 }],
  'renamed': [{ servers: fleet(5) }, { kind: 'renamed', server: 'cache-3', to: 'other' }],
  'other virtual nodes': [{ servers: fleet(6), routing: { virtual_nodes: 40 } }, { kind: 'virtualNodes', n: 160 }],
  'another rule': [{ servers: fleet(6) }, { kind: 'algorithm', algorithm: 'maglev' }],
  'an address alone is changed by nobody here, backups are kept': [{ servers: [...fleet(4), server('spare', 9, { backup: true })] }, remove('cache-2')],
  'a hundred servers': [{ servers: fleet(100, 'shard-'), routing: { virtual_nodes: 160 } }, remove('shard-1')],
};

for (const [what, [config, edit]] of Object.entries(CORPUS)) {
  test(`the page and the program agree: ${what}`, { skip }, () => {
    const store = createStore(LoadBalancer);
    assert.equal(store.receive(readConfig(LoadBalancer, JSON.stringify(config))), true, store.state.problem?.message);
    const from = file(configText(store.state));
    const agree = (path) => {
      const { ring, owners } = asked(path);
      const { view, servers } = store.state;
      assert.equal(view.fingerprint, ring.fingerprint);
      assert.deepEqual(view.balance, ring.balance);
      const shares = new Map(servers.map(({ name, share }) => [name, share.actual]));
      for (const { name, share } of ring.servers) assert.ok(Math.abs(shares.get(name) - share.actual) <= 1e-12, name);
      store.fleet.routeMany(KEYS).forEach((one, i) => assert.equal(one?.name ?? null, owners[i].server, KEYS[i]));
      return ring;
    };
    agree(from);
    const { spec } = store.state;
    const staged = edited(spec, edit);
    const acts = { removed: () => store.remove(edit.server), added: () => store.add(edit.spec), weighed: () => store.setWeight(edit.server, edit.weight), renamed: () => store.rename(edit.server, edit.to), virtualNodes: () => store.setVirtualNodes(edit.n), algorithm: () => store.setAlgorithm(edit.algorithm) };
    assert.equal(acts[edit.kind](), true, store.state.problem?.message);
    assert.deepEqual(store.state.staged, staged);
    const to = file(configText(store.state));
    const plan = JSON.parse(ringway(['plan', '--config', from, '--to', to, '--json']));
    const { moved: amount, minimum, modulo, flows } = store.state.plan;
    assert.deepEqual({ amount, minimum, modulo, flows }, { amount: plan.moved, minimum: plan.minimum, modulo: plan.modulo, flows: plan.flows });
    assert.ok(amount >= minimum - 0.25, `${amount} of at least ${minimum}`);
    agree(to);
    assert.ok(difference(spec, staged).length > 0);
  });
}

test('what one refuses the other refuses, in the same place', { skip }, () => {
  for (const [config, place] of [
    [{ servers: [server('a', 0), server('a', 1)] }, /servers\[1\]/], [{ servers: [server('a', 0, { weight: 0 })] }, /servers\[0\]\.weight/],
    [{ servers: [server('', 0)] }, /servers\[0\]\.name/], [{ servers: [server('a', 0)], routing: { virtual_nodes: 0 } }, /routing\.virtual_nodes/],
  ]) {
    assert.throws(() => readConfig(LoadBalancer, JSON.stringify(config)), place);
    assert.throws(() => ringway(['check', file(config)]), (error) => place.test(`${error.stdout}${error.stderr}`), JSON.stringify(config));
  }
});

// === In the browser ===

let [browser, site] = [];
before(async () => {
  [browser, site] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

test('in the browser: a file is brought, the first of eight removed, and the program says the same', { skip }, async () => {
  const { page, close } = await open(browser, site.url);
  await page.getByTestId('share').click();
  const [config] = CORPUS['the first of eight is removed'];
  await page.getByTestId('import').setInputFiles({ name: 'config.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(config)) });
  await page.getByText('config.json is shown.').waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('export').click()]);
  const from = join(folder, 'exported.json');
  await download.saveAs(from);
  await page.keyboard.press('Escape');
  const shares = (path) => Object.fromEntries(JSON.parse(ringway(['ring', '--config', path, '--json'])).servers.map(({ name, share }) => [name, share.actual]));
  assert.deepEqual(await keysOf(page), shares(from));
  await page.locator('#servers .pick').first().click();
  await page.getByRole('button', { name: 'Remove cache-1' }).click();
  await page.locator('[data-moved]').waitFor();
  const to = file({ servers: config.servers.slice(1) });
  const plan = JSON.parse(ringway(['plan', '--config', from, '--to', to, '--json']));
  assert.equal(await moved(page), plan.moved);
  assert.ok(Math.abs(plan.moved - 1 / 8) < 0.05, 'one of eight is not everything');
  assert.deepEqual(await keysOf(page), shares(to));
  await close();
});

test('the command and the snippet that are copied say what the page says', { skip }, async () => {
  const { page, close } = await open(browser, site.url, { permissions: ['clipboard-read', 'clipboard-write'] });
  const key = "it's -- $HOME; größe";
  await page.getByLabel('Name', { exact: true }).fill("o'brien");
  await page.getByRole('button', { name: 'Add server' }).click();
  await page.getByLabel('Key', { exact: true }).fill(key);
  await page.getByTestId('share').click();
  const copied = async (name) => {
    await page.getByRole('button', { name }).click();
    await page.getByText(/is copied\.$/).waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const owner = await page.locator('#key-answer .name').innerText();
  const command = await copied('Copy command');
  const said = execFileSync('sh', ['-c', command], { cwd: folder, encoding: 'utf8', env: { ...process.env, PATH: `${resolve(binary, '..')}:${process.env.PATH}` } });
  assert.ok(said.includes(owner), said);
  const snippet = await copied('Copy snippet');
  const script = join(folder, 'snippet.mjs');
  writeFileSync(script, snippet.replace("from 'ringway'", `from '${resolve(root, 'www/pkg/index.js')}'`));
  assert.equal(execFileSync(process.execPath, [script], { encoding: 'utf8' }).trim(), owner);
  const link = await copied('Copy link');
  await close();
  const other = await open(browser, link);
  assert.equal(await other.page.locator('#key-answer .name').innerText(), owner);
  await other.close();
});
