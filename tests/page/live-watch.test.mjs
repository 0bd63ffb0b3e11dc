// The page's side of a running proxy: when it asks, what it makes of the answers. No network, no
// clock: both are played here.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { watch } from '../../www/live/watch.js';

const settle = () => new Promise((done) => setImmediate(done));
const json = (body, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });

// A browser with a page in it, and an API that `answers[path]` plays.
function stage(context, answers) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const document = Object.assign(new EventTarget(), { hidden: false });
  const asked = [];
  const heard = [];
  const watching = watch({
    document,
    now: () => 42,
    fetch: async (url) => {
      asked.push(url);
      const answer = answers[url.replace('./api/', '')];
      if (answer instanceof Error) throw answer;
      return answer();
    },
    onAnswer: (answer) => heard.push(answer),
    onLoss: (why) => heard.push(why),
  });
  const tick = async (ms) => {
    context.mock.timers.tick(ms);
    for (let i = 0; i < 5; i++) await settle();
  };
  return { document, asked, heard, watching, tick };
}

const proxy = () => ({
  servers: () => json({ servers: [{ name: 'a' }] }),
  'ring?limit=1': () => json({ fingerprint: 'f' }),
  health: () => json({ status: 'healthy' }),
});

test('a static server is asked once, whatever it says', async (context) => {
  const says = [
    () => json({ servers: null }), () => new Response('not found', { status: 404 }), () => new Response('<!doctype html>', { status: 200 }),
    () => json({}), () => json(null), new TypeError('failed'),
  ];
  for (const servers of says) {
    const { asked, heard, watching, tick } = stage(context, { servers: servers instanceof Error ? servers : () => servers() });
    await watching.started;
    await tick(60_000);
    assert.deepEqual([asked, heard], [['./api/servers'], []]);
    watching.stop();
    context.mock.timers.reset();
  }
});

test('a proxy is asked again a second after each answer', async (context) => {
  const { asked, heard, watching, tick } = stage(context, proxy());
  await watching.started;
  assert.deepEqual(heard, [{ servers: [{ name: 'a' }], ring: { fingerprint: 'f' }, health: { status: 'healthy' }, at: 42 }]);
  await tick(999);
  assert.equal(asked.length, 3);
  await tick(1);
  assert.equal(asked.length, 6);
  assert.equal(heard.length, 2);
  watching.stop();
  await tick(60_000);
  assert.equal(asked.length, 6);
});

test('there is never a second question before the first is answered', async (context) => {
  const answers = proxy();
  const { asked, document, watching, tick } = stage(context, answers);
  await watching.started;
  let answer;
  answers.servers = () => new Promise((done) => { answer = () => done(json({ servers: [] })); });
  await tick(1000);
  assert.equal(asked.length, 6);
  document.dispatchEvent(new Event('visibilitychange'));
  await tick(10_000);
  assert.equal(asked.length, 6);
  answer();
  await tick(0);
  await tick(1000);
  assert.equal(asked.length, 9);
  watching.stop();
});

test('an unhealthy fleet is an answer; a failing API is not', async (context) => {
  const answers = proxy();
  const { heard, watching, tick } = stage(context, answers);
  await watching.started;
  answers.health = () => json({ status: 'unhealthy' }, 503);
  await tick(1000);
  assert.equal(heard[1].health.status, 'unhealthy');
  answers.servers = () => json({ title: 'no' }, 500);
  await tick(1000);
  answers.servers = () => json({ title: 'no' }, 401);
  await tick(1000);
  answers.servers = new TypeError('Failed to fetch');
  await tick(1000);
  answers.servers = Object.assign(new Error('slow'), { name: 'TimeoutError' });
  await tick(1000);
  assert.deepEqual(heard.slice(2), [
    'the API answered 500', 'the API answered 401: it wants a token, which this page cannot give yet', 'the API cannot be reached', 'the API does not answer',
  ]);
  answers.servers = proxy().servers;
  await tick(1000);
  assert.equal(heard[6].at, 42);
  watching.stop();
});

test('a page that is not seen asks nothing, and asks at once when it is seen again', async (context) => {
  const { asked, document, watching, tick } = stage(context, proxy());
  await watching.started;
  document.hidden = true;
  document.dispatchEvent(new Event('visibilitychange'));
  await tick(3_600_000);
  assert.equal(asked.length, 3);
  document.hidden = false;
  document.dispatchEvent(new Event('visibilitychange'));
  await tick(0);
  assert.equal(asked.length, 6);
  watching.stop();
});
