// Takes the picture of the page that the README shows: `node tests/page/picture.mjs`.
import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { launch, open } from './browser.mjs';
import { serve } from './serve.mjs';

const BYTES_MAX = 200 * 1024;
const to = resolve(import.meta.dirname, '../../docs/images/page.png');

const [browser, site] = await Promise.all([launch(), serve()]);
const { page, close } = await open(browser, site.url, { viewport: { width: 1220, height: 760 } });
const button = (name) => page.getByRole('button', { name, exact: true });
const drawn = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
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
  await drawn();
  if (await page.locator('#centre').getByText('cache-2').count() > 0) break;
}
await page.locator('#servers .pick').nth(1).click();
await page.evaluate(() => document.activeElement.blur());
await page.mouse.move(2, 2);
mkdirSync(dirname(to), { recursive: true });
await page.screenshot({ path: to });
await close();
await browser.close();
await site.close();
const { size } = statSync(to);
console.log(`docs/images/page.png: ${size} bytes`);
if (size > BYTES_MAX) throw new Error(`more than ${BYTES_MAX}`);
