// A balancer that does as a running proxy does: it takes the proxy's snapshot, and takes it again.
import { fault } from './fault.js';

const VERSION = 1;
const INTERVAL_MS = 5000;
const TIMEOUT_MS = 10_000;

export async function follow(url, options) {
  const { intervalMs = INTERVAL_MS, timeoutMs = TIMEOUT_MS, token, fetch: get = (...request) => fetch(...request), onChange, onError = warn } = options ?? {};
  for (const [name, ms] of Object.entries({ intervalMs, timeoutMs })) {
    if (typeof ms !== 'number' || !(ms >= 0)) throw fault('invalid-argument', `${name} must be a number of milliseconds from 0, not ${String(ms)}`);
  }
  const LoadBalancer = options?.LoadBalancer ?? (await import('ringway')).LoadBalancer;
  const from = snapshotUrl(url);
  let etag;
  let refreshing;
  let timer;
  let isStopped = false;

  const followed = {
    lb: undefined,
    snapshot: undefined,
    refresh() {
      refreshing ??= refresh().finally(() => { refreshing = undefined; });
      return refreshing;
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
  if (Symbol.dispose) followed[Symbol.dispose] = followed.stop;

  // Answers whether anything was new.
  async function refresh() {
    const { response, text } = await answerOf(get, from, { token, etag, timeoutMs });
    if (response.status === 304 && followed.lb) return false;
    if (!response.ok) throw fault('not-loaded', `${from} answered with status ${response.status}`);
    const snapshot = parse(text, from);
    followed.lb = taken(followed, snapshot, LoadBalancer);
    followed.snapshot = snapshot;
    etag = response.headers.get('etag') ?? undefined;
    onChange?.(followed);
    return true;
  }

  function later() {
    if (isStopped || intervalMs === 0) return;
    timer = setTimeout(async () => {
      // Errors of one time are told; the next time may do.
      await followed.refresh().catch(onError);
      later();
    }, intervalMs);
    // In Node: what only waits for this may end.
    timer.unref?.();
  }

  await followed.refresh();
  later();
  return followed;
}

function warn(error) {
  console.warn(`ringway: ${error?.message ?? error}`);
}

function snapshotUrl(url) {
  try {
    const from = new URL(url);
    return (from.pathname === '/' ? new URL('/api/snapshot', from) : from).href;
  } catch {
    throw fault('invalid-argument', `the URL of a proxy's API is wanted, as http://localhost:9090, not ${String(url)}`);
  }
}

async function answerOf(get, from, { token, etag, timeoutMs }) {
  const headers = { accept: 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  if (etag) headers['if-none-match'] = etag;
  const signal = timeoutMs ? AbortSignal.timeout(timeoutMs) : undefined;
  try {
    const response = await get(from, { headers, signal });
    return { response, text: await response.text() };
  } catch (error) {
    throw Object.assign(fault('not-loaded', `${from} cannot be loaded: ${error?.message ?? error}`), { cause: error });
  }
}

function parse(text, from) {
  let snapshot;
  try {
    snapshot = JSON.parse(text);
  } catch (error) {
    throw fault('invalid-snapshot', `${from} is no JSON: ${error.message}`);
  }
  if (snapshot?.version !== VERSION) throw fault('invalid-snapshot', `${from} has no snapshot of version ${VERSION}`);
  const { fingerprint, config, servers } = snapshot;
  if (typeof fingerprint !== 'string' || !Array.isArray(config?.servers) || !Array.isArray(servers)) {
    throw fault('invalid-snapshot', `${from} has no fingerprint, config.servers and servers`);
  }
  return snapshot;
}

// The balancer of a snapshot: the one there is, changed, as long as only its servers are others, so
// that it keeps what it has seen; or a new one.
function taken({ lb, snapshot: before }, snapshot, LoadBalancer) {
  const isSame = lb && settingsOf(before.config) === settingsOf(snapshot.config);
  if (isSame) change(lb, before.config.servers, snapshot.config.servers);
  const isAlike = isSame && lb.fingerprint === snapshot.fingerprint;
  const next = isAlike ? lb : new LoadBalancer(atOnce(snapshot.config));
  if (next.fingerprint !== snapshot.fingerprint) {
    throw fault('not-alike', `the proxy routes otherwise than this package: its fingerprint is ${snapshot.fingerprint}, ours ${next.fingerprint}`);
  }
  judge(next, snapshot.servers);
  return next;
}

function settingsOf({ servers, ...settings }) {
  return JSON.stringify(settings);
}

// Who comes and goes bit by bit at the proxy does so by the proxy's clock, which we do not have.
function atOnce({ routing = {}, ...config }) {
  const { slow_start, drain, ...rest } = routing;
  return { ...config, routing: rest };
}

function change(lb, before, after) {
  const wanted = new Map(after.map((server) => [server.name, server]));
  for (const server of before) {
    const next = wanted.get(server.name);
    if (next && JSON.stringify({ ...next, weight: 0 }) === JSON.stringify({ ...server, weight: 0 })) {
      if (next.weight !== server.weight) lb.setWeight(next.name, next.weight ?? 1);
      wanted.delete(server.name);
    } else {
      lb.removeServer(server.name);
    }
  }
  for (const server of wanted.values()) lb.addServer(server);
}

// Servers that the proxy passes over are passed over here; all of them are used when there is no
// other, as `routing.fail_open` says there.
function judge(lb, servers) {
  const isUsed = (server) => server.state !== 'draining' && (server.eligible ?? (server.health !== 'unhealthy' && !server.ejected));
  const isAnyUsed = servers.some(isUsed);
  const known = new Set(lb.servers().map(({ name }) => name));
  for (const server of servers) {
    if (!known.has(server.name)) continue;
    const isActive = isUsed(server) || (!isAnyUsed && server.state !== 'draining');
    lb.setState(server.name, isActive ? 'active' : 'draining');
  }
}
