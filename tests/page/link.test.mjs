// States in addresses: what goes in comes out, and what is foreign is refused in words.
import assert from 'node:assert/strict';
import { deflateRawSync } from 'node:zlib';
import { test } from 'node:test';

import { INFLATED_MAX, pack, unpack } from '../../www/explore/link.js';
import { readConfig, readFleet, stateOf } from '../../www/explore/outside.js';
import { createStore } from '../../www/explore/store.js';
import { format, parse } from '../../www/shell/address.js';
import { LoadBalancer } from '../../www/pkg/index.js';

const letters = (bytes) => `v1.${Buffer.from(bytes).toString('base64url')}`;

test('a state comes back as it was, and a thousand servers fit', async () => {
  const store = createStore(LoadBalancer, 'thousand');
  store.setState('shard-0007', 'down');
  store.setKey('größe 😀');
  const text = await pack(stateOf(store.state));
  assert.match(text, /^v1\.[\w-]+$/);
  assert.ok(text.length < 8192, `${text.length}`);
  const { fleet, key } = await unpack(text);
  assert.equal(key, 'größe 😀');
  const other = createStore(LoadBalancer);
  assert.equal(other.receive(readFleet(LoadBalancer, fleet)), true);
  assert.equal(other.state.view.fingerprint, store.state.view.fingerprint);
  assert.deepEqual(other.state.spec.killed, ['shard-0007']);
});

test('what is no state is refused, in words', async () => {
  for (const [text, why] of [
    ['v2.abc', /version v2; known here is v1/], ['v1.!!', /letters that do not belong/], ['v1.', /cannot be read/], ['v1.AAAA', /cannot be read/],
    [(await pack({ a: 1 })).slice(0, -4), /cannot be read/], [letters(deflateRawSync('no json')), /cannot be read/], [letters(deflateRawSync(Buffer.of(0xff, 0xfe))), /cannot be read/],
  ]) await assert.rejects(unpack(text), why, text);
});

test('what would grow without end is not let grow', async () => {
  const bomb = letters(deflateRawSync(Buffer.alloc(64 * 2 ** 20)));
  assert.ok(bomb.length < 100_000);
  await assert.rejects(unpack(bomb), new RegExp(`more than ${INFLATED_MAX} bytes`));
  const most = letters(deflateRawSync(`"${' '.repeat(INFLATED_MAX - 2)}"`));
  assert.equal((await unpack(most)).length, INFLATED_MAX - 2);
});

test('whatever is done to an address, it is read or refused, and nothing else happens', async () => {
  const good = await pack(stateOf(createStore(LoadBalancer).state));
  // Numbers that look random and are the same in each run.
  let state = 7;
  const random = (n) => {
    state = (state * 48271) % 2147483647;
    return state % n;
  };
  let nRead = 0;
  for (let i = 0; i < 300; i++) {
    const letters = [...good];
    for (let k = 0; k <= random(3); k++) letters[3 + random(letters.length - 3)] = 'ABCxyz019-_'[random(11)];
    const text = letters.slice(0, random(2) === 0 ? letters.length : 3 + random(letters.length)).join('');
    try {
      const { fleet } = (await unpack(text)) ?? {};
      createStore(LoadBalancer).receive(readFleet(LoadBalancer, fleet));
      nRead += 1;
    } catch (error) {
      assert.ok(error.message.length > 0 && !(error instanceof WebAssembly.RuntimeError), text);
    }
  }
  assert.ok(nRead < 300);
});

test('a fleet of an address is read by the engine, and faults have their place', () => {
  for (const fleet of [undefined, null, 7, [], {}, { servers: 3 }, { servers: [{ name: 'a' }] }, { servers: [], routing: { algorithm: 'sundial' } }]) {
    assert.throws(() => readFleet(LoadBalancer, fleet), /servers|routing/, JSON.stringify(fleet));
  }
  assert.throws(() => readConfig(LoadBalancer, '{"servers":[{"name":"a","address":"x","port":0}]}'), /servers\[0\]\.port/);
  assert.throws(() => readConfig(LoadBalancer, '{'), /not JSON/);
  assert.deepEqual(readFleet(LoadBalancer, { servers: [], draining: ['nobody'], killed: 'x' }).draining, []);
});

test('addresses name a mode, or a state of Explore', () => {
  for (const [text, expected] of [
    ['', { mode: null, rest: '' }], ['#explore', { mode: 'explore', rest: '' }], ['#replay/at=12', { mode: 'replay', rest: 'at=12' }],
    ['#v1.ab-c_', { mode: 'explore', rest: 'v1.ab-c_' }], ['#servers-title', { mode: null, rest: '' }],
  ]) {
    assert.deepEqual(parse(text), expected, text);
    if (expected.mode) assert.equal(format(expected), text);
  }
});
