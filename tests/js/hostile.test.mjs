// Nothing that JavaScript can pass in stops the engine: it answers, or throws an `Error` that has a
// `code`, and goes on as before.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { transformSync } from 'esbuild';

import { engineBytes, heapBytes } from './memory.mjs';
import { LoadBalancer, importThere } from './installed.mjs';

const config = { servers: ['a', 'b', 'c'].map((name) => ({ name, address: '10.0.0.1', port: 80 })) };

const throwingProxy = new Proxy({}, { get() { throw new Error('trap'); }, ownKeys() { throw new Error('trap'); } });
const cycle = {};
cycle.self = cycle;

// An array whose memory has gone elsewhere.
const detached = new Uint8Array(8);
structuredClone(detached, { transfer: [detached.buffer] });

const values = [
  undefined, null, true, false, 0, -0, 1, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, 10n, 2n ** 70n,
  '', 'a', 'zzz', '\ud800', '\udfff\ud800', '\0', 'ä€😀', 'x'.repeat(300), '__proto__', 'constructor',
  Symbol('s'), () => {}, class {}, new Date(NaN), new Map(), new Set(), /x/, Promise.resolve(),
  [], [undefined], [null, NaN], [[[[]]]], new Array(3), {}, Object.create(null), { name: 'a' }, { servers: 1 }, { servers: [1] },
  { toString() { throw new Error('no'); } }, { toJSON() { throw new Error('no'); } }, { toJSON: () => undefined },
  { get name() { throw new Error('no'); } }, { length: 5 }, { length: -1 }, { length: NaN }, throwingProxy, cycle,
  new Uint8Array(0), new Uint8Array([255, 254, 0]), new Uint8Array(5000), new Uint16Array(4), new ArrayBuffer(8),
  new DataView(new ArrayBuffer(8)), new Float64Array([NaN]), Buffer.from('a'), new Uint8ClampedArray(3),
  detached, new String('a'), new Number(1), globalThis, JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`),
];

// Keys only: as anything else they would take long to write down.
const huge = ['x'.repeat(10_000_000), 'ä'.repeat(10_000_000), new Uint8Array(10_000_000)];
const takesKey = new Set(['route', 'candidates', 'explain', 'begin']);

// What a message calls each of them; made once, since some take long to write down.
const names = new Map(values.map((value, i) => [value, `${typeof value} (number ${i})`]));
const show = (value) => names.get(value) ?? typeof value;

// Calls `f`; whatever it throws must be one of ours.
function calls(what, f) {
  try {
    return f();
  } catch (error) {
    assert.ok(error instanceof Error, `${what}: threw no Error but ${show(error)}`);
    assert.ok(!(error instanceof WebAssembly.RuntimeError), `${what}: trapped: ${error.message}`);
    assert.equal(typeof error.code, 'string', `${what}: no code: ${error.stack}`);
    assert.match(error.code, /^[a-z-]+$/, what);
    assert.ok(error.message.length > 0, `${what}: no message`);
    return error;
  }
}

const methods = [
  'route', 'routeMany', 'candidates', 'explain', 'begin', 'addServer', 'removeServer', 'setWeight', 'setState', 'servers', 'health',
  'metrics', 'ring', 'toJSON', 'probesDue', 'recordProbe', 'advance', 'nextDeadlineMs', 'plan', 'hotKeys',
  'points', 'point', 'cells',
];

const takesTwo = new Set(['cells', 'candidates', 'begin', 'setWeight', 'setState', 'recordProbe']);

test('every method with every value', () => {
  const lb = new LoadBalancer(config);
  const before = lb.route('still there').name;
  for (const method of methods) {
    for (const one of values) {
      calls(`${method}(${show(one)})`, () => lb[method](one));
      if (!takesTwo.has(method)) continue;
      for (const two of values) calls(`${method}(${show(one)}, ${show(two)})`, () => lb[method](one, two));
    }
  }
  // Some of these calls added servers or drained some; nothing removed `before` but by name.
  assert.equal(typeof lb.route('still there').name, 'string', before);
  lb.free();
});

test('every value as configuration, and in every field of it', () => {
  for (const value of values) {
    calls(`new LoadBalancer(${show(value)})`, () => new LoadBalancer(value).free());
    for (const field of ['servers', 'listen', 'routing', 'health_check', 'api', 'nonsense']) {
      calls(`${field}: ${show(value)}`, () => new LoadBalancer({ ...config, [field]: value }).free());
    }
    for (const field of ['name', 'address', 'port', 'weight', 'backup', 'nonsense']) {
      const server = { ...config.servers[0], [field]: value };
      calls(`servers[0].${field}: ${show(value)}`, () => new LoadBalancer({ servers: [server] }).free());
    }
  }
});

// Nor need it be right, and nothing of it comes out again.
test('what only the proxy goes by is passed over', () => {
  const token = 'correct-horse-battery';
  const lb = new LoadBalancer({
    ...config,
    listen: { port: 80 }, limits: 7, rate_limit: [{ nonsense: 1 }], api: { host: '0.0.0.0', token },
    routing: { hash_key: ['path'], debug_header: true, virtual_nodes: 50 },
    health_check: { path: '/up', headers: { authorization: token }, interval: 4 },
  });
  const { servers, ...settings } = lb.toJSON();
  assert.deepEqual(servers, new LoadBalancer(config).toJSON().servers);
  assert.deepEqual(Object.keys(settings), ['routing', 'compat', 'health_check', 'ejection', 'hot_keys']);
  assert.equal(settings.routing.virtual_nodes, 50);
  assert.equal(settings.health_check.interval, 4);
  assert.ok(!JSON.stringify([lb, lb.snapshot()]).includes(token));
  const wrong = { ...config, lisen: {}, routing: { virtual_node: 1 }, health_check: { fast_interval: 31 } };
  assert.throws(() => new LoadBalancer(wrong), ({ code, errors }) => {
    assert.equal(code, 'invalid-config');
    assert.deepEqual(errors.map(({ path }) => path), ['lisen', 'routing.virtual_node']);
    return true;
  });
  lb.free();
});

test('every value when a request or a probe ends', () => {
  const lb = new LoadBalancer(config);
  for (const value of values) {
    for (const result of [value, { ok: value }, { ok: true, latencyMs: value }, { ok: false, latencyMs: value }]) {
      calls(`finish(${show(result)})`, () => lb.begin('key').finish(result));
      calls(`recordProbe(0, ${show(result)})`, () => lb.recordProbe(lb.probesDue()[0] ?? value, result));
    }
  }
  assert.ok(lb.route('key'));
  lb.free();
});

test('keys that are not keys name their type', () => {
  const lb = new LoadBalancer(config);
  for (const key of [undefined, null, 1, {}, [], Symbol('s'), 1n, () => {}, new Uint16Array(2), new String('a')]) {
    for (const f of [() => lb.route(key), () => lb.routeMany([key]), () => lb.candidates(key, 1), () => lb.explain(key), () => lb.begin(key)]) {
      assert.throws(f, { code: 'invalid-key' });
    }
  }
  lb.free();
});

test('long keys are routed up to a limit, and refused above', () => {
  const lb = new LoadBalancer(config);
  const longest = 'k'.repeat(1_048_576);
  assert.equal(lb.route(longest), lb.route(Buffer.from(longest)));
  assert.equal(lb.route('ä'.repeat(524_288)), lb.route(Buffer.from('ä'.repeat(524_288))));
  for (const key of [`${longest}k`, 'k'.repeat(10_000_000), 'ä'.repeat(524_289), new Uint8Array(10_000_000), '€'.repeat(1_048_576)]) {
    assert.throws(() => lb.route(key), { code: 'key-too-long' });
    assert.throws(() => lb.routeMany(['short', key]), { code: 'key-too-long' });
  }
  assert.deepEqual(lb.routeMany([longest, 'a', longest]), [lb.route(longest), lb.route('a'), lb.route(longest)]);
  lb.free();
});

test('text is routed by its UTF-8 bytes, however it is written into memory', () => {
  const lb = new LoadBalancer({ servers: Array.from({ length: 50 }, (_, i) => ({ name: `s${i}`, address: 'h', port: 1 })) });
  const parts = ['a', '\u007f', '\u0080', 'ä', 'ß', '€', '漢', '😀', '\ud800', '\udc00', '\0', 'z'.repeat(17), 'q'.repeat(40)];
  let state = 1;
  const random = (below) => (state = (state * 48271) % 2147483647) % below;
  const keys = [];
  for (let i = 0; i < 5000; i += 1) {
    keys.push(Array.from({ length: random(12) }, () => parts[random(parts.length)]).join(''));
  }
  const expected = keys.map((key) => lb.route(new TextEncoder().encode(key)).name);
  assert.deepEqual(keys.map((key) => lb.route(key).name), expected);
  assert.deepEqual(lb.routeMany(keys).map((server) => server.name), expected);
  assert.deepEqual(lb.routeMany(keys.map((key, i) => (i % 3 ? key : Buffer.from(key)))).map((server) => server.name), expected);
  lb.free();
});

test('a lone surrogate counts as U+FFFD', () => {
  const lb = new LoadBalancer(config);
  assert.equal(lb.route('\ud800'), lb.route('\ufffd'));
  lb.free();
});

test('after free() every call says so, and free() may be repeated', () => {
  const lb = new LoadBalancer(config);
  const { finish } = lb.begin('key');
  lb.free();
  lb.free();
  for (const method of methods) assert.throws(() => lb[method]('a', 1), { code: 'freed' }, method);
  assert.throws(() => lb.fingerprint, { code: 'freed' });
  finish({ ok: true, latencyMs: 1 });
});

test('methods taken off their object, or called on another, throw and trap nothing', () => {
  const { route } = LoadBalancer.prototype;
  for (const self of [undefined, null, {}, Object.create(LoadBalancer.prototype)]) {
    assert.throws(() => route.call(self, 'key'), TypeError);
  }
  assert.throws(() => LoadBalancer(config), TypeError);
});

test('a configuration that calls back into the balancer while it is read', () => {
  const lb = new LoadBalancer(config);
  const spec = {
    name: 'd',
    address: 'h',
    get port() {
      lb.addServer({ name: 'e', address: 'h', port: 1 });
      return 80;
    },
  };
  calls('addServer', () => lb.addServer(spec));
  assert.ok(lb.servers().length >= 4);
  assert.ok(lb.route('key'));
  lb.free();
});

test('many balancers come and go', () => {
  for (let i = 0; i < 300; i += 1) {
    const lb = new LoadBalancer(config);
    lb.addServer({ name: 'd', address: 'h', port: 1, weight: 100 });
    lb.route('key');
    if (i % 2) lb.free();
  }
});

test('after ten thousand hostile calls every answer is right', () => {
  const lb = new LoadBalancer(config);
  const witness = new LoadBalancer(config);
  const keys = Array.from({ length: 1000 }, (_, i) => `key-${i}`);
  const owners = (lb) => lb.routeMany(keys).map((server) => server?.name);
  const before = owners(witness);
  let state = 20_261_125;
  const random = (below) => (state = (state * 48271) % 2147483647) % below;
  let n_thrown = 0;
  let grown;
  for (let n = 0; n < 10_000; n += 1) {
    const method = methods[random(methods.length)];
    const given = [values[random(values.length)], values[random(values.length)]];
    // By name alone, some of these are no mistakes: as many servers as there were are to be left.
    if (method === 'removeServer') given[0] = `${typeof given[0]}`;
    if (takesKey.has(method) && random(20) === 0) given[0] = huge[random(huge.length)];
    const came = calls(`call ${n}: ${method}(${given.map(show)})`, () => lb[method](...given));
    if (came instanceof Error) n_thrown += 1;
    if (n === 5000) grown = engineBytes();
  }
  assert.ok(n_thrown > 3000, `${n_thrown} were refused`);
  assert.equal(engineBytes(), grown, 'the second half took more memory than the first');
  assert.equal(lb.servers().length, 3);
  assert.deepEqual(owners(witness), before);
  assert.deepEqual(owners(lb), owners(new LoadBalancer(lb.toJSON())));
  for (const name of ['a', 'b', 'c']) lb.setWeight(name, 1);
  assert.deepEqual(owners(lb), before);
  for (const [i, key] of keys.entries()) assert.equal(lb.route(Buffer.from(key)).name, before[i]);
  lb.free();
  witness.free();
});

test('a key whose memory has gone elsewhere is refused', () => {
  const lb = new LoadBalancer(config);
  for (const f of [() => lb.route(detached), () => lb.routeMany(['a', detached]), () => lb.begin(detached), () => lb.explain(detached)]) {
    assert.throws(f, { code: 'invalid-key' });
  }
  assert.equal(lb.route('a'), lb.route(Buffer.from('a')));
  lb.free();
});

test('a hundred thousand servers are taken or refused, and do no harm', () => {
  const servers = Array.from({ length: 100_000 }, (_, i) => ({ name: `s${i}`, address: 'h', port: 1 }));
  const lb = new LoadBalancer({ servers, routing: { virtual_nodes: 1 } });
  assert.equal(lb.servers().length, 100_000);
  assert.equal(lb.ring({ limit: 0 }).n_points, 100_000);
  const some = Array.from({ length: 1000 }, (_, i) => `key-${i}`);
  const owners = lb.routeMany(some);
  owners.forEach((server, i) => assert.equal(lb.route(some[i]), server));
  assert.equal(lb.explain(some[0]).owner, owners[0].name);
  lb.free();
  assert.ok(calls('ten million points', () => new LoadBalancer({ servers })) instanceof Error);
});

test('free() gives the memory back, and so does using', async () => {
  const fleet = { servers: Array.from({ length: 1000 }, (_, i) => ({ name: `s${i}`, address: 'h', port: 1 })) };
  const { code } = transformSync('export function once(LoadBalancer, fleet) { using lb = new LoadBalancer(fleet); return lb; }', { target: 'es2022', format: 'esm' });
  const { once } = await importThere(code, 'using.mjs');
  for (const take of [() => { const lb = new LoadBalancer(fleet); lb.route('key'); lb.free(); return lb; }, () => once(LoadBalancer, fleet)]) {
    take();
    const before = engineBytes();
    const heap = heapBytes();
    for (let i = 0; i < 30; i += 1) assert.throws(() => take().route('key'), { code: 'freed' });
    assert.equal(engineBytes(), before);
    assert.ok(heapBytes() - heap < 1_000_000);
  }
});

test('so does a balancer that nobody holds on to, once it is collected', async () => {
  const fleet = { servers: Array.from({ length: 1000 }, (_, i) => ({ name: `s${i}`, address: 'h', port: 1 })) };
  const held = new LoadBalancer(config);
  const dropTwo = async () => {
    for (let i = 0; i < 2; i += 1) new LoadBalancer(fleet).route('key');
    heapBytes();
    // What is to be done after one was collected is done between two tasks.
    await new Promise((done) => setImmediate(done));
  };
  await dropTwo();
  await dropTwo();
  const before = engineBytes();
  for (let i = 0; i < 10; i += 1) await dropTwo();
  assert.equal(engineBytes(), before);
  assert.ok(held.route('key'));
  held.free();
});

test('ten million routes, and a hundred thousand requests, leave nothing behind', () => {
  const lb = new LoadBalancer(config);
  const keys = Array.from({ length: 1000 }, (_, i) => `user:${i}`);
  const some = (n) => {
    for (let i = 0; i < n; i += 1) lb.route(keys[i % keys.length]);
    for (let i = 0; i < n / 100_000; i += 1) lb.routeMany(keys);
    for (let i = 0; i < n / 100; i += 1) lb.begin(keys[i % keys.length]).finish({ ok: true, latencyMs: 1 });
  };
  some(100_000);
  const before = engineBytes();
  const heap = heapBytes();
  some(10_000_000);
  assert.equal(engineBytes(), before);
  const more = heapBytes() - heap;
  assert.ok(more < 1_000_000, `${more} bytes more`);
  lb.free();
});
