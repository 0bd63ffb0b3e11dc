// axe, asked by the rules that bind us and those that are good practice.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

// What axe cannot decide and we have: buttons whose text is a sign (−, ×, ‹) have a label in words,
// and so have the other signs (arrows of the help, marks of a state), beside them. In forced colours the
// system chooses both colours; axe looks at those that it replaced.
const EXPLAINED = [
  /^undecided label-content-name-mismatch: .* \(Unable to determine if the visible text is part of the accessible name\)$/,
  /^undecided color-contrast: .* \(Element content contains only non-text characters\)$/,
];

/** What axe has against the page as it is now, and what it could not decide: a line for each place. */
export async function faults(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(async (tags) => {
    // axe measures frames and preloads styles by requests of its own: there is nothing to be found so.
    const { violations, incomplete } = await globalThis.axe.run(document, { runOnly: tags, preload: false, iframes: false });
    const lines = (kind, rules) => rules.flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) => (
      `${kind} ${id}: ${target.join(' ')} (${[...any, ...all, ...none].map(({ message }) => message).join('; ')})`)));
    return [...lines('against', violations), ...lines('undecided', incomplete)];
  }, TAGS);
  return found.filter((line) => !EXPLAINED.some((pattern) => pattern.test(line)));
}

/** Fails if axe has anything against the page, or could not decide anything. */
export async function assertAccessible(page, what) {
  const isForced = await page.evaluate(() => matchMedia('(forced-colors: active)').matches);
  const found = (await faults(page)).filter((line) => !(isForced && / color-contrast: /.test(line)));
  assert.deepEqual(found, [], what);
}
