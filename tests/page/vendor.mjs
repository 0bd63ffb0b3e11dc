// Copies what the page uses of other projects into www/vendor/, from the packages of the npm
// registry, and writes down what it is. `node tests/page/vendor.mjs` does it again; the test of
// the sources compares the files with the list.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const vendor = resolve(import.meta.dirname, '../../www/vendor');
const PACKAGES = [
  {
    name: 'lit-html',
    version: '3.3.3',
    licence: 'BSD-3-Clause',
    why: 'Tables and panels that are redrawn each second without losing the focus, and in which names are text and never markup.',
    files: ['LICENSE', 'lit-html.js', 'directive.js', 'directive-helpers.js', 'directives/live.js', 'directives/repeat.js'],
  },
  {
    name: 'uplot',
    version: '1.6.32',
    licence: 'MIT',
    why: 'Charts of a running proxy that are redrawn each second, with one cursor for all.',
    folder: 'uPlot-1.6.32',
    files: ['LICENSE', 'dist/uPlot.iife.min.js', 'dist/uPlot.min.css'],
  },
];

const folder = mkdtempSync(join(tmpdir(), 'ringway-vendor-'));
rmSync(vendor, { recursive: true, force: true });
const manifest = PACKAGES.map(({ files, ...about }) => {
  const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', '--silent', `${about.name}@${about.version}`], { cwd: folder, encoding: 'utf8' }));
  execFileSync('tar', ['-xzf', packed.filename], { cwd: folder });
  const to = about.folder ?? `${about.name}-${about.version}`;
  const sums = {};
  for (const file of files) {
    const target = join(vendor, to, file);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(folder, 'package', file), target);
    sums[`${to}/${file}`] = createHash('sha256').update(readFileSync(target)).digest('hex');
  }
  return { ...about, integrity: packed.integrity, files: sums };
});
writeFileSync(join(vendor, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
rmSync(folder, { recursive: true, force: true });
