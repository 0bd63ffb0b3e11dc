// Live as an operator has it, in Chromium, from a proxy that is played: what it shows of good and
// bad times, and that it stays light.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { assertAccessible } from './axe.mjs';
import { launch, open } from './browser.mjs';
import { fakeProxy } from './fake-proxy.mjs';

let browser;
const sites = [];
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const { close } of sites) await close();
});

const served = async (names, options) => {
  sites.push(await fakeProxy(names, options));
  return sites.at(-1);
};
const NAMES = ['demo-1', 'demo-2', 'demo-3'];
const says = async (locator) => (await locator.innerText()).replace(/\s+/g, ' ').trim();
const rowOf = (page, name) => page.locator('#rows tr[data-name]').filter({ has: page.getByText(name, { exact: true }) });
const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const look = (page) => page.locator('link[rel="icon"]').getAttribute('data-look');
// The stream ends with the page, which the browser calls a failure.
const QUIET = { allow: /^failed: .*api\/events/ };
const numbered = (n) => Array.from({ length: n }, (_, i) => `cache-${String(i).padStart(4, '0')}`);

test('who fails is seen at once: row, ring, log, tab; who comes back, too', async () => {
  const api = await served(NAMES);
  const { page, close } = await open(browser, api.url, QUIET);
  assert.match(await says(page.locator('#status')), /^Live: this proxy 3 of 3 servers eligible$/);
  api.teller.counts.get('demo-1').requests = 100;
  api.tick();
  await page.locator('[data-kpi="p99"]').getByText('40.0').waitFor();
  api.teller.counts.get('demo-1').requests = 150;
  api.tick();
  await page.locator('[data-kpi="rps"]').getByText('50.0').waitFor();
  assert.equal(await page.title(), '3/3 eligible · Ringway');
  assert.equal(await look(page), 'well');
  const redPixels = () => page.evaluate(() => {
    const canvas = document.querySelector('#tracks');
    const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
    copy.getContext('2d').drawImage(canvas, 0, 0);
    const { data } = copy.getContext('2d').getImageData(0, 0, copy.width, copy.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] > 150 && data[i + 1] < 90 && data[i + 3] > 200) n += 1;
    return n;
  });
  assert.equal(await redPixels(), 0);

  api.say(api.teller.kill('demo-2'));
  api.tick();
  await rowOf(page, 'demo-2').locator('.standing[data-standing="unhealthy"]').waitFor({ timeout: 2000 });
  assert.match(await says(rowOf(page, 'demo-2')), /Unhealthy .*Connection refused/);
  await page.locator('#events tr[data-event="health-changed"]').waitFor();
  assert.match(await says(page.locator('#events tr[data-event]')), /demo-2 is unhealthy: cannot connect: Connection refused 25.0 %/);
  await page.getByRole('log').getByText('demo-2 is unhealthy').waitFor();
  assert.equal(await look(page), 'trouble');
  assert.equal(await page.title(), '▼ 1 out, 2/3 eligible · Ringway');
  assert.ok(await redPixels() > 20);
  assert.match(await says(page.locator('[data-kpi="up"]')), /Eligible 2\/3/);
  await assertAccessible(page, 'live');

  api.say(api.teller.revive('demo-2'));
  api.tick();
  await rowOf(page, 'demo-2').locator('.standing[data-standing="eligible"]').waitFor({ timeout: 2000 });
  await drawn(page);
  assert.equal(await look(page), 'well');
  assert.equal(await redPixels(), 0);
  // The key's way is the proxy's own answer.
  await page.getByLabel('Key', { exact: true }).fill('somebody');
  await page.locator('#walk').getByText('The proxy says').waitFor();
  await page.locator('#key-answer').getByText(api.teller.own.route('somebody').name).waitFor();
  assert.ok(api.asked.includes('GET api/explain?key=somebody'));
  await page.locator('#hot').getByText('demo-1').first().waitFor();
  await close();
});

test('a cut stream is said to be one, and a restart has no negative rates', async () => {
  const api = await served(NAMES);
  const { page, close } = await open(browser, api.url, { allow: /api\/|500|ERR_INCOMPLETE_CHUNKED_ENCODING/ });
  api.teller.counts.get('demo-1').requests = 1000;
  api.tick();
  api.teller.counts.get('demo-1').requests = 1070;
  api.tick();
  await page.locator('[data-kpi="rps"]').getByText('70.0').waitFor();
  api.state.refuse = 'all';
  api.cut();
  await page.locator('.banner.lost').waitFor({ timeout: 3000 });
  assert.match(await says(page.locator('#banner')), /^no data for \d s: (the stream ended|.*error.*|the API .*); retrying (now|in \d s)/);
  assert.equal(await page.evaluate(() => document.documentElement.hasAttribute('data-stale')), true);
  assert.deepEqual([await look(page), await page.title()], ['old', 'No news · Ringway']);
  api.state.refuse = null;
  api.restart();
  await page.getByRole('button', { name: 'Try now' }).click();
  await page.locator('.chip.live').waitFor({ timeout: 5000 });
  api.teller.counts.get('demo-1').requests = 3;
  api.tick();
  api.teller.counts.get('demo-1').requests = 7;
  api.tick();
  await page.locator('[data-kpi="rps"]').getByText('4.0').waitFor();
  assert.doesNotMatch(await says(page.locator('#kpis')) + await says(page.locator('#rows')), /\s-\d/);
  await page.locator('#events tr[data-event="restarted"]').waitFor();
  assert.equal(api.nStreams, 1);
  await close();
});

test('hostile names do nothing, in rows, log and plans', async () => {
  const hostile = ['<img src=x onerror=document.title=3>', '</script><script>alert(1)</script>', '__proto__', '\u202egnp.exe', 'x'.repeat(255)];
  const api = await served(hostile);
  const { page, close } = await open(browser, api.url, QUIET);
  for (const name of hostile) api.say(api.teller.kill(name));
  api.say(api.teller.event({ event: 'ejected', server: hostile[0], for_s: 30, why: hostile[1] }));
  api.say(api.teller.event({ event: hostile[0], server: hostile[0] }));
  api.tick();
  await page.locator('#events tr[data-event="ejected"]').waitFor();
  await page.locator('#rows').getByText('__proto__').waitFor();
  assert.equal(await page.locator('#rows tr[data-name]').count(), hostile.length);
  assert.deepEqual(await page.evaluate(() => [document.images.length, document.querySelectorAll('main script').length]), [1, 0]);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  await close();
});

test('nothing is done before its plan is seen and confirmed', async () => {
  const api = await served(NAMES);
  const { page, close } = await open(browser, api.url, QUIET);
  await page.getByRole('button', { name: 'Change demo-2' }).click();
  await page.getByRole('button', { name: 'Drain…' }).click();
  await page.locator('[data-planned]').waitFor();
  await assertAccessible(page, 'a plan');
  const plan = api.teller.own.plan([{ state: { server: 'demo-2', state: 'draining' } }]);
  const shown = page.locator('[data-planned]');
  await shown.waitFor();
  assert.equal(Number(await shown.getAttribute('data-planned')), plan.moved);
  const writes = () => api.asked.filter((what) => !what.startsWith('GET'));
  assert.deepEqual(writes(), ['PUT api/servers/demo-2/state?dry_run=true']);
  await page.getByRole('button', { name: 'Leave it as it is' }).click();
  assert.equal(await page.getByRole('dialog').count(), 0);
  await page.getByRole('button', { name: 'Change demo-2' }).click();
  await page.getByRole('button', { name: 'Drain…' }).click();
  await page.getByTestId('confirm').click();
  await rowOf(page, 'demo-2').locator('.standing[data-standing="draining"]').waitFor({ timeout: 3000 });
  assert.equal(writes().at(-1), 'PUT api/servers/demo-2/state');
  await close();
});

test('a token is asked for, kept in memory only, and sent along', async () => {
  const api = await served(NAMES, { token: '0123456789abcdef' });
  const { page, close } = await open(browser, api.url, { allow: /401|api\/events/ });
  await page.locator('input[name="token"]').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('this is not the token of this API').waitFor();
  await page.locator('input[name="token"]').fill('0123456789abcdef');
  await page.keyboard.press('Enter');
  await rowOf(page, 'demo-1').waitFor();
  assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, location.href.includes('0123')]), [0, 0, '', false]);
  await close();
});

test('the past can be looked at: by the log, by Pause, and back', async () => {
  const api = await served(NAMES);
  const { page, close } = await open(browser, api.url, QUIET);
  api.tick();
  for (let i = 0; i < 3; i++) {
    api.teller.counts.get('demo-3').requests += 30;
    api.tick();
  }
  const line = api.teller.kill('demo-3');
  api.say(line);
  for (let i = 0; i < 3; i++) api.tick();
  await rowOf(page, 'demo-3').locator('.standing[data-standing="unhealthy"]').waitFor();
  // Just before it: the slider goes back from now.
  const back = Math.ceil((api.teller.at - Date.parse(line.time)) / 1000) + 1;
  await page.getByRole('slider', { name: 'Moment' }).fill(String(-back));
  await rowOf(page, 'demo-3').locator('.standing[data-standing="eligible"]').waitFor();
  assert.match(await says(page.locator('#banner')), /^Showing \d\d:\d\d:\d\d, .* ago\. Back to now$/);
  await page.getByTestId('present').click();
  await rowOf(page, 'demo-3').locator('.standing[data-standing="unhealthy"]').waitFor();
  await page.locator('#events tr[data-event="health-changed"] button').click();
  await page.locator('.banner').waitFor();
  await page.getByTestId('pause').click();
  await drawn(page);
  assert.equal(await page.locator('.banner').count(), 0);
  await close();
});

test('a thousand servers are a few dozen rows, sorted by trouble, found by filters', async () => {
  const names = numbered(1000);
  const api = await served(names, { virtualNodes: 10 });
  const { page, close } = await open(browser, api.url, { ...QUIET, hasClock: true });
  api.say(api.teller.kill('cache-0777'));
  api.tick();
  await page.locator('[data-kpi="up"]').getByText('999').waitFor();
  // Rows are put in order again after a while, not under everybody's eyes.
  await page.clock.runFor(6000);
  api.tick();
  await page.locator('#rows .before + tr[data-name="cache-0777"]').waitFor();
  assert.ok(await page.locator('#rows tr').count() <= 60, `${await page.locator('#rows tr').count()} rows`);
  await page.getByTestId('filter').fill('down');
  assert.equal(await page.locator('#rows tr[data-name]').count(), 1);
  assert.match(await says(page.locator('#filter-note')), /^1 of 1,000 servers$/);
  await page.getByTestId('filter').fill('p99>1030');
  assert.match(await says(page.locator('#filter-note')), /^9 of 1,000 servers$/);
  await page.getByTestId('filter').fill('');
  // What an update costs the document: a row is not made anew.
  const before = await page.locator('#rows tr[data-name]').first().elementHandle();
  api.tick();
  await page.clock.runFor(1000);
  assert.equal(await before.evaluate((row) => row.isConnected), true);
  await close();
});

// Two hours with RINGWAY_SOAK=7200; a part of that by default.
test('a long stream leaves nothing behind', async () => {
  const seconds = Number(process.env.RINGWAY_SOAK ?? 150);
  const names = numbered(20);
  const api = await served(names, { virtualNodes: 10 });
  // What is asked beside the stream is asked again before it is answered: its clock runs ahead.
  const { page, close } = await open(browser, api.url, { allow: /^failed: .*api\//, hasClock: true });
  const session = await page.context().newCDPSession(page);
  const count = async () => {
    // What was let go of by the last frame goes with the second one.
    for (let i = 0; i < 2; i++) {
      await page.clock.runFor(500);
      await session.send('HeapProfiler.collectGarbage');
    }
    const { metrics } = await (await session.send('Performance.enable'), session.send('Performance.getMetrics'));
    const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
    return { heap: metrics.find(({ name }) => name === 'JSHeapUsedSize').value, nodes, listeners: jsEventListeners };
  };
  async function play(n) {
    for (let i = 0; i < n; i++) {
      for (const name of names) api.teller.counts.get(name).requests += 7;
      if (i % 20 === 5) api.say(api.teller.kill(names[i % 20]));
      if (i % 20 === 15) api.say(api.teller.revive(names[(i - 10) % 20]));
      api.tick();
      // Less than the page takes silence for, so that what was said is heard in time.
      if (i % 5 === 4) await page.clock.runFor(5000);
    }
    await page.clock.runFor(1000);
  }
  await play(60);
  const first = await count();
  await play(seconds);
  const last = await count();
  assert.ok(last.heap < first.heap * 1.1 + 2e6, `heap ${first.heap} → ${last.heap}`);
  assert.ok(last.nodes < first.nodes * 1.1 + 300, `nodes ${first.nodes} → ${last.nodes}`);
  assert.ok(last.listeners < first.listeners * 1.1 + 50, `listeners ${first.listeners} → ${last.listeners}`);
  assert.equal(api.nStreams, 1);
  await close();
});
