// The packed tarball in every runtime and through every bundler it is made for: each replays all
// golden vectors. A table at the end says which, in which version, and how many comparisons.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { EdgeVM } from '@edge-runtime/vm';
import { build } from 'esbuild';

import { launch } from '../../page/browser.mjs';
import { bundlers } from './bundles.mjs';
import { binary, dist, execute, folder, modules, write } from './folder.mjs';
import { serve } from './serve.mjs';

// Fewer than this, and something was not replayed.
const CHECKS_MIN = 40_000;

const table = [];
after(() => {
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => String(row[column]).length)));
  console.log('\nRuntime, version, comparisons made');
  for (const row of table) console.log(`  ${row.map((cell, i) => (i === 2 ? String(cell).padStart(widths[i]) : String(cell).padEnd(widths[i]))).join('  ')}`);
});

// A test in one runtime: `run` gives back its version and what it printed.
function runtime(name, run, least = CHECKS_MIN) {
  test(name, { timeout: 120_000 }, async (t) => {
    const row = [name, '', 0, 'FAILED'];
    table.push(row);
    const answer = await run(t);
    if (answer === undefined) {
      row[3] = 'not for this machine';
      return t.skip('there is no program for this machine');
    }
    const [version, output] = answer;
    row[1] = version;
    assert.match(output, /^CHECKS \d+$/m, output);
    row[2] = Number(/^CHECKS (\d+)$/m.exec(output)[1]);
    assert.ok(row[2] >= least, `${row[2]} comparisons are too few`);
    row[3] = 'ok';
  });
}

const packageVersion = (name) => JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')).version;

write('main.mjs', "import { run } from './program.mjs';\nconsole.log(`CHECKS ${await run()}`);\n");
write('main.cjs', `
  const { LoadBalancer } = require('ringway');
  const HashRing = require('ringway/hashring');
  import('./program.mjs').then(async ({ run }) => console.log(\`CHECKS \${await run({ LoadBalancer, HashRing })}\`));
`);

// Where a module cannot be required, the CommonJS files are what is loaded.
const noModules = '--no-experimental-require-module';
const nodes = { 'Node of this machine': process.execPath, 'Node 22': binary('node-22/bin/node'), 'Node 24': binary('node-24/bin/node') };
for (const [name, node] of Object.entries(nodes)) {
  const run = async (...args) => node && [(await execute(node, ['--version'])).slice(1), await execute(node, args)];
  runtime(`${name}, import`, () => run('main.mjs'));
  runtime(`${name}, require`, () => run('main.cjs'));
  if (node === process.execPath) runtime(`${name}, require, of no module`, () => run(noModules, 'main.cjs'));
}

const deno = binary('@deno/linux-x64-glibc/deno', '@deno/linux-arm64-glibc/deno');
runtime('Deno, no permission', async () => {
  if (!deno) return undefined;
  const env = { DENO_DIR: join(folder, 'deno'), DENO_NO_UPDATE_CHECK: '1' };
  const version = (await execute(deno, ['--version'], env)).split(' ')[1];
  return [version, await execute(deno, ['run', '--no-prompt', '--no-remote', '--node-modules-dir=manual', 'main.mjs'], env)];
});

const bun = binary('@oven/bun-linux-x64/bin/bun', '@oven/bun-linux-aarch64/bin/bun');
for (const [name, file] of [['Bun, import', 'main.mjs'], ['Bun, require', 'main.cjs']]) {
  runtime(name, async () => bun && [await execute(bun, ['--version']), await execute(bun, [file])]);
}

runtime('workerd', async () => {
  const workerd = binary('@cloudflare/workerd-linux-64/bin/workerd', '@cloudflare/workerd-linux-arm64/bin/workerd');
  if (!workerd) return undefined;
  const worker = write('worker.mjs', "import { run } from './program.mjs';\nexport default { async test() { console.log(`CHECKS ${await run()}`); } };\n");
  const outdir = join(folder, 'workerd');
  const { outputFiles } = await build({
    entryPoints: [worker],
    outdir,
    bundle: true,
    format: 'esm',
    // As wrangler does.
    conditions: ['workerd', 'worker', 'browser'],
    loader: { '.wasm': 'copy' },
    write: false,
  });
  mkdirSync(outdir, { recursive: true });
  const files = outputFiles.map(({ path, contents }) => {
    const name = path.slice(outdir.length + 1);
    write(join('workerd', name), contents);
    return name;
  });
  const moduleOf = (name) => `(name = "${name}", ${name.endsWith('.wasm') ? 'wasm' : 'esModule'} = embed "${name}")`;
  const sorted = files.sort((a) => (a === 'worker.js' ? -1 : 1));
  write('workerd/config.capnp', `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (services = [(name = "main", worker = .worker)]);
    const worker :Workerd.Worker = (modules = [${sorted.map(moduleOf).join(', ')}], compatibilityDate = "2026-01-01");
  `);
  return [packageVersion('workerd'), await execute(workerd, ['test', 'workerd/config.capnp'])];
});

runtime('edge-runtime', async () => {
  const { outputFiles } = await build({
    entryPoints: [write('edge.mjs', "import { run } from './program.mjs';\nglobalThis.output = run().then((checks) => `CHECKS ${checks}`);\n")],
    bundle: true,
    format: 'iife',
    conditions: ['edge-light', 'browser'],
    write: false,
    // As Next.js does: the compiled module is there under a name.
    plugins: [{
      name: 'wasm?module',
      setup({ onResolve, onLoad }) {
        onResolve({ filter: /\.wasm\?module$/ }, ({ path }) => ({ path, namespace: 'wasm-module' }));
        onLoad({ filter: /.*/, namespace: 'wasm-module' }, () => ({ contents: 'export default globalThis.wasm_lb;' }));
      },
    }],
  });
  const wasm_lb = new WebAssembly.Module(readFileSync(join(dist, 'lb_bg.wasm')));
  const vm = new EdgeVM({ extend: (context) => Object.assign(context, { wasm_lb }) });
  vm.evaluate(outputFiles[0].text);
  return [packageVersion('@edge-runtime/vm'), await vm.evaluate('globalThis.output')];
});

test('browsers and bundlers', { timeout: 170_000 }, async (t) => {
  const imports = Object.fromEntries(Object.entries({ ringway: 'index', 'ringway/slim': 'slim', 'ringway/hashring': 'hashring', 'ringway/fetch': 'fetch' }).map(([name, file]) => [name, `/node_modules/ringway/dist/${file}.js`]));
  for (const name of ['page', 'slim']) {
    write(`${name}.html`, `<!doctype html><meta charset="utf-8"><title>…</title><script type="importmap" nonce="n">${JSON.stringify({ imports })}</script><script type="module" src="/${name}.mjs"></script>\n`);
  }
  const { url, close } = await serve(folder, (path) => (path.endsWith('page.html') ? { 'content-security-policy': "script-src 'self' 'nonce-n' 'wasm-unsafe-eval'" } : {}));
  const browser = await launch();
  const open = async (path) => {
    const page = await browser.newPage();
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(error.message));
    await page.goto(`${url}/${path}`);
    await page.waitForFunction(() => document.title !== '…', undefined, { timeout: 60_000 }).catch(() => {});
    const title = await page.title();
    await page.close();
    return title.startsWith('CHECKS') ? title : [title, ...said].join('\n');
  };
  t.after(async () => {
    await browser.close();
    close();
  });

  const inside = async (name, run, least) => {
    const row = [name, '', 0, 'FAILED'];
    table.push(row);
    await t.test(name, async () => {
      const [version, output] = await run();
      row[1] = version;
      assert.match(output, /^CHECKS \d+$/, output);
      row[2] = Number(output.slice(7));
      assert.ok(row[2] >= least, `${row[2]} comparisons are too few`);
      row[3] = 'ok';
    });
  };
  const least = { page: CHECKS_MIN, slim: 1000 };
  await inside('Chromium, as it lies there, under a policy', async () => [browser.version(), await open('page.html')], least.page);
  await inside('Chromium, slim, streamed', async () => [browser.version(), await open('slim.html')], least.slim);
  const [, readme] = /^```html\n([\s\S]*?)^```/m.exec(readFileSync(join(dist, '../README.md'), 'utf8'));
  write('readme.html', `<!doctype html><meta charset="utf-8"><title>…</title>${readme}`);
  await inside('Chromium, the page of the README', async () => [browser.version(), (await open('readme.html')).replace(/^(eu|us|asia)$/, 'CHECKS 1')], 1);
  for (const [name, { version, entries, build }] of Object.entries(bundlers)) {
    for (const entry of entries) {
      const to = `by-${name}-${entry}`;
      await inside(`${name}${entry === 'slim' ? ', slim' : ''}, in Chromium`, async () => {
        mkdirSync(join(folder, to), { recursive: true });
        await build(entry, join(folder, to));
        return [version, await open(`${to}/index.html`)];
      }, least[entry]);
    }
  }
});
