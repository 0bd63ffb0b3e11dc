// What is under the pointer or the ring cursor, in two lines that are always as high.

import { html, tagged } from '../shared/dom.js';
import { keyless, many, percent, position } from '../shared/words.js';

// How much can be told apart, in words.
export function levelWords({ level, perPixel }, nPoints) {
  return {
    ticks: `${many(nPoints, 'point')}, each drawn for itself.`,
    fine: `${many(nPoints, 'point')}: too many to tell apart; the arcs are true.`,
    condensed: `Condensed: ${perPixel.toFixed(1)} points a pixel. Pick servers to see theirs.`,
  }[level];
}

// Whose the arc would be if its owner failed: the next other server clockwise of those that take keys.
export function heir({ points, keys }, index) {
  const n = keys.turns.length;
  if (n === 0) return null;
  const label = points.labels[index];
  let at = keys === points ? index : 0;
  if (keys !== points) {
    const turn = points.turns[index];
    while (at < n && keys.turns[at] < turn) at += 1;
  }
  for (let i = 0; i < n; i++) {
    const other = keys.labels[(at + i) % n];
    if (other !== label) return other;
  }
  return null;
}

export function readoutView({ view, slots, selected, pins }, index, detail) {
  const point = view.points.at(index);
  if (view.isKeyless) return html`<span>${keyless(view.algorithm)}</span>`;
  if (!point) {
    const pinned = [...new Set([...pins, ...(selected === null ? [] : [selected])])];
    return html`<span>${levelWords(detail, view.nPoints)}</span>
      <span class="quiet">${pinned.length === 0 ? 'Point at the ring, or focus it and use the arrow keys.' : html`Showing <bdi>${pinned.join(', ')}</bdi>.`}</span>`;
  }
  const { server, after, share, virtual_node: node } = point;
  const owner = view.servers.find(({ name }) => name === server);
  const next = heir(view, index);
  return html`
    <span><code class="hex">(${position(after)}, ${position(point.position)}]</code> ${percent(share)} of the ring</span>
    <span>${tagged(server, slots)} virtual node ${node ?? '–'}; in all ${percent(owner.share.actual)}, fair ${percent(owner.share.expected)}${next === null ? '' : html`; then ${tagged(next, slots)}`}</span>`;
}

// The same for who listens.
export function readoutText({ view }, index) {
  const point = view.points.at(index);
  if (!point) return 'No point chosen';
  const { server, share, virtual_node: node } = point;
  const next = heir(view, index);
  return `${server}, at ${point.position}, owns ${percent(share)} up to here, virtual node ${node ?? 'unknown'}${next === null ? '' : `; then ${next}`}`;
}
