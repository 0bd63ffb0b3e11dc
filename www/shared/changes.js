// What the latest change moved, from whom to whom, and the changes before it.

import { html, nothing, swatch, named } from './dom.js';
import { count, deed, movement, percent } from './words.js';

const FLOWS_MAX = 5;
const PAST_MAX = 6;

export function changesView({ changes, slots, mode }) {
  const [change, ...past] = changes;
  if (!change) {
    return html`<p class="empty">${mode === 'live'
      ? 'Nothing has changed since this page was opened. When a server fails, recovers, comes or goes, what that moves stands here.'
      : 'Kill, add, remove or weigh a server: this says how much of the key space moves, exactly, and from whom to whom.'}</p>`;
  }
  return html`
    <div class="latest">
      <p class="deed">${deed(change)}</p>
      ${change.moved === null ? nothing : html`<p class="big" data-moved=${change.moved.fraction}>${percent(change.moved.fraction)} <span>of keys moved</span></p>`}
      <p class="words">${movement(change)}</p>
      ${change.moved === null ? nothing : flows(change, slots)}
    </div>
    ${past.length === 0 ? nothing : html`
      <h3>Before that</h3>
      <ul class="past">
        ${past.slice(0, PAST_MAX).map((was) => html`<li><span class="what">${deed(was)}</span><span class="num">${was.moved === null ? '' : percent(was.moved.fraction)}</span></li>`)}
      </ul>
      ${past.length > PAST_MAX ? html`<p class="more">and ${count(past.length - PAST_MAX)} before these</p>` : nothing}`}`;
}

// From whom to whom. The server that all flows come from or go to is named above them already.
function flows({ server, moved }, slots) {
  const list = [...moved.flows].sort((a, b) => b.fraction - a.fraction);
  if (list.length === 0) return nothing;
  const isFrom = !list.every(({ from }) => from === server);
  const isTo = !list.every(({ to }) => to === server);
  const most = list[0].fraction;
  const arrow = html`<i class="to" aria-hidden="true">→</i>`;
  const who = (name) => html`${swatch(slots.get(name))}${named(name)}`;
  return html`
    <table class="flows">
      <thead class="hidden"><tr>${isFrom ? html`<th scope="col">From</th>` : nothing}${isTo ? html`<th scope="col">To</th>` : nothing}<th scope="col">Moved</th></tr></thead>
      <tbody>
        ${list.slice(0, FLOWS_MAX).map(({ from, to, fraction }) => html`
          <tr>
            ${isFrom ? html`<td><span class="tagged">${isTo ? nothing : html`<i class="to">from</i>`}${who(from)}</span></td>` : nothing}
            ${isTo ? html`<td><span class="tagged">${isFrom ? arrow : html`<i class="to">to</i>`}${who(to)}</span></td>` : nothing}
            <td class="num">${percent(fraction)}</td>
            <td class="wide" aria-hidden="true"><svg class="bar"><rect class="fill" data-slot=${slots.get(to) ?? nothing} width="${(100 * fraction) / most}%" height="100%"></rect></svg></td>
          </tr>`)}
      </tbody>
    </table>
    ${list.length > FLOWS_MAX ? html`<p class="more">and ${count(list.length - FLOWS_MAX)} smaller flows</p>` : nothing}`;
}
