// Building a ring, changing it, and the memory it takes, each beside other packages.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { peers } from './peers.mjs';
import { median, serversOf, table } from './turns.mjs';

const ROUNDS = 5;
const namesOf = (n) => serversOf(n).map(({ name }) => name);

export function fleet() {
  for (const n of [10, 100, 1000]) {
    console.log(`\n## ${n} servers: milliseconds, best (median) of ${ROUNDS}, and KB of memory\n`);
    const rows = Object.entries(peers).map(([name, make]) => {
      const times = { build: [], add: [], remove: [] };
      for (let round = 0; round < ROUNDS; round += 1) {
        let ring;
        timed(times.build, () => { ring = make(namesOf(n)); ring.get('key'); });
        const before = ring.get('key');
        // What is put off until the next question counts too.
        timed(times.add, () => { ring.add('new.example:1'); ring.get('key'); });
        timed(times.remove, () => { ring.remove('new.example:1'); ring.get('key'); });
        if (!before || !ring.get('key')) throw new Error(`${name} has no answer`);
      }
      return [name, ...Object.values(times).map((all) => `${Math.min(...all).toFixed(2)} (${median(all).toFixed(2)})`), memoryOf(name, n)];
    });
    table(['', 'build', 'add one', 'remove one', 'memory'], rows);
  }
}

function timed(times, f) {
  const started = process.hrtime.bigint();
  f();
  times.push(Number(process.hrtime.bigint() - started) / 1e6);
}

// In a process of its own, of which nothing else takes memory.
function memoryOf(name, n) {
  return execFileSync(process.execPath, [join(import.meta.dirname, 'memory.mjs'), name, n], { encoding: 'utf8' }).trim();
}
