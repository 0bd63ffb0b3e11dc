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
    const text = readFileSync(join(template, name), 'utf8').replaceAll(/^import type \{[^}]*\} from .*$/gm, '');
    const lines = text.split('\n');
    let depth = 0;
    let before = '';
    lines.forEach((line, i) => {
      const isComment = /^\s*(\/\*|\*)/.test(line);
      const indent = line.search(/\S/);
      const isDeclared = depth === 0 && /^(export (?!default |type \*|\*|\{)|declare (?!namespace))/.test(line);
      const isMember = depth > 0 && !isComment && indent === 2 * depth && /^\s*[\w'[]/.test(line);
      if (isDeclared || isMember) assert.match(before, /\*\/$/, `${name} has no comment over: ${line}`);
      if (!isComment) depth += (line.match(/\{/g) ?? []).length - (line.match(/\}/g) ?? []).length;
      if (indent >= 0) before = line;
    });
  }
});
