// Parts of Live that need no browser: the stream, the filter, the file for spreadsheets.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { csv } from '../../www/live/csv.js';
import { parseFilter, sorted } from '../../www/live/filter.js';
import { follow, staleness } from '../../www/live/stream.js';

const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((done) => setImmediate(done));
};

// A browser with a page in it, and an API whose streams the test writes.
function stage(context, { token = null, status = 200, lines = '' } = {}) {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const document = Object.assign(new EventTarget(), { hidden: false });
  const streams = [];
  const asked = [];
  const heard = [];
  const says = { status, lines };
  const statuses = [];
  const following = follow({
    token, document, timers: globalThis, onText: (text) => heard.push(text), onChange: ({ kind, problem }) => statuses.push(problem ?? kind),
    fetch: async (url, { signal, headers }) => {
      asked.push(`${url} ${headers.authorization ?? ''}`.trim());
      if (says.status === 0) throw new TypeError('Failed to fetch');
      if (says.status !== 200 && !(says.status === 503 && url.includes('jsonl'))) return new Response('{}', { status: says.status });
      if (url.includes('jsonl')) return new Response(says.lines);
      let controller;
      const body = new ReadableStream({ start: (given) => { controller = given; } });
      const stream = { write: (text) => controller.enqueue(new TextEncoder().encode(text)), end: () => controller.close(), isOpen: true };
      signal.addEventListener('abort', () => { stream.isOpen = false; controller.error(signal.reason); });
      streams.push(stream);
      return new Response(body);
    },
  });
  const pass = async (ms) => {
    for (let left = ms; left > 0; left -= 500) {
      context.mock.timers.tick(Math.min(500, left));
      await settle();
    }
  };
  const words = () => staleness({ status: following.status, age: following.age() }, Date.now());
  const hide = (hidden) => {
    document.hidden = hidden;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  return { following, streams, asked, heard, says, statuses, pass, words, hide };
}
const frame = (n) => `id: boot.${n}\nevent: tick\ndata: {"seq":${n}}\n\n`;

test('lines come whole, however the stream is cut in pieces', async (context) => {
  const { following, streams, heard, pass } = stage(context);
  await settle();
  for (const byte of `retry: 2000\n\n${frame(1)}${frame(2)}`) streams[0].write(byte);
  await pass(1);
  assert.deepEqual(heard, ['{"seq":1}', '{"seq":2}']);
  assert.equal(following.status.kind, 'streaming');
  following.stop();
});

test('silence is said after three ticks, and taken for death after ten', async (context) => {
  const { following, streams, pass, words, asked } = stage(context);
  await settle();
  streams[0].write(frame(1));
  await pass(2500);
  assert.equal(words(), '');
  await pass(1500);
  assert.equal(words(), 'no data for 4 s, waiting');
  await pass(7000);
  assert.match(words(), /^no data for 1\d s: the API does not answer; retrying (in \d s|now)$/);
  await pass(1500);
  assert.equal(asked.length, 2);
  assert.equal(streams.filter(({ isOpen }) => isOpen).length, 1);
  streams[1].write(frame(7));
  await pass(1);
  assert.equal(words(), '');
  following.stop();
});

test('a broken stream is tried again, later each time, and never twice at once', async (context) => {
  const { following, streams, says, pass, words, asked } = stage(context);
  await settle();
  streams[0].write(frame(1));
  await settle();
  says.status = 0;
  streams[0].end();
  await pass(1);
  assert.match(words(), /^no data for 1 s: the stream ended; retrying in 1 s$/);
  await pass(60_000);
  assert.ok(asked.length <= 8, `${asked.length} tries a minute`);
  assert.match(words(), /the API cannot be reached; retrying/);
  says.status = 200;
  following.retry();
  following.retry();
  await settle();
  assert.equal(streams.filter(({ isOpen }) => isOpen).length, 1);
  following.stop();
});

test('a page that is hidden for half a minute lets its stream go, and takes another when it is seen', async (context) => {
  const { following, streams, pass, hide, asked } = stage(context);
  await settle();
  streams[0].write(frame(1));
  hide(true);
  await pass(8000);
  hide(false);
  await pass(500);
  assert.equal(streams[0].isOpen, true);
  hide(true);
  await pass(31_000);
  assert.equal(following.status.kind, 'hidden');
  assert.equal(streams.some(({ isOpen }) => isOpen), false);
  const hidden = asked.length;
  await pass(3_600_000 / 60);
  assert.equal(asked.length, hidden);
  hide(false);
  await settle();
  assert.equal(asked.length, hidden + 1);
  assert.match(asked.at(-1), /format=sse$/);
  following.stop();
});

test('without room for a stream it asks for pieces, each after the last, and tries a stream again', async (context) => {
  const { following, says, heard, asked, pass } = stage(context, { status: 503, lines: '{"event":"snapshot","boot":"b","seq":4}\n' });
  await settle();
  await pass(1);
  assert.equal(following.status.kind, 'polling');
  says.lines = '{"event":"tick","seq":5}\n{"event":"tick","seq":6}\n';
  await pass(2000);
  says.lines = '';
  await pass(2000);
  assert.deepEqual(asked.slice(0, 4), ['./api/events?format=sse', './api/events?format=jsonl&after=none', './api/events?format=jsonl&after=b.4', './api/events?format=jsonl&after=b.6']);
  assert.equal(heard.length, 3);
  says.status = 200;
  await pass(62_000);
  assert.match(asked.at(-1), /format=sse/);
  following.stop();
});

test('a token is asked for, sent in a header, and refused in words', async (context) => {
  const { following, statuses, asked, pass } = stage(context, { token: 'secret', status: 401 });
  await pass(60_000);
  assert.equal(following.status.kind, 'locked');
  assert.equal(statuses.at(-1), 'this is not the token of this API');
  assert.ok(asked.length === 1 && asked.every((what) => what.endsWith(' Bearer secret')), `${asked}`);
  following.stop();
});

const server = (name, more = {}) => ({
  name, address: '10.0.0.1', port: 80, standing: 'eligible', since: 0, weight: 1, share: { expected: 0.5, actual: 0.25 }, rps: 1, errorRate: 0, p50: 1, p99: 10, inFlight: 0, probe: null, ...more,
});

test('filters: standings, figures, parts of names, and what is no figure is said', () => {
  const servers = [
    server('a'), server('b', { p99: 300, errorRate: 0.02 }), server('c', { standing: 'unhealthy', probe: { ok: false, why: 'Connection refused' }, p99: null }), server('web-d', { standing: 'draining' }),
  ];
  const found = (text) => servers.filter(parseFilter(text).test).map(({ name }) => name).join(' ');
  for (const [text, expected] of [
    ['', 'a b c web-d'], ['down', 'c'], ['up', 'a b'], ['draining', 'web-d'], ['p99>200', 'b'], ['p99<=10', 'a web-d'], ['err>1%', 'b'], ['up p99<200', 'a'],
    ['REFUSED', 'c'], ['web', 'web-d'], ['weight=1 web', 'web-d'], ['share>20', 'a b c web-d'], ['nobody', ''],
  ]) assert.equal(found(text), expected, text);
  assert.match(parseFilter('p98>1').problem, /^p98 is not a figure; there are p50, p99/);
  assert.deepEqual(sorted(servers, { column: 'trouble', isTurned: false }).map(({ name }) => name), ['c', 'web-d', 'b', 'a']);
  assert.deepEqual(sorted(servers, { column: 'p99', isTurned: false }).map(({ name }) => name), ['b', 'a', 'web-d', 'c']);
});

test('a file for spreadsheets computes nothing', () => {
  const names = ['=1+1', '+1', '-1', '@x', '\t=1', 'plain', 'a "b", c', 'line\nbreak', '=HYPERLINK("http://evil.example")'];
  const lines = csv(names.map((name) => server(name))).split('\r\n');
  assert.equal(lines.length, names.length + 2);
  const cells = lines.slice(1, -1).map((line) => line.slice(0, line.indexOf(',10.0.0.1')));
  assert.deepEqual(cells, ['"\'=1+1"', '"\'+1"', '"\'-1"', '"\'@x"', '"\'\t=1"', 'plain', '"a ""b"", c"', '"line\nbreak"', '"\'=HYPERLINK(""http://evil.example"")"']);
});
