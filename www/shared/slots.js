// Which server has which colour. A server keeps its slot while it is there, so that a change
// recolours nobody.

import { N_SLOTS, freeSlot } from './palette.js';

// The slots after a change: `slots` for those of `names` that have one, free ones for the others.
// In a fleet with more servers than slots only the `wanted` have one.
export function assign(slots, names, wanted) {
  const all = new Set(names);
  if (all.size > N_SLOTS) for (const name of all) if (!wanted.includes(name)) all.delete(name);
  const kept = new Map([...slots].filter(([name]) => all.has(name)));
  const taken = new Set(kept.values());
  for (const name of all) {
    if (kept.has(name)) continue;
    const slot = freeSlot(taken);
    if (slot === null) break;
    kept.set(name, slot);
    taken.add(slot);
  }
  // The same map when nothing changed, so that nothing is drawn again for it.
  const isSame = kept.size === slots.size && [...kept].every(([name, slot]) => slots.get(name) === slot);
  return isSame ? slots : kept;
}
