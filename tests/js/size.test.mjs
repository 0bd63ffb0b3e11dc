// What ships: which files, how large, and nothing in them that does not belong there.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';

import { files, folder, root, tarball, version } from './installed.mjs';

const inside = (file) => join(folder, 'node_modules/ringway', file);
const wasm = readFileSync(inside('dist/lb_bg.wasm'));

test('the wasm asks nothing of its host but its own glue', () => {
  const modules = new Set(WebAssembly.Module.imports(new WebAssembly.Module(wasm)).map(({ module }) => module));
  assert.deepEqual([...modules], ['./lb_bg.js'], 'an import from "env" means that something was not linked');
});

// The limits are what a reviewed change last came to, and 2 %. `UPDATE=1` writes them anew.
test('wasm and package are no larger than their limits', (t) => {
  const file = join(root, 'tests/data/size.json');
  // All that `import 'ringway'` loads, as one download.
  const entry = Buffer.concat(['index.js', 'core.js', 'fault.js', 'wasm-inline.js'].map((file) => readFileSync(inside(`dist/${file}`))));
  const seen = {
    wasm: wasm.length,
    wasm_gzip: gzipSync(wasm, { level: 9 }).length,
    wasm_brotli: brotliCompressSync(wasm).length,
    entry: entry.length,
    entry_gzip: gzipSync(entry, { level: 9 }).length,
    entry_brotli: brotliCompressSync(entry).length,
    core: statSync(inside('dist/core.js')).size,
    tarball: statSync(tarball).size,
  };
  if (process.env.UPDATE) {
    const limits = Object.entries(seen).map(([name, bytes]) => [name, Math.ceil(bytes * 1.02)]);
    writeFileSync(file, `${JSON.stringify(Object.fromEntries(limits), null, 2)}\n`);
  }
  const limits = JSON.parse(readFileSync(file, 'utf8'));
  // Where the standard library could not be built with it (tests/scripts/wasm-cargo), it is larger.
  if (readFileSync(join(root, 'build/tools/wasm-std'), 'utf8').trim() !== 'small') {
    for (const name of Object.keys(limits)) limits[name] = Math.ceil(limits[name] * 1.2);
  }
  for (const [name, bytes] of Object.entries(seen)) t.diagnostic(`${name}: ${bytes} bytes of at most ${limits[name]}`);
  for (const [name, bytes] of Object.entries(seen)) assert.ok(bytes <= limits[name], `${name}: ${bytes} > ${limits[name]}`);
});

test('the tarball has these files and no others', () => {
  assert.deepEqual(files, [
    'LICENSE',
    'README.md',
    'dist/core.js',
    'dist/edge-light.js',
    'dist/fault.js',
    'dist/fetch.cjs',
    'dist/fetch.d.cts',
    'dist/fetch.d.ts',
    'dist/fetch.js',
    'dist/follow.js',
    'dist/hashring.cjs',
    'dist/hashring.d.cts',
    'dist/hashring.d.ts',
    'dist/hashring.js',
    'dist/index.cjs',
    'dist/index.d.cts',
    'dist/index.d.ts',
    'dist/index.js',
    'dist/key-cache.js',
    'dist/lb_bg.wasm',
    'dist/lb_bg.wasm.d.cts',
    'dist/lb_bg.wasm.d.ts',
    'dist/md5.js',
    'dist/servers.js',
    'dist/slim.cjs',
    'dist/slim.d.cts',
    'dist/slim.d.ts',
    'dist/slim.js',
    'dist/wasm-inline.js',
    'dist/wire.d.cts',
    'dist/wire.d.ts',
    'dist/workerd.js',
    'package.json',
  ]);
});

test('the manifest has the version of Cargo.toml, no dependencies and no scripts', () => {
  const manifest = JSON.parse(readFileSync(inside('package.json'), 'utf8'));
  assert.equal(manifest.version, version);
  for (const field of ['dependencies', 'optionalDependencies', 'peerDependencies', 'scripts']) {
    assert.equal(manifest[field], undefined, field);
  }
});

test('no file names the machine it was built on', () => {
  for (const file of files) {
    const text = readFileSync(inside(file), 'latin1');
    for (const trace of [root, homedir(), '/.cargo/', '/.rustup/', 'registry/src']) {
      assert.ok(!text.includes(trace), `${file} has ${trace}`);
    }
  }
});
