// The door for those who forward requests and follow a proxy. It is apart from the class, which
// needs no network; and has no wasm in it, so that it goes with every other door.
import { fault } from './fault.js';

export { follow } from './follow.js';

// The proxy's own rules (`retries`): how often, of which methods, after which answers, and how
// much of a body is kept so that it can be sent again.
const RETRIES = 2;
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
const RETRIED_STATUS = new Set([502, 503, 504]);
const REPLAY_BYTES_MAX = 65_536;
// What is between two neighbours and not forwarded (RFC 9110, 7.6.1), and what `fetch` sets itself.
const NOT_FORWARDED = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'host', 'content-length'];

export async function fetchVia(lb, request, options) {
  const { key, retries = RETRIES, now = () => performance.now(), onAttempt, ...sending } = options ?? {};
  if (!Number.isInteger(retries) || retries < 0) throw fault('invalid-argument', `retries must be a whole number from 0, not ${String(retries)}`);
  const original = typeof request === 'object' && 'headers' in request ? request : new Request(request);
  const routed = typeof key === 'function' ? key(original) : key;
  const body = await bodyOf(original);
  const tried = [];
  let outcome;
  for (let left = body.isReplayable ? retries : 0; left >= 0; left -= 1) {
    if (now) lb.advance(now());
    const { server, finish } = lb.begin(routed, { except: tried });
    if (server === undefined) break;
    // What was answered before is given up for this; whether that can still be stopped is all one.
    outcome?.response?.body?.cancel().catch(() => {});
    tried.push(server.name);
    outcome = await send(original, body, server, sending);
    const { response, error, latencyMs } = outcome;
    // Who gives up says nothing about the server.
    const ok = original.signal.aborted || response?.status < 500;
    if (now) lb.advance(now());
    finish({ ok, latencyMs });
    onAttempt?.({ server, ok, status: response?.status, error, latencyMs });
    if (ok || (response && !RETRIED_STATUS.has(response.status))) break;
  }
  if (outcome?.response) return outcome.response;
  if (original.signal.aborted) throw original.signal.reason;
  if (outcome === undefined) throw fault('no-server', 'there is no server for this key');
  throw Object.assign(fault('unreachable', `${tried.join(', ')}: ${outcome.error?.message ?? outcome.error}`), { cause: outcome.error });
}

// Sends a request to a server, and says how it went and how long it took until the answer began.
async function send(original, body, server, { url = urlOf, fetch: forward = (request) => fetch(request), timeoutMs }) {
  const started = performance.now();
  const giveUp = new AbortController();
  const onAbort = () => giveUp.abort(original.signal.reason);
  original.signal.addEventListener('abort', onAbort);
  if (original.signal.aborted) onAbort();
  const timer = timeoutMs && setTimeout(() => giveUp.abort(fault('timeout', `no answer in ${timeoutMs} ms`)), timeoutMs);
  const took = () => Math.max(0, performance.now() - started);
  try {
    const { method } = original;
    const headers = forwarded(original.headers);
    const init = { method, headers, redirect: 'manual', signal: giveUp.signal, ...body.init };
    const response = await forward(new Request(url(server, original), init), server);
    return { response, latencyMs: took() };
  } catch (error) {
    return { error, latencyMs: took() };
  } finally {
    clearTimeout(timer);
  }
}

// The same path at the server.
function urlOf({ address, port }, { url }) {
  const { pathname, search } = new URL(url);
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}${pathname}${search}`;
}

function forwarded(headers) {
  const named = (headers.get('connection') ?? '').split(',').map((name) => name.trim());
  const copy = new Headers(headers);
  for (const name of [...NOT_FORWARDED, ...named]) if (name) copy.delete(name);
  return copy;
}

// A small body is read, so that it can be sent again; a large one, or one of unknown length, goes
// through as it comes, once.
async function bodyOf(request) {
  const isIdempotent = IDEMPOTENT.has(request.method);
  if (!request.body) return { isReplayable: isIdempotent, init: {} };
  const length = request.headers.get('content-length');
  const isSmall = length !== null && Number(length) <= REPLAY_BYTES_MAX;
  if (isIdempotent && isSmall) return { isReplayable: true, init: { body: await request.arrayBuffer() } };
  return { isReplayable: false, init: { body: request.body, duplex: 'half' } };
}
