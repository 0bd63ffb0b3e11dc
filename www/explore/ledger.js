// What the staged edits would move, before they are made; and what those before moved.

import { html, named, nothing, swatch } from '../shared/dom.js';
import { count, many, percent, ratio } from '../shared/words.js';
import { least } from './theory.js';
import { deeds } from './words.js';

const FLOWS_MAX = 10;
// What counts as nothing, where it is counted and where it is not.
const [EXACT, ROUGH] = [5e-6, 5e-3];

// How a plan knows what it says.
const BASIS = { exact: 'exactly', expected: 'as expected over the draws', sampled: 'by a sample' };

// A bar above the ring while something is staged.
export function stagedView(store) {
  const { edits, plan, staged, view } = store.state;
  if (staged === null) return nowView(view);
  return html`
    <div class="staged" role="group" aria-label="Staged">
      <p><b>${deeds(edits)}</b>${plan === null ? ': a rule without keys has none to move' : html`: moves <b class="num">${percent(plan.moved)}</b> (by weights ${percent(plan.minimum)})${plan.modulo > 0 ? html`, modulo ${percent(plan.modulo)}` : nothing}`}</p>
      <div><button type="button" class="primary" data-testid="commit" @click=${() => store.commit()}>Commit</button>
      <button type="button" data-testid="discard" @click=${() => store.discard()}>Discard</button></div>
    </div>`;
}

// What there is while nothing is staged.
function nowView({ servers, nPoints, balance, isKeyless }) {
  if (isKeyless || servers.length === 0) return nothing;
  return html`<p class="now"><span><b>${count(servers.length)}</b> ${servers.length === 1 ? 'server' : 'servers'}</span>${nPoints > 0 ? html`<span><b>${count(nPoints)}</b> points</span>` : nothing}
    <span>peak <b>${ratio(balance.peak_to_mean)}</b> × mean</span><span>spread <b>${percent(balance.cv)}</b></span></p>`;
}

export function ledgerView({ edits, plan, ledger, slots }) {
  return html`
    ${plan === null
      ? html`<p class="empty">${edits.length > 0 ? 'A rule without keys has none that could move.' : 'Add, remove, rename, weigh or drain a server: before anything is done, this says how much of the key space would move, exactly, and from whom to whom.'}</p>`
      : html`<div class="latest">
        <p class="deed">${deeds(edits)}</p>
        <p class="big" data-moved=${plan.moved}>${percent(plan.moved)} <span>of keys move</span></p>
        ${costs(plan)}
        ${flows(plan.flows, slots)}
      </div>`}
    ${ledger.length === 0 ? nothing : html`
      <h3>Committed</h3>
      <ul class="past">${ledger.slice(0, 8).map((was) => html`<li><span class="what">${deeds(was.edits)}</span><span class="num">${was.plan === null ? '' : percent(was.plan.moved)}</span></li>`)}</ul>
      ${ledger.length > 8 ? html`<p class="more">and ${count(ledger.length - 8)} before these</p>` : nothing}`}`;
}

function costs(plan) {
  const { moved, minimum, modulo, basis, sampled } = plan;
  const excess = moved - least(plan);
  const most = Math.max(moved, minimum, modulo, 1e-9);
  const line = (name, value, kind, why) => html`
    <tr><th scope="row" title=${why}>${name}</th><td class="num">${percent(value)}</td>
    <td class="wide" aria-hidden="true"><svg class="bar"><rect class="cost ${kind}" width="${(100 * Math.max(0, value)) / most}%" height="100%"></rect></svg></td></tr>`;
  return html`
    <table class="costs">
      <tbody>
        ${line('Moved', moved, 'moved', 'What would go to another server.')}
        ${line('By weights', minimum, 'least', 'The least that any rule could move between the shares that the weights ask for: what those who gain grow by. Less than that moves where a server had less than its share.')}
        ${line('Modulo', modulo, 'modulo', 'What would move if the hash modulo the number of servers chose: it knows no weights.')}
      </tbody>
    </table>
    <p class="words">${excess < (basis === 'exact' ? EXACT : ROUGH) ? 'Between the shares before and after, no rule could move fewer.' : `${percent(excess)} more than the shares before and after ask for.`}
      Known ${BASIS[basis]}${sampled ? ` of ${many(sampled, 'key')}` : ''}.</p>`;
}

function flows(all, slots) {
  const list = [...all].sort((a, b) => b.fraction - a.fraction);
  if (list.length === 0) return nothing;
  const most = list[0].fraction;
  const rest = list.slice(FLOWS_MAX).reduce((sum, { fraction }) => sum + fraction, 0);
  const who = (name) => html`<span class="tagged">${swatch(slots.get(name))}${named(name)}</span>`;
  return html`
    <table class="flows">
      <thead class="hidden"><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Moved</th></tr></thead>
      <tbody>
        ${list.slice(0, FLOWS_MAX).map(({ from, to, fraction }) => html`
          <tr><td>${who(from)}</td><td><i class="to" aria-hidden="true">→</i></td><td>${who(to)}</td><td class="num">${percent(fraction)}</td>
          <td class="wide" aria-hidden="true"><svg class="bar"><rect class="fill" data-slot=${slots.get(to) ?? nothing} width="${(100 * fraction) / most}%" height="100%"></rect></svg></td></tr>`)}
        ${rest > 0 ? html`<tr><td colspan="3">${many(list.length - FLOWS_MAX, 'smaller flow')}</td><td class="num">${percent(rest)}</td><td></td></tr>` : nothing}
      </tbody>
    </table>`;
}
