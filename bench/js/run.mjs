// What the package costs in Node, beside other packages: `make bench-js`. Every answer is checked;
// no time is, since machines differ more than changes do.
//
//   node bench/js/run.mjs [route] [peers] [fleet] [start] [sizes]
import { LoadBalancer } from '../../tests/js/installed.mjs';
import { fleet } from './fleet.mjs';
import { peers } from './peers.mjs';
import { sizes } from './sizes.mjs';
import { start } from './start.mjs';
import { keysOf, loopOf, serversOf, table, turns } from './turns.mjs';

const ns = (value) => value.toFixed(0);
const namesOf = (n) => serversOf(n).map(({ name }) => name);

// By length: one by one, in batches, as bytes; and a look into a `Map`, which is the least
// that a cache costs.
function route() {
  console.log('\n## Routing, nanoseconds per key: best round (median)\n');
  const rows = [];
  for (const n of [10, 100, 1000]) {
    const lb = new LoadBalancer({ servers: serversOf(n) });
    for (const [name, keys] of [
      ...[10, 16, 64, 256].map((length) => [`${length} characters`, keysOf(length, { n: 4096 })]),
      ...[16, 64].map((length) => [`${length} with an umlaut`, keysOf(length, { n: 4096, ending: 'ä' })]),
    ]) {
      const bytes = keys.map((key) => new TextEncoder().encode(key));
      const map = new Map(keys.map((key) => [key, lb.route(key)]));
      if (lb.routeMany(keys).some((server, i) => server !== map.get(keys[i]))) throw new Error('a batch is routed otherwise');
      const cells = turns([
        { name: 'route', keys, run: loopOf((key) => lb.route(key)) },
        { name: 'routeMany', keys, run: (keys) => lb.routeMany(keys).length },
        { name: 'bytes', keys: bytes, run: loopOf((key) => lb.route(key)) },
        { name: 'Map.get', keys, run: loopOf((key) => map.get(key)) },
      ], 60);
      rows.push([`${n} servers, ${name}`, ...cells.map(({ best, median }) => `${ns(best)} (${ns(median)})`)]);
    }
    lb.free();
  }
  table(['', 'route', 'routeMany', 'bytes', 'Map.get'], rows);
}

// Different keys, none of them asked twice within a cache's reach; and few keys again and again.
function beside() {
  for (const [about, keys] of [['65,536 different keys of 16 characters', keysOf(16)], ['1,024 keys of 16 characters, again and again', keysOf(16, { n: 1024 })]]) {
    console.log(`\n## Beside other packages, ${about}: nanoseconds per key, best round (times Ringway's, median)\n`);
    const rows = Object.keys(peers).map((name) => [name]);
    for (const n of [10, 100, 1000]) {
      const cases = Object.entries(peers).map(([name, make]) => {
        const { get } = make(namesOf(n));
        return { name, keys, run: loopOf(get) };
      });
      turns(cases, keys.length < 10_000 ? 60 : 7).forEach(({ best, ratio }, i) => rows[i].push(`${ns(best)} (${ratio.toFixed(1)}×)`));
    }
    table(['', '10 servers', '100 servers', '1,000 servers'], rows);
  }
}

const sections = { route, peers: beside, fleet, start, sizes };
const asked = process.argv.slice(2);
console.log(`# The package in JavaScript\n\nNode ${process.versions.node}`);
for (const [name, run] of Object.entries(sections)) if (asked.length === 0 || asked.includes(name)) await run();
