// What the page's own files may and may not do.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { www } from './serve.mjs';

const read = (name) => readFileSync(join(www, name), 'utf8');
const all = readdirSync(www, { recursive: true }).filter((name) => !/^(pkg|vendor|api)(\/|$)/.test(name));
const own = all.filter((name) => name.endsWith('.js'));
const styles = all.filter((name) => name.endsWith('.css'));
const IMPORTS = /^(?:import|export|\}) .*from '([^']+)';$/gm;
const code = (name) => read(name).replace(/^\s*\/\/.*$/gm, '');

test('only app.js imports the package, and everything imported is a file of the page', () => {
  for (const name of own) {
    for (const [, from] of code(name).matchAll(IMPORTS)) {
      assert.match(from, /^\.\.?\//, `${name} imports ${from}`);
      const file = normalize(join(name, '..', from));
      assert.ok(!file.startsWith('pkg/') || name === 'app.js', `${name} imports the package`);
      if (!file.startsWith('pkg/')) assert.doesNotThrow(() => read(file), `${name} imports ${from}`);
    }
  }
});

// So that a mode can be taken out, or be read by itself.
test('modes know what they share, and nothing of one another', () => {
  for (const name of own.filter((name) => name.includes('/'))) {
    const [room] = name.split('/');
    for (const [, from] of code(name).matchAll(IMPORTS)) {
      const [to] = normalize(join(name, '..', from)).split('/');
      assert.ok(to === room || to === 'vendor' || to === 'shared', `${name} imports ${from}`);
    }
  }
});

test('nothing makes markup or code out of text', () => {
  for (const name of own) {
    assert.doesNotMatch(code(name), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|unsafeHTML|\beval\(|new Function|setAttribute\('style'|style="/, name);
  }
  assert.doesNotMatch(read('index.html'), /<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=/);
});

test('nothing is hashed or placed on a ring here', () => {
  for (const name of own) assert.doesNotMatch(code(name), /Math\.imul|BigInt|\d+n\b|>>>|crypto/, name);
});

test('nothing is fetched from elsewhere, and every address is relative', () => {
  for (const name of [...own, 'index.html', ...styles]) {
    assert.doesNotMatch(read(name).replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\/|url\(|@import/, name);
  }
  const addresses = [...read('index.html').matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address);
  for (const address of addresses) assert.match(address, /^(\.\/|#)/);
  for (const name of styles) assert.ok(addresses.includes(`./${name}`), `${name} is not used`);
});

test('what is vendored is what the manifest says', () => {
  const files = readdirSync(join(www, 'vendor'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'manifest.json')
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(join(www, 'vendor/').length));
  const sums = Object.assign({}, ...JSON.parse(read('vendor/manifest.json')).map(({ files: listed }) => listed));
  assert.deepEqual(files.sort(), Object.keys(sums).sort());
  for (const [name, sum] of Object.entries(sums)) {
    assert.equal(createHash('sha256').update(readFileSync(join(www, 'vendor', name))).digest('hex'), sum, name);
  }
});

test('the page stays small', () => {
  const vendored = readdirSync(join(www, 'vendor'), { recursive: true }).filter((name) => /\.(js|css)$/.test(name)).map((name) => join('vendor', name));
  const bytes = [...own, ...styles, ...vendored, 'index.html'].reduce((sum, name) => sum + gzipSync(read(name)).length, 0);
  // Three modes whole, with the charts' library.
  assert.ok(bytes < 200_000, `${bytes} bytes, compressed`);
});
