// Access to the page for everybody: axe in every look and size, on every mode and dialog.
import { after, before, test } from 'node:test';

import { assertAccessible } from './axe.mjs';
import { launch, open } from './browser.mjs';
import { fakeProxy } from './fake-proxy.mjs';

const LOOKS = { light: { colorScheme: 'light' }, dark: { colorScheme: 'dark' }, forced: { forcedColors: 'active' } };
const SIZES = { wide: { viewport: { width: 1280, height: 800 } }, phone: { viewport: { width: 390, height: 844 }, hasTouch: true } };

let [browser, site] = [];
before(async () => {
  // Behind a proxy, so that there are all modes.
  [browser, site] = await Promise.all([launch(), fakeProxy(['cache-1', 'cache-2', 'cache-3'])]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

for (const [look, ofLook] of Object.entries(LOOKS)) {
  for (const [size, ofSize] of Object.entries(SIZES)) {
    test(`axe finds nothing: ${look}, ${size}`, async () => {
      const { page, close } = await open(browser, site.url, { allow: /^failed: .*api\/events/, ...ofLook, ...ofSize });
      for (const mode of await page.locator('#modes a').all()) {
        await mode.click();
        await page.locator('main').waitFor();
        await assertAccessible(page, await mode.innerText());
        // What is scrolled out of a panel axe cannot see: on a screen this high nothing is.
        await page.setViewportSize({ width: ofSize.viewport.width, height: 2800 });
        for (const tab of await page.getByRole('tab').all()) {
          await tab.click();
          if (await page.locator('[aria-busy="true"]').count() > 0) await page.locator('[aria-busy="false"]').waitFor();
          await assertAccessible(page, `${await mode.innerText()}, ${await tab.innerText()}`);
        }
        await page.setViewportSize(ofSize.viewport);
      }
      await page.getByTestId('help').click();
      await assertAccessible(page, 'help');
      await close();
    });
  }
}
