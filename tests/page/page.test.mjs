// The page's frame and Live, in Chromium, from a static server and from one that answers like a
// proxy. What it shows is compared with the package, asked directly here in Node.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, open } from './browser.mjs';
import { button, drawn, engine, keysOf, moved, rowOf, says, sharesOf } from './reading.mjs';
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

// === Live ===

// A server that answers as a proxy's API does; what it says comes from the engine.
async function proxy(own) {
  const state = { isDown: false, change: {} };
  const answer = (path, search) => {
    if (!path?.startsWith('api/')) return undefined;
    if (state.isDown) return { status: 500, body: { title: 'down' } };
    if (path === 'api/servers') return { body: { servers: own.servers().map((server) => ({ ...server, ...state.change[server.name] })) } };
    if (path === 'api/ring') return { body: own.ring({ limit: Number(new URLSearchParams(search).get('limit')) }) };
    if (path === 'api/health') return { body: own.health() };
    return undefined;
  };
  return { state, ...(await served({ answer })) };
}

test('served by a proxy, it shows that proxy: who fails, who comes back, and when there is no news', async () => {
  const hostile = '<img src=x onerror=document.title=3>';
  const own = engine(['demo-1', 'demo-2', 'demo-3', hostile], 100);
  const api = await proxy(own);
  const { page, close } = await open(browser, api.url, { allow: /500/ });
  assert.match(await says(page.locator('#status')), /Live: this proxy 4 of 4 servers eligible/);
  assert.deepEqual(await keysOf(page), sharesOf(own));
  assert.equal(await page.evaluate(() => document.images.length), 1);
  assert.equal(await page.locator('#servers button:not(.pick), #servers input, #servers-add button').count(), 0);

  api.state.change['demo-2'] = { eligible: false, health: 'unhealthy', standing: 'unhealthy', requests: 1234, errors: 5, in_flight: 2 };
  await page.locator('.standing[data-standing="unhealthy"]').waitFor({ timeout: 5000 });
  assert.match(await says(rowOf(page, 'demo-2')), /Unhealthy 1 0 % .*1,234 2 in flight, 5 errors/);
  assert.match(await says(page.locator('#changes')), /^demo-2 is unhealthy/);
  const gone = engine(['demo-1', 'demo-2', 'demo-3', hostile], 100).removeServer('demo-2');
  assert.equal(await moved(page), gone.moved.fraction);

  api.state.isDown = true;
  await page.locator('.chip.lost').waitFor({ timeout: 5000 });
  assert.match(await says(page.locator('#status')), /No news: this proxy the API answered 500\. This is what it said \d+ s ago/);
  api.state.isDown = false;
  delete api.state.change['demo-2'];
  await page.locator('.chip.live').waitFor({ timeout: 5000 });
  await page.locator('#changes').getByText('demo-2 is eligible again').waitFor({ timeout: 5000 });

  await page.getByTestId('fork').click();
  await drawn(page);
  assert.match(await says(page.locator('#modes [aria-current]')), /Explore/);
  await rowOf(page, 'demo-2').locator('.pick').click();
  await button(page, 'Down').click();
  await drawn(page);
  assert.equal(await moved(page), gone.moved.fraction);
  assert.equal(await page.title(), 'Ringway: the ring');
  await page.getByTestId('mode-live').click();
  await page.locator('.chip.live').waitFor({ timeout: 5000 });
  assert.deepEqual(await keysOf(page), sharesOf(own));
  assert.equal(await page.title(), '4/4 eligible · Ringway');
  await close();
});

test('the shell: help by ?, modes by their address, and nothing left of a mode that is left', async () => {
  const own = engine(['demo-1', 'demo-2', 'demo-3'], 100);
  const api = await proxy(own);
  const { page, close } = await open(browser, `${api.url}#explore`, { hasClock: true });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.mode), 'explore');
  assert.deepEqual(await page.locator('#modes a').allInnerTexts(), ['Explore', 'Live']);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.keyboard.press('?');
  assert.match(await says(page.getByRole('dialog')), /^Keyboard .*PgUp PgDn/);
  await page.keyboard.press('Escape');
  assert.equal(await page.getByRole('dialog').count(), 0);
  await page.locator('#modes').getByText('Live').click();
  await page.locator('.chip.live').waitFor();
  assert.match(page.url(), /#live$/);
  assert.deepEqual(await keysOf(page), sharesOf(own));
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
