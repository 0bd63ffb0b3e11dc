// `ringway/fetch`, over real sockets: requests go where their keys go, fail over and are counted;
// a balancer follows what a proxy says of itself.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, test } from 'node:test';

import { LoadBalancer, importThere, require } from './installed.mjs';

const { fetchVia, follow } = await importThere("export * from 'ringway/fetch';", 'fetch.mjs');

const open = [];
after(() => open.forEach((server) => (server.closeAllConnections(), server.close())));

// An HTTP server on a port of its own choosing; `answer` may be exchanged.
async function listen(answer) {
  const origin = { answer, requests: [] };
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      origin.requests.push({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
      origin.answer(request, response);
    });
    request.on('error', () => {});
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(server);
  return Object.assign(origin, { port: server.address().port, server, url: `http://127.0.0.1:${server.address().port}` });
}

const say = (status, text = '') => (request, response) => response.writeHead(status).end(text);
const hang = () => {};

// Three servers, and a balancer over them; they are in the order in which `key` prefers them.
async function fleet(settings = {}, answer = say(200, 'hello')) {
  const origins = await Promise.all([answer, answer, answer].map(listen));
  const servers = origins.map(({ port }, i) => ({ name: `s${i}`, address: '127.0.0.1', port }));
  const lb = new LoadBalancer({ servers, ...settings });
  const order = lb.candidates('key', 3).map(({ name }) => origins[Number(name.slice(1))]);
  const names = lb.candidates('key', 3).map(({ name }) => name);
  return { lb, order, names };
}

const counted = (lb, name) => {
  const { requests, errors, in_flight } = lb.servers().find((server) => server.name === name);
  return { requests, errors, in_flight };
};

test('begin passes over whom it is told to', () => {
  const lb = new LoadBalancer({ servers: ['a', 'b', 'c'].map((name) => ({ name, address: 'h', port: 1 })) });
  const names = lb.candidates('key', 3).map(({ name }) => name);
  for (let n = 0; n < 3; n += 1) assert.equal(lb.begin('key', { except: names.slice(0, n) }).server.name, names[n]);
  const nobody = lb.begin('key', { except: names });
  assert.equal(nobody.server, undefined);
  assert.deepEqual(nobody.finish({ ok: true, latencyMs: 1 }), []);
  assert.equal(lb.begin('key', {}).server.name, names[0]);
  assert.equal(lb.begin('key', { except: ['nobody'] }).server.name, names[0]);
  assert.equal(lb.begin(Buffer.from('key'), { except: [names[0]] }).server.name, names[1]);
  lb.setState(names[1], 'draining');
  const { server, finish } = lb.begin('key', { except: [names[0]] });
  assert.equal(server.name, names[2]);
  assert.equal(counted(lb, names[2]).in_flight, 2);
  finish({ ok: false, latencyMs: 1 });
  assert.deepEqual(counted(lb, names[2]), { requests: 1, errors: 1, in_flight: 1 });
  for (const options of [null, 5, 'x', { except: 'a' }, { except: [5] }, { except: null }]) assert.throws(() => lb.begin('key', options), { code: 'invalid-argument' });
});

test('rules without keys pass over whom they are told to, and take who has least to do', () => {
  for (const algorithm of ['round-robin', 'least-connections']) {
    const lb = new LoadBalancer({ servers: ['a', 'b', 'c'].map((name) => ({ name, address: 'h', port: 1 })), routing: { algorithm } });
    const first = lb.begin(undefined, { except: [] }).server.name;
    const second = lb.begin(undefined, { except: [first] }).server.name;
    const third = lb.begin(undefined, { except: [first] }).server.name;
    assert.deepEqual([first, second, third].sort(), ['a', 'b', 'c'], algorithm);
    assert.equal(lb.begin(undefined, { except: ['a', 'b', 'c'] }).server, undefined);
  }
});

test('a request goes to the server of its key as it is, and is counted', async () => {
  const { lb, order, names } = await fleet();
  const request = new Request('http://here.example/a/b?c=d', { method: 'POST', body: 'größe', headers: { 'x-mine': '1', connection: 'x-hop', 'x-hop': '1', te: 'trailers' } });
  const response = await fetchVia(lb, request, { key: 'key' });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), 'hello');
  const [{ method, url, headers, body }] = order[0].requests;
  assert.deepEqual([method, url, headers['x-mine'], headers['x-hop'], headers.te, body], ['POST', '/a/b?c=d', '1', undefined, undefined, 'größe']);
  assert.equal(headers.host, `127.0.0.1:${order[0].port}`);
  assert.deepEqual(counted(lb, names[0]), { requests: 1, errors: 0, in_flight: 0 });
  // By the key of the request itself; redirects are the client's.
  order[0].answer = (request, response) => response.writeHead(302, { location: '/elsewhere' }).end();
  const redirect = await fetchVia(lb, 'http://here.example/key', { key: ({ url }) => new URL(url).pathname.slice(1) });
  assert.equal(redirect.status, 302);
  assert.equal(order[0].requests.length, 2);
});

test('who cannot be reached is passed over, told of, and ejected in the end', async () => {
  const { lb, order, names } = await fleet();
  order[0].server.close();
  order[0].server.closeAllConnections();
  const reports = [];
  for (let n = 1; n <= 7; n += 1) {
    const response = await fetchVia(lb, 'http://x/', { key: 'key', onAttempt: ({ server, ok, status, error, latencyMs }) => reports.push([server.name, ok, status, error instanceof Error, latencyMs >= 0]) });
    assert.equal(response.status, 200);
    assert.deepEqual(reports.splice(0), n > 5 ? [[names[1], true, 200, false, true]] : [[names[0], false, undefined, true, true], [names[1], true, 200, false, true]]);
  }
  assert.ok(lb.servers().find(({ name }) => name === names[0]).ejected);
  assert.equal(order[1].requests.length, 7);
});

test('502, 503 and 504 are tried elsewhere when that is safe; other answers are answers', async () => {
  const { lb, order } = await fleet({ ejection: { consecutive_5xx: 0 } });
  const counts = () => order.map(({ requests }) => requests.splice(0).length);
  for (const status of [502, 503, 504]) {
    order[0].answer = say(status);
    assert.equal((await fetchVia(lb, 'http://x/', { key: 'key' })).status, 200);
    assert.deepEqual(counts(), [1, 1, 0]);
  }
  for (const status of [404, 500, 501]) {
    order[0].answer = say(status);
    assert.equal((await fetchVia(lb, 'http://x/', { key: 'key' })).status, status);
    assert.deepEqual(counts(), [1, 0, 0]);
  }
  order[0].answer = say(503, 'first');
  // A POST may have been done already.
  assert.equal(await (await fetchVia(lb, new Request('http://x/', { method: 'POST', body: 'x' }), { key: 'key' })).text(), 'first');
  assert.deepEqual(counts(), [1, 0, 0]);
  // A small body is sent again, one of unknown length is not.
  const put = (headers) => fetchVia(lb, new Request('http://x/', { method: 'PUT', body: 'body', headers }), { key: 'key' });
  assert.equal((await put({ 'content-length': '4' })).status, 200);
  assert.deepEqual(order.map(({ requests }) => requests[0]?.body), ['body', 'body', undefined]);
  counts();
  assert.equal((await put({})).status, 503);
  assert.deepEqual(counts(), [1, 0, 0]);
  assert.equal((await fetchVia(lb, 'http://x/', { key: 'key', retries: 0 })).status, 503);
  assert.deepEqual(counts(), [1, 0, 0]);
  // The last answer is given back, whole.
  order[1].answer = say(503, 'second');
  order[2].answer = say(503, 'third');
  assert.equal(await (await fetchVia(lb, 'http://x/', { key: 'key', retries: 9 })).text(), 'third');
  assert.deepEqual(counts(), [1, 1, 1]);
});

test('a server that hangs is given up, and one who gives up is not held against it', async () => {
  const { lb, order, names } = await fleet();
  order[0].answer = hang;
  assert.equal((await fetchVia(lb, 'http://x/', { key: 'key', timeoutMs: 50 })).status, 200);
  assert.deepEqual(counted(lb, names[0]), { requests: 1, errors: 1, in_flight: 0 });
  const giveUp = new AbortController();
  const going = fetchVia(lb, new Request('http://x/', { signal: giveUp.signal }), { key: 'key' });
  setTimeout(() => giveUp.abort(new Error('enough')), 20);
  await assert.rejects(going, /enough/);
  await assert.rejects(fetchVia(lb, new Request('http://x/', { signal: AbortSignal.abort(new Error('before')) }), { key: 'key' }), /before/);
  assert.equal(counted(lb, names[0]).errors, 1);
  assert.equal(order[1].requests.length, 1);
});

test('what cannot be sent is refused with a code', async () => {
  const { lb, order, names } = await fleet();
  for (const { server } of order) {
    server.close();
    server.closeAllConnections();
  }
  await assert.rejects(fetchVia(lb, 'http://x/', { key: 'key' }), (error) => error.code === 'unreachable' && error.cause instanceof Error && names.every((name) => error.message.includes(name)));
  await assert.rejects(fetchVia(new LoadBalancer({ servers: [] }), 'http://x/', { key: 'key' }), { code: 'no-server' });
  for (const key of [undefined, 5, () => undefined]) await assert.rejects(fetchVia(lb, 'http://x/', { key }), { code: 'invalid-key' });
  for (const retries of [-1, NaN, '2', 1.5]) await assert.rejects(fetchVia(lb, 'http://x/', { key: 'key', retries }), { code: 'invalid-argument' });
  await assert.rejects(fetchVia(lb, 'http://x/'), { code: 'invalid-key' });
});

test('a server may be anything that answers requests', async () => {
  const lb = new LoadBalancer({ servers: [{ name: 'shard-a', address: 'a', port: 80 }, { name: 'shard-b', address: '::1', port: 80 }] });
  const bindings = { 'shard-a': { fetch: async ({ url }) => new Response(`a ${url}`) }, 'shard-b': { fetch: async ({ url }) => new Response(`b ${url}`) } };
  const send = (request, server) => bindings[server.name].fetch(request);
  const [key] = ['k1', 'k2', 'k3', 'k4', 'k5', 'k6'].filter((key) => lb.route(key).name === 'shard-b');
  assert.equal(await (await fetchVia(lb, 'http://x/p?q', { key, fetch: send })).text(), 'b http://[::1]:80/p?q'.replace(':80/', '/'));
  const url = ({ name }) => `https://${name}.example/v1`;
  assert.equal(await (await fetchVia(lb, 'http://x/p?q', { key, fetch: send, url, now: null })).text(), 'b https://shard-b.example/v1');
});

// What stands in for a proxy: its snapshot, with an ETag, and what was asked of it.
async function proxy(config) {
  const state = { config, judged: {}, asked: [], broken: undefined };
  const origin = await listen((request, response) => {
    state.asked.push({ etag: request.headers['if-none-match'], token: request.headers.authorization, url: request.url });
    if (state.broken) return state.broken(request, response);
    const snapshot = new LoadBalancer(state.config).snapshot();
    const servers = snapshot.servers.map((known) => ({ ...known, ...state.judged[known.server.name] }));
    const body = JSON.stringify({ ...snapshot, servers });
    const etag = `"${Buffer.from(body).toString('base64').length}-${body.length}-${[...body].reduce((h, c) => (Math.imul(h, 31) + c.charCodeAt(0)) | 0, 0)}"`;
    const headers = { etag, 'cache-control': 'no-cache', 'content-type': 'application/json' };
    if (request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end();
    return response.writeHead(200, headers).end(body);
  });
  return Object.assign(state, { url: origin.url });
}

const keys = Array.from({ length: 500 }, (_, i) => `key-${i}`);
const servers = ['a', 'b', 'c'].map((name, i) => ({ name, address: '10.0.0.1', port: 80 + i, weight: 1 + i }));
const owners = (lb) => lb.routeMany(keys).map((server) => server?.name);

test('a balancer follows a proxy: servers, weights, states and settings', async () => {
  const state = await proxy({ servers, routing: { slow_start: 30, drain: 60 } });
  const news = [];
  const followed = await follow(state.url, { intervalMs: 0, LoadBalancer, onChange: ({ lb }) => news.push(lb.servers().length), token: 'secret' });
  const { lb } = followed;
  assert.deepEqual(owners(lb), owners(new LoadBalancer(state.config)));
  assert.equal(await followed.refresh(), false);
  assert.deepEqual(state.asked.map(({ etag, token, url }) => [typeof etag, token, url]), [['undefined', 'Bearer secret', '/api/snapshot'], ['string', 'Bearer secret', '/api/snapshot']]);

  // Added, removed, weighed, moved: the same balancer, which keeps what it has seen.
  lb.begin('key').finish({ ok: true, latencyMs: 1 });
  const moved = [{ ...servers[0], weight: 4 }, { ...servers[1], port: 8080 }, { name: 'd', address: '10.0.0.4', port: 80 }];
  state.config = { ...state.config, servers: moved };
  assert.equal(await followed.refresh(), true);
  assert.equal(followed.lb, lb);
  assert.deepEqual(owners(lb), owners(new LoadBalancer(state.config)));
  assert.equal(lb.servers().find(({ name }) => name === 'b').port, 8080);

  // Who is ill there is passed over here at once, and comes back as there.
  for (const [name, verdict] of [['a', { healthy: false }], ['b', { ejected_for_ms: 5000, ejections: 1 }], ['d', { state: 'draining', admission: 0 }]]) {
    state.judged = { [name]: verdict };
    await followed.refresh();
    assert.ok(!owners(lb).includes(name), name);
  }
  state.judged = Object.fromEntries(moved.map(({ name }) => [name, { healthy: false }]));
  await followed.refresh();
  assert.deepEqual(owners(lb), owners(new LoadBalancer(state.config)));
  state.judged = {};
  await followed.refresh();
  assert.deepEqual(owners(lb), owners(new LoadBalancer(state.config)));

  // Other settings need another balancer.
  state.config = { ...state.config, routing: { algorithm: 'maglev' } };
  await followed.refresh();
  assert.notEqual(followed.lb, lb);
  assert.equal(followed.snapshot.config.routing.algorithm, 'maglev');
  assert.deepEqual(owners(followed.lb), owners(new LoadBalancer(state.config)));
  assert.deepEqual(news, [3, 3, 3, 3, 3, 3, 3, 3]);
});

test('it looks again by itself, says what fails and goes on', async () => {
  const state = await proxy({ servers });
  const errors = [];
  const followed = await follow(`${state.url}/api/snapshot`, { intervalMs: 10, onError: ({ code }) => errors.push(code) });
  const until = async (condition) => {
    for (let n = 0; !condition(); n += 1) {
      assert.ok(n < 1000, 'it never came');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  state.broken = say(500);
  await until(() => errors.length > 1);
  assert.deepEqual(owners(followed.lb), owners(new LoadBalancer({ servers })));
  state.broken = undefined;
  state.config = { servers: servers.slice(1) };
  await until(() => followed.lb.servers().length === 2);
  followed.stop();
  const asked = state.asked.length;
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.ok(state.asked.length <= asked + 1);
  assert.ok(errors.every((code) => code === 'not-loaded'));
});

test('what is no snapshot is refused with a code', async () => {
  const state = await proxy({ servers });
  const snapshot = new LoadBalancer({ servers }).snapshot();
  for (const [body, code] of [
    ['<html>', 'invalid-snapshot'], ['null', 'invalid-snapshot'], ['{}', 'invalid-snapshot'], [JSON.stringify({ ...snapshot, version: 2 }), 'invalid-snapshot'],
    [JSON.stringify({ ...snapshot, servers: 5 }), 'invalid-snapshot'], [JSON.stringify({ ...snapshot, fingerprint: '0000000000000000' }), 'not-alike'],
    [JSON.stringify({ ...snapshot, config: { servers: [{}] } }), 'invalid-snapshot'],
  ]) {
    state.broken = say(200, body);
    await assert.rejects(follow(state.url, { intervalMs: 0 }), { code }, body);
  }
  state.broken = say(401);
  await assert.rejects(follow(state.url, { intervalMs: 0 }), { code: 'not-loaded' });
  state.broken = hang;
  await assert.rejects(follow(state.url, { intervalMs: 0, timeoutMs: 30 }), { code: 'not-loaded' });
  await assert.rejects(follow('nowhere'), { code: 'invalid-argument' });
  await assert.rejects(follow(state.url, { intervalMs: NaN }), { code: 'invalid-argument' });
});

test('require has both, and they do not load the wasm', async () => {
  const required = require('ringway/fetch');
  assert.deepEqual(Object.keys(required).sort(), ['fetchVia', 'follow']);
  assert.equal(required.fetchVia, fetchVia);
});
