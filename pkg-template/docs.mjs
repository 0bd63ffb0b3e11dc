// Writes docs/package.md from the declarations, which say all there is to say: no second text that
// could say something else. tests/js/docs.test.mjs fails when it is stale.
//
//   node pkg-template/docs.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const template = import.meta.dirname;
export const file = resolve(template, '../docs/package.md');

const doors = [
  ['ringway', 'index.d.ts', 'The class, ready at once.'],
  ['ringway/fetch', 'fetch.d.ts', 'Forwarding requests, and following a running proxy.'],
  ['ringway/hashring', 'hashring.d.ts', "The API and the answers of npm's `hashring` 3.2, in plain JavaScript."],
  ['ringway/slim', 'slim.d.ts', 'The class without the wasm in it. It has all that `ringway` has, and:'],
  ['ringway/lb.wasm', 'lb_bg.wasm.d.ts', 'The wasm.'],
];

// What is not said to be public is not: the head of each part that is shown.
const HEAD = /^(?:export |declare )*(class|interface|function|type|const|namespace) (\w+)/;

/** The text of docs/package.md. */
export function text() {
  const parts = [
    '# The package in JavaScript\n',
    'Made from the TypeScript declarations by `node pkg-template/docs.mjs`; not to be edited. [The package\'s readme](../pkg-template/README.md) shows how it is used.',
    'The shapes of configuration and answers (`Config`, `ServerSpec`, `ExplainView` and so on) are those of the proxy\'s configuration file and [REST API](api.md); `wire.d.ts` in the package declares them, and `ringway` exports them as types.\n',
  ];
  for (const [name, source, about] of doors) {
    parts.push(`## \`${name}\`\n`, `${about}\n`);
    parts.push(...entries(readFileSync(join(template, source), 'utf8').split('\n')));
  }
  return `${parts.join('\n').replace(/\n{3,}/g, '\n\n').trimEnd()}\n`;
}

// Each declaration with its comment: a heading for what stands at the margin, and an item for its members.
function entries(lines) {
  const parts = [];
  let comment = [];
  let isPublic = false;
  for (let i = 0; i < lines.length; i += 1) {
    if (/^\s*\/\*\* /.test(lines[i]) || /^\s*\/\*\*$/.test(lines[i])) {
      const from = i;
      while (!lines[i].includes('*/')) i += 1;
      comment = lines.slice(from, i + 1).map((line) => line.replace(/^\s*\/?\*{1,2}\/?\s?/, '').replace(/\s*\*\/$/, ''));
      continue;
    }
    const head = HEAD.exec(lines[i]);
    if (head) {
      const [, kind, name] = head;
      isPublic = comment.length > 0;
      if (isPublic) {
        const isBlock = lines[i].endsWith('{') && kind !== 'function';
        const signature = isBlock ? [] : taken(lines, i);
        parts.push(`### ${kind === 'const' ? 'default export' : `\`${name}\``}\n`, said(comment), ...(signature.length ? ['```ts', ...signature, '```\n'] : []));
      } else if (kind === 'namespace') {
        isPublic = true;
      }
      comment = [];
    } else if (isPublic && comment.length > 0 && /^ {2}\S/.test(lines[i])) {
      const nested = /^ {2}(?:interface|type) (\w+)/.exec(lines[i]);
      const signature = nested && lines[i].endsWith('{') ? [`interface ${nested[1]}`] : taken(lines, i).map((line) => line.trim());
      parts.push(`- \`${signature.join(' ').replace(/;$/, '')}\`: ${said(comment).trim().replace(/\n+/g, '\n  ')}`);
      comment = [];
    } else if (isPublic && comment.length > 0 && /^ {4}\S/.test(lines[i])) {
      parts.push(`  - \`${lines[i].trim().replace(/;$/, '')}\`: ${said(comment).trim().replace(/\n+/g, ' ')}`);
      comment = [];
    }
    if (lines[i] === '}') parts.push('');
  }
  return parts;
}

// A declaration up to its end.
function taken(lines, from) {
  let to = from;
  while (!/[;}]$/.test(lines[to])) to += 1;
  return lines.slice(from, to + 1);
}

function said(comment) {
  const text = comment.join('\n').trim();
  const paragraphs = text.split(/\n\n|\n(?=@)/).map((paragraph) => paragraph.replace(/\s*\n\s*/g, ' '));
  return `${paragraphs.map((paragraph) => paragraph.replace(/^@param (\w+) /, '`$1`: ').replace(/^@throws /, 'Throws ').replace(/^@deprecated /, 'Deprecated: ')).join('\n\n')}\n`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(file, text());
