// The door for those who come from npm's `hashring`: its API and its answers, key by key, in plain
// JavaScript. It needs neither WebAssembly nor Node.
import { fault } from './fault.js';
import { KeyCache } from './key-cache.js';
import { md5 } from './md5.js';
import { parse } from './servers.js';

// More points than any fleet needs; beyond it a weight or a count is a mistake.
const POINTS_MAX = 16_777_216;

export class HashRing {
  // The release of npm's `hashring` whose answers these are.
  static version = '3.2.0';

  // The points in order, and whose each is: a place in `#names`.
  #values = new Uint32Array(0);
  #owners = new Uint32Array(0);
  #names = [];

  constructor(servers, algorithm, options) {
    const given = options || {};
    this.vnode = 'vnode count' in given ? given['vnode count'] : 40;
    this.algorithm = algorithm || 'md5';
    this.defaultport = given['default port'] || null;
    this.replicas = replicasOf(given);
    this.cache = new KeyCache('max cache size' in given ? given['max cache size'] : 5000);
    const connections = parse(servers);
    this.vnodes = connections.vnodes;
    this.servers = connections.servers;
    this.continuum();
  }

  // How many points there are.
  get size() {
    return this.#values.length;
  }

  // A copy of the points.
  get ring() {
    return Array.from(this.#values, (value, i) => ({ value, server: this.#names[this.#owners[i]] }));
  }

  continuum() {
    const { servers } = this;
    if (!servers.length) return this;
    const weights = servers.reduce((sum, { weight }) => sum + weight, 0);
    const counts = servers.map((server) => this.#hashesOf(server, weights));
    const replicas = Math.max(0, Math.ceil(this.replicas)) || 0;
    const points = counts.reduce((sum, count) => sum + count * replicas, 0);
    if (!(points <= POINTS_MAX)) throw fault('too-many-points', `${points} points are too many; ${POINTS_MAX} are allowed`);

    // Point and server as one number, so that equal points stay in the order of their servers.
    const sorted = new BigUint64Array(points);
    const halves = new Uint32Array(sorted.buffer);
    let place = 0;
    servers.forEach((server, owner) => {
      const name = this.defaultport && server.port === this.defaultport ? server.host : server.string;
      for (let i = 0; i < counts[owner]; i += 1) {
        const digest = this.#words(`${name}-${i}`, replicas);
        for (let j = 0; j < replicas; j += 1) {
          halves[place] = owner;
          halves[place + 1] = digest[j];
          place += 2;
        }
      }
    });
    sorted.sort();
    this.#values = new Uint32Array(points);
    this.#owners = new Uint32Array(points);
    for (let i = 0; i < points; i += 1) {
      this.#owners[i] = halves[2 * i];
      this.#values[i] = halves[2 * i + 1];
    }
    this.#names = servers.map((server) => server.string);
    return this;
  }

  get(key) {
    const text = toText(key);
    const known = this.cache.get(text);
    if (known) return known;
    if (this.size === 0) return undefined;
    const server = this.#names[this.#owners[this.find(this.hashValue(text))]];
    this.cache.set(text, server);
    return server;
  }

  find(hashValue) {
    const values = this.#values;
    let low = 0;
    let high = values.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (values[middle] < hashValue) low = middle + 1;
      else high = middle;
    }
    return low < values.length ? low : 0;
  }

  hash(key) {
    if (typeof this.algorithm === 'function') return this.algorithm(key);
    if (this.#isMd5()) return new Uint8Array(Uint32Array.from(md5(toText(key))).buffer);
    return nodeHash(this.algorithm, key);
  }

  digest(key) {
    const hash = this.hash(toText(key));
    if (typeof hash === 'string') return hash.split('').map((char) => char.charCodeAt(0));
    if (hash === undefined || hash === null) throw fault('invalid-hash', `the hash function must give bytes or a string, not ${hash}`);
    return hash;
  }

  hashValue(key) {
    return this.#isMd5() ? md5(toText(key))[0] >>> 0 : word(this.digest(key), 0);
  }

  range(key, size, unique) {
    const length = this.size;
    if (!length) return [];
    const most = size || this.servers.length;
    const isUnique = unique || unique === undefined;
    const found = [];
    const seen = new Set();
    const start = this.find(this.hashValue(key));
    for (let i = 0; i < length; i += 1) {
      const server = this.#names[this.#owners[(start + i) % length]];
      if (!isUnique || !seen.has(server)) found.push(server);
      seen.add(server);
      if (found.length === most) break;
    }
    return found;
  }

  points(servers) {
    const names = Array.isArray(servers) ? servers : Object.keys(this.vnodes);
    const points = Object.create(null);
    for (const name of names) points[name] = [];
    this.#values.forEach((value, i) => points[this.#names[this.#owners[i]]]?.push(value));
    return points;
  }

  swap(from, to) {
    const connection = last(parse(to));
    this.#names = this.#names.map((name) => (name === from ? to : name));
    this.cache.replace(from, to);
    this.vnodes[to] = this.vnodes[from];
    delete this.vnodes[from];
    for (const server of this.servers) {
      if (server.string === from) Object.assign(server, { string: to, host: connection.host, port: connection.port });
    }
    return this;
  }

  add(servers) {
    const all = Object.create(null);
    for (const server of this.servers) all[server.string] = server;
    for (const server of parse(servers).servers) all[server.string] ??= server;
    const connections = parse(all);
    this.vnodes = connections.vnodes;
    this.servers = connections.servers;
    return this.reset().continuum();
  }

  remove(server) {
    const { string } = last(parse(server));
    delete this.vnodes[string];
    this.servers = this.servers.filter((other) => other.string !== string);
    return this.reset().continuum();
  }

  has(server) {
    const names = this.#names;
    return this.#owners.some((owner) => names[owner] === server);
  }

  reset() {
    this.#values = new Uint32Array(0);
    this.#owners = new Uint32Array(0);
    this.#names = [];
    this.cache.reset();
    return this;
  }

  end() {
    this.reset();
    this.vnodes = Object.create(null);
    this.servers.length = 0;
    return this;
  }

  #isMd5() {
    return this.algorithm === 'md5' && this.hash === HashRing.prototype.hash;
  }

  // How often the name of a server is hashed, of a fleet of so many weights.
  #hashesOf(server, weights) {
    const vnodes = this.vnodes[server.string] || this.vnode;
    const count = vnodes === this.vnode ? Math.floor((server.weight / weights) * vnodes * this.servers.length) : vnodes;
    return Math.max(0, Math.ceil(count)) || 0;
  }

  // The points of one name: the digest as numbers, and 0 where it has no more.
  #words(name, replicas) {
    if (this.#isMd5() && replicas <= 4) return md5(name);
    const digest = this.digest(name);
    return Array.from({ length: replicas }, (_, j) => word(digest, 4 * j));
  }
}

// Names of older releases, which said so in the log too.
for (const [old, now] of Object.entries({
  replaceServer: undefined,
  replace: undefined,
  removeServer: 'remove',
  addServer: 'add',
  getNode: 'get',
  getNodePosition: 'find',
  position: 'find',
})) {
  let isTold = false;
  HashRing.prototype[old] = function renamed(...args) {
    if (!isTold) console.warn(`HashRing#${old} is removed${now ? `: use HashRing#${now}` : ' and has no replacement'}.`);
    isTold = true;
    return now && this[now](...args);
  };
}

export { HashRing as default };

function replicasOf(options) {
  if (options.compatibility) return options.compatibility === 'hash_ring' ? 3 : 4;
  const replicas = 'replicas' in options ? +options.replicas : 4;
  return replicas <= 0 ? 1 : replicas;
}

function word(bytes, at) {
  return ((bytes[at + 3] << 24) | (bytes[at + 2] << 16) | (bytes[at + 1] << 8) | bytes[at]) >>> 0;
}

function last({ servers }) {
  if (servers.length) return servers[servers.length - 1];
  throw fault('invalid-argument', 'a server must be named');
}

function toText(key) {
  if (typeof key === 'string') return key;
  try {
    return key + '';
  } catch {
    throw fault('invalid-key', `a key must be a string, or what can be made one, not ${typeof key}`);
  }
}

// By an algorithm that only Node's `crypto` knows.
function nodeHash(algorithm, key) {
  const crypto = globalThis.process?.getBuiltinModule?.('crypto');
  if (!crypto) throw fault('unsupported-algorithm', `only md5 and functions are supported where there is no crypto of Node, not ${String(algorithm)}`);
  try {
    return crypto.createHash(algorithm).update(key).digest();
  } catch (error) {
    throw fault('unsupported-algorithm', `${String(algorithm)} is not supported: ${error.message}`);
  }
}
