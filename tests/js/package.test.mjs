// The package as it is found and loaded: by `import`, by `require`, by TypeScript, by a bundler.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { buildSync, transformSync } from 'esbuild';

import { folder, importThere, require, root, runThere, tarball } from './installed.mjs';

const tool = (name, ...args) =>
  execFileSync(process.execPath, [join(root, 'tests/node_modules', name), ...args], { cwd: folder, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });

const program = `
  const lb = new LoadBalancer({ servers: [{ name: 'a', address: '10.0.0.1', port: 80 }] });
  console.log(lb.route('user:42').name);
`;

// The same, with what the engine says before `start` has run.
const slimProgram = (start) => `
  import { readFileSync } from 'node:fs';
  import { createRequire } from 'node:module';
  const file = createRequire(import.meta.url).resolve('ringway/lb.wasm');
  try { new LoadBalancer({ servers: [] }); } catch (error) { console.log(error.code); }
  ${start};
  ${program}
`;

test('import', () => {
  assert.equal(runThere('import.mjs', `import { LoadBalancer } from 'ringway';${program}`), 'a\n');
});

test('require', () => {
  assert.equal(runThere('require.cjs', `const { LoadBalancer } = require('ringway');${program}`), 'a\n');
});

test('require where a module cannot be required: the CommonJS file', () => {
  const file = join(folder, 'node_modules/ringway/dist/index.cjs');
  assert.equal(runThere('file.cjs', `const { LoadBalancer } = require(${JSON.stringify(file)});${program}`), 'a\n');
});

test('import and require give the same class', async () => {
  const { LoadBalancer } = await importThere("export { LoadBalancer } from 'ringway';", 'same.mjs');
  assert.equal(require('ringway').LoadBalancer, LoadBalancer);
  assert.deepEqual(Object.keys(require('ringway')), ['LoadBalancer']);
});

test('slim: nothing can be made before it is started; then all is as by the other door', () => {
  for (const [name, text] of [
    ['slim-sync.mjs', `import { LoadBalancer, initSync } from 'ringway/slim'; ${slimProgram('initSync(readFileSync(file))')}`],
    ['slim.mjs', `import { LoadBalancer, init, initSync } from 'ringway/slim'; ${slimProgram('await Promise.all([init(readFileSync(file)), init()]); initSync()')}`],
    ['slim-module.mjs', `import { LoadBalancer, init } from 'ringway/slim'; ${slimProgram('await init(WebAssembly.compile(readFileSync(file)))')}`],
    ['slim-response.mjs', `import { LoadBalancer, init } from 'ringway/slim'; ${slimProgram("await init(new Response(readFileSync(file), { headers: { 'content-type': 'application/wasm' } }))")}`],
    ['slim.cjs', `const { LoadBalancer, initSync } = require('ringway/slim'); const { readFileSync } = require('node:fs'); initSync(readFileSync(require.resolve('ringway/lb.wasm')));${program}`],
    ['slim-file.cjs', `const { LoadBalancer, initSync } = require('./node_modules/ringway/dist/slim.cjs'); initSync(require('node:fs').readFileSync(require.resolve('ringway/lb.wasm')));${program}`],
  ]) {
    assert.equal(runThere(name, text), name.endsWith('cjs') ? 'a\n' : 'not-started\na\n', name);
  }
});

test('slim: what is no wasm is refused with a code', () => {
  const text = `
    import { init, initSync } from 'ringway/slim';
    const code = (error) => console.log(error instanceof Error, error.code);
    for (const source of [undefined, null, 5, 'x', {}, Promise.resolve()]) try { initSync(source); } catch (error) { code(error); }
    for (const source of [new Uint8Array(8), new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])]) try { initSync(source); } catch (error) { code(error); }
    for (const source of [null, 5, {}, undefined, 'http://127.0.0.1:1/lb.wasm', new Response('no', { status: 404 }), new Response('no')]) await init(source).catch(code);
    await init(Promise.reject(Object.assign(new Error('mine'), { code: 'mine' }))).catch(code);
  `;
  const expected = [...Array(6).fill('invalid-argument'), 'not-loaded', 'not-loaded', ...Array(3).fill('invalid-argument'), ...Array(4).fill('not-loaded'), 'mine'];
  assert.deepEqual(runThere('slim-bad.mjs', text).trimEnd().split('\n'), expected.map((code) => `true ${code}`));
});

test('the wasm is found by its name', () => {
  assert.equal(require.resolve('ringway/lb.wasm'), join(folder, 'node_modules/ringway/dist/lb_bg.wasm'));
});

test('loading prints nothing, and needs no right to read files beyond the modules themselves', () => {
  assert.equal(runThere('quiet.mjs', "import 'ringway'; process.on('warning', (w) => console.log(w));"), '');
  for (const file of ['index.js', 'core.js', 'fault.js', 'index.cjs', 'hashring.js', 'hashring.cjs', 'workerd.js', 'edge-light.js']) {
    const text = readFileSync(join(folder, 'node_modules/ringway/dist', file), 'utf8');
    assert.doesNotMatch(text, /node:|require\(["']fs|fetch\(|import\.meta|eval\(|new Function/, file);
  }
});

test('a program bundled into one file works without the package', () => {
  for (const [format, name] of [['esm', 'bundled.mjs'], ['cjs', 'bundled.cjs'], ['iife', 'bundled-script.cjs']]) {
    buildSync({
      stdin: { contents: `import { LoadBalancer } from 'ringway';${program}`, resolveDir: folder },
      bundle: true,
      format,
      platform: 'neutral',
      mainFields: ['module', 'main'],
      outfile: join(folder, 'bundled', name),
    });
    assert.equal(execFileSync(process.execPath, [join(folder, 'bundled', name)], { encoding: 'utf8' }), 'a\n', format);
  }
});

test('TypeScript, strict, sees every method through both doors', () => {
  const source = readFileSync(join(root, 'tests/js/types.test.ts'), 'utf8');
  const options = { strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false, target: 'es2022', lib: ['es2022'], types: [] };
  for (const [name, compilerOptions] of [
    ['node16.mts', { module: 'node16', moduleResolution: 'node16' }],
    ['node16.cts', { module: 'node16', moduleResolution: 'node16' }],
    ['nodenext.mts', { module: 'nodenext', moduleResolution: 'nodenext' }],
    ['nodenext.cts', { module: 'nodenext', moduleResolution: 'nodenext' }],
    ['bundler.ts', { module: 'preserve', moduleResolution: 'bundler' }],
  ]) {
    writeFileSync(join(folder, name), source);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, ...compilerOptions }, files: [name] }));
    try {
      tool('typescript/bin/tsc', '-p', '.');
    } catch (error) {
      assert.fail(`${name}:\n${error.stdout}`);
    }
  }
});

test('that TypeScript program does what it expects', async () => {
  const { code } = transformSync(readFileSync(join(root, 'tests/js/types.test.ts'), 'utf8'), { loader: 'ts', format: 'esm' });
  const { seen } = await importThere(code, 'types.mjs');
  assert.deepEqual(seen, Object.fromEntries(Object.keys(seen).map((name) => [name, true])));
});

test('whoever came in by both doors has one engine', () => {
  const text = `
    import { LoadBalancer } from 'ringway';
    import { LoadBalancer as Slim, init } from 'ringway/slim';
    const lb = new LoadBalancer({ servers: [{ name: 'a', address: '10.0.0.1', port: 80 }] });
    await init();
    console.log(lb.route('user:42').name, Slim === LoadBalancer);
  `;
  assert.equal(runThere('both.mjs', text), 'a true\n');
});

test('publint and arethetypeswrong find nothing', () => {
  tool('publint/src/cli.js', 'node_modules/ringway', '--strict');
  // It wants the tarball beside no other file of the same name.
  mkdirSync(join(folder, 'attw'), { recursive: true });
  cpSync(tarball, join(folder, 'attw/package.tgz'));
  // `node10` knows no `exports`; it is not a Node that this package supports.
  tool('@arethetypeswrong/cli/dist/index.js', 'attw/package.tgz', '--profile', 'node16');
  assert.ok(existsSync(join(folder, 'attw/package.tgz')));
});
