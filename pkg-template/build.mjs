// Fills the template: puts the package together from the wasm, its glue and the files beside this
// one, and packs it.
//
//   node pkg-template/build.mjs BINDGEN-FOLDER OUTPUT-FOLDER
//
// BINDGEN-FOLDER holds what `wasm-bindgen --target bundler --out-name lb` wrote, with the wasm
// optimised in place. The package's folder and its tarball are left in OUTPUT-FOLDER.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import { inlined } from './inline.mjs';

const [bindgen, output] = process.argv.slice(2).map((folder) => resolve(folder));
const template = import.meta.dirname;
const root = resolve(template, '..');
const { buildSync, transformSync } = createRequire(join(root, 'tests/'))('esbuild');

const folder = join(output, 'ringway');
const dist = join(folder, 'dist');
rmSync(output, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

const read = (...path) => readFileSync(join(...path), 'utf8');
const write = (path, text) => writeFileSync(join(folder, path), text);

// A program without comments and blanks; its names stay, for those who read traces.
const brief = (program) => transformSync(program, { minifyWhitespace: true, minifySyntax: true, target: 'es2022' }).code;

// What a manifest may not repeat: the version is Cargo.toml's.
const version = /^version = "(.+)"$/m.exec(read(root, 'Cargo.toml'))[1];
const manifest = { ...JSON.parse(read(template, 'package.json')), version };
write('package.json', `${JSON.stringify(manifest, null, 2)}\n`);
cpSync(join(template, 'README.md'), join(folder, 'README.md'));
cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));

// The engine and its glue, as they were generated, and once more inlined.
cpSync(join(bindgen, 'lb_bg.wasm'), join(dist, 'lb_bg.wasm'));
write('dist/glue.js', brief(read(bindgen, 'lb_bg.js')));
write('dist/wasm-inline.js', inlined(readFileSync(join(bindgen, 'lb_bg.wasm'))));

// The doors. The CommonJS one is the same program in one file.
for (const file of ['bytes.js', 'core.js', 'index.js', 'index.d.ts', 'wire.d.ts']) {
  write(join('dist', file), file.endsWith('.js') ? brief(read(template, file)) : read(template, file));
}
buildSync({
  entryPoints: [join(dist, 'index.js')],
  outfile: join(dist, 'index.cjs'),
  bundle: true,
  format: 'cjs',
  platform: 'neutral',
  target: 'es2022',
  logLevel: 'warning',
});

// TypeScript wants declarations of its own beside a CommonJS file; they differ in the name alone.
write('dist/index.d.cts', read(template, 'index.d.ts').replaceAll('./wire.js', './wire.cjs'));
write('dist/wire.d.cts', read(template, 'wire.d.ts'));

execFileSync('npm', ['pack', '--silent', '--pack-destination', output], { cwd: folder, stdio: 'inherit' });
