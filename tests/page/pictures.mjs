// Takes the pictures of the page that the documentation shows, of each mode in each look:
// `node tests/page/pictures.mjs`. It draws the page of www/, so `make page` comes first.
import { mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { launch, open } from './browser.mjs';
import { fakeProxy } from './fake-proxy.mjs';

const BYTES_MAX = 250 * 1024;
const folder = resolve(import.meta.dirname, '../../docs/images');
const LOOKS = {
  light: { viewport: { width: 1280, height: 800 } },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};
const NAMES = Array.from({ length: 9 }, (_, i) => `cache-${i + 1}`);

const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** What is done in each mode before its picture is taken. */
const MODES = {
  // Six servers, and one of them about to go down: what would move, and where a key goes then.
  async explore(page) {
    const button = (name) => page.getByRole('button', { name, exact: true });
    await page.getByTestId('virtual-nodes').fill('40');
    await page.keyboard.press('Enter');
    for (const weight of ['', '', '2']) {
      await page.getByLabel('Weight', { exact: true }).fill(weight);
      await button('Add server').click();
    }
    await page.getByTestId('commit').click();
    await page.locator('#servers .pick').nth(1).click();
    await button('Down').click();
    // A key of the one that would be down, so that its way has a detour.
    for (let i = 0; ; i++) {
      await page.getByLabel('Key', { exact: true }).fill(`user-${i}`);
      await drawn(page);
      if (await page.locator('#centre').getByText('cache-2').count() > 0) break;
    }
    await page.locator('#servers .pick').nth(1).click();
  },
  // A story in its midst.
  async replay(page) {
    await page.getByTestId('story').selectOption('failure');
    await page.getByTestId('scrubber').evaluate((range) => {
      range.value = String(Number(range.min) + (Number(range.max) - Number(range.min)) * 0.45);
      range.dispatchEvent(new Event('input', { bubbles: true }));
    });
  },
  // Two minutes of traffic, in which a server failed, came back, and another failed.
  async live(page, proxy) {
    const { counts } = proxy.teller;
    for (let second = 0; second < 120; second++) {
      for (const [i, name] of NAMES.entries()) {
        counts.get(name).requests += Math.round(60 + 25 * Math.sin(second / 9 + i) + 4 * i);
        counts.get(name).errors += second % 40 === 4 * i ? 2 : 0;
      }
      if (second === 40) proxy.say(proxy.teller.kill('cache-3'));
      if (second === 70) proxy.say(proxy.teller.revive('cache-3'));
      if (second === 110) proxy.say(proxy.teller.kill('cache-7'));
      proxy.tick();
    }
    await page.locator('.standing[data-standing="unhealthy"]').first().waitFor();
    await page.getByText('The proxy says').waitFor();
  },
};

const [browser, proxy] = await Promise.all([launch(), fakeProxy(NAMES)]);
mkdirSync(folder, { recursive: true });
const large = [];
for (const [mode, prepare] of Object.entries(MODES)) {
  for (const [look, options] of Object.entries(LOOKS)) {
    const { page, close } = await open(browser, `${proxy.url}#${mode}`, { allow: /^failed: .*api\/events/, ...options });
    await prepare(page, proxy);
    await page.evaluate(() => document.activeElement.blur());
    await page.mouse.move(2, 2);
    await drawn(page);
    const name = `page-${mode}-${look}.png`;
    await page.screenshot({ path: join(folder, name) });
    await close();
    const { size } = statSync(join(folder, name));
    console.log(`docs/images/${name}: ${size} bytes`);
    if (size > BYTES_MAX) large.push(name);
  }
}
await browser.close();
await proxy.close();
if (large.length > 0) throw new Error(`more than ${BYTES_MAX} bytes: ${large.join(', ')}`);
