// The packed tarball, installed in a fresh folder outside the project, as a user has it: nothing
// of the project's own node_modules can be found from there.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export const root = resolve(import.meta.dirname, '../..');
export const version = /^version = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1];
export const tarball = join(root, `build/package/ringway-${version}.tgz`);

export const folder = mkdtempSync(join(tmpdir(), 'ringway-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--silent', tarball], { cwd: folder, stdio: 'inherit' });

/** Every file of the installed package, as paths inside it. */
export const files = readdirSync(join(folder, 'node_modules/ringway'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(join(folder, 'node_modules/ringway/').length))
  .sort();

/** `require`, as code in that folder has it. */
export const require = createRequire(join(folder, 'main.cjs'));

/** The class, as `import { LoadBalancer } from 'ringway'` gives it in that folder. */
export const { LoadBalancer } = await importThere("export * from 'ringway';");

/** Runs a module's text in that folder and gives back its exports. */
export async function importThere(text, name = 'main.mjs') {
  const file = join(folder, name);
  writeFileSync(file, text);
  return import(pathToFileURL(file).href);
}

/** Runs a program with Node in that folder and gives back what it prints. */
export function runThere(name, text, ...flags) {
  writeFileSync(join(folder, name), text);
  return execFileSync(process.execPath, [...flags, name], { cwd: folder, encoding: 'utf8' });
}
