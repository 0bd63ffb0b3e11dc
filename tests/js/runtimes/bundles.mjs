// The program, and that of `ringway/slim`, put together by bundlers as their users have them: no
// plugin and no setting is there for this package.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { nodeResolve } from '@rollup/plugin-node-resolve';
import * as esbuild from 'esbuild';
import * as rollup from 'rollup';
import * as vite from 'vite';
import webpack from 'webpack';

import { folder, write } from './folder.mjs';

const page = (script) => `<!doctype html><meta charset="utf-8"><title>…</title><script type="module" src="${script}"></script>\n`;

/** What a page runs. Its title is the outcome. */
export const pages = { page: write('page.mjs', program("import { run } from './program.mjs';", 'await run()')), slim: write('slim.mjs', program(
  "import { LoadBalancer, init } from 'ringway/slim'; import * as replay from './replay.mjs'; import vectors from './vectors.mjs';",
  'await init(), replay.routes(LoadBalancer, vectors.routes)',
)) };

function program(imports, checks) {
  return `${imports}
(async () => {
  try {
    document.title = \`CHECKS \${(${checks})}\`;
  } catch (error) {
    document.title = \`FAILED \${error.stack}\`;
  }
})();
`;
}

/** Each builds `entry` into a folder of its own. */
export const bundlers = {
  esbuild: { version: esbuild.version, entries: ['page'], build: byEsbuild },
  rollup: { version: rollup.VERSION, entries: ['page'], build: byRollup },
  vite: { version: vite.version, entries: ['page', 'slim'], build: byVite },
  webpack: { version: webpack.version, entries: ['page', 'slim'], build: byWebpack },
};

async function byEsbuild(entry, to) {
  await esbuild.build({ entryPoints: [pages[entry]], outfile: join(to, 'out.js'), bundle: true, minify: true, format: 'iife', logLevel: 'error' });
  write(join(to, 'index.html').slice(folder.length), page('./out.js'));
}

async function byRollup(entry, to) {
  const bundle = await rollup.rollup({ input: pages[entry], plugins: [nodeResolve({ browser: true })] });
  await bundle.write({ file: join(to, 'out.js'), format: 'es', inlineDynamicImports: true });
  await bundle.close();
  write(join(to, 'index.html').slice(folder.length), page('./out.js'));
}

async function byVite(entry, to) {
  const source = join(folder, `vite-${entry}`);
  mkdirSync(source, { recursive: true });
  for (const file of ['program.mjs', 'replay.mjs', 'vectors.mjs', `${entry}.mjs`]) copyFileSync(join(folder, file), join(source, file));
  write(`vite-${entry}/index.html`, page(`./${entry}.mjs`));
  await vite.build({ root: source, base: './', configFile: false, logLevel: 'error', build: { outDir: to, emptyOutDir: true } });
}

async function byWebpack(entry, to) {
  const compiler = webpack({ mode: 'production', context: folder, entry: pages[entry], output: { path: to, filename: 'out.js' }, performance: false });
  const stats = await new Promise((resolve, reject) => compiler.run((error, stats) => (error ? reject(error) : resolve(stats))));
  await new Promise((resolve) => compiler.close(resolve));
  if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString('errors-warnings'));
  write(join(to, 'index.html').slice(folder.length), page('./out.js'));
}
