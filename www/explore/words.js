// How edits are said.

import { many, percent } from '../shared/words.js';

const DEEDS = {
  added: ({ server }) => `Add ${server}`,
  removed: ({ server }) => `Remove ${server}`,
  renamed: ({ server, to }) => `Rename ${server} to ${to}`,
  weighed: ({ server, was, weight }) => `Weight of ${server}: ${was} → ${weight}`,
  state: ({ server, state }) => ({ active: `${server} up`, draining: `Drain ${server}`, down: `${server} down` })[state],
  virtualNodes: ({ was, n }) => `Virtual nodes: ${was} → ${n}`,
  algorithm: ({ was, algorithm }) => `Rule: ${was} → ${algorithm}`,
};
const deed = (edit) => DEEDS[edit.kind](edit);
export const deeds = (edits) => (edits.length <= 2 ? edits.map(deed).join(', ') : `${deed(edits[0])} and ${many(edits.length - 1, 'more edit')}`);

// What is staged, or what is wrong, for somebody who listens.
export function summary({ edits, plan, problem }) {
  if (problem) return problem.message;
  if (edits.length === 0) return '';
  return plan === null ? `${deeds(edits)}, staged.` : `${deeds(edits)}, staged: ${percent(plan.moved)} of keys would move, at least ${percent(plan.minimum)}.`;
}
