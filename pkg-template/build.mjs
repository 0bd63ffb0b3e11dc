// Fills the template: puts the package together from the wasm, its glue and the files beside this
// one, and packs it.
//
//   node pkg-template/build.mjs BINDGEN-FOLDER OUTPUT-FOLDER
//
// BINDGEN-FOLDER holds what `wasm-bindgen --target bundler --out-name lb` wrote, with the wasm
// optimised in place. The package's folder and its tarball are left in OUTPUT-FOLDER.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
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

// The engine as it was generated, and once more inlined.
cpSync(join(bindgen, 'lb_bg.wasm'), join(dist, 'lb_bg.wasm'));
write('dist/wasm-inline.js', inlined(readFileSync(join(bindgen, 'lb_bg.wasm'))));

// The doors, and what they share.
const PARTS = ['core.js', 'bytes.js'];
const sources = readdirSync(template).filter((file) => /\.(js|d\.ts)$/.test(file) && !PARTS.includes(file));
for (const file of sources) write(join('dist', file), file.endsWith('.js') ? brief(read(template, file)) : read(template, file));

// The class with all that only it needs, in one file: to find and link a further one takes a
// runtime longer than to run it.
const parts = join(output, 'parts');
mkdirSync(parts);
for (const file of PARTS) cpSync(join(template, file), join(parts, file));
// Of the glue the class needs what the wasm imports; the rest is dropped.
cpSync(join(bindgen, 'lb_bg.js'), join(parts, 'lb_bg.js'));
const imports = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(join(bindgen, 'lb_bg.wasm'))));
const imported = ['__wbg_set_wasm', ...imports.map(({ name }) => name)];
writeFileSync(join(parts, 'glue.js'), `export { ${imported.join(', ')} } from './lb_bg.js';\n`);
buildSync({
  entryPoints: [join(parts, 'core.js')],
  outfile: join(dist, 'core.js'),
  bundle: true,
  format: 'esm',
  platform: 'neutral',
  target: 'es2022',
  minifyWhitespace: true,
  minifySyntax: true,
  external: ['./fault.js'],
  logLevel: 'warning',
});
rmSync(parts, { recursive: true });

// Where modules cannot be required, each door is the same program in one CommonJS file.
// `require` gives the class of `hashring` itself, as that package does.
const footers = { hashring: { js: 'module.exports = Object.assign(HashRing, { HashRing, default: HashRing });' } };
for (const door of ['index', 'slim', 'fetch', 'hashring']) {
  buildSync({
    entryPoints: [join(dist, `${door}.js`)],
    outfile: join(dist, `${door}.cjs`),
    bundle: true,
    format: 'cjs',
    platform: 'neutral',
    target: 'es2022',
    // What a door asks of another one.
    external: ['ringway'],
    define: { 'import.meta.url': 'undefined' },
    footer: footers[door],
    logLevel: 'warning',
  });
}

// TypeScript wants declarations of its own beside a CommonJS file; they differ in names alone.
for (const file of sources.filter((file) => file.endsWith('.d.ts'))) {
  const text = read(template, file)
    .replaceAll(/(from '\.\/\w+)\.js'/g, "$1.cjs'")
    .replace('export { HashRing, HashRing as default };', 'declare namespace HashRing {\n  export { HashRing };\n}\nexport = HashRing;');
  write(join('dist', file.replace(/ts$/, 'cts')), text);
}

execFileSync('npm', ['pack', '--silent', '--pack-destination', output], { cwd: folder, stdio: 'inherit' });
