// What every runtime runs, over the installed package: all golden vectors, and keys by
// `ringway/hashring`. `run()` answers with the number of comparisons, and throws if one fails.
import { LoadBalancer as Imported } from 'ringway';
import ImportedRing from 'ringway/hashring';

import * as replay from './replay.mjs';
import vectors from './vectors.mjs';

export function run({ LoadBalancer = Imported, HashRing = ImportedRing } = {}) {
  const { routes, algorithms, trace, hashring } = vectors;
  let checks = replay.routes(LoadBalancer, routes) + replay.changes(LoadBalancer, routes);
  checks += replay.algorithms(LoadBalancer, algorithms) + replay.changes(LoadBalancer, algorithms);
  checks += replay.trace(LoadBalancer, trace);
  const ring = new HashRing(hashring.servers);
  for (const [key, server] of Object.entries(hashring.owners)) {
    if (ring.get(key) !== server) throw new Error(`hashring: ${key}: ${ring.get(key)} instead of ${server}`);
    checks += 1;
  }
  return checks;
}
