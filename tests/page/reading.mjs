// What the tests of the page ask it, and the engine.
import { LoadBalancer } from '../../www/pkg/index.js';

export const NAMES = ['cache-1', 'cache-2', 'cache-3'];
export const engine = (names = NAMES, virtualNodes = 12) =>
  new LoadBalancer({ servers: names.map((name) => ({ name, address: '10.0.0.1', port: 8080 })), routing: { virtual_nodes: virtualNodes } });

export const rowOf = (page, name) => page.locator('#servers tr').filter({ has: page.getByText(name, { exact: true }) });
export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const keysOf = async (page) => Object.fromEntries(await page.locator('tr[data-name]').evaluateAll((rows) =>
  rows.map((row) => [row.dataset.name, Number((row.querySelector('[data-keys]') ?? row).dataset.keys)])));
export const sharesOf = (own) => Object.fromEntries(own.servers().map(({ name, share }) => [name, share.actual]));
export const moved = async (page) => Number(await page.locator('[data-moved]').getAttribute('data-moved'));
/** What a part of the page says, with single spaces. */
export const says = async (locator) => (await locator.innerText()).replace(/\s+/g, ' ').trim();
/** Drawing waits for the next frame; so does reading. */
export const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** The colours on the ring's canvas along a ray, from the middle outwards. */
export const ray = (page, turn) => page.evaluate((at) => {
  const canvas = document.querySelector('#stage canvas');
  const { width } = canvas;
  const copy = Object.assign(document.createElement('canvas'), { width, height: width });
  copy.getContext('2d').drawImage(canvas, 0, 0);
  const data = copy.getContext('2d').getImageData(0, 0, width, width).data;
  const found = new Set();
  for (let r = width * 0.2; r < width / 2; r++) {
    const [x, y] = [width / 2 + r * Math.sin(2 * Math.PI * at), width / 2 - r * Math.cos(2 * Math.PI * at)].map(Math.floor);
    const i = 4 * (y * width + x);
    if (data[i + 3] === 255) found.add(`#${[...data.slice(i, i + 3)].map((part) => part.toString(16).padStart(2, '0')).join('')}`);
  }
  return [...found];
}, turn);

/** The middle of the longest arc each server owns: where to look for its colour. */
export function middles(own) {
  const longest = {};
  for (const { server, turn, share } of own.ring().points) {
    if (!(longest[server]?.share > share)) longest[server] = { share, turn: (turn - share / 2 + 1) % 1 };
  }
  return Object.fromEntries(Object.entries(longest).map(([name, { turn }]) => [name, turn]));
}
