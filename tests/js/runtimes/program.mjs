// What every runtime runs, over the installed package: all golden vectors, and keys by
// `ringway/hashring`, and a request that fails over. `run()` answers with the number of comparisons,
// and throws if one fails.
import { LoadBalancer as Imported } from 'ringway';
import { fetchVia } from 'ringway/fetch';
import ImportedRing from 'ringway/hashring';

import * as replay from './replay.mjs';
import vectors from './vectors.mjs';

export async function run({ LoadBalancer = Imported, HashRing = ImportedRing } = {}) {
  const { routes, algorithms, keyless, trace, hashring } = vectors;
  let checks = replay.routes(LoadBalancer, routes) + replay.changes(LoadBalancer, routes);
  checks += replay.algorithms(LoadBalancer, algorithms) + replay.changes(LoadBalancer, algorithms);
  checks += replay.keyless(LoadBalancer, keyless) + replay.trace(LoadBalancer, trace);
  const ring = new HashRing(hashring.servers);
  for (const [key, server] of Object.entries(hashring.owners)) {
    if (ring.get(key) !== server) throw new Error(`hashring: ${key}: ${ring.get(key)} instead of ${server}`);
    checks += 1;
  }
  return checks + (await forwards(LoadBalancer));
}

// By servers that are functions: the first candidate is down, the second answers with what it got.
async function forwards(LoadBalancer) {
  const lb = new LoadBalancer({ servers: ['a', 'b', 'c'].map((name) => ({ name, address: '10.0.0.1', port: 80 })) });
  const names = lb.candidates('key', 2).map(({ name }) => name);
  const send = async ({ method, url }, { name }) => (name === names[0] ? Promise.reject(new Error('down')) : new Response(`${name} ${method} ${url}`));
  const text = await (await fetchVia(lb, new Request('https://x.example/a?b'), { key: 'key', fetch: send })).text();
  lb.free();
  if (text !== `${names[1]} GET http://10.0.0.1/a?b`) throw new Error(`fetchVia: ${text}`);
  return 1;
}
