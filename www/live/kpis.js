// The strip of figures on top: is it healthy, and if not, where to look.

import { html, nothing } from '../shared/dom.js';
import { count, ratio } from '../shared/words.js';
import { DASH, countOf, errorsOf, millisOf, rateOf } from './format.js';

export function kpisView({ total, servers, load, expected, isLate, nEligible }) {
  const nWanted = servers.filter(({ standing }) => standing !== 'draining').length;
  // Of few requests any part is uneven.
  const isUneven = total.rps > 100 && load.peak !== null && expected !== null && load.peak > 1.5 * expected;
  const box = (name, title, value, more = nothing, tone = '') => html`
    <div class="kpi ${tone}" data-kpi=${name}><dt>${title}</dt><dd>${value}${more === nothing ? nothing : html` <small>${more}</small>`}</dd></div>`;
  return html`
    <dl class="kpis">
      ${box('up', 'Eligible', html`${count(nEligible)}<small>/${count(servers.length)}</small>`, nothing, nEligible === 0 ? 'bad' : nEligible < nWanted ? 'warn' : 'good')}
      ${box('rps', 'Requests a second', rateOf(total.rps))}
      ${box('err', 'Errors', errorsOf(total.errorRate), nothing, total.errorRate > 0.01 ? 'bad' : '')}
      ${box('p50', 'p50', millisOf(total.p50))}
      ${box('p99', 'p99', millisOf(total.p99))}
      ${box('inflight', 'In flight', countOf(total.inFlight))}
      ${box('peak', 'Peak to mean', load.peak === null ? DASH : ratio(load.peak), expected === null ? nothing : `expected ${ratio(expected)}`, isUneven ? 'warn' : '')}
      ${total.overflowRate === null || total.overflowRate === undefined ? nothing : box('overflow', 'Overflow', errorsOf(total.overflowRate))}
      ${box('age', 'Age of this', html`<span id="age"></span>`, nothing, isLate ? 'bad' : '')}
    </dl>`;
}
