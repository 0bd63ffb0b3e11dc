// A balancer that does as a running proxy does: it takes the proxy's snapshot, and takes it again.
import { fault } from './fault.js';

const INTERVAL_MS = 5000;
const TIMEOUT_MS = 10_000;

export async function follow(url, options) {
  const { intervalMs = INTERVAL_MS, timeoutMs = TIMEOUT_MS, token, now = () => performance.now(), fetch: get = (...request) => fetch(...request), onChange, onError = warn } = options ?? {};
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
    followed.lb = taken(followed, snapshot, LoadBalancer, now ? { now: now() } : {});
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
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fault('invalid-snapshot', `${from} is no JSON: ${error.message}`);
  }
}

// The balancer of a snapshot: the one there is, changed, as long as only its servers are others, so
// that it keeps what it has seen; or a new one.
function taken({ lb, snapshot: before }, snapshot, LoadBalancer, at) {
  // Whatever is wrong shows here, before anything is changed.
  const next = LoadBalancer.fromSnapshot(snapshot, at);
  const isSame = lb && settingsOf(before) === settingsOf(snapshot) && change(lb, snapshot.config.servers);
  // The same servers in another order are another fleet by some rules.
  if (!isSame || JSON.stringify(lb.snapshot().config) !== JSON.stringify(next.snapshot().config)) return next;
  next.free();
  lb.restore(snapshot, at);
  return lb;
}

function settingsOf({ config: { servers, ...settings } }) {
  return JSON.stringify(settings);
}

// Answers whether it could be done: not every fleet can become every other, one server at a time.
function change(lb, after) {
  const placeOf = (server) => JSON.stringify({ ...server, weight: 0 });
  const wanted = new Map(after.map((server) => [server.name, server]));
  try {
    for (const server of lb.snapshot().config.servers) {
      const next = wanted.get(server.name);
      if (next && placeOf(next) === placeOf(server)) {
        if (next.weight !== server.weight) lb.setWeight(next.name, next.weight);
        wanted.delete(server.name);
      } else {
        lb.removeServer(server.name);
      }
    }
    for (const server of wanted.values()) lb.addServer(server);
    return true;
  } catch {
    return false;
  }
}
