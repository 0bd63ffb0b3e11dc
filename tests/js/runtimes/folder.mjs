// The fresh folder with the installed package, and in it what the runtimes run.
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { folder, root } from '../installed.mjs';

export { folder, root };
export const modules = join(root, 'tests/node_modules');
export const dist = join(folder, 'node_modules/ringway/dist');

const golden = (file) => readFileSync(join(root, 'tests/data/golden', file), 'utf8');
const HashRing = createRequire(import.meta.url)('hashring');

const servers = { '10.0.0.1:11211': 600, '10.0.0.2:11211': 300, '10.0.0.3:11211': 200 };
const ring = new HashRing(servers);
const vectors = {
  routes: JSON.parse(golden('routes.json')),
  algorithms: JSON.parse(golden('algorithms.json')),
  keyless: JSON.parse(golden('keyless.json')),
  trace: golden('trace.jsonl').trimEnd().split('\n').map((line) => JSON.parse(line)),
  hashring: { servers, owners: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`größe-${i}`, ring.get(`größe-${i}`)])) },
};
writeFileSync(join(folder, 'vectors.mjs'), `export default ${JSON.stringify(vectors)};\n`);
copyFileSync(join(root, 'tests/js/replay.mjs'), join(folder, 'replay.mjs'));
copyFileSync(join(import.meta.dirname, 'program.mjs'), join(folder, 'program.mjs'));

/** Writes a file into the folder and gives back its path. */
export function write(name, text) {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** The program of a runtime, from the tools' packages; `undefined` where there is none for this machine. */
export function binary(...paths) {
  return paths.map((path) => join(modules, path)).find((path) => existsSync(path));
}

/** Runs a program in the folder and gives back what it prints. */
export async function execute(file, args, env = {}) {
  const { stdout } = await promisify(execFile)(file, args, { cwd: folder, env: { ...process.env, NO_COLOR: '1', ...env }, maxBuffer: 1 << 26 });
  return stdout.trim();
}
