// A fleet on the page: an engine, and the world that engine watches. The world is what a visitor
// kills and revives; the engine finds out by its probes, as the proxy's does. There is no clock:
// the time the engine is told jumps from probe to probe.
//
// A second engine holds just the servers in use. Its ring is the ring by which keys are routed
// now, so that what a failure moved is an exact answer of the engine too. Nothing is computed
// here: every number that leaves this file came out of an engine.

import { pictureOf } from './picture.js';
import { KEYLESS } from './words.js';

// Probes that come at once and decide at once, so that a page does not make its visitor wait.
const PROBES = { interval: 1, timeout: 1, jitter_percent: 0, fall: 1, rise: 1 };
// One result decides, and a probe that is under way may come before it.
const ROUNDS_MAX = 4;
const NOTHING_MOVED = { fraction: 0, flows: [] };

export class Fleet {
  #LoadBalancer;
  #virtualNodes;
  #failOpen;
  #algorithm;
  #engine;
  #inUse;
  #now = 0;
  #killed = new Set();
  #isHeld = false;
  #pictures = new Map();

  // As in a configuration file.
  constructor(LoadBalancer, { servers, virtualNodes, failOpen = true, algorithm = 'ring' }) {
    this.#LoadBalancer = LoadBalancer;
    this.#virtualNodes = virtualNodes;
    this.#failOpen = failOpen;
    this.#algorithm = algorithm;
    this.#engine = this.#start(servers);
    this.#settle();
    this.#inUse = this.#start(this.#usable());
  }

  get virtualNodes() {
    return this.#virtualNodes;
  }

  get algorithm() {
    return this.#algorithm;
  }

  get failOpen() {
    return this.#failOpen;
  }

  add(spec) {
    this.#engine.addServer(spec);
    return this.#changed();
  }

  remove(name) {
    this.#engine.removeServer(name);
    this.#killed.delete(name);
    return this.#changed();
  }

  setWeight(name, weight) {
    this.#engine.setWeight(name, weight);
    return this.#changed();
  }

  setState(name, state) {
    this.#engine.setState(name, state);
    return this.#changed();
  }

  // From now on its probes fail.
  kill(name) {
    this.#killed.add(name);
    return this.#changed();
  }

  // From now on its probes are good again.
  revive(name) {
    this.#killed.delete(name);
    return this.#changed();
  }

  // Does several of these as one change: the engines follow once, after all of them.
  together(act) {
    this.#isHeld = true;
    try {
      act();
    } finally {
      this.#isHeld = false;
    }
    return this.#changed();
  }

  isKilled(name) {
    return this.#killed.has(name);
  }

  explain(key) {
    return this.#engine.explain(key);
  }

  route(key) {
    return this.#engine.route(key);
  }

  servers() {
    return this.#engine.servers();
  }

  // Everything there is to draw and to read.
  view() {
    const keys = new Map(this.#inUse.servers().map((server) => [server.name, server.share.actual]));
    const ring = this.#engine.ring({ limit: 1 });
    return {
      servers: this.#engine.servers().map((server) => ({
        ...server,
        killed: this.#killed.has(server.name),
        share: { ...server.share, keys: keys.get(server.name) ?? 0 },
      })),
      health: this.#engine.health(),
      fingerprint: ring.fingerprint,
      algorithm: ring.algorithm,
      isKeyless: KEYLESS.has(ring.algorithm),
      virtualNodes: ring.virtual_nodes,
      nPoints: ring.n_points,
      balance: ring.balance,
      points: this.#picture(this.#engine),
      keys: this.#picture(this.#inUse),
    };
  }

  free() {
    this.#engine.free();
    this.#inUse.free();
  }

  #start(servers) {
    return new this.#LoadBalancer({
      servers,
      routing: { algorithm: this.#algorithm, virtual_nodes: this.#virtualNodes, fail_open: this.#failOpen },
      health_check: PROBES,
    });
  }

  // Lets probes tell the engine of the world, and takes the change over to the engine of those in
  // use. Answers with what that moved; null when several servers came or went at once.
  #changed() {
    if (this.#isHeld) return NOTHING_MOVED;
    this.#settle();
    const [before, after] = [this.#inUse.servers(), this.#usable()];
    const find = (list, name) => list.find((server) => server.name === name);
    const moves = [];
    for (const server of after) {
      const was = find(before, server.name);
      if (!was) moves.push(() => this.#inUse.addServer(server));
      else if (was.weight !== server.weight) moves.push(() => this.#inUse.setWeight(server.name, server.weight));
    }
    for (const { name } of before) {
      if (!find(after, name)) moves.push(() => this.#inUse.removeServer(name));
    }
    const answers = moves.map((move) => move().moved);
    return answers.length > 1 ? null : (answers[0] ?? NOTHING_MOVED);
  }

  #settle() {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const deadline = this.#engine.nextDeadlineMs();
      if (deadline === undefined || deadline === null) return;
      this.#now = Math.max(this.#now, deadline);
      this.#engine.advance(this.#now);
      for (const probe of this.#engine.probesDue()) {
        const ok = !this.#killed.has(probe.server.name);
        this.#engine.recordProbe(probe, ok ? { ok, latencyMs: 1 } : { ok, latencyMs: 1, error: 'killed here' });
      }
      const isSeen = ({ name, health }) => health === (this.#killed.has(name) ? 'unhealthy' : 'healthy');
      if (this.#engine.health().servers.every(isSeen)) return;
    }
  }

  // The servers that keys go to now: those any key's explanation calls chosen or next, or usable
  // where the rule has no keys.
  #usable() {
    const used = new Set(
      this.#engine.explain('').candidates
        .filter(({ reason }) => reason === 'chosen' || reason === 'next' || reason === 'usable')
        .map(({ server }) => server),
    );
    return this.#engine.servers()
      .filter(({ name }) => used.has(name))
      .map(({ name, address, port, weight }) => ({ name, address, port, weight }));
  }

  // Rings that are the same have the same fingerprint and one picture.
  #picture(engine) {
    const { fingerprint } = engine;
    let picture = this.#pictures.get(fingerprint);
    picture ??= pictureOf(engine);
    // The ring of all and the ring of those in use, of now and of before.
    this.#pictures.delete(fingerprint);
    this.#pictures.set(fingerprint, picture);
    if (this.#pictures.size > 4) this.#pictures.delete(this.#pictures.keys().next().value);
    return picture;
  }
}
