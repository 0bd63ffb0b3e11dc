// `ringway/hashring` gives the answers of npm's `hashring`: asked side by side, and by the tests
// that package publishes, which are run against ours as they are.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { importThere, require } from './installed.mjs';

const { default: HashRing } = await importThere("export { default } from 'ringway/hashring';", 'hashring.mjs');
const requireDev = createRequire(import.meta.url);
const Theirs = requireDev('hashring');

const list = (n) => Array.from({ length: n }, (_, i) => `10.0.${i >> 8}.${i & 255}:11211`);
const weighted = (n) => Object.fromEntries(list(n).map((name, i) => [name, 1 + (i % 7) * 100]));
// As custom functions are: one with bytes, one with text.
const bytesOf = (key) => Uint8Array.from({ length: 16 }, (_, i) => [...key].reduce((h, c) => (Math.imul(h, 31 + i) + c.charCodeAt(0)) | 0, 7) >>> (i & 7));
const textOf = (key) => String.fromCharCode(...bytesOf(key));

const KEYS = 100_000;
const keys = Array.from({ length: KEYS }, (_, i) => (i % 10 ? `user:${i}` : ['', `größe-${i}`, `☃${i}`, '😀'.repeat(i % 40), '\ud800', `${'x'.repeat(i % 300)}`, i, { i }, [i, i], null][(i / 10) % 10]));

// Asks both for every key, and for ranges, points and places.
function alike(about, ours, theirs, step = 1) {
  assert.equal(ours.size, theirs.size, about);
  assert.deepEqual(ours.ring, theirs.ring.map(({ value, server }) => ({ value, server })), about);
  for (let i = 0; i < KEYS; i += step) assert.equal(ours.get(keys[i]), theirs.get(keys[i]), `${about}: ${String(keys[i])}`);
  for (let i = 0; i < KEYS; i += 997) {
    const key = keys[i];
    assert.equal(ours.hashValue(key), theirs.hashValue(key), about);
    assert.equal(ours.find(ours.hashValue(key)), theirs.find(theirs.hashValue(key)), about);
    for (const [size, unique] of [[], [1], [3], [1000], [5, false], [200, false], [0, true]]) {
      assert.deepEqual(ours.range(key, size, unique), theirs.range(key, size, unique), `${about}: range ${size} ${unique}`);
    }
  }
  for (const value of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) assert.equal(ours.find(value), theirs.find(value), about);
  assert.deepEqual({ ...ours.points() }, { ...theirs.points() }, about);
  for (const name of [...list(12), 'nobody']) assert.equal(ours.has(name), theirs.has(name), about);
}

// Every option, and what they do together.
const rings = {
  'one server': ['10.0.0.1:11211'],
  'three servers': [list(3)],
  'a hundred servers': [list(100)],
  'weights': [weighted(12)],
  'weights in objects': [{ a: { weight: 200 }, b: { weight: 1.5 }, c: 3200 }],
  'vnodes': [{ a: { vnodes: 50 }, b: { vnodes: 200, weight: 9 }, c: { weight: 2 }, d: 3 }],
  'numbers as names': [{ 10: 1, 9: 2, a: 1, 1: 3 }],
  'hosts and ports': [[{ host: 'a', port: 1 }, { host: 'b', port: 2, vnodes: 9 }, 'c:3']],
  'the same server twice': [['a', 'b', 'a']],
  'no servers': [undefined],
  'hash_ring': [weighted(5), 'md5', { compatibility: 'hash_ring' }],
  'ketama': [weighted(5), 'md5', { compatibility: 'ketama', replicas: 2 }],
  'two replicas': [list(5), 'md5', { replicas: 2 }],
  'more replicas than a digest has': [list(5), 'md5', { replicas: 6 }],
  'no replicas': [list(5), 'md5', { replicas: 0 }],
  'a vnode count': [list(9), 'md5', { 'vnode count': 100 }],
  'a vnode count as text': [list(9), 'md5', { 'vnode count': '60' }],
  'a default port': [[...list(4), 'x:80', 'y'], 'md5', { 'default port': 11211 }],
  'a small cache': [list(7), 'md5', { 'max cache size': 3 }],
  'a cache without limit': [list(7), 'md5', { 'max cache size': undefined }],
  'sha1': [list(5), 'sha1'],
  'sha256, few replicas': [list(5), 'sha256', { replicas: 1 }],
  'a function that gives bytes': [list(5), bytesOf],
  'a function that gives text': [list(5), textOf],
};

// Those of which every key is asked; of the others every ninth.
const asked = new Set(['three servers', 'a hundred servers', 'weights', 'vnodes', 'hash_ring', 'ketama', 'a default port']);

for (const [about, [servers, algorithm, options]] of Object.entries(rings)) test(`${about}: the same answers, also after changes`, () => {
  // Theirs writes into what it is given.
  const copy = () => structuredClone(servers);
  const ours = new HashRing(copy(), algorithm, options);
  const theirs = new Theirs(copy(), algorithm, options);
  alike(about, ours, theirs, asked.has(about) ? 1 : 9);
  for (const [name, change] of Object.entries({
    'add one': (ring) => ring.add('new.example:1'),
    'add with a weight': (ring) => ring.add({ 'heavy:2': 5 }),
    'add what is there': (ring) => ring.add('new.example:1'),
    'add many': (ring) => ring.add(['m:1', 'm:2']),
    'swap': (ring) => ring.swap('new.example:1', 'swapped:3'),
    'swap nobody': (ring) => ring.swap('nobody:1', 'nobody:2'),
    'remove': (ring) => ring.remove('m:1'),
    'remove one of many': (ring) => ring.remove(['heavy:2', 'm:2']),
    'remove nobody': (ring) => ring.remove('nobody:1'),
    'reset and make anew': (ring) => ring.reset().continuum(),
  })) {
    assert.equal(change(ours), ours);
    change(theirs);
    alike(`${about}, ${name}`, ours, theirs, 101);
  }
  assert.equal(ours.end().get('key'), theirs.end().get('key'));
  assert.deepEqual([ours.size, ours.servers, ours.range('key')], [theirs.size, theirs.servers, theirs.range('key')]);
});

// What is different, on purpose: there, these keys find what every object inherits in the cache.
test('keys that every object has are keys like others', () => {
  const ring = new HashRing(list(5));
  for (const key of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    assert.equal(ring.get(key), new HashRing(list(5), 'md5', { 'max cache size': 0 }).get(key));
    assert.equal(ring.get(key), ring.range(key, 1)[0]);
  }
});

test('the cache has no more keys than it may, and swaps', () => {
  const ring = new HashRing(list(5), 'md5', { 'max cache size': 100 });
  const answers = Array.from({ length: 1000 }, (_, i) => ring.get(`key-${i}`));
  for (let round = 0; round < 3; round += 1) answers.forEach((server, i) => assert.equal(ring.get(`key-${i}`), server));
  const seen = [];
  ring.cache.forEach((server, key) => seen.push([key, server]));
  assert.equal(seen.length, 100);
  for (const [key, server] of seen) assert.equal(server, answers[key.slice(4)]);
  ring.swap(list(5)[0], 'other:1');
  ring.cache.forEach((server, key) => assert.equal(server, ring.range(key, 1)[0]));
});

test('names of older releases do as they did', (t) => {
  const said = t.mock.method(console, 'warn', () => {});
  const ring = new HashRing(list(3));
  assert.equal(ring.getNode('foo'), ring.get('foo'));
  assert.equal(ring.getNodePosition(5), ring.position(5));
  assert.equal(ring.addServer('x:1').removeServer('x:1'), ring);
  assert.equal(ring.replace('a', 'b'), undefined);
  ring.getNode('bar');
  assert.equal(said.mock.callCount(), 6);
});

test('what cannot be is refused with a code', () => {
  for (const servers of [null, 5, true, Symbol('s'), [1], [null], { a: null }, { a: Symbol('s') }, { a: { get weight() { throw new Error('no'); } } }]) {
    assert.throws(() => new HashRing(servers), { code: 'invalid-argument' });
  }
  const ring = new HashRing(list(3));
  assert.throws(() => ring.remove(''), { code: 'invalid-argument' });
  for (const key of [Symbol('s'), { toString() { throw new Error('no'); } }, Object.create(null)]) assert.throws(() => ring.get(key), { code: 'invalid-key' });
  assert.throws(() => new HashRing(list(3), 'nonsense'), { code: 'unsupported-algorithm' });
  assert.throws(() => new HashRing(list(3), () => undefined), { code: 'invalid-hash' });
  for (const servers of [{ a: 1, b: -1 }, { a: { vnodes: Infinity } }, { a: { vnodes: 1e9 } }]) assert.throws(() => new HashRing(servers), { code: 'too-many-points' });
  const { process } = globalThis;
  try {
    globalThis.process = undefined;
    assert.throws(() => new HashRing(list(3), 'sha1'), { code: 'unsupported-algorithm' });
    assert.equal(new HashRing(list(3)).get('foo'), ring.get('foo'));
  } finally {
    globalThis.process = process;
  }
});

test('require gives the class itself', () => {
  const required = require('ringway/hashring');
  assert.equal(new required(list(3)).get('foo'), new HashRing(list(3)).get('foo'));
  assert.equal(required.HashRing, required);
  assert.equal(required.default, required);
});

// The published tests, with the words of the assertion library that they ask for.
const suite = join(dirname(requireDev.resolve('hashring')), 'tests');
for (const file of ['api.test.js', 'distribution.test.js']) {
  const path = [];
  let n_tests = 0;
  const describe = (name, body) => {
    path.push(name);
    body.call({ timeout() {} });
    path.pop();
  };
  const it = (name, body) => {
    n_tests += 1;
    test(`its own ${file}: ${[...path, name].join(' ')}`, body);
  };
  const load = (name) => ({ '../': HashRing, assume, fs: { readFileSync } })[name];
  new Function('require', 'describe', 'it', '__dirname', readFileSync(join(suite, file), 'utf8'))(load, describe, it, suite);
  test(`its own ${file} has tests`, () => assert.ok(n_tests >= 4));
}

function assume(value) {
  const has = { length: (n) => assert.equal(value.length, n) };
  return {
    equals: (other) => assert.equal(value, other),
    matches: (pattern) => assert.match(value, pattern),
    does: { not: { equal: (other) => assert.notEqual(value, other) } },
    has,
    is: {
      ...has,
      above: (n) => assert.ok(value > n, `${value} > ${n}`),
      within: (low, high) => assert.ok(value >= low && value <= high, `${low} <= ${value} <= ${high}`),
      true: () => assert.equal(value, true),
      false: () => assert.equal(value, false),
    },
  };
}
