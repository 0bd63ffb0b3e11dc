// What is downloaded, by door.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';

import { folder, root } from '../../tests/js/installed.mjs';
import { table } from './turns.mjs';

const { buildSync } = createRequire(join(root, 'tests/'))('esbuild');

export function sizes() {
  console.log('\n## Sizes in bytes, bundled and minified by esbuild\n');
  const doors = {
    ringway: "export { LoadBalancer } from 'ringway';",
    'ringway/slim, without the wasm': "export * from 'ringway/slim';",
    'ringway/fetch, without the class': "export { fetchVia } from 'ringway/fetch';",
    'ringway/hashring': "export * from 'ringway/hashring';",
  };
  const rows = Object.entries(doors).map(([name, contents]) => [name, bundled(contents)]);
  rows.push(['ringway/lb.wasm', readFileSync(join(folder, 'node_modules/ringway/dist/lb_bg.wasm'))]);
  table(['', 'raw', 'gzip', 'brotli'], rows.map(([name, bytes]) => [name, bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length]));
}

function bundled(contents) {
  const { outputFiles } = buildSync({ stdin: { contents, resolveDir: folder }, bundle: true, minify: true, format: 'esm', write: false, logLevel: 'error' });
  return outputFiles[0].contents;
}
