// Replay as a visitor has it, in Chromium: stories played, logs opened, and nothing that leaves.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { LoadBalancer } from '../../www/pkg/index.js';
import { SCENARIOS, play } from '../../www/replay/scenarios.js';
import { launch, open } from './browser.mjs';
import { createTeller } from './fake-proxy.mjs';
import { serve } from './serve.mjs';

let [browser, site] = [];
before(async () => {
  [browser, site] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const says = async (locator) => (await locator.innerText()).replace(/\s+/g, ' ').trim();
const requestsOf = async (page) => Object.fromEntries(await page.locator('#rows tr[data-name]').evaluateAll((rows) =>
  rows.map((row) => [row.dataset.name, Number(row.querySelector('[data-requests]').dataset.requests)])));
const stamp = (page) => page.getByTestId('stamp').innerText();
const file = (name, text) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });

const clf = (second, client, path = '/') => `${client} - - [10/Oct/2025:13:55:${String(second).padStart(2, '0')} +0000] "GET ${path} HTTP/1.1" 200 12 "-" "curl/8"`;

test('a story plays, pauses, steps and goes round; its position stands in the address', async () => {
  const { page, close } = await open(browser, `${site.url}#replay/story=failure&at=2026-01-01T12:00:10.000Z&speed=4`, { hasClock: true, timezoneId: 'UTC', reducedMotion: 'no-preference' });
  await page.clock.pauseAt(Date.now() + 60_000);
  assert.equal(await stamp(page), '1 Jan 2026, 12:00:10.000');
  assert.equal(await page.locator('tr[data-name="cache-3"] .standing').getAttribute('data-standing'), 'eligible');
  await page.getByTestId('play').click();
  await page.clock.runFor(2000);
  await page.getByTestId('play').click();
  const [, s] = /12:00:(\d\d)/.exec(await stamp(page));
  assert.ok(Number(s) >= 17 && Number(s) <= 18, `four times as fast: ${s}`);
  assert.equal(await page.locator('tr[data-name="cache-3"] .standing').getAttribute('data-standing'), 'unhealthy');
  await page.clock.runFor(2000);
  assert.equal(/12:00:(\d\d)/.exec(await stamp(page))[1], s, 'it is paused');
  await page.clock.runFor(400);
  assert.match(page.url(), /#replay\/story=failure&at=2026-01-01T12:00:1[78]\.\d+Z&speed=4$/);
  await page.getByRole('button', { name: 'Step on' }).click();
  assert.equal(await stamp(page), '1 Jan 2026, 12:00:52.000');
  await page.getByRole('button', { name: 'Step back' }).click();
  assert.equal(await stamp(page), '1 Jan 2026, 12:00:17.000');
  await page.locator('#events button').first().click();
  assert.equal(await stamp(page), '1 Jan 2026, 12:00:17.000');
  await page.getByTestId('loop').click();
  await page.getByTestId('play').click();
  await page.clock.runFor(5000);
  assert.match(await stamp(page), /12:00:(1[7-9]|2\d|3[0-2])/);
  await page.clock.runFor(400);
  assert.match(page.url(), /loop=2026-01-01T12:00:17/);
  await page.getByTestId('story').selectOption('growth');
  await page.getByTestId('scrubber').fill(String(Date.UTC(2026, 0, 1, 12, 1, 19)));
  assert.equal(await page.locator('#rows tr[data-name]').count(), 8);
  await close();
});

test('an access log is read aside, its key chosen, and what is no line of it shown; nothing leaves', async () => {
  const { page, close } = await open(browser, `${site.url}#replay`, { timezoneId: 'UTC' });
  const lines = Array.from({ length: 400 }, (_, i) => clf(Math.floor(i / 10), `10.0.0.${i % 50}`, `/item/${i % 7}`));
  lines.splice(5, 0, 'rubbish <img src=x onerror=document.title=1>');
  const asked = [];
  page.on('request', (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await page.getByTestId('file').setInputFiles(file('access.log', lines.join('\n')));
  await page.locator('.sources').getByText('400 requests').waitFor();
  assert.match(await says(page.locator('.sources')), /Access log access\.log: 400 requests, 50 keys\. 1 line could not be used; the first is line 6 \(not a line of combined\): rubbish <img/);
  assert.ok(asked.every((what) => /^GET \/replay\/(worker|access-log)\.js$/.test(what)), `${asked}`);
  assert.ok(asked.length > 0, 'a worker reads it');
  await page.getByTestId('scrubber').fill(String(Date.UTC(2025, 9, 10, 13, 55, 39)));
  // Each request where the engine sends it.
  const own = new LoadBalancer({ servers: Array.from({ length: 8 }, (_, i) => ({ name: `cache-${i + 1}`, address: '10.0.0.1', port: 8001 + i })) });
  const expected = Object.fromEntries(own.servers().map(({ name }) => [name, 0]));
  for (let i = 300; i < 400; i++) expected[own.route(`10.0.0.${i % 50}`).name] += 1;
  assert.deepEqual(await requestsOf(page), expected);
  await page.getByTestId('field').selectOption('path');
  await page.locator('.sources').getByText('7 keys').waitFor();
  await page.getByTestId('fleet').selectOption('3');
  assert.equal(await page.locator('#rows tr[data-name]').count(), 3);
  assert.equal(await page.evaluate(() => document.images.length), 1);
  await close();
});

test('a recording and an access log go together: keys go where that fleet sent them', async () => {
  const { page, close } = await open(browser, `${site.url}#replay`, { timezoneId: 'UTC' });
  const { recording, log } = play(LoadBalancer, SCENARIOS.rack);
  const from = Date.UTC(2026, 0, 1, 12, 0, 25);
  const to = Date.UTC(2026, 0, 1, 12, 0, 35);
  const requests = Array.from(log.times, (time, i) => ({ time: new Date(time).toISOString(), key: log.keys[log.ids[i]] }));
  await page.getByTestId('file').setInputFiles([
    file('record.jsonl', recording.lines.map(({ raw }) => raw).join('\n')), file('access.jsonl', requests.map((line) => JSON.stringify(line)).join('\n')),
  ]);
  await page.locator('.sources').getByText('3,600 requests').waitFor();
  await page.locator('.sources').getByText('Recording').waitFor();
  assert.equal(await page.getByTestId('fleet').count(), 0, 'the fleet is the recording’s');
  await page.getByTestId('scrubber').fill(String(to));
  const four = ['cache-1', 'cache-2', 'cache-3', 'cache-4'];
  const own = new LoadBalancer({ servers: Array.from({ length: 12 }, (_, i) => ({ name: `cache-${i + 1}`, address: '10.0.0.1', port: 8001 + i })).filter(({ name }) => !four.includes(name)) });
  const expected = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`cache-${i + 1}`, 0]));
  log.times.forEach((time, i) => { if (time > from && time <= to) expected[own.route(log.keys[log.ids[i]]).name] += 1; });
  assert.deepEqual(await requestsOf(page), expected);
  assert.match(await says(page.locator('#requests .big')), /of the log’s keys are elsewhere/);
  await close();
});

test('what is no log is refused in words, hostile names do nothing', async () => {
  const { page, close } = await open(browser, `${site.url}#replay/at=garbage&story=%3Cb%3E&speed=x`);
  await page.getByTestId('file').setInputFiles(file('x.bin', '\0\x01\x02'));
  await page.getByText(/x\.bin: neither an event log nor an access log/).waitFor();
  await page.getByTestId('file').setInputFiles(file('old.jsonl', '{"event":"snapshot","seq":1,"time":"2026-01-01T00:00:00Z","format":"ringway-events","version":1}'));
  await page.getByText(/this page reads ringway-events 2/).waitFor();
  const hostile = '<img src=x onerror=document.title=3>';
  const teller = createTeller([hostile, '__proto__', 'plain']);
  const text = [teller.snapshot(), teller.tick(), teller.kill(hostile), teller.event({ event: hostile, server: hostile }), teller.tick()].map((line) => JSON.stringify(line)).join('\n');
  await page.getByText('or paste one').click();
  await page.getByLabel('Lines of a log').fill(text);
  await page.getByRole('button', { name: 'Replay it' }).click();
  await page.locator('.sources').getByText('Recording').waitFor();
  await page.locator('#rows').getByText(hostile).waitFor();
  await page.locator('#rows').getByText('__proto__').waitFor();
  assert.equal(await page.evaluate(() => document.images.length), 1);
  await page.getByLabel('Lines of a log').fill(clf(1, hostile.replaceAll(' ', '/')));
  await page.getByRole('button', { name: 'Replay it' }).click();
  await page.locator('#requests').getByText('elsewhere').waitFor();
  assert.equal(await page.evaluate(() => document.images.length), 1);
  await close();
});
