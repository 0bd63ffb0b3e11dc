// How much the page works, in time of its own thread, so that a busy machine does not matter: a
// thousand servers with a hundred thousand points are usable at once, and looked at without effort.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, open } from './browser.mjs';
import { drawn } from './reading.mjs';
import { serve } from './serve.mjs';

let [browser, site] = [];
before(async () => {
  [browser, site] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

// Milliseconds of work of the page's main thread while `act` is done.
async function meter(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const read = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    const value = (name) => metrics.find((metric) => metric.name === name).value * 1000;
    return { script: value('ScriptDuration'), task: value('TaskDuration') };
  };
  return async (act, n = 1) => {
    const was = await read();
    await act();
    await drawn(page);
    const is = await read();
    return { script: (is.script - was.script) / n, task: (is.task - was.task) / n };
  };
}

const counts = (page) => page.locator('#stage').evaluate(({ dataset: { base, over } }) => ({ base: Number(base), over: Number(over) }));

// Moves the pointer round the ring, a frame for each place.
const hover = (page, n) => page.evaluate(async (times) => {
  const stage = document.querySelector('#stage');
  const box = stage.getBoundingClientRect();
  for (let i = 0; i < times; i++) {
    const at = (2 * Math.PI * i) / times;
    const [clientX, clientY] = [box.left + box.width * (0.5 + 0.38 * Math.sin(at)), box.top + box.height * (0.5 - 0.38 * Math.cos(at))];
    stage.dispatchEvent(new PointerEvent('pointermove', { clientX, clientY, bubbles: true }));
    await new Promise((done) => requestAnimationFrame(done));
  }
}, n);

const MOVES = 40;

for (const [scenario, points] of [['few', '36'], ['fleet', '30,000'], ['thousand', '100,000']]) {
  test(`${points} points: looking at them is no work`, async () => {
    const { page, close } = await open(browser, site.url, { deviceScaleFactor: 2 });
    const work = await meter(page);
    const loading = await work(async () => {
      await page.getByTestId('scenario').selectOption(scenario);
      await page.locator('#staged').filter({ hasText: points }).waitFor();
    });
    assert.ok(loading.task < 1500, `usable after ${loading.task} ms of work`);

    const before = await counts(page);
    const hovering = await work(() => hover(page, MOVES), MOVES);
    const after = await counts(page);
    assert.equal(after.base, before.base, 'hovering draws the ring itself again');
    assert.ok(after.over - before.over <= MOVES + 1, `${after.over - before.over} times for ${MOVES} moves`);
    assert.ok(hovering.script < 4, `hover: ${hovering.script} ms`);

    await page.locator('#strip').focus();
    const zooming = await work(async () => {
      for (let i = 0; i < 10; i++) {
        await page.keyboard.press('+');
        await drawn(page);
      }
    }, 10);
    assert.ok(zooming.script < 12, `zoom: ${zooming.script} ms`);
    assert.equal((await counts(page)).base, before.base, 'the strip’s window draws the ring itself again');

    const picking = await work(async () => {
      for (let i = 0; i < 4; i++) {
        await page.locator('#servers .pick').nth(i % 3).click();
        await drawn(page);
      }
    }, 4);
    assert.ok(picking.script < 40, `pick: ${picking.script} ms`);
    console.log(`${points} points: load ${loading.task.toFixed(0)} ms, hover ${hovering.script.toFixed(2)}, zoom ${zooming.script.toFixed(2)}, pick ${picking.script.toFixed(1)} ms of script`);
    await close();
  });
}

test('the meter would find it: a tick for each point at each move is too much', async () => {
  const { page, close } = await open(browser, site.url);
  const work = await meter(page);
  await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 900, height: 900 });
    const context = canvas.getContext('2d');
    document.querySelector('#stage').addEventListener('pointermove', () => {
      for (let i = 0; i < 100_000; i++) {
        const at = (2 * Math.PI * i) / 100_000;
        context.beginPath();
        context.moveTo(450 + 300 * Math.cos(at), 450 + 300 * Math.sin(at));
        context.lineTo(450 + 400 * Math.cos(at), 450 + 400 * Math.sin(at));
        context.stroke();
      }
    });
  });
  const { script } = await work(() => hover(page, 4), 4);
  assert.ok(script > 4, `${script} ms`);
  await close();
});
