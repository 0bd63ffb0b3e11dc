// How numbers, states and changes are said. One place, so that the page, its summary for screen
// readers and its tests use the same words.

// A fraction as a percentage, with as many digits as mean something.
export function percent(fraction) {
  const value = fraction * 100;
  const digits = value === 0 || value >= 99.95 ? 0 : value >= 1 ? 1 : value >= 0.1 ? 2 : 3;
  return `${value.toFixed(digits)}\u00a0%`;
}

export const count = (n) => n.toLocaleString('en-US');
export const many = (n, one, more = `${one}s`) => `${count(n)}\u00a0${n === 1 ? one : more}`;
export const ratio = (value) => value.toFixed(2);

// A position in groups of four digits.
export const position = (hex) => hex.replace(/(.{4})(?=.)/g, '$1\u202f');

// Whether a server may get new requests, in a word, and why.
const STANDINGS = {
  eligible: { word: 'Eligible', why: 'It gets requests.' },
  unproven: { word: 'Unproven', why: 'No probe has vouched for it yet.' },
  unhealthy: { word: 'Unhealthy', why: 'Its probes fail.' },
  ejected: { word: 'Ejected', why: 'Its requests failed.' },
  'on-trial': { word: 'On trial', why: 'Its ejection is over; it gets one request at a time until one succeeds.' },
  draining: { word: 'Draining', why: 'It takes no new requests.' },
};
export const standing = (server) => STANDINGS[server.standing] ?? { word: server.standing, why: '' };

// The rules without keys: nobody owns a part of a ring by them.
export const KEYLESS = new Set(['least-connections', 'response-time', 'round-robin', 'random']);
export const keyless = (algorithm) => `This fleet goes by ${algorithm}, which has no keys: any request may go to any server that is eligible, and there is no ring to draw.`;

// Why a candidate is passed over.
export const REASONS = {
  chosen: 'gets the key',
  next: 'would be next',
  usable: 'may get any request',
  unproven: 'passed over: no probe has vouched for it yet',
  unhealthy: 'passed over: unhealthy',
  ejected: 'passed over: ejected',
  'on-trial': 'passed over: on trial, one request at a time',
  draining: 'passed over: draining',
  'not-admitted': 'passed over: it comes back slowly and does not take this key yet',
  'above-bound': 'passed over: it has as many requests as it may',
  tried: 'passed over: tried before',
  backup: 'a backup: not needed now',
};

const DEEDS = {
  added: ({ server }) => `Added ${server}`,
  removed: ({ server }) => `Removed ${server}`,
  weighed: ({ server, was, weight }) => `Weight of ${server}: ${was} → ${weight}`,
  killed: ({ server }) => `Killed ${server}`,
  revived: ({ server }) => `Revived ${server}`,
  draining: ({ server }) => `Draining ${server}`,
  active: ({ server }) => `${server} takes requests again`,
  out: ({ server, standing: word }) => `${server} is ${word ?? 'not eligible'}`,
  back: ({ server }) => `${server} is eligible again`,
};
export const deed = (change) => DEEDS[change.kind](change);

const GIVING = new Set(['added', 'revived', 'back', 'active']);

// What a change moved, in a sentence.
export function movement({ kind, server, moved }) {
  if (moved === null) return 'Several servers came into or went out of use at once.';
  if (moved.fraction === 0) return 'No key moved.';
  // From nobody, or to nobody.
  if (moved.flows.length === 0) return GIVING.has(kind) ? 'All keys have a server again.' : 'No key has a server now.';
  const taken = moved.flows.every(({ to }) => to === server);
  const given = moved.flows.every(({ from }) => from === server);
  if (taken) return `Keys moved only to ${server}; none moved between the others.`;
  if (given) return `Only keys of ${server} moved; everyone else’s stayed.`;
  return 'Keys changed servers.';
}

// The latest change for somebody who listens.
export function summary({ changes, problem }) {
  if (problem) return problem.message;
  const [change] = changes;
  if (!change) return '';
  const amount = change.moved === null ? '' : ` ${percent(change.moved.fraction)} of keys moved.`;
  return `${deed(change)}.${amount} ${movement(change)}`;
}
