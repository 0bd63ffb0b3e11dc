// From nothing to the first answer, each time in a fresh process.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { binary, folder, write } from '../../tests/js/runtimes/folder.mjs';
import { median, table } from './turns.mjs';

const PROCESSES = 9;

const first = "new LoadBalancer({ servers: [{ name: 'a', address: 'h', port: 1 }, { name: 'b', address: 'h', port: 2 }] }).route('user:1').name";
const program = `
  const started = performance.now();
  const { LoadBalancer } = await import('ringway');
  const imported = performance.now() - started;
  const name = ${first};
  console.log(JSON.stringify([imported, performance.now() - started, name]));
`;

export function start() {
  console.log(`\n## Cold start, milliseconds: best (median) of ${PROCESSES} processes\n`);
  const esm = write('start.mjs', program);
  const cjs = write('start.cjs', program.replace("await import('ringway')", "require('ringway')"));
  const empty = write('empty.mjs', 'console.log("[0, 0, 0]");\n');
  const env = { DENO_DIR: join(folder, 'deno'), DENO_NO_UPDATE_CHECK: '1' };
  const deno = binary('@deno/linux-x64-glibc/deno', '@deno/linux-arm64-glibc/deno');
  const bun = binary('@oven/bun-linux-x64/bin/bun', '@oven/bun-linux-aarch64/bin/bun');
  const denoArgs = ['run', '--no-prompt', '--no-remote', '--node-modules-dir=manual'];
  const rows = [
    [`Node ${process.versions.node}`, process.execPath, []],
    [`Node ${process.versions.node}, require`, process.execPath, [], cjs],
    ['Node 24', binary('node-24/bin/node'), []],
    ['Deno', deno, denoArgs],
    ['Bun', bun, []],
  ].filter(([, file]) => file).map(([name, file, args, entry = esm]) => {
    const run = (entry) => {
      const started = process.hrtime.bigint();
      const output = execFileSync(file, [...args, entry], { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env } });
      return [...JSON.parse(output), Number(process.hrtime.bigint() - started) / 1e6];
    };
    const ours = [];
    const none = [];
    for (let i = 0; i < PROCESSES; i += 1) {
      ours.push(run(entry));
      none.push(run(empty));
    }
    if (ours.some(([, , name]) => name !== 'a' && name !== 'b')) throw new Error(`${name} has no answer`);
    const cell = (column, of = ours) => {
      const times = of.map((run) => run[column]);
      return `${Math.min(...times).toFixed(1)} (${median(times).toFixed(1)})`;
    };
    return [name, cell(0), cell(1), cell(3, none), cell(3)];
  });
  table(['', 'import', 'import to first answer', 'empty process', 'whole process'], rows);
}
