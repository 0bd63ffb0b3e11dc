// The page's frame, in Chromium, from a static server and from one that answers like a proxy. What
// it shows is compared with the package, asked directly here in Node.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, open } from './browser.mjs';
import { fakeProxy } from './fake-proxy.mjs';
import { drawn, engine, keysOf, says, sharesOf } from './reading.mjs';
import { serve } from './serve.mjs';

let browser;
let site;
const sites = [];
const served = async (options) => {
  sites.push(await serve(options));
  return sites.at(-1);
};
before(async () => {
  [browser, site] = await Promise.all([launch(), served()]);
});
after(async () => {
  await browser?.close();
  for (const { close } of sites) await close();
});

for (const [width, height, theme] of [[360, 640, 'light'], [390, 844, 'dark'], [768, 1024, 'light'], [1920, 1080, 'dark']]) {
  test(`it fits a screen of ${width}×${height}, ${theme}`, async () => {
    const { page, close } = await open(browser, site.url, { viewport: { width, height }, colorScheme: theme, hasTouch: width < 700 });
    for (const scenario of ['few', 'fleet']) {
      await page.getByTestId('scenario').selectOption(scenario);
      await drawn(page);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
    }
    if (width < 700) {
      const small = await page.locator('main button:visible, main select:visible, main input:visible').evaluateAll((all) =>
        all.filter((element) => element.getBoundingClientRect().height < 44).map((element) => element.outerHTML.slice(0, 80)));
      assert.deepEqual(small, []);
    }
    await close();
  });
}

test('the theme is chosen and remembered', async () => {
  const { page, close } = await open(browser, site.url);
  const background = () => page.evaluate(() => getComputedStyle(document.querySelector('.card')).backgroundColor);
  assert.equal(await background(), 'rgb(255, 255, 255)');
  await page.getByTestId('theme').selectOption('dark');
  assert.equal(await background(), 'rgb(18, 22, 28)');
  await page.reload();
  await page.locator('html[data-ready]').waitFor();
  assert.equal(await background(), 'rgb(18, 22, 28)');
  await close();
});

test('it works from a folder of a server', async () => {
  const nested = await served({ prefix: '/some/where/' });
  const { page, close } = await open(browser, nested.url);
  assert.deepEqual(await keysOf(page), sharesOf(engine()));
  await close();
});

test('opened from disk, it says what to do', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(new URL('../../www/index.html', import.meta.url).href);
  assert.match(await page.locator('#starting').innerText(), /Serve its folder with any web server/);
  await context.close();
});

// === The shell ===

test('the shell: help by ?, modes by their address, and nothing left of a mode that is left', async () => {
  const api = await fakeProxy(['demo-1', 'demo-2', 'demo-3']);
  sites.push(api);
  const { page, close } = await open(browser, `${api.url}#explore`, { hasClock: true, allow: /^failed: .*api\/(hot-keys|explain|events)/ });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.mode), 'explore');
  assert.deepEqual(await page.locator('#modes a').allInnerTexts(), ['Explore', 'Replay', 'Live']);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.keyboard.press('?');
  assert.match(await says(page.getByRole('dialog')), /^Keyboard .*PgUp PgDn/);
  await page.keyboard.press('Escape');
  assert.equal(await page.getByRole('dialog').count(), 0);
  await page.locator('#modes').getByText('Live').click();
  await page.locator('.chip.live').waitFor();
  assert.match(page.url(), /#live$/);
  await page.locator('tr[data-name="demo-1"]').waitFor();
  await page.goBack();
  await page.locator('html[data-mode="explore"]').waitFor();
  assert.equal(await page.locator('.chip').count(), 0);
  assert.equal(await page.locator('main').count(), 1);
  asked.length = 0;
  await page.clock.runFor(5000);
  assert.deepEqual(asked, [], 'nobody looks, and the proxy is asked');
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key');
  await close();
});
