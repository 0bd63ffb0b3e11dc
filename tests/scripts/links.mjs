// Fails when a relative link in a Markdown file leads nowhere: no such file, or no such heading.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => file && existsSync(file));

const withoutCode = (text) => text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '');

// A heading's anchor, as the usual renderers make it.
function anchors(file) {
  const headings = readFileSync(file, 'utf8').replace(/^(```|~~~)[\s\S]*?^\1/gm, '').match(/^#{1,6} .*$/gm) ?? [];
  const seen = new Map();
  return new Set(
    headings.map((heading) => {
      const text = heading.replace(/^#+ /, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
      const anchor = text.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
      const count = seen.get(anchor) ?? 0;
      seen.set(anchor, count + 1);
      return count ? `${anchor}-${count}` : anchor;
    }),
  );
}

let links = 0;
const broken = [];
for (const file of files) {
  const text = withoutCode(readFileSync(file, 'utf8'));
  const targets = [
    ...text.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g),
    ...text.matchAll(/^\[[^\]]+\]:\s+<?(\S+?)>?$/gm),
    ...text.matchAll(/\b(?:href|src)="([^"]+)"/g),
  ].map((match) => match[1]);
  for (const target of targets) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
    links += 1;
    const [path, anchor] = decodeURI(target).split('#');
    const goal = path ? normalize(join(dirname(file), path)) : file;
    if (!existsSync(goal)) broken.push(`${file}: ${target}: no such file`);
    else if (anchor && statSync(goal).isFile() && goal.endsWith('.md') && !anchors(goal).has(anchor)) {
      broken.push(`${file}: ${target}: no such heading`);
    }
  }
}

console.log(`${links} relative links in ${files.length} Markdown files, ${broken.length} broken`);
for (const line of broken) console.error(line);
process.exitCode = broken.length ? 1 : 0;
