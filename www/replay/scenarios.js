// Stories to begin with, each told by an engine that goes through it: what happens to the fleet, and
// requests of keys that come again and again.

import { fromLines } from './recording.js';

const START = Date.UTC(2026, 0, 1, 12, 0, 0);
const STEP_MS = 250;
const RATE = 40;
const KEYS = 600;
const PROBES = { interval: 2, timeout: 1, jitter_percent: 0, fall: 2, rise: 2, fast_interval: 1 };

const named = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => `cache-${from + i}`);

// `acts` are [second, what is done, to whom].
export const SCENARIOS = {
  failure: { title: 'One of eight fails and comes back', n: 8, seconds: 90, acts: [[15, 'kill', 'cache-3'], [50, 'revive', 'cache-3']] },
  rolling: {
    title: 'A rolling restart of six', n: 6, seconds: 120,
    acts: named(1, 6).flatMap((name, i) => [[8 + 18 * i, 'drain', name], [12 + 18 * i, 'kill', name], [16 + 18 * i, 'revive', name], [18 + 18 * i, 'activate', name]]),
  },
  rack: { title: 'Four of twelve fail at once', n: 12, seconds: 90, acts: [...named(1, 4).map((name) => [20, 'kill', name]), ...named(1, 4).map((name, i) => [50 + 3 * i, 'revive', name])] },
  growth: { title: 'Four servers become eight', n: 4, seconds: 80, acts: named(5, 8).map((name, i) => [15 + 14 * i, 'add', name]) },
  canary: { title: 'A newcomer gets its weight step by step', n: 5, seconds: 80, acts: [[10, 'add', 'cache-6'], ...[2, 3, 4, 5].map((weight, i) => [25 + 12 * i, 'weigh', 'cache-6', weight])] },
};

// Numbers from 0 to 1 that are the same each time (Park and Miller's generator).
function draws(seed) {
  let x = seed;
  return () => (x = (x * 16_807) % 2_147_483_647) / 2_147_483_647;
}

const spec = (name) => ({ name, address: '10.0.0.1', port: 8000 + Number(name.split('-')[1]), weight: 1 });

// Plays a story: { recording, log }, as they are read from files. `onStep(time, engine)` sees the
// engine that went through it, at each step.
export function play(LoadBalancer, { n, seconds, acts, slowStart = 8 }, onStep = () => {}) {
  const own = new LoadBalancer({ servers: named(1, n).map(spec), routing: { slow_start: slowStart }, health_check: PROBES });
  const dead = new Set();
  const draw = draws(20_260_101);
  const counts = new Map();
  const log = { times: [], ids: [], keys: Array.from({ length: KEYS }, (_, i) => `user-${i + 1}`) };
  const lines = [];
  let at = 0;
  let seq = 0;
  let total = 0;
  const time = () => new Date(START + at).toISOString();
  const say = (more) => lines.push({ seq: ++seq, time: time(), ...more });
  const happened = (events) => events.filter(({ event }) => event !== 'probe-due').forEach(say);
  function probe() {
    happened(own.advance(at));
    for (const due of own.probesDue()) {
      happened(own.recordProbe(due, dead.has(due.server.name) ? { ok: false, latencyMs: 1, error: 'connection refused' } : { ok: true, latencyMs: 1 }));
    }
  }
  const does = {
    kill: (name) => dead.add(name),
    revive: (name) => dead.delete(name),
    drain: (server) => say({ event: 'state-changed', server, state: 'draining', moved: own.setState(server, 'draining').moved.fraction }),
    activate: (server) => say({ event: 'state-changed', server, state: 'active', moved: own.setState(server, 'active').moved.fraction }),
    add: (server) => say({ event: 'server-added', server, spec: spec(server), moved: own.addServer(spec(server)).moved.fraction }),
    weigh: (server, weight) => say({ event: 'weight-changed', server, weight, moved: own.setWeight(server, weight).moved.fraction }),
  };
  probe();
  lines.length = 0;
  const servers = own.servers();
  lines.push({
    event: 'snapshot', seq, time: time(), format: 'ringway-events', version: 2, boot: 'story', program: '', generation: 1, fingerprint: own.fingerprint,
    fail_open: false, config: own.toJSON(), servers, since_s: servers.map(() => 0), routing: own.snapshot(),
  });
  const todo = [...acts].sort(([a], [b]) => a - b);
  for (at = STEP_MS; at <= seconds * 1000; at += STEP_MS) {
    while (todo.length > 0 && todo[0][0] * 1000 <= at) {
      const [, what, ...whom] = todo.shift();
      does[what](...whom);
    }
    probe();
    for (let i = 0; i < (RATE * STEP_MS) / 1000; i++) {
      // Some keys far more often than others.
      const id = Math.floor(KEYS * draw() ** 2);
      const name = own.route(log.keys[id])?.name;
      log.times.push(START + at + Math.floor(draw() * (STEP_MS - 1)));
      log.ids.push(id);
      total += 1;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    onStep(START + at, own);
    if (at % 1000 === 0) {
      const now = own.servers();
      const column = (of) => now.map(of);
      say({
        event: 'tick', total: { in_flight: 0, requests: total, errors: 0, p50_ms: 0, p99_ms: 0 }, servers: column(({ name }) => name), in_flight: column(() => 0),
        requests: column(({ name }) => counts.get(name) ?? 0), errors: column(() => 0), p50_ms: column(() => 0), p99_ms: column(() => 0),
        changed: { server: column((_, i) => i), standing: column(({ standing }) => standing), since_s: column(() => 0), probe_ago_s: column(() => null), probe_took_ms: column(() => null), probe_why: column(() => null), reasons: [] },
      });
    }
  }
  own.free();
  const order = Array.from(log.times.keys()).sort((a, b) => log.times[a] - log.times[b]);
  return {
    recording: fromLines(lines),
    log: { times: Float64Array.from(order, (i) => log.times[i]), ids: Uint32Array.from(order, (i) => log.ids[i]), keys: log.keys, rejected: 0, firstBad: null, isCut: false, nLines: order.length },
  };
}
