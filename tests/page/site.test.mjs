// The page as it is given away: a folder for any static server, and one file to be opened from disk.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { launch, open } from './browser.mjs';
import { serve, www } from './serve.mjs';

const folder = mkdtempSync(join(tmpdir(), 'ringway-site-'));
let browser;

before(async () => {
  execFileSync(process.execPath, [resolve(import.meta.dirname, '../../deploy/site/build.mjs'), folder]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const files = (root) => readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1)).sort();

/** What the page says of its fleet after some changes: the same wherever it was opened. */
async function answers(url) {
  const { page, close } = await open(browser, url);
  await page.getByLabel('Key', { exact: true }).fill('user-42');
  await page.getByRole('button', { name: 'Add server', exact: true }).click();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const said = {
    ring: await page.locator('#foot').innerText(),
    owner: await page.locator('#key-answer').innerText(),
    servers: await page.locator('tr[data-name]').allInnerTexts(),
  };
  assert.match(said.owner, /\S/);
  assert.ok(said.servers.length > 1);
  await close();
  return said;
}

test('the site is the page, file by file, and one more that is all of it', () => {
  const same = files(www);
  assert.deepEqual(files(folder), [...same, '.nojekyll', 'standalone.html'].sort());
  for (const name of same) assert.ok(readFileSync(join(www, name)).equals(readFileSync(join(folder, name))), name);
});

test('in a folder of a server, and from disk in one file, it says the same', async () => {
  const site = await serve({ folder, prefix: '/some/where/' });
  const there = await answers(site.url);
  await site.close();
  assert.deepEqual(await answers(pathToFileURL(join(folder, 'standalone.html')).href), there);
});

test('opened from disk, the many files say in words what to do instead', async () => {
  const page = await browser.newPage();
  await page.goto(pathToFileURL(join(folder, 'index.html')).href);
  assert.match(await page.locator('#starting').innerText(), /opened from disk[\s\S]*standalone\.html/);
  await page.close();
});
