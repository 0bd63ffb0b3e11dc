// How evenly the ring is shared: numbers of the engine's, a bar for each server, and what theory
// expects of so many virtual nodes.

import { html, nothing, svg, tagged } from '../shared/dom.js';
import { count, percent, ratio } from '../shared/words.js';

const [WIDTH, HEIGHT] = [600, 120];
const CHART = { width: 300, height: 120, left: 6, right: 6, top: 6, bottom: 6 };
// More bars than this are drawn as one shape.
const BARS_MAX = 120;

// `measured` is what `measure` in theory.js answers with.
export function balanceView({ view, servers, slots }, measured) {
  if (servers.length === 0) return html`<p class="empty">There are no servers.</p>`;
  const { balance, nPoints } = view;
  const ratios = servers.map(({ share }) => share.actual / share.expected);
  return html`
    <dl class="figures">
      <div><dt>Peak to mean</dt><dd data-testid="peak">${ratio(balance.peak_to_mean)}</dd></div>
      <div><dt>Least to mean</dt><dd data-testid="least">${ratio(ratios.reduce((a, b) => Math.min(a, b), Infinity))}</dd></div>
      <div><dt>Spread (cv)</dt><dd data-testid="cv">${percent(balance.cv)}</dd></div>
      ${nPoints > 0 ? html`<div><dt>Points</dt><dd data-testid="points">${count(nPoints)}</dd></div>` : nothing}
    </dl>
    ${bars(servers, slots)}
    ${measured === null ? nothing : theoryView(measured, view)}`;
}

// The share each server owns, the largest first, and a line at its fair share.
function bars(servers, slots) {
  const sorted = [...servers].sort((a, b) => b.share.actual - a.share.actual);
  const most = sorted.reduce((max, { share }) => Math.max(max, share.actual, share.expected), 0);
  const step = WIDTH / sorted.length;
  const width = Math.max(step * 0.55, Math.min(step * 0.8, step - 2));
  const y = (share) => HEIGHT - (share / most) * (HEIGHT - 4);
  const [first, last] = [sorted[0], sorted[sorted.length - 1]];
  const text = `Shares from ${percent(first.share.actual)} (${first.name}) to ${percent(last.share.actual)} (${last.name})`;
  return html`
    <figure class="shares">
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${text}>
        ${sorted.length > BARS_MAX ? outline(sorted, step, y) : sorted.map(({ name, share }, i) => svg`
          <g>
            <title>${name}: ${percent(share.actual)}, fair ${percent(share.expected)}</title>
            <rect class="fill" data-slot=${slots.get(name) ?? nothing} x=${i * step + (step - width) / 2} y=${y(share.actual)} width=${width} height=${HEIGHT - y(share.actual)}></rect>
            <line class="fair" x1=${i * step} x2=${(i + 1) * step} y1=${y(share.expected)} y2=${y(share.expected)}></line>
          </g>`)}
      </svg>
      <figcaption>
        <span>${tagged(first.name, slots)} ${percent(first.share.actual)}</span>
        <span class="fair-key">fair share</span>
        <span>${tagged(last.name, slots)} ${percent(last.share.actual)}</span>
      </figcaption>
    </figure>`;
}

// The same for very many: their tops in one line.
function outline(sorted, step, y) {
  const path = (of) => sorted.map(({ share }, i) => `${i === 0 ? 'M' : 'L'}${i * step} ${y(of(share))}H${(i + 1) * step}`).join('');
  return svg`<path class="fill" d="${path(({ actual }) => actual)}V${HEIGHT}H0Z"></path><path class="fair" fill="none" d=${path(({ expected }) => expected)}></path>`;
}

function theoryView({ seen, servers }, { virtualNodes }) {
  const { width, height, left, right, top, bottom } = CHART;
  const [least, most] = [seen[0].n, seen[seen.length - 1].n];
  const x = (n) => left + (Math.log(n / least) / Math.max(Math.log(most / least), 1e-9)) * (width - left - right);
  const highest = Math.max(...seen.map(({ cv, band: [, upper] }) => Math.max(cv, upper)));
  const y = (cv) => height - bottom - (Math.min(cv, highest) / highest) * (height - top - bottom);
  const path = (of) => seen.map((step, i) => `${i === 0 ? 'M' : 'L'}${x(step.n).toFixed(1)} ${y(of(step)).toFixed(1)}`).join('');
  const area = `${path(({ band: [, upper] }) => upper)}${[...seen].reverse().map(({ n, band: [lower] }) => `L${x(n).toFixed(1)} ${y(lower).toFixed(1)}`).join('')}Z`;
  const now = seen.find(({ n }) => n === virtualNodes);
  const isInside = now.cv >= now.band[0] && now.cv <= now.band[1];
  return html`
    <h3>Spread by virtual nodes</h3>
    <figure class="theory">
      <p class="up"><span>${percent(highest)}</span><span>0 %</span></p>
      <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Spread by virtual nodes: ${percent(now.cv)} at ${virtualNodes}, where random ones would have ${percent(now.expected)}">
        ${[0, 0.5, 1].map((part) => svg`<line class="grid" x1=${left} x2=${width - right} y1=${y(highest * part)} y2=${y(highest * part)}></line>`)}
        <path class="band" d=${area}></path>
        <path class="expected" d=${path(({ expected }) => expected)}></path>
        ${seen.map(({ n, cv }) => svg`<circle class=${n === virtualNodes ? 'now' : 'then'} cx=${x(n)} cy=${y(cv)} r=${n === virtualNodes ? 5 : 3}><title>${n} virtual nodes: ${percent(cv)}</title></circle>`)}
      </svg>
      <p class="along"><span>${count(least)}</span><span>virtual nodes a weight</span><span>${count(most)}</span></p>
      <figcaption>Dots: this fleet of ${count(servers)}. Line and band: random virtual nodes, and 99 of 100 fleets of them. At ${count(virtualNodes)} expected ${percent(now.expected)}, is <b>${percent(now.cv)}</b>${isInside ? '' : ', outside of the band'}.</figcaption>
    </figure>`;
}
