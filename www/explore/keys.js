// The way of a key in steps: where it stands, whose point comes first, who was passed over, who gets
// it, who would be next. And many keys at once, in a table.

import { html, nothing, swatch, named, tagged } from '../shared/dom.js';
import { REASONS, count, keyless, many, percent, position } from '../shared/words.js';

const NEXT_MAX = 4;
export const KEYS_MAX = 20_000;

export function walkView({ view, walk, slots, key }) {
  if (view.isKeyless) return html`<p class="empty" data-testid="keyless">${keyless(view.algorithm)}</p>`;
  if (!walk) return html`<p class="empty">Type a key above the ring to see which server it goes to, and why.</p>`;
  if (walk.candidates.length === 0) return html`<p class="empty">There are no servers.</p>`;
  const chosen = walk.candidates.findIndex(({ reason }) => reason === 'chosen');
  const passed = walk.candidates.slice(0, Math.max(0, chosen));
  const next = walk.candidates.filter(({ reason }) => reason === 'next');
  const bytes = new TextEncoder().encode(key);
  return html`
    <ol class="steps">
      <li><b>Key</b><span>${many(bytes.length, 'byte')} of UTF-8.</span></li>
      <li><b>Hash</b><span>${view.isRing ? 'XXH3-64 places it at' : 'It stands at'} <code class="hex">${position(walk.position)}</code>, always.</span></li>
      <li><b>Owner</b><span>${view.isRing ? 'Clockwise, the first point is one of' : html`By ${view.algorithm} it is one of`} ${tagged(walk.owner, slots)}.</span></li>
      ${passed.slice(0, NEXT_MAX).map(({ server, reason }) => html`<li class="passed"><b>Not this one</b><span>${tagged(server, slots)} ${REASONS[reason]}.</span></li>`)}
      ${passed.length > NEXT_MAX ? html`<li class="passed"><b></b><span>and ${many(passed.length - NEXT_MAX, 'more server')} passed over.</span></li>` : nothing}
      ${chosen < 0
        ? html`<li><b>Nowhere</b><span>No server may be used.</span></li>`
        : html`<li class="chosen"><b>Goes to</b><span>${tagged(walk.server, slots)}${walk.fail_open ? ' (fail open: nobody is eligible, so all are used)' : nothing}</span></li>`}
      ${next.length === 0 ? nothing : html`<li class="next"><b>Then</b><span>If that fails: ${next.slice(0, NEXT_MAX).map(({ server }) => html`${tagged(server, slots)} `)}${next.length > NEXT_MAX ? `and ${next.length - NEXT_MAX} more` : nothing}</span></li>`}
    </ol>`;
}

// One key a line; those past the limit are counted only.
export function parseKeys(text) {
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  return { keys: lines.slice(0, KEYS_MAX), dropped: Math.max(0, lines.length - KEYS_MAX) };
}

// Where each of `keys` goes, and how many each server gets: [{ key, server }], Map.
export function routed(fleet, keys) {
  const servers = fleet.routeMany(keys);
  const counts = new Map();
  for (const server of servers) counts.set(server?.name ?? null, (counts.get(server?.name ?? null) ?? 0) + 1);
  return { rows: keys.map((key, i) => ({ key, server: servers[i]?.name ?? null, i })), counts };
}

export const keyHead = () => html`<tr><th scope="col">Key</th><th scope="col">Server</th></tr>`;

export const keyRow = (slots, onPick) => ({ key, server }, index) => html`
  <tr aria-rowindex=${index + 2}><td><button type="button" class="pick" title="Show its way" @click=${() => onPick(key)}>${named(key)}</button></td>
  <td>${server === null ? 'nowhere' : html`<span class="tagged">${swatch(slots.get(server))}${named(server)}</span>`}</td></tr>`;

export function countsView({ rows, counts }, dropped, slots) {
  if (rows.length === 0) return html`<p class="hint">Paste keys, a line each, to see where all of them go.</p>`;
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  return html`<p class="hint">${many(rows.length, 'key')}${dropped > 0 ? ` (and ${count(dropped)} more, which are too many)` : ''}:
    ${sorted.slice(0, 4).map(([name, n]) => html`${name === null ? 'nowhere' : tagged(name, slots)} ${percent(n / rows.length)} `)}${sorted.length > 4 ? `and ${count(sorted.length - 4)} more` : ''}</p>`;
}
