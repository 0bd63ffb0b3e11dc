// The way of a key in steps: where it stands, whose point comes first, who was passed over, who
// gets it, who would be next.

import { html, nothing, tagged } from './dom.js';
import { REASONS, keyless, many, position } from './words.js';

const NEXT_MAX = 4;

export function walkView({ view, walk, slots }) {
  if (view.isKeyless) return html`<p class="empty" data-testid="keyless">${keyless(view.algorithm)}</p>`;
  if (!walk) return html`<p class="empty">Type a key above the ring to see which server it goes to, and why.</p>`;
  if (walk.candidates.length === 0) return html`<p class="empty">There are no servers.</p>`;
  const chosen = walk.candidates.findIndex(({ reason }) => reason === 'chosen');
  const passed = walk.candidates.slice(0, Math.max(0, chosen));
  const next = walk.candidates.filter(({ reason }) => reason === 'next');
  return html`
    <ol class="steps">
      <li><b>Hash</b><span>It stands at <code class="hex">${position(walk.position)}</code>, always.</span></li>
      <li><b>Owner</b><span>Clockwise, the first point is one of ${tagged(walk.owner, slots)}.</span></li>
      ${passed.slice(0, NEXT_MAX).map(({ server, reason }) => html`<li class="passed"><b>Not this one</b><span>${tagged(server, slots)} ${REASONS[reason]}.</span></li>`)}
      ${passed.length > NEXT_MAX ? html`<li class="passed"><b></b><span>and ${many(passed.length - NEXT_MAX, 'more server')} passed over.</span></li>` : nothing}
      ${chosen < 0
        ? html`<li><b>Nowhere</b><span>No server may be used.</span></li>`
        : html`<li class="chosen"><b>Goes to</b><span>${tagged(walk.server, slots)}${walk.fail_open ? ' (fail open: nobody is eligible, so all are used)' : nothing}</span></li>`}
      ${next.length === 0 ? nothing : html`<li class="next"><b>Then</b><span>If that fails: ${next.slice(0, NEXT_MAX).map(({ server }) => html`${tagged(server, slots)} `)}${next.length > NEXT_MAX ? `and ${next.length - NEXT_MAX} more` : nothing}</span></li>`}
    </ol>`;
}
