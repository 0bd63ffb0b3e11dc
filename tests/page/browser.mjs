// A real Chromium that hears everything: a page that says anything on its console, asks for
// anything elsewhere or offends its own policy fails its test.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const PATHS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function launch() {
  const executablePath = PATHS.find((path) => path && existsSync(path));
  assert.ok(executablePath, 'no Chromium here: install it, or say where it is with CHROMIUM=…');
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--no-first-run', '--disable-quic',
    ],
  });
}

/**
 * Opens `url` and waits until the page is ready. `noise` is a list of all it should not have said
 * or done; `allow` names what may be said. With `hasClock` the page's time is the test's to move.
 */
export async function open(browser, url, { allow = /^$/, storage, hasClock = false, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', colorScheme: 'light', ...options });
  const page = await context.newPage();
  if (hasClock) await page.clock.install();
  const noise = [];
  const note = (what) => allow.test(what) || noise.push(what);
  page.on('console', (message) => note(`console ${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => note(`error: ${error.message}`));
  page.on('requestfailed', (request) => note(`failed: ${request.url()}`));
  page.on('response', (response) => response.status() >= 400 && note(`${response.status()}: ${response.url()}`));
  await context.route((to) => to.origin !== new URL(url).origin, (route) => {
    note(`elsewhere: ${route.request().url()}`);
    return route.abort();
  });
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  if (storage) await page.addInitScript((entries) => Object.entries(entries).forEach(([key, value]) => localStorage.setItem(key, value)), storage);
  await page.goto(url);
  await page.locator('html[data-ready]').waitFor({ timeout: 20_000 });
  return {
    page,
    /** Fails if the page said or did what it should not, and closes it. */
    async close() {
      const violations = await page.evaluate(() => globalThis.violations);
      await context.close();
      assert.deepEqual([...noise, ...violations], []);
    },
  };
}
