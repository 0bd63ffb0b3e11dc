// The package's reference is what its declarations say, and they say something of everything.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { file, text } from '../../pkg-template/docs.mjs';

const template = resolve(import.meta.dirname, '../../pkg-template');

test('docs/package.md is what the declarations say', () => {
  if (process.env.UPDATE) writeFileSync(file, text());
  assert.equal(readFileSync(file, 'utf8'), text(), 'docs/package.md is stale: run node pkg-template/docs.mjs');
});

test('every declaration and every member has a comment', () => {
  for (const name of readdirSync(template).filter((name) => name.endsWith('.d.ts'))) {
    const lines = readFileSync(join(template, name), 'utf8').split('\n');
    let depth = 0;
    lines.forEach((line, i) => {
      const isDeclared = depth === 0 && /^(export (?!default |type \*|\*|\{)|declare (?!namespace))/.test(line);
      const isMember = depth > 0 && /^ +(?!\* |\*\/|\/\*|\||\})\S.*[;{]$/.test(line) && /[;{}*/]$/.test(lines[i - 1]) && !/^ +(interface|type|function) /.test(line);
      if (isDeclared || isMember) assert.match(lines[i - 1], /\*\/$/, `${name}:${i + 1} has no comment: ${line}`);
      if (!/^\s*(\/\*|\*)/.test(line)) depth += (line.match(/\{/g) ?? []).length - (line.match(/\}/g) ?? []).length;
    });
  }
});
