// How evenly the ring is shared: two numbers of the engine's, and a bar for each server.

import { html, nothing, svg, tagged } from './dom.js';
import { count, percent, ratio } from './words.js';

const [WIDTH, HEIGHT] = [600, 120];

export function balanceView({ view, servers, slots }) {
  if (servers.length === 0) return html`<p class="empty">There are no servers.</p>`;
  const { balance, nPoints, virtualNodes } = view;
  return html`
    <dl class="figures">
      <div><dt>Peak to mean</dt><dd>${ratio(balance.peak_to_mean)}</dd></div>
      <div><dt>Spread (cv)</dt><dd>${percent(balance.cv)}</dd></div>
      <div><dt>Points</dt><dd>${count(nPoints)}</dd></div>
    </dl>
    ${bars(servers, slots)}
    ${servers.length < 2 || view.isKeyless ? nothing : html`<p class="hint">${virtualNodes < 40
      ? 'So few virtual nodes share unevenly. More of them make the spread shrink.'
      : 'More virtual nodes share more evenly, for more memory.'}</p>`}`;
}

// The share each server owns, the largest first, and a mark at its fair share.
function bars(servers, slots) {
  const sorted = [...servers].sort((a, b) => b.share.actual - a.share.actual);
  const most = sorted.reduce((max, { share }) => Math.max(max, share.actual, share.expected), 0);
  const step = WIDTH / sorted.length;
  const width = Math.max(step * 0.55, Math.min(step * 0.8, step - 2));
  const y = (share) => HEIGHT - (share / most) * (HEIGHT - 4);
  const text = `Shares from ${percent(sorted[0].share.actual)} (${sorted[0].name}) to ${percent(sorted[sorted.length - 1].share.actual)} (${sorted[sorted.length - 1].name})`;
  return html`
    <figure class="shares">
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${text}>
        ${sorted.map(({ name, share }, i) => svg`
          <g>
            <title>${name}: ${percent(share.actual)}, fair ${percent(share.expected)}</title>
            <rect class="fill" data-slot=${slots.get(name) ?? nothing} x=${i * step + (step - width) / 2} y=${y(share.actual)} width=${width} height=${HEIGHT - y(share.actual)}></rect>
            ${sorted.length > 60 ? nothing : svg`<line class="halo" x1=${i * step + (step - width) / 2} x2=${i * step + (step + width) / 2} y1=${y(share.expected)} y2=${y(share.expected)}></line>`}
            <line class="fair" x1=${i * step} x2=${(i + 1) * step} y1=${y(share.expected)} y2=${y(share.expected)}></line>
          </g>`)}
      </svg>
      <figcaption>
        <span>Largest: ${tagged(sorted[0].name, slots)} ${percent(sorted[0].share.actual)}</span>
        <span class="fair-key">fair share</span>
        <span>Smallest: ${tagged(sorted[sorted.length - 1].name, slots)} ${percent(sorted[sorted.length - 1].share.actual)}</span>
      </figcaption>
    </figure>`;
}
