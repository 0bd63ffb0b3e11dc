// Cases that take turns in one process: machines are shared, and only what ran at the same time can
// be compared.

const KEYS = 65_536;
export const ROUNDS = 15;

/**
 * Runs each case's `run(keys)` once a round. Gives back, for each case, its best time and its
 * median in nanoseconds per key, and the median of its ratios to the first case of the same round.
 */
export function turns(cases, rounds = ROUNDS) {
  const times = cases.map(() => []);
  for (let round = 0; round < rounds + 2; round += 1) {
    cases.forEach(({ run, keys }, i) => {
      const started = process.hrtime.bigint();
      const n_routed = run(keys);
      const took = Number(process.hrtime.bigint() - started) / keys.length;
      if (n_routed !== keys.length) throw new Error(`${cases[i].name}: ${keys.length - n_routed} keys were not routed`);
      // The first rounds are the compiler's.
      if (round >= 2) times[i].push(took);
    });
  }
  return cases.map(({ name }, i) => ({
    name,
    best: Math.min(...times[i]),
    median: median(times[i]),
    ratio: median(times[i].map((time, round) => time / times[0][round])),
  }));
}

/** A loop that asks for each key and counts answers. Made anew, so that engines compile it for one peer. */
export function loopOf(get) {
  return new Function('get', 'return (keys) => { let n = 0; for (let i = 0; i < keys.length; i += 1) if (get(keys[i]) !== undefined) n += 1; return n; }')(get);
}

/**
 * Different keys of so many characters. Flat strings, as keys that came off a socket are: one put
 * together would be flattened at its first use, and the time for that is its maker's.
 */
export function keysOf(length, { n = KEYS, ending = '' } = {}) {
  const filler = 'abcdefghijklmnopqrstuvwxyz'.repeat(10);
  return Array.from({ length: n }, (_, i) => Buffer.from(`${String(Math.imul(i, 2654435761) >>> 0).padStart(10, '0')}${filler}`.slice(0, length - ending.length) + ending).toString());
}

export const serversOf = (n) => Array.from({ length: n }, (_, i) => ({ name: `10.0.${i >> 8}.${i & 255}:11211`, address: '10.0.0.1', port: 80 }));

export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** A Markdown table; numbers stand to the right. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log([line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n'));
}
