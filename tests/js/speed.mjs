// How long routing takes in this Node, in nanoseconds per key: the best of many rounds. A report,
// not a test: other work on the machine can double any of these numbers.
import { LoadBalancer } from './installed.mjs';

const KEYS = 4096;
const ROUNDS = 25;

const fleet = (n) => ({ servers: Array.from({ length: n }, (_, i) => ({ name: `server-${i}`, address: '10.0.0.1', port: 80 })) });

// Flat strings, as keys that came off a socket are: a concatenated one would be flattened on its
// first use, and the time for that is its maker's.
function keys(length, ending = '') {
  const filler = 'abcdefghijklmnopqrstuvwxyz'.repeat(10);
  return Array.from({ length: KEYS }, (_, i) => Buffer.from(`${i * 2654435761}${filler}`.slice(0, length - ending.length) + ending).toString());
}

function best(f) {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = process.hrtime.bigint();
    f();
    least = Math.min(least, Number(process.hrtime.bigint() - started));
  }
  return least / KEYS;
}

const cell = (value) => value.toFixed(0).padStart(8);
console.log(`Node ${process.version}, best of ${ROUNDS} rounds of ${KEYS} keys, ns per key\n`);
console.log('servers  keys               route routeMany   bytes Map.get');
for (const n of [10, 100, 1000]) {
  const lb = new LoadBalancer(fleet(n));
  const cases = [8, 10, 16, 24, 64, 256].map((length) => [`${length} characters`, keys(length)]);
  cases.push(['16 with an umlaut', keys(16, 'ä')], ['64 with an umlaut', keys(64, 'ä')]);
  for (const [name, list] of cases) {
    const bytes = list.map((key) => new TextEncoder().encode(key));
    const map = new Map(list.map((key) => [key, lb.route(key)]));
    let missing = 0;
    const route = best(() => { for (let i = 0; i < KEYS; i += 1) if (lb.route(list[i]) === undefined) missing += 1; });
    const many = best(() => { missing += KEYS - lb.routeMany(list).length; });
    const raw = best(() => { for (let i = 0; i < KEYS; i += 1) if (lb.route(bytes[i]) === undefined) missing += 1; });
    const peer = best(() => { for (let i = 0; i < KEYS; i += 1) if (map.get(list[i]) === undefined) missing += 1; });
    if (missing) throw new Error(`${missing} keys were not routed`);
    console.log(`${String(n).padStart(7)}  ${name.padEnd(18)}${cell(route)}${cell(many)}  ${cell(raw)}${cell(peer)}`);
  }
  lb.free();
}

for (const n of [10, 100, 1000]) {
  const started = process.hrtime.bigint();
  for (let i = 0; i < 10; i += 1) new LoadBalancer(fleet(n)).free();
  console.log(`\nconstructing ${n} servers: ${(Number(process.hrtime.bigint() - started) / 1e7).toFixed(2)} ms`);
}
