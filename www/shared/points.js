// The ring in words: its points in order, a page at a time. What the picture shows, for those who
// do not see it, and for those who want the digits.

import { html, tagged } from './dom.js';
import { count, percent, position } from './words.js';

const PAGE = 25;

export function pointsView({ view, slots }, page, go) {
  const { points } = view;
  const n = points.turns.length;
  const last = Math.max(0, Math.ceil(n / PAGE) - 1);
  const at = Math.min(page, last);
  const rows = Array.from({ length: Math.min(PAGE, n - at * PAGE) }, (_, i) => points.at(at * PAGE + i));
  return html`
    <table class="points">
      <thead><tr><th scope="col">Point at</th><th scope="col">Server</th><th scope="col" class="num">Virtual node</th><th scope="col" class="num">Owns up to here</th></tr></thead>
      <tbody>${rows.map((point) => html`<tr><td><code class="hex">${position(point.position)}</code></td><td>${tagged(point.server, slots)}</td><td class="num">${point.virtual_node ?? '–'}</td><td class="num">${percent(point.share)}</td></tr>`)}</tbody>
    </table>
    <nav class="pager" aria-label="Pages of points">
      <button type="button" ?disabled=${at === 0} @click=${() => go(at - 1)}>Previous</button>
      <span class="num">${n === 0 ? '0' : `${count(at * PAGE + 1)}–${count(Math.min(n, (at + 1) * PAGE))}`} of ${count(n)}</span>
      <button type="button" ?disabled=${at === last} @click=${() => go(at + 1)}>Next</button>
    </nav>`;
}
