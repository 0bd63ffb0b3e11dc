// Makes the page ready to be put online or given away.
//
//   node deploy/site/build.mjs OUTPUT-FOLDER
//
// OUTPUT-FOLDER is then a site for any static server, in any folder of it (`.nojekyll` is for GitHub
// Pages), and its standalone.html is the same page in one file, which a browser can open from disk:
// browsers load no modules, workers or WebAssembly beside such a file, so all of it is inside.
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const www = join(root, 'www');
const { buildSync } = createRequire(join(root, 'tests/'))('esbuild');

const output = resolve(process.argv[2] ?? 'build/site');
const read = (path) => readFileSync(join(www, path), 'utf8');

rmSync(output, { recursive: true, force: true });
cpSync(www, output, { recursive: true });
writeFileSync(join(output, '.nojekyll'), '');
writeFileSync(join(output, 'standalone.html'), standalone(read('index.html')));

/** The page with all that it names written into it, and a policy that allows just that. */
function standalone(page) {
  const allowed = { script: [], style: [] };
  const inline = (kind, text, attributes = '') => {
    allowed[kind].push(`'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    return `<${kind}${attributes}>${text}</${kind}>`;
  };

  const styles = [];
  page = page.replace(/^<link rel="stylesheet" href="\.\/([^"]+)">\n/gm, (_, path) => {
    styles.push(read(path));
    return '';
  });
  const icon = `data:image/svg+xml;base64,${Buffer.from(read('favicon.svg')).toString('base64')}`;
  page = page.replaceAll('./favicon.svg', icon);
  page = page.replace(/<script( type="module")?( defer)? src="\.\/([^"]+)"><\/script>/g, (_, isModule, _isDeferred, path) => {
    // A script in the page cannot wait for the document as one beside it does, unless it is a module.
    return isModule ? inline('script', bundled(path), ' type="module"') : inline('script', read(path));
  });
  page = page.replace('</head>', () => `${inline('style', styles.join('\n'))}\n</head>`);
  const policy = { "script-src 'self'": `script-src ${allowed.script.join(' ')}`, "style-src 'self'": `style-src ${allowed.style.join(' ')}` };
  for (const [from, to] of Object.entries(policy)) {
    if (!page.includes(from)) throw new Error(`the page's policy has no ${from}`);
    page = page.replace(from, () => to);
  }
  const [left] = /(?:src|href)="\.\/[^"]*"/.exec(page) ?? [];
  if (left) throw new Error(`still beside the page: ${left}`);
  return page;
}

function bundled(path) {
  const { outputFiles: [{ text }] } = buildSync({
    entryPoints: [join(www, path)], bundle: true, format: 'esm', target: 'es2022', minifyWhitespace: true, write: false, logLevel: 'error',
  });
  return text;
}
