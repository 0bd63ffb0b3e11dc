// A fleet that a spec describes, as engines have it. Nothing is computed here: every number that
// leaves this file came out of an engine.
//
// One engine knows of health what its probes find out, as the proxy's does, and is asked where keys
// go. One is at rest, for plans, which leave health out: servers that are down are drained there. One
// has the servers only that take keys: its ring is who gets which key now. They are the same one
// where nobody is out.

import { pictureOf } from '../shared/picture.js';
import { KEYLESS } from '../shared/words.js';
import { toConfig } from './spec.js';

// Probes that decide at once: there is no clock here.
const PROBES = { interval: 1, timeout: 1, jitter_percent: 0, fall: 1, rise: 1 };
const FIRST_PROBES_MS = 2000;
// Of a whole configuration engines are given what they go by.
const RULES = new Set(['servers', 'routing', 'hot_keys']);

export class Fleet {
  #engine;
  #rest;
  #inUse;
  #view = null;

  // Throws what the engine refuses.
  constructor(LoadBalancer, spec) {
    this.spec = spec;
    const { draining, killed } = spec;
    const config = Object.fromEntries(Object.entries(toConfig(spec)).filter(([name]) => RULES.has(name)));
    const make = (more) => new LoadBalancer({ ...config, ...more, health_check: PROBES });
    this.#engine = make();
    try {
      for (const name of draining) this.#engine.setState(name, 'draining');
      if (killed.length > 0) this.#kill(killed);
      if (killed.length === 0) this.#rest = this.#engine;
      else {
        this.#rest = make();
        for (const name of new Set([...draining, ...killed])) this.#rest.setState(name, 'draining');
      }
      const used = this.#used();
      this.#inUse = used === null ? this.#engine : make({ servers: spec.servers.filter(({ name }) => used.has(name)) });
    } catch (error) {
      this.free();
      throw error;
    }
  }

  // Their first probes fail.
  #kill(killed) {
    const names = new Set(killed);
    this.#engine.advance(FIRST_PROBES_MS);
    for (const probe of this.#engine.probesDue()) {
      if (names.has(probe.server.name)) this.#engine.recordProbe(probe, { ok: false, latencyMs: 1, error: 'killed here' });
    }
  }

  // The servers that keys go to now, those any key's explanation calls chosen or next; null when
  // they are all.
  #used() {
    const { candidates } = this.#engine.explain('');
    const used = candidates.filter(({ reason }) => reason === 'chosen' || reason === 'next' || reason === 'usable');
    return used.length === candidates.length ? null : new Set(used.map(({ server }) => server));
  }

  explain(key) {
    return this.#engine.explain(key);
  }

  routeMany(keys) {
    return this.#engine.routeMany(keys);
  }

  // What going over to another fleet would move. Throws what the engine refuses.
  plan(changes) {
    return this.#rest.plan(changes);
  }

  // Everything there is to draw and to read.
  view() {
    this.#view ??= this.#look();
    return this.#view;
  }

  #look() {
    const ring = this.#engine.ring({ limit: 1 });
    const killed = new Set(this.spec.killed);
    const shared = this.#inUse === this.#engine ? null : new Map(this.#inUse.servers().map(({ name, share }) => [name, share.actual]));
    const points = pictureOf(this.#engine);
    return {
      servers: this.#engine.servers().map((server) => ({
        ...server,
        killed: killed.has(server.name),
        share: { ...server.share, keys: shared ? (shared.get(server.name) ?? 0) : server.share.actual },
      })),
      health: this.#engine.health(),
      fingerprint: ring.fingerprint,
      algorithm: ring.algorithm,
      isRing: ring.algorithm === 'ring',
      isKeyless: KEYLESS.has(ring.algorithm),
      virtualNodes: ring.virtual_nodes,
      nPoints: ring.n_points,
      balance: ring.balance,
      points,
      keys: this.#inUse === this.#engine ? points : pictureOf(this.#inUse),
    };
  }

  free() {
    for (const engine of new Set([this.#engine, this.#rest, this.#inUse])) engine?.free();
  }
}
