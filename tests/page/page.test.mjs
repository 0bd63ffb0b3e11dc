// The page as a visitor has it, in Chromium, from a static server and from one that answers like a
// proxy. What it shows is compared with the package, asked directly here in Node.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { LoadBalancer } from '../../www/pkg/index.js';
import { PALETTES } from '../../www/shared/palette.js';
import { percent } from '../../www/shared/words.js';
import { launch, open } from './browser.mjs';
import { fakeProxy } from './fake-proxy.mjs';
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

const NAMES = ['cache-1', 'cache-2', 'cache-3'];
const engine = (names = NAMES, virtualNodes = 12) =>
  new LoadBalancer({ servers: names.map((name) => ({ name, address: '10.0.0.1', port: 8080 })), routing: { virtual_nodes: virtualNodes } });

const rowOf = (page, name) => page.locator('#servers tr').filter({ has: page.getByText(name, { exact: true }) });
const button = (page, name) => page.getByRole('button', { name, exact: true });
const keysOf = async (page) => Object.fromEntries(await page.locator('tr[data-name]').evaluateAll((rows) =>
  rows.map((row) => [row.dataset.name, Number(row.querySelector('[data-keys]').dataset.keys)])));
const sharesOf = (own) => Object.fromEntries(own.servers().map(({ name, share }) => [name, share.actual]));
const moved = async (page) => Number(await page.locator('[data-moved]').getAttribute('data-moved'));
// What a part of the page says, with single spaces.
const says = async (locator) => (await locator.innerText()).replace(/\s+/g, ' ').trim();
// Drawing waits for the next frame; so does reading.
const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

// The colours on the ring's canvas along a ray, from the middle outwards.
const ray = (page, turn) => page.evaluate((at) => {
  const canvas = document.querySelector('#stage canvas');
  const { width } = canvas;
  const copy = Object.assign(document.createElement('canvas'), { width, height: width });
  copy.getContext('2d').drawImage(canvas, 0, 0);
  const data = copy.getContext('2d').getImageData(0, 0, width, width).data;
  const found = new Set();
  for (let r = width * 0.2; r < width / 2; r++) {
    const [x, y] = [width / 2 + r * Math.sin(2 * Math.PI * at), width / 2 - r * Math.cos(2 * Math.PI * at)].map(Math.floor);
    const i = 4 * (y * width + x);
    if (data[i + 3] === 255) found.add(`#${[...data.slice(i, i + 3)].map((part) => part.toString(16).padStart(2, '0')).join('')}`);
  }
  return [...found];
}, turn);

// The middle of the longest arc each server owns: where to look for its colour.
function middles(own) {
  const longest = {};
  for (const { server, turn, share } of own.ring().points) {
    if (!(longest[server]?.share > share)) longest[server] = { share, turn: (turn - share / 2 + 1) % 1 };
  }
  return Object.fromEntries(Object.entries(longest).map(([name, { turn }]) => [name, turn]));
}

test('it opens quietly, says what it is, and shows the numbers of the engine', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  assert.equal(await says(page.locator('#status')), 'Nothing leaves this page.');
  assert.deepEqual(await keysOf(page), sharesOf(own));
  assert.equal(await page.locator('#foot code').innerText(), own.fingerprint);
  assert.equal(await page.locator('#starting').count(), 0);
  const { peak_to_mean: peak, cv } = own.ring().balance;
  assert.deepEqual(await page.locator('#balance dd').allInnerTexts(), [peak.toFixed(2), percent(cv), '36']);
  await close();
});

for (const [theme, ratio] of [['light', 1], ['dark', 2]]) {
  test(`the ring is drawn: everybody's colour where everybody's arc is, ${theme}`, async () => {
    const { page, close } = await open(browser, site.url, { colorScheme: theme, deviceScaleFactor: ratio });
    const { width, shown } = await page.evaluate(() => ({ width: document.querySelector('#stage canvas').width, shown: document.querySelector('#stage').clientWidth }));
    assert.equal(width, Math.round(shown * ratio));
    const colours = PALETTES[theme].servers;
    for (const [name, turn] of Object.entries(middles(engine()))) {
      const seen = await ray(page, turn);
      assert.ok(seen.includes(colours[NAMES.indexOf(name)]), `${name} at ${turn}: ${seen}`);
      for (const other of NAMES) assert.ok(other === name || !seen.includes(colours[NAMES.indexOf(other)]), `${other} where ${name} is`);
    }
    await close();
  });
}

test('add, weigh, kill, revive, drain, remove: what moved is what the engine says', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  const agrees = async (change) => {
    await drawn(page);
    assert.equal(await moved(page), change.moved.fraction);
    assert.equal(await says(page.locator('.big')), `${percent(change.moved.fraction)} of keys moved`.replace(/\s/g, ' '));
    assert.deepEqual(await keysOf(page), sharesOf(own));
  };

  await page.getByLabel('Name', { exact: true }).fill('extra');
  await page.getByLabel('Weight', { exact: true }).fill('2');
  await button(page, 'Add server').click();
  await agrees(own.addServer({ name: 'extra', address: 'a', port: 1, weight: 2 }));
  assert.match(await says(page.locator('#changes')), /none moved between the others/);

  await page.getByRole('spinbutton', { name: 'Weight of cache-1' }).fill('4');
  await page.keyboard.press('Enter');
  await agrees(own.setWeight('cache-1', 4));
  await button(page, 'Lower the weight of cache-1').click();
  await agrees(own.setWeight('cache-1', 3));
  await button(page, 'Remove extra').click();
  await agrees(own.removeServer('extra'));

  // A killed server keeps its points and loses its keys: as if it were not there.
  const without = engine(NAMES, 12);
  without.setWeight('cache-1', 3);
  const gone = without.removeServer('cache-2');
  await button(page, 'Kill cache-2').click();
  await drawn(page);
  assert.equal(await moved(page), gone.moved.fraction);
  assert.deepEqual(await keysOf(page), { ...sharesOf(without), 'cache-2': 0 });
  assert.match(await says(rowOf(page, 'cache-2')), /Unhealthy/);
  assert.equal(await page.locator('#balance dd').nth(2).innerText(), '60');
  const where = middles(own)['cache-2'];
  assert.ok(!(await ray(page, where)).includes(PALETTES.light.servers[1]), 'its arcs are still its own');
  await button(page, 'Revive cache-2').click();
  await drawn(page);
  assert.deepEqual(await keysOf(page), sharesOf(own));
  assert.match(await says(rowOf(page, 'cache-2')), /Eligible/);
  assert.ok((await ray(page, where)).includes(PALETTES.light.servers[1]));

  await button(page, 'Drain cache-3').click();
  await drawn(page);
  assert.equal((await keysOf(page))['cache-3'], 0);
  await button(page, 'Let cache-3 take requests again').click();
  await drawn(page);
  assert.deepEqual(await keysOf(page), sharesOf(own));
  assert.match(await says(page.locator('#aloud')), /^cache-3 takes requests again\. .+ of keys moved\./);
  await close();
});

test('a key is typed, and its way is the one the engine explains', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  for (const key of ['user-42', 'a', '/cart?id=7', 'größe 😀', ' ', 'x'.repeat(500)]) {
    await page.getByLabel('Key', { exact: true }).fill(key);
    await drawn(page);
    const { server, position } = own.explain(key);
    assert.equal(await page.locator('#key-answer .name').innerText(), server, key);
    assert.equal(await page.locator('#centre .answer .name').innerText(), server);
    assert.equal((await page.locator('#walk code').innerText()).replace(/\s/g, ''), position);
  }
  await page.getByLabel('Key', { exact: true }).fill('user-42');
  const [first, second] = own.explain('user-42').candidates;
  await button(page, `Kill ${first.server}`).click();
  await drawn(page);
  assert.equal(await page.locator('#key-answer .name').innerText(), second.server);
  const way = await says(page.locator('#walk'));
  assert.match(way, new RegExp(`${first.server} passed over: unhealthy`));
  assert.match(await says(page.locator('#centre')), new RegExp(`instead of ${first.server}`));
  await page.getByLabel('Key', { exact: true }).fill('');
  await drawn(page);
  assert.match(await says(page.locator('#walk')), /Type a key/);
  await close();
});

test('names and keys that are markup are text', async () => {
  const { page, close } = await open(browser, site.url);
  const hostile = ['<img src=x onerror=document.title=1>', '"><script>document.title=2</script>', '__proto__', '\u202egnp.js', '${7*7}{{7*7}}', 'ä'.repeat(127)];
  const images = await page.evaluate(() => document.images.length);
  for (const name of hostile) {
    await page.getByLabel('Name', { exact: true }).fill(name);
    await button(page, 'Add server').click();
    await page.getByLabel('Key', { exact: true }).fill(name);
    await page.locator('tr[data-name] .pick').filter({ hasText: name.slice(0, 20) }).click();
    await button(page, `Kill ${name}`).click();
    await drawn(page);
    assert.ok((await keysOf(page))[name] === 0, name);
    assert.match(await says(page.locator('#changes')), /^Killed /);
  }
  await page.locator('summary').click();
  await page.getByTestId('virtual-nodes').selectOption('100');
  await drawn(page);
  assert.equal(await page.evaluate(() => document.images.length), images);
  assert.equal(await page.title(), 'Ringway: the ring');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await page.getByLabel('Name', { exact: true }).fill('cache-1');
  await button(page, 'Add server').click();
  assert.match(await page.getByRole('alert').innerText(), /already a server named "cache-1"/);
  await close();
});

test('everything is done with the keyboard alone', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
  const active = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.id);
  // Tab until the element with this name has the focus.
  const tabTo = async (name) => {
    for (let i = 0; i < 60; i++) {
      if ((await active()) === name) return;
      await press('Tab');
    }
    assert.fail(`${name} is never reached; now at ${await active()}`);
  };
  await press('/');
  assert.equal(await active(), 'key');
  await page.keyboard.type('user-7');
  await drawn(page);
  assert.equal(await page.locator('#key-answer .name').innerText(), own.explain('user-7').server);

  await press('Tab');
  assert.match(await active(), /^Ring cursor/);
  const value = () => page.locator('#stage').getAttribute('aria-valuetext');
  const { points } = own.ring();
  await press('Home');
  assert.match(await value(), new RegExp(`^${points[0].server}, at ${points[0].position}, owns `));
  await press('ArrowRight', 'ArrowRight');
  assert.match(await value(), new RegExp(points[2].position));
  await press('End');
  assert.match(await value(), new RegExp(points[35].position));
  await press('ArrowRight', 'PageDown');
  const next = points.findIndex(({ server }, i) => i > 0 && server === points[0].server);
  assert.match(await value(), new RegExp(points[next].position));
  await press('Enter');
  assert.equal(await page.locator('.pick[aria-pressed="true"] .name').innerText(), points[next].server);
  await press('Escape');
  assert.equal(await page.locator('.pick[aria-pressed="true"]').count(), 0);

  await tabTo('Kill cache-1');
  await press('Enter');
  assert.equal(await active(), 'Revive cache-1');
  assert.equal((await keysOf(page))['cache-1'], 0);
  await press('Enter');
  await tabTo('Remove cache-2');
  await press('Enter');
  assert.deepEqual(Object.keys(await keysOf(page)), ['cache-1', 'cache-3']);
  assert.equal(await active(), 'Remove cache-3');
  await press('Tab');
  await page.keyboard.type('typed');
  await press('Enter');
  await drawn(page);
  assert.ok('typed' in (await keysOf(page)));
  await close();
});

test('the pointer reads the ring, and a click picks a server', async () => {
  const { page, close } = await open(browser, site.url);
  const { server, position, after, share, turn } = engine().ring().points.reduce((a, b) => (a.share > b.share ? a : b));
  const box = await page.locator('#stage').boundingBox();
  const middle = turn - share / 2;
  const radius = box.width * 0.38;
  const place = [box.x + box.width / 2 + radius * Math.sin(2 * Math.PI * middle), box.y + box.height / 2 - radius * Math.cos(2 * Math.PI * middle)];
  await page.mouse.move(...place);
  const text = (await says(page.locator('#readout'))).replace(/\s/g, '');
  for (const part of [position, after, percent(share).replace(/\s/g, ''), server]) assert.ok(text.includes(part), `${text} lacks ${part}`);
  await page.mouse.click(...place);
  await drawn(page);
  assert.equal(await page.locator('.pick[aria-pressed="true"] .name').innerText(), server);
  await page.mouse.move(2, 2);
  assert.match(await says(page.locator('#readout')), new RegExp(`Showing ${server}`));
  await close();
});

test('three hundred servers: found, paged, condensed, and still the engine’s', async () => {
  const { page, close } = await open(browser, site.url, { deviceScaleFactor: 2 });
  await page.getByTestId('scenario').selectOption('fleet');
  await drawn(page);
  const names = Array.from({ length: 300 }, (_, i) => `shard-${String(i + 1).padStart(3, '0')}`);
  const own = engine(names, 100);
  assert.match(await says(page.locator('#readout')), /^Condensed: \d+\.\d points a pixel/);
  assert.equal(await page.locator('tr[data-name]').count(), 25);
  await page.getByTestId('find').fill('shard-123');
  assert.deepEqual(await keysOf(page), { 'shard-123': sharesOf(own)['shard-123'] });
  await button(page, 'Kill shard-123').click();
  await drawn(page);
  assert.equal(await moved(page), own.removeServer('shard-123').moved.fraction);
  await page.getByTestId('find').fill('');
  await page.getByLabel('Order').selectOption('trouble');
  assert.equal(Object.keys(await keysOf(page))[0], 'shard-123');
  await page.getByLabel('Order').selectOption('share');
  const shares = Object.values(await keysOf(page));
  assert.deepEqual(shares, Object.values(sharesOf(own)).sort((a, b) => b - a).slice(0, 25));
  await close();
});

test('the ring as a table has every point', async () => {
  const { page, close } = await open(browser, site.url);
  await page.locator('summary').click();
  const rows = page.locator('#points tbody tr');
  const text = async () => (await rows.allInnerTexts()).map((row) => row.replace(/[\s]/g, ''));
  const expected = engine().ring().points.map(({ position, server, share }) => `${position}${server}${percent(share)}`.replace(/\s/g, ''));
  await page.locator('#points tbody tr').first().waitFor();
  const first = await text();
  await page.locator('#points').getByRole('button', { name: 'Next' }).click();
  assert.deepEqual([...first, ...(await text())], expected);
  await close();
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
