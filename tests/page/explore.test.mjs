// Explore as a visitor has it, in Chromium. What it shows is compared with the package, asked
// directly here in Node.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { LoadBalancer } from '../../www/pkg/index.js';
import { PALETTES } from '../../www/shared/palette.js';
import { percent } from '../../www/shared/words.js';
import { launch, open } from './browser.mjs';
import { NAMES, button, drawn, engine, keysOf, middles, moved, ray, rowOf, says, sharesOf } from './reading.mjs';
import { serve } from './serve.mjs';

let [browser, site] = [];
before(async () => {
  [browser, site] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const tab = (page, name) => page.getByRole('tab', { name, exact: true }).click();
const commit = async (page) => {
  await page.getByTestId('commit').click();
  await drawn(page);
};
const spec = (name) => ({ name, address: '10.0.0.1', port: 8080, weight: 1 });
// A server is picked in the list, then changed below it.
const pick = async (page, name) => {
  await rowOf(page, name).locator('.pick').click();
  await page.getByLabel(`Name of ${name}`, { exact: true }).waitFor();
};

test('it opens quietly, says what it is, and shows the numbers of the engine', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  assert.equal(await says(page.locator('#status')), 'Nothing leaves this page.');
  assert.deepEqual(await keysOf(page), sharesOf(own));
  assert.equal(await page.locator('#foot code').innerText(), own.fingerprint);
  assert.equal(await page.locator('#starting').count(), 0);
  await tab(page, 'Balance');
  const { peak_to_mean: peak, cv } = own.ring().balance;
  const figures = await Promise.all(['peak', 'cv', 'points'].map((name) => page.getByTestId(name).innerText()));
  assert.deepEqual(figures, [peak.toFixed(2), percent(cv), '36']);
  await close();
});

for (const [theme, ratio] of [['light', 1], ['dark', 2], ['light', 1.5]]) {
  test(`the ring is drawn: everybody's colour where everybody's arc is, ${theme}, ${ratio}`, async () => {
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

test('every edit is staged, shown with what the engine says it moves, and done by Commit', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  const agrees = async (plan, mine) => {
    await drawn(page);
    assert.equal(await moved(page), plan.moved);
    assert.equal(await says(page.locator('.big')), `${percent(plan.moved)} of keys move`.replace(/\s/g, ' '));
    const costs = (await page.locator('.costs td.num').allInnerTexts()).map((text) => text);
    assert.deepEqual(costs, [plan.moved, plan.minimum, plan.modulo].map(percent));
    assert.deepEqual(await keysOf(page), mine);
  };
  await page.getByLabel('Name', { exact: true }).fill('extra');
  await page.getByLabel('Weight', { exact: true }).fill('2');
  await button(page, 'Add server').click();
  const added = own.plan([{ add: { ...spec('extra'), weight: 2 } }]);
  own.addServer({ ...spec('extra'), weight: 2 });
  await agrees(added, sharesOf(own));
  assert.match(await says(page.locator('#staged')), /^Add extra: moves .+ % \(by weights .+ %\), modulo .+ % Commit Discard$/);
  assert.match(await says(page.locator('#aloud')), /^Add extra, staged: .+ of keys would move/);
  await commit(page);
  assert.match(await says(page.locator('#staged')), /^4 servers 60 points/);
  assert.match(await says(page.locator('.past')), /^Add extra/);

  await pick(page, 'cache-1');
  const heavier = own.plan([{ weight: { server: 'cache-1', weight: 4 } }]);
  await page.getByRole('spinbutton', { name: 'Weight of cache-1' }).fill('4');
  await page.keyboard.press('Enter');
  own.setWeight('cache-1', 4);
  await agrees(heavier, sharesOf(own));
  await page.getByTestId('discard').click();
  await drawn(page);
  own.setWeight('cache-1', 1);
  assert.deepEqual(await keysOf(page), sharesOf(own));

  // A server that is down keeps its points and loses its keys: as if it were not there.
  await pick(page, 'cache-2');
  await button(page, 'Down').click();
  await drawn(page);
  const gone = own.removeServer('cache-2').moved.fraction;
  assert.equal(await moved(page), gone);
  assert.deepEqual(await keysOf(page), { ...sharesOf(own), 'cache-2': 0 });
  assert.match(await says(rowOf(page, 'cache-2')), /Unhealthy/);
  const where = middles(engine())['cache-2'];
  await page.getByTestId('undo').click();
  await drawn(page);
  assert.match(await says(rowOf(page, 'cache-2')), /Eligible/);
  assert.ok((await ray(page, where)).length > 0);
  await page.getByTestId('redo').click();
  await drawn(page);
  assert.match(await says(rowOf(page, 'cache-2')), /Unhealthy/);
  await page.keyboard.press('Control+z');
  await button(page, 'Draining').click();
  await drawn(page);
  assert.equal((await keysOf(page))['cache-2'], 0);
  await page.getByLabel('Name of cache-2').fill('renamed');
  await page.keyboard.press('Enter');
  await drawn(page);
  assert.ok('renamed' in (await keysOf(page)));
  assert.match(await says(page.locator('.deed')), /^Drain cache-2, Rename cache-2 to renamed$/);
  await close();
});

test('the ring draws what is staged over what is: moved, before, after', async () => {
  const { page, close } = await open(browser, site.url);
  await pick(page, 'cache-2');
  await button(page, 'Remove cache-2').click();
  await drawn(page);
  const own = engine();
  // Where cache-2 was, one of the others is now, and the thin band inside still has the old colour.
  const turn = middles(own)['cache-2'];
  own.removeServer('cache-2');
  const colours = PALETTES.light.servers;
  const seen = await ray(page, turn);
  assert.ok(seen.includes(colours[1]), `the ghost: ${seen}`);
  assert.ok(seen.includes(colours[0]) || seen.includes(colours[2]), `the heir: ${seen}`);
  assert.match(await says(page.locator('#legend')), /keys after before moves/);
  await close();
});

test('a key is typed, and its way is the one the engine explains; keys are pasted', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  await tab(page, 'Keys');
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
  await pick(page, first.server);
  await button(page, 'Down').click();
  await drawn(page);
  assert.equal(await page.locator('#key-answer .name').innerText(), second.server);
  assert.match(await says(page.locator('#walk')), new RegExp(`${first.server} passed over: unhealthy`));
  assert.match(await says(page.locator('#centre')), new RegExp(`instead of ${first.server}`));
  await page.getByTestId('discard').click();
  await page.getByLabel('Key', { exact: true }).fill('');
  await drawn(page);
  assert.match(await says(page.locator('#walk')), /Type a key/);

  const many = Array.from({ length: 3000 }, (_, i) => `many-${i}`);
  await page.getByLabel('Many keys').evaluate((area, text) => {
    area.value = text;
    area.dispatchEvent(new Event('input'));
  }, many.join('\n'));
  await drawn(page);
  const rows = page.locator('#key-rows tr[aria-rowindex]');
  const shown = await rows.evaluateAll((all) => all.map((row) => [...row.querySelectorAll('.name')].map(({ title }) => title)));
  assert.ok(shown.length > 5 && shown.length < 40, `${shown.length} rows`);
  for (const [key, server] of shown) assert.equal(server, own.route(key).name);
  assert.match(await says(page.locator('#key-counts')), /^3,000 keys:/);
  await page.getByRole('button', { name: 'many-3', exact: true }).click();
  await drawn(page);
  assert.equal(await page.getByLabel('Key', { exact: true }).inputValue(), 'many-3');
  assert.equal(await page.locator('#key-answer .name').innerText(), own.route('many-3').name);
  await close();
});

test('names and keys that are markup are text, from the form, a file and an address', async () => {
  const { page, close } = await open(browser, site.url);
  const hostile = ['<img src=x onerror=document.title=1>', '"><script>document.title=2</script>', '__proto__', '\u202egnp.js', '${7*7}{{7*7}}', 'ä'.repeat(127)];
  const images = await page.evaluate(() => document.images.length);
  for (const name of hostile.slice(0, 3)) {
    await page.getByLabel('Name', { exact: true }).fill(name);
    await button(page, 'Add server').click();
    await page.getByLabel('Key', { exact: true }).fill(name);
    await drawn(page);
    assert.ok(name in (await keysOf(page)), name);
  }
  await page.getByTestId('share').click();
  const file = { servers: hostile.map(spec), routing: { virtual_nodes: 10 } };
  await page.getByTestId('import').setInputFiles({ name: 'config.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
  await page.getByText('config.json is shown.').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  await pick(page, hostile[0]);
  await button(page, 'Down').click();
  for (const name of ['Balance', 'Keys', 'Compare', 'Moves']) {
    await tab(page, name);
    await drawn(page);
  }
  await page.locator('summary').click();
  assert.deepEqual(Object.keys(await keysOf(page)).sort(), [...hostile].sort());
  // The address is of this fleet by now; another page opens it.
  await page.waitForURL(/#v1\./);
  const url = page.url();
  assert.equal(await page.evaluate(() => document.images.length), images);
  assert.equal(await page.title(), 'Ringway: the ring');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await close();
  const other = await open(browser, url);
  assert.deepEqual(Object.keys(await keysOf(other.page)).sort(), [...hostile].sort());
  assert.match(await says(rowOf(other.page, hostile[2])), /Eligible/);
  assert.equal(await other.page.evaluate(() => document.images.length), images);
  await other.close();
});

test('what is wrong with a file, an address or an edit is said, and changes nothing', async () => {
  const { page, close } = await open(browser, `${site.url}#v1.damaged`);
  assert.match(await page.getByRole('alert').innerText(), /this link cannot be read/);
  assert.deepEqual(await keysOf(page), sharesOf(engine()));
  await page.getByTestId('share').click();
  for (const [text, why] of [['{', /not JSON/], ['{"servers":[{"name":"a","address":"x","port":0}]}', /servers\[0\]\.port/], ['{"servers":[],"routing":{"algorithm":"sundial"}}', /routing\.algorithm/]]) {
    await page.getByTestId('import').setInputFiles({ name: 'bad.json', mimeType: 'application/json', buffer: Buffer.from(text) });
    await page.locator('#share .problem').filter({ hasText: why }).waitFor();
  }
  await page.keyboard.press('Escape');
  await page.getByLabel('Name', { exact: true }).fill('cache-1');
  await button(page, 'Add server').click();
  assert.match(await page.locator('#servers-add').getByRole('alert').innerText(), /cache-1/);
  assert.deepEqual(await keysOf(page), sharesOf(engine()));
  await close();
});

test('everything is done with the keyboard alone', async () => {
  const { page, close } = await open(browser, site.url);
  const own = engine();
  const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
  const active = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? (document.activeElement.id || document.activeElement.innerText.trim()));
  // Tab until the element with this name has the focus.
  const tabTo = async (name, key = 'Tab') => {
    for (let i = 0; i < 60; i++) {
      if ((await active()) === name) return;
      await press(key);
    }
    assert.fail(`${name} is never reached; now at ${await active()}`);
  };
  // Find a key's owner.
  await press('/');
  assert.equal(await active(), 'key');
  await page.keyboard.type('user-7');
  await drawn(page);
  assert.equal(await page.locator('#key-answer .name').innerText(), own.explain('user-7').server);

  // Read the ring.
  await press('Tab');
  assert.match(await active(), /^Ring cursor/);
  const value = () => page.locator('#stage').getAttribute('aria-valuetext');
  const { points } = own.ring();
  await press('Home');
  assert.match(await value(), new RegExp(`^${points[0].server}, at ${points[0].position}, owns .*, virtual node \\d+; then cache-`));
  await press('ArrowRight', 'ArrowRight');
  assert.match(await value(), new RegExp(points[2].position));
  await press('End');
  assert.match(await value(), new RegExp(points[35].position));
  await press('ArrowRight', 'PageDown');
  const next = points.findIndex(({ server }, i) => i > 0 && server === points[0].server);
  assert.match(await value(), new RegExp(points[next].position));
  await press('Enter');
  await drawn(page);
  assert.equal(await page.locator('#servers .pick[aria-pressed="true"] .name').innerText(), points[next].server);
  await press('Escape');
  await drawn(page);
  assert.equal(await page.locator('#servers .pick[aria-pressed="true"]').count(), 0);

  // The strip: nearer, along, and back.
  await press('Tab');
  const window = () => page.locator('#strip').getAttribute('aria-valuetext');
  assert.match(await window(), /^All of the ring, 36.points$/);
  await press('+', '+', 'ArrowRight');
  await drawn(page);
  assert.match(await window(), /^25\.0.% of the ring, /);
  await press('0');
  await drawn(page);
  assert.match(await window(), /^All of the ring/);

  // Stage a removal, read what it moves, take it back.
  await page.getByRole('tab', { name: 'Moves' }).focus();
  await tabTo('cache-2', 'Shift+Tab');
  await press('Enter');
  await drawn(page);
  await tabTo('Remove cache-2');
  await press('Enter');
  await drawn(page);
  assert.deepEqual(Object.keys(await keysOf(page)), ['cache-1', 'cache-3']);
  assert.equal(await active(), 'cache-3');
  assert.equal(await moved(page), own.plan([{ remove: 'cache-2' }]).moved);
  await press('Control+z');
  await drawn(page);
  assert.deepEqual(Object.keys(await keysOf(page)), NAMES);
  await press('Control+Shift+Z');
  await drawn(page);
  await tabTo('Commit');
  await press('Enter');
  await drawn(page);
  assert.equal(await page.getByTestId('commit').count(), 0);

  // Find the worst server by the tabs.
  await page.getByRole('tab', { name: 'Moves' }).focus();
  await press('ArrowRight');
  assert.equal(await page.getByRole('tab', { selected: true }).innerText(), 'Balance');
  assert.match(await page.getByRole('img', { name: /^Shares from/ }).getAttribute('aria-label'), /Shares from .* \(cache-/);
  await close();
});

test('the pointer reads the ring, and a click picks a server', async () => {
  const { page, close } = await open(browser, site.url);
  const { server, position, after: start, share, turn } = engine().ring().points.reduce((a, b) => (a.share > b.share ? a : b));
  const box = await page.locator('#stage').boundingBox();
  const middle = turn - share / 2;
  const radius = box.width * 0.38;
  const place = [box.x + box.width / 2 + radius * Math.sin(2 * Math.PI * middle), box.y + box.height / 2 - radius * Math.cos(2 * Math.PI * middle)];
  await page.mouse.move(...place);
  const text = (await says(page.locator('#readout'))).replace(/\s/g, '');
  for (const part of [position, start, percent(share).replace(/\s/g, ''), server, 'virtualnode']) assert.ok(text.includes(part), `${text} lacks ${part}`);
  await page.mouse.click(...place);
  await drawn(page);
  assert.equal(await page.locator('#servers .pick[aria-pressed="true"] .name').innerText(), server);
  await page.mouse.move(2, 2);
  assert.match(await says(page.locator('#readout')), new RegExp(`Showing ${server}`));
  await close();
});

test('the walk takes as long as it takes, by the page’s own clock; with reduced motion no time', async () => {
  for (const [reducedMotion, expected] of [['no-preference', [/^0\.000$/, /^0\.[89]\d\d$/, /^1\.000$/]], ['reduce', [/^1\.000$/, /^1\.000$/, /^1\.000$/]]]) {
    const { page, close } = await open(browser, site.url, { hasClock: true, reducedMotion });
    await page.clock.pauseAt(Date.now() + 3_600_000);
    await page.getByLabel('Key', { exact: true }).fill('another key');
    const walked = () => page.locator('#stage').getAttribute('data-walked');
    await page.clock.runFor(17);
    const seen = [Number(await walked()) < 0.1 ? '0.000' : await walked()];
    await page.clock.runFor(433);
    seen.push(await walked());
    await page.clock.runFor(450);
    seen.push(await walked());
    seen.forEach((value, i) => assert.match(value, expected[i], `${reducedMotion}: ${seen}`));
    await close();
  }
});

test('three hundred servers: found, pinned, condensed, and still the engine’s', async () => {
  const { page, close } = await open(browser, site.url, { deviceScaleFactor: 2 });
  await page.getByTestId('scenario').selectOption('fleet');
  await drawn(page);
  const names = Array.from({ length: 300 }, (_, i) => `shard-${String(i + 1).padStart(3, '0')}`);
  const own = engine(names, 100);
  assert.match(await says(page.locator('#readout')), /^Condensed: \d+\.\d points a pixel/);
  assert.ok((await page.locator('tr[data-name]').count()) <= 40);
  await page.getByTestId('find').fill('shard-123');
  await drawn(page);
  assert.deepEqual(await keysOf(page), { 'shard-123': sharesOf(own)['shard-123'] });
  await pick(page, 'shard-123');
  await page.getByRole('button', { name: /^Pin shard-123/ }).click();
  await drawn(page);
  // Of all colours of servers there is on the ring the one of the server that is pinned, where its points are.
  const colour = await page.evaluate(() => getComputedStyle(document.querySelector('#editor .swatch')).backgroundColor);
  const hex = `#${colour.match(/\d+/g).map((part) => Number(part).toString(16).padStart(2, '0')).join('')}`;
  const others = PALETTES.light.servers.filter((one) => one !== hex);
  const points = own.ring().points.filter(({ server }) => server === 'shard-123');
  let found = 0;
  for (const { turn } of points.slice(0, 12)) {
    const seen = await ray(page, turn);
    if (seen.includes(hex)) found += 1;
    for (const other of others) assert.ok(!seen.includes(other), other);
  }
  assert.ok(found >= 6, `${found} of 12`);
  await button(page, 'Down').click();
  await drawn(page);
  assert.equal(await moved(page), own.removeServer('shard-123').moved.fraction);
  await page.getByTestId('find').fill('');
  await page.getByLabel('Order').selectOption('trouble');
  await drawn(page);
  assert.equal(Object.keys(await keysOf(page))[0], 'shard-123');
  await close();
});

test('the ring as a table has every point', async () => {
  const { page, close } = await open(browser, site.url);
  await page.locator('summary').click();
  const rows = page.locator('#points tbody tr');
  const text = async () => (await rows.allInnerTexts()).map((row) => row.replace(/[\s]/g, ''));
  const own = engine();
  const expected = own.ring().points.map(({ position, server, share }, i) => `${position}${server}${own.point(i).virtual_node}${percent(share)}`.replace(/\s/g, ''));
  await rows.first().waitFor();
  const first = await text();
  await page.locator('#points').getByRole('button', { name: 'Next' }).click();
  assert.deepEqual([...first, ...(await text())], expected);
  await close();
});

test('the rules beside each other: what moves by each is what the engine plans', async () => {
  const { page, close } = await open(browser, site.url);
  await page.getByTestId('scenario').selectOption('many');
  await tab(page, 'Compare');
  await page.locator('.carpets[aria-busy="false"]').waitFor({ timeout: 20_000 });
  const shown = Object.fromEntries(await page.locator('.carpet').evaluateAll((all) => all.map((card) => [card.dataset.rule, Number(card.querySelector('[data-value]')?.dataset.value)])));
  const servers = Array.from({ length: 20 }, (_, i) => ({ ...spec(`web-${String(i + 1).padStart(2, '0')}`), address: `10.0.0.${i + 1}` }));
  for (const [algorithm, value] of Object.entries(shown)) {
    const own = new LoadBalancer({ servers, routing: { virtual_nodes: 100, algorithm } });
    assert.equal(value, own.plan([{ add: { ...spec('web-21'), address: '10.0.0.21' } }]).moved, algorithm);
  }
  assert.equal(Object.keys(shown).length, 12);
  // Every carpet has been painted.
  const blank = await page.locator('.carpet canvas').evaluateAll((all) => all.filter((canvas) => new Set(canvas.getContext('2d').getImageData(0, 0, 256, 256).data).size < 10).length);
  assert.equal(blank, 0);
  await close();
});

test('bounded loads and failures are played by the engine', async () => {
  const { page, close } = await open(browser, site.url);
  await page.getByTestId('scenario').selectOption('usual');
  await tab(page, 'Overload');
  const number = async (name) => Number.parseFloat(await page.getByTestId(name).innerText());
  await page.getByTestId('bounded').waitFor();
  assert.ok((await number('bounded')) <= 1.26 && (await number('unbounded')) > 1.5);
  await page.getByTestId('loadFactor').fill('2');
  await drawn(page);
  assert.ok((await number('bounded')) <= 2.01);
  await tab(page, 'Failure');
  await page.getByTestId('home').waitFor({ timeout: 20_000 });
  assert.equal(await page.getByTestId('home').getAttribute('data-value'), '1');
  assert.match(await says(page.locator('#panel')), /Found out after 3 probes .*Largest load .* health changed: unhealthy/);
  await page.getByTestId('failure-n').fill('3');
  await page.locator('[aria-busy="false"]').waitFor({ timeout: 20_000 });
  assert.equal(await page.getByTestId('home').getAttribute('data-value'), '1');
  await close();
});

test('a picture is taken along, with a caption', async () => {
  const { page, close } = await open(browser, site.url);
  await page.getByLabel('Key', { exact: true }).fill('<b>&');
  await page.getByTestId('share').click();
  const saved = async (name) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId(name).click()]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const svg = (await saved('svg')).toString();
  const own = engine();
  assert.ok(svg.includes(own.fingerprint) && svg.includes(`&#60;b&#62;&#38; goes to ${own.explain('<b>&').server}`));
  for (const colour of PALETTES.light.servers.slice(0, 3)) assert.ok(svg.includes(colour));
  const isGood = await page.evaluate((text) => new Promise((done) => {
    const image = new Image();
    image.onload = () => done(image.naturalWidth > 0);
    image.onerror = () => done(false);
    image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
  }), svg);
  assert.ok(isGood);
  const png = await saved('png');
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  assert.ok(png.length > 5000);
  await close();
});

test('the strip: the wheel alone scrolls the page, with Ctrl it zooms; dragging moves along; two fingers zoom', async () => {
  const { page, close } = await open(browser, site.url, { viewport: { width: 390, height: 844 }, hasTouch: true });
  const strip = page.locator('#strip');
  await strip.scrollIntoViewIfNeeded();
  const window = () => strip.getAttribute('aria-valuetext');
  const part = async () => Number.parseFloat(await window());
  const box = await strip.boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, 120);
  await drawn(page);
  assert.match(await window(), /^All of the ring/);
  await strip.scrollIntoViewIfNeeded();
  // What is dispatched is heard by the page alone: a real wheel with Ctrl would zoom all of it.
  const wheel = (deltaY, ctrlKey) => strip.evaluate((element, init) => {
    const { left, width, top } = element.getBoundingClientRect();
    const event = new WheelEvent('wheel', { ...init, clientX: left + width / 2, clientY: top + 10, bubbles: true, cancelable: true });
    element.dispatchEvent(event);
    return event.defaultPrevented;
  }, { deltaY, ctrlKey });
  assert.equal(await wheel(-300, false), false);
  assert.equal(await wheel(-300, true), true);
  await drawn(page);
  const zoomed = await part();
  assert.ok(zoomed > 40 && zoomed < 55, `${zoomed}`);

  const touch = await page.context().newCDPSession(page);
  const at = await strip.boundingBox();
  const points = (...xs) => xs.map((left, id) => ({ x: at.x + at.width * left, y: at.y + at.height / 2, id }));
  const send = (type, ...xs) => touch.send('Input.dispatchTouchEvent', { type, touchPoints: points(...xs) });
  await send('touchStart', 0.4, 0.6);
  for (const gap of [0.15, 0.2, 0.3, 0.4]) await send('touchMove', 0.5 - gap, 0.5 + gap);
  await send('touchEnd');
  await drawn(page);
  const pinched = await part();
  assert.ok(Math.abs(zoomed / pinched - 4) < 0.8, `${zoomed} became ${pinched}`);

  await send('touchStart', 0.2);
  for (const to of [0.4, 0.6, 0.8]) await send('touchMove', to);
  await send('touchEnd');
  await drawn(page);
  assert.equal(await part(), pinched, 'dragging zooms');
  await close();
});
