// The code in the package's README runs as it stands there, and prints what it says it prints.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { folder, runThere } from './installed.mjs';

const readme = readFileSync(join(folder, 'node_modules/ringway/README.md'), 'utf8');
const blocks = [...readme.matchAll(/^```js\n([\s\S]*?)^```/gm)].map((match) => match[1]);

test('the README has code', () => assert.ok(blocks.length >= 3));

// Blocks go on from each other, as a reader takes them. `// → text` is what the line prints; a
// `require` stands alone.
test('the blocks run, one after the other', () => {
  const modules = blocks.filter((block) => !block.includes('require('));
  const expected = modules.flatMap((block) => [...block.matchAll(/\/\/ → (.*)$/gm)].map((match) => match[1]));
  assert.ok(expected.length > 0);
  assert.deepEqual(runThere('readme.mjs', modules.join('\n')).trimEnd().split('\n'), expected);
});

test('the CommonJS blocks run', () => {
  for (const block of blocks.filter((block) => block.includes('require('))) runThere('readme.cjs', block);
});
