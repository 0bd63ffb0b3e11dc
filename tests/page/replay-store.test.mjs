// What Replay knows, without a DOM, over the real package: the fleet of each moment, logs, the clock.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LoadBalancer } from '../../www/pkg/index.js';
import { BYTES_MAX, LINES_MAX, createReader, recognise } from '../../www/replay/access-log.js';
import { createClock, formatPosition, parsePosition } from '../../www/replay/clock.js';
import { createTraveller, isRecording, parseRecording } from '../../www/replay/recording.js';
import { SCENARIOS, play } from '../../www/replay/scenarios.js';
import { createStore } from '../../www/replay/store.js';
import { histogram } from '../../www/replay/timeline.js';
import { readLog } from '../../www/replay/worker.js';

const KEYS = Array.from({ length: 70 }, (_, i) => `key-${i}`);
const routes = (engine) => KEYS.map((key) => engine.route(key)?.name ?? '-').join(' ');

for (const [name, story] of Object.entries(SCENARIOS)) {
  test(`at each moment keys go where the engine that was there sent them: ${name}`, () => {
    const seen = new Map();
    const { recording } = play(LoadBalancer, story, (time, engine) => seen.set(time, routes(engine)));
    assert.ok(new Set(seen.values()).size > 3, 'keys move');
    const text = recording.lines.map(({ raw }) => raw).join('\n');
    assert.ok(isRecording(text));
    const traveller = createTraveller(LoadBalancer, parseRecording(text));
    const times = [...seen.keys()];
    for (const time of times) {
      traveller.goTo(time);
      assert.ok(routes(traveller.engine) === seen.get(time), `${(time - times[0]) / 1000} s`);
    }
    // Back, and to and fro.
    for (let i = 0; i < 40; i++) {
      const time = times[(i * 7919) % times.length];
      traveller.goTo(time);
      assert.ok(routes(traveller.engine) === seen.get(time), `${(time - times[0]) / 1000} s, from elsewhere`);
    }
    traveller.free();
  });
}

test('requests are counted where the fleet of their own moment sends them', () => {
  const store = createStore(LoadBalancer);
  store.tellStory('failure');
  const { log, recording } = store.state;
  const traveller = createTraveller(LoadBalancer, recording);
  for (const s of [5, 16, 22, 48, 53, 60, 89]) {
    const at = recording.from + 1000 * s;
    store.clock.goTo(at);
    store.show();
    const counts = new Map();
    log.times.forEach((time, i) => {
      if (time <= at - 10_000 || time > at) return;
      traveller.goTo(time);
      const name = traveller.engine.route(log.keys[log.ids[i]])?.name;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    });
    assert.deepEqual(new Map([...store.state.moment.counts].sort()), new Map([...counts].sort()), `${s} s`);
  }
  store.clock.goTo(recording.from + 30_000);
  store.show();
  const { moved } = store.state.moment;
  assert.ok(moved > 0.05 && moved < 0.25, `${moved} of the keys are elsewhere while one of eight is out`);
  assert.equal(store.state.servers.find(({ name }) => name === 'cache-3').eligible, false);
  store.clock.goTo(recording.to);
  store.show();
  assert.equal(store.state.moment.moved, 0, 'all are back home');
});

const COMMON = '10.0.0.7 - frank [10/Oct/2025:13:55:36 -0700] "GET /a?x=1 HTTP/1.1" 200 2326';
const COMBINED = `${COMMON} "http://shop.example/" "Mozilla/5.0 (\\"x\\")"`;
const JSONS = '{"time":"2025-10-10T20:55:36.204Z","client_ip":"10.0.0.7","path":"/a","user":{"id":7}}';

test('access logs are recognised, with their fields', () => {
  const of = (text) => recognise(text);
  assert.equal(of(`${COMMON}\n${COMMON}\n`).format, 'common');
  assert.equal(of(COMBINED).format, 'combined');
  assert.deepEqual(of(COMMON).fields.map(({ name, example }) => [name, example]), [['client', '10.0.0.7'], ['user', 'frank'], ['uri', '/a?x=1'], ['path', '/a']]);
  assert.deepEqual([of(JSONS).format, of(JSONS).field], ['json', 'client_ip']);
  assert.ok(of(JSONS).fields.some(({ name, example }) => name === 'user.id' && example === '7'));
  for (const nothing of ['', 'hello\nworld', '{"a":1}', '\0\0\0', '[]']) assert.equal(of(nothing), null, nothing);
});

test('a log is read in pieces of any size, by time; what cannot be used is counted and shown', async () => {
  const lines = [COMMON, 'rubbish', COMMON.replace('13:55:36', '13:55:30').replace('10.0.0.7', '10.0.0.8'), '', COMMON.replace('10/Oct', '10/Foo'), COMMON.replace('13:55:36 -0700', '20:55:40 +0000')];
  const expected = createReader({ format: 'common', field: 'client' });
  expected.push(lines.join('\n'));
  const whole = expected.end();
  const pieces = createReader({ format: 'common', field: 'client' });
  for (const byte of lines.join('\n')) pieces.push(byte);
  const log = pieces.end();
  assert.deepEqual(log, whole);
  assert.deepEqual([...log.times].map((time) => new Date(time).toISOString()), ['2025-10-10T20:55:30.000Z', '2025-10-10T20:55:36.000Z', '2025-10-10T20:55:40.000Z']);
  assert.deepEqual([...log.ids].map((id) => log.keys[id]), ['10.0.0.8', '10.0.0.7', '10.0.0.7']);
  assert.deepEqual([log.rejected, log.firstBad.line, log.firstBad.text], [2, 2, 'rubbish']);
  assert.deepEqual(await readLog(new Blob([lines.join('\n')]), { format: 'common', field: 'client' }), whole);
});

test('a log is cut where it is too long, and says so', () => {
  assert.deepEqual([LINES_MAX, BYTES_MAX], [1_000_000, 50 * 1024 * 1024]);
  const reader = createReader({ format: 'json', field: 'k' }, { linesMax: 1000 });
  const line = '{"ts":1760000000,"k":"a"}\n';
  for (let i = 0; i < 101; i++) reader.push(line.repeat(10));
  assert.equal(reader.isFull, true);
  const log = reader.end();
  assert.deepEqual([log.isCut, log.times.length, log.keys.length], [true, 1000, 1]);
  assert.equal(new Date(log.times[0]).toISOString(), '2025-10-09T08:53:20.000Z');
  const bytes = createReader({ format: 'json', field: 'k' }, { bytesMax: 1000 });
  for (let i = 0; i < 11; i++) bytes.push(`${'x'.repeat(99)}\n`);
  assert.equal(bytes.isFull, true);
});

test('a recording without a state, of another version or cut short says what is wrong', () => {
  const { recording } = play(LoadBalancer, SCENARIOS.growth);
  const texts = recording.lines.map(({ raw }) => raw);
  assert.throws(() => parseRecording(''), /no line "snapshot"/);
  assert.throws(() => parseRecording(texts.slice(1).join('\n')), /no line "snapshot"/);
  assert.throws(() => parseRecording(texts[0].replace('"version":2', '"version":1')), /line 1: its format is ringway-events 1; this page reads ringway-events 2/);
  const cut = parseRecording(`${texts.slice(0, 20).join('\n')}\n${texts[20].slice(0, 30)}`);
  assert.deepEqual([cut.lines.length, cut.rejected, cut.firstBad.line], [20, 1, 21]);
});

test('the clock plays at its speed, stops at the end, goes round in a loop', () => {
  const clock = createClock();
  clock.span(1000, 11_000);
  clock.pass(500);
  assert.equal(clock.at, 1000);
  clock.play();
  clock.setSpeed(4);
  clock.setSpeed(5);
  clock.pass(500);
  assert.equal(clock.at, 3000);
  clock.pass(60_000);
  assert.deepEqual([clock.at, clock.isPlaying], [11_000, false]);
  clock.play();
  assert.equal(clock.at, 1000);
  clock.setLoop({ from: 2000, to: 4000 });
  clock.pass(1000);
  assert.deepEqual([clock.at, clock.isPlaying], [3000, true]);
  clock.goTo(-5);
  assert.equal(clock.at, 1000);
});

test('position, speed and loop stand in the address and come back from it', () => {
  const at = Date.UTC(2026, 0, 1, 12, 0, 33, 250);
  const position = { story: 'rack', at, speed: 16, loop: { from: at - 5000, to: at + 5000 } };
  assert.deepEqual(parsePosition(formatPosition(position)), position);
  assert.deepEqual(parsePosition('at=x&speed=3&loop=1~&story=<b>'), { story: '<b>', at: null, speed: 1, loop: null });
});

test('a histogram has every request once', () => {
  assert.deepEqual([...histogram([0, 1, 5, 9.9, 10, 11, -1], 0, 10, 5)], [2, 0, 1, 0, 2]);
});
