// What Live knows of a proxy, without a DOM, over the real package.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ofFleet } from '../../www/explore/spec.js';
import { createStore as createExplore } from '../../www/explore/store.js';
import { createStore } from '../../www/live/store.js';
import { LoadBalancer } from '../../www/pkg/index.js';
import { deed } from '../../www/shared/words.js';
import { createTeller } from './fake-proxy.mjs';

const KEYS = Array.from({ length: 2000 }, (_, i) => `key-${i}`);
const NAMES = ['demo-1', 'demo-2', 'demo-3'];
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);
const row = (store, name) => store.state.servers.find((server) => server.name === name);

function stage(names = NAMES, options) {
  const teller = createTeller(names, options);
  const store = createStore(LoadBalancer);
  let now = 0;
  const hear = (...lines) => {
    for (const line of lines) store.hear(JSON.stringify(line));
    store.settle((now += 5000));
  };
  hear(teller.snapshot());
  return { teller, store, hear };
}

test('the fleet is the proxy’s, and what fails there is seen here', () => {
  const { teller, store, hear } = stage();
  assert.equal(store.state.view.fingerprint, teller.own.fingerprint);
  assert.equal(store.state.live.isAlike, true);
  assert.deepEqual(store.state.changes, []);
  hear(teller.tick());
  assert.deepEqual(store.state.changes, []);
  hear(teller.kill('demo-2'));
  assert.equal(row(store, 'demo-2').standing, 'unhealthy');
  assert.equal(deed(store.state.changes[0]), 'demo-2 is unhealthy');
  near(store.state.changes[0].moved.fraction, teller.own.servers()[1].share.actual);
  hear(teller.tick());
  assert.deepEqual([row(store, 'demo-2').share.keys, row(store, 'demo-2').probe.ok], [0, false]);
  for (const key of KEYS.slice(0, 200)) assert.equal(store.route(key), teller.own.route(key)?.name, key);
  hear(teller.revive('demo-2'), teller.tick());
  assert.equal(deed(store.state.changes[0]), 'demo-2 is eligible again');
  assert.deepEqual(store.log.entries.map(({ event, server, moved }) => [event, server, moved]), [['health-changed', 'demo-2', 0.25], ['health-changed', 'demo-2', 0.25]]);
});

test('rates come of counts, and a restart or a gap has none, and never a negative one', () => {
  const { teller, store, hear } = stage();
  const counts = teller.counts.get('demo-1');
  const rate = () => [row(store, 'demo-1').rps, row(store, 'demo-1').errorRate];
  hear(teller.tick());
  Object.assign(counts, { requests: 50, errors: 5 });
  hear(teller.tick());
  assert.deepEqual(rate(), [50, 0.1]);
  assert.equal(store.total().rps, 50);
  // A minute that nobody told of.
  for (let i = 0; i < 60; i++) teller.tick();
  counts.requests = 1050;
  hear(teller.tick());
  assert.deepEqual(rate(), [null, null]);
  assert.equal(store.total().rps, null);
  counts.requests = 1060;
  hear(teller.tick());
  assert.deepEqual(rate(), [10, 0]);
  // Another process: its counts begin at nothing.
  const other = createTeller(NAMES, { boot: 'other', at: teller.at + 1000 });
  other.counts.get('demo-1').requests = 2;
  hear(other.snapshot());
  hear(other.tick());
  const seen = store.history.series('demo-1', teller.at - 120_000, other.at, ['rps']).columns[0];
  assert.ok(seen.every((value) => value === null || value >= 0), `${seen}`);
  assert.ok(seen.filter((value) => value === null).length > 50, 'the gap is a gap');
  assert.equal(store.log.entries.at(-1).event, 'restarted');
  other.counts.get('demo-1').requests = 9;
  hear(other.tick());
  assert.equal(row(store, 'demo-1').rps, 7);
});

test('the past is shown as it was: figures and standings', () => {
  const { teller, store, hear } = stage();
  const counts = teller.counts.get('demo-3');
  hear(teller.tick());
  for (let i = 1; i <= 5; i++) {
    counts.requests += 10 * i;
    hear(teller.tick());
  }
  const then = teller.at;
  for (let i = 0; i < 5; i++) hear(teller.tick());
  hear(teller.kill('demo-3'), teller.tick());
  hear(teller.tick());
  assert.deepEqual([row(store, 'demo-3').standing, row(store, 'demo-3').rps], ['unhealthy', 0]);
  store.showTime(then);
  assert.deepEqual([row(store, 'demo-3').standing, row(store, 'demo-3').eligible, row(store, 'demo-3').rps], ['eligible', true, 50]);
  assert.equal(store.total().rps, 50);
  store.showTime(null);
  assert.equal(row(store, 'demo-3').standing, 'unhealthy');
});

test('servers that come, go and are weighed are so here; many at once are one change', () => {
  const names = Array.from({ length: 30 }, (_, i) => `s-${i}`);
  const { teller, store, hear } = stage(names);
  const spec = { name: 'extra', address: '10.0.0.9', port: 1, weight: 2 };
  teller.own.addServer(spec);
  teller.counts.set('extra', { requests: 0, errors: 0 });
  hear(teller.event({ event: 'server-added', server: 'extra', spec }), teller.tick());
  assert.equal(store.state.view.fingerprint, teller.own.fingerprint);
  teller.own.setWeight('s-1', 5);
  hear(teller.event({ event: 'weight-changed', server: 's-1', weight: 5 }));
  teller.own.removeServer('s-2');
  hear(teller.event({ event: 'server-removed', server: 's-2' }), teller.tick());
  assert.equal(store.state.view.fingerprint, teller.own.fingerprint);
  assert.equal(row(store, 's-1').weight, 5);
  const noted = store.state.changes.length;
  hear(...names.slice(10).map((name) => teller.kill(name)), teller.tick());
  assert.equal(store.state.changes.length, noted);
  assert.equal(store.state.servers.filter(({ eligible }) => !eligible).length, 20);
  for (const key of KEYS.slice(0, 100)) assert.equal(store.route(key), teller.own.route(key)?.name, key);
});

test('a copy of the proxy’s fleet goes on in Explore, the sick ones sick', () => {
  const { teller, store, hear } = stage();
  hear(teller.kill('demo-2'), teller.tick());
  const explore = createExplore(LoadBalancer);
  explore.receive(ofFleet(store.copy()));
  assert.equal(explore.state.view.fingerprint, store.state.view.fingerprint);
  assert.equal(row(explore, 'demo-2').standing, 'unhealthy');
});

test('an engine of another release is not trusted', () => {
  const store = createStore(LoadBalancer);
  const teller = createTeller(NAMES);
  store.hear(JSON.stringify({ ...teller.snapshot(), fingerprint: 'ffffffffffffffff' }));
  store.settle(1);
  assert.equal(store.state.live.isAlike, false);
});

test('lines of another format are refused in words, strange ones passed over', () => {
  const { store, teller, hear } = stage();
  assert.throws(() => store.hear('{"event":"snapshot"'), /not a line of JSON/);
  assert.throws(() => store.hear('{"a":1}'), /no "event" and "time"/);
  assert.throws(() => store.hear(JSON.stringify({ ...teller.snapshot(), version: 9 })), /reads ringway-events 2/);
  hear(teller.event({ event: 'tea-time', server: '__proto__' }), teller.event({ event: 'health-changed', server: 'nobody', health: 'unhealthy' }), teller.tick());
  assert.equal(store.state.servers.length, 3);
});
