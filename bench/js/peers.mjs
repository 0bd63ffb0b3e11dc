// Other packages that do the same, each with its own defaults, behind one shape:
// `make(names)` gives `{ get(key), add(name), remove(name) }`.
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { LoadBalancer, importThere, root } from '../../tests/js/installed.mjs';

const require = createRequire(join(root, 'tests/'));
const HashRing = require('hashring');
const ConsistentHash = require('consistent-hash');
const NodeHashRing = require('node-hashring');
const { HashRing: Ketama } = require('ketama');
const { HashRing: OurHashRing } = await importThere("export { HashRing } from 'ringway/hashring';", 'bench-hashring.mjs');

const byHashRing = (Class) => (names) => {
  const ring = new Class(names);
  return { get: (key) => ring.get(key), add: (name) => ring.add(name), remove: (name) => ring.remove(name) };
};

export const peers = {
  ringway(names) {
    const spec = (name) => ({ name, address: '10.0.0.1', port: 80 });
    const lb = new LoadBalancer({ servers: names.map(spec) });
    return { get: (key) => lb.route(key), add: (name) => lb.addServer(spec(name)), remove: (name) => lb.removeServer(name) };
  },
  'ringway/hashring': byHashRing(OurHashRing),
  hashring: byHashRing(HashRing),
  'consistent-hash': (names) => {
    const ring = new ConsistentHash();
    for (const name of names) ring.add(name);
    return { get: (key) => ring.get(key), add: (name) => ring.add(name), remove: (name) => ring.remove(name) };
  },
  'node-hashring': (names) => {
    const ring = new NodeHashRing(names);
    return { get: (key) => ring.findNode(key), add: (name) => ring.addNode(name), remove: (name) => ring.removeNode(name) };
  },
  ketama: (names) => {
    const ring = new Ketama(names);
    return { get: (key) => ring.getNode(key), add: (name) => ring.addNode(name), remove: (name) => ring.removeNode(name) };
  },
};
