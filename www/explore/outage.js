// A failure and the way back, played: the engine's own probes find out, its own rules move the keys and
// bring them home. Pure: time is a number here.

import { createRandom } from './traffic.js';

export const KEYS = Array.from({ length: 4096 }, (_, i) => `key-${i}`);
const STEP_MS = 1000;
const FAILS_AT = 5;
const RISE = 2;
// After the last thing that should happen.
const REST = 6;

export const CHOICES = { random: 'random ones', heaviest: 'the heaviest', first: 'neighbours by name' };

// The names of `n` servers.
export function victims({ servers }, choice, n, seed = 1) {
  const all = [...servers];
  if (choice === 'heaviest') all.sort((a, b) => (b.weight ?? 1) - (a.weight ?? 1));
  if (choice === 'random') {
    const random = createRandom(seed);
    for (let i = all.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [all[i], all[j]] = [all[j], all[i]];
    }
  }
  return all.slice(0, n).map(({ name }) => name);
}

// Yields a moment a second: { t, away, moved, lost, peak, events }. `away` is the part of KEYS that is
// not at home, `moved` how many changed hands until now, `lost` the part that goes to a server that is
// down and is not found out; `peak` the largest load over the fair part of the whole fleet.
//
// `how`: 'fail' takes the names down after FAILS_AT seconds and up again `away` seconds later, which
// `detect` probes a second apart must find; 'drain' has them drained. Either is slow over `slow` seconds.
export function* outage(LoadBalancer, { servers, routing }, { names, how, detect, slow, gone }) {
  const down = new Set(names);
  const { slow_start: _, drain: __, ...rules } = routing;
  const engine = new LoadBalancer({
    servers,
    routing: { ...rules, ...(slow > 0 ? { slow_start: slow, ...(how === 'drain' ? { drain: slow } : {}) } : {}) },
    health_check: { interval: 1, fast_interval: 1, timeout: 1, jitter_percent: 0, fall: detect, rise: RISE },
  });
  try {
    const fair = new Map(engine.ring({ limit: 1 }).servers.map(({ name, share }) => [name, share.expected]));
    const owners = () => engine.routeMany(KEYS).map((server) => server?.name ?? null);
    const backAt = FAILS_AT + gone;
    const isDown = (name, t) => how === 'fail' && down.has(name) && t >= FAILS_AT && t < backAt;
    // All are known to be well before it begins.
    const before = RISE + 2;
    const probe = (t) => {
      const events = engine.advance((before + t) * STEP_MS);
      for (const due of engine.probesDue()) {
        const ok = !isDown(due.server.name, t);
        events.push(...engine.recordProbe(due, ok ? { ok, latencyMs: 1 } : { ok, latencyMs: 1, error: 'down' }));
      }
      return events;
    };
    for (let t = -before; t < 0; t++) probe(t);
    const home = owners();
    let [last, changed] = [home, 0];
    const end = backAt + RISE + slow + REST;
    for (let t = 0; t <= end; t++) {
      if (how === 'drain' && (t === FAILS_AT || t === backAt)) for (const name of names) engine.setState(name, t === FAILS_AT ? 'draining' : 'active');
      const events = probe(t);
      const here = owners();
      const counts = new Map();
      let [away, lost] = [0, 0];
      here.forEach((name, i) => {
        counts.set(name, (counts.get(name) ?? 0) + 1);
        if (name !== home[i]) away += 1;
        if (name !== last[i]) changed += 1;
        if (isDown(name, t)) lost += 1;
      });
      last = here;
      const peak = Math.max(...[...fair].map(([name, part]) => (counts.get(name) ?? 0) / KEYS.length / part));
      yield { t, away: away / KEYS.length, moved: changed / KEYS.length, lost: lost / KEYS.length, peak, events: events.filter(({ event }) => event !== 'probe-due') };
    }
  } finally {
    engine.free();
  }
}
