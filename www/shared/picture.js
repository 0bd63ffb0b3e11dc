// What there is to draw of an engine's ring: numbers, as the engine gives them.

const HALF = 2 ** 32;

// {
//   fingerprint      the same for rings that are the same
//   turns            where each point stands, as a fraction of the ring, ascending
//   labels           whose each point is
//   positions        the same places to the last bit: two halves for each
//   names            the servers of the ring
//   at(i)            a point in words: { position, after, share, server, virtual_node }
//   cells(n, window) the ring, or { from, length } of it, in cells: how many points stand in each, or
//                    what part of it the server `label` owns
// }
// It asks the engine, and is void when that is freed.
export function pictureOf(engine) {
  const { fingerprint, servers } = engine.ring({ limit: 1 });
  const { positions, servers: owners } = engine.points();
  const names = servers.map(({ name }) => name);
  const places = new Map(names.map((name, i) => [name, i]));
  const turns = new Float64Array(owners.length);
  for (let i = 0; i < turns.length; i++) turns[i] = turnOf(positions[2 * i], positions[2 * i + 1]);
  return {
    fingerprint,
    turns,
    labels: Array.from(owners, (owner) => names[owner]),
    positions,
    names,
    at: (i) => (i >= 0 && i < turns.length ? engine.point(i) : undefined),
    cells(n, { label, ...window } = {}) {
      if (label === undefined) return engine.cells(n, window);
      const server = places.get(label);
      return server === undefined ? new Float32Array(n) : engine.cells(n, { ...window, server });
    },
  };
}

// The 53 bits of a position that a number holds without being rounded up to the next turn.
export const turnOf = (upper, lower) => upper / HALF + (lower - (lower % 2048)) / HALF / HALF;
