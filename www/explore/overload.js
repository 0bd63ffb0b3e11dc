// Bounded loads, tried: what each server has to do with and without the bound, and how far requests go
// on because of it.

import { html, nothing, render, svg } from '../shared/dom.js';
import { count, many, percent, ratio } from '../shared/words.js';
import { simulate } from './traffic.js';

const [WIDTH, HEIGHT] = [340, 170];
const BARS_MAX = 120;

export function overloadPage(body, ending, { store, LoadBalancer }) {
  const wish = { loadFactor: 1.25, skew: 1, hot: 0.1 };
  let known = {};

  function run(spec) {
    const key = JSON.stringify(wish);
    if (known.spec === spec && known.key === key) return known;
    try {
      known = { spec, key, bounded: simulate(LoadBalancer, spec, wish), free: simulate(LoadBalancer, spec, { ...wish, loadFactor: null }) };
    } catch (error) {
      known = { spec, key, problem: error.message };
    }
    return known;
  }

  function show() {
    if (ending.aborted) return;
    const { state } = store;
    const result = run(state.staged ?? state.spec);
    const slider = (title, name, min, max, step, text) => html`
      <label class="slider"><span>${title}</span><input type="range" data-testid=${name} min=${min} max=${max} step=${step} .value=${String(wish[name])} @input=${(event) => { wish[name] = event.target.valueAsNumber; show(); }}><output class="num">${text}</output></label>`;
    render(html`
      ${slider('Bound c', 'loadFactor', 1.05, 3, 0.05, `${ratio(wish.loadFactor)} ×`)}
      ${slider('Skew (Zipf)', 'skew', 0, 1.6, 0.1, wish.skew.toFixed(1))}
      ${slider('One hot key', 'hot', 0, 0.6, 0.05, percent(wish.hot))}
      ${result.problem !== undefined ? html`<p class="problem" role="alert">${result.problem}</p>` : state.servers.length === 0 ? html`<p class="empty">There are no servers.</p>` : resultView(result, state)}`, body);
  }

  function resultView({ bounded, free }, { slots }) {
    const rows = bounded.rows.map((row, i) => ({ ...row, free: free.rows[i].now, capacity: Math.ceil(wish.loadFactor * row.fair) }));
    rows.sort((a, b) => b.free / b.fair - a.free / a.fair);
    const drawn = rows.slice(0, BARS_MAX);
    const most = Math.max(...drawn.map(({ now, free: other, capacity }) => Math.max(now, other, capacity)));
    const peak = (list) => Math.max(...list.map(({ now, fair }) => now / fair));
    const step = WIDTH / drawn.length;
    const y = (value) => HEIGHT - (value / most) * (HEIGHT - 6);
    return html`
      <dl class="figures three">
        <div><dt>Peak, bounded</dt><dd data-testid="bounded">${ratio(peak(bounded.rows))}</dd></div>
        <div><dt>Peak, without</dt><dd data-testid="unbounded">${ratio(peak(free.rows))}</dd></div>
        <div><dt>Went on</dt><dd data-testid="overflow">${percent(1 - bounded.hops[0] / (bounded.requests - bounded.refused))}</dd></div>
      </dl>
      <figure class="loads">
        <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Requests in flight: at most ${ratio(peak(bounded.rows))} times the fair part with the bound, ${ratio(peak(free.rows))} without">
          ${drawn.map(({ name, now, overflow, free: other, capacity }, i) => svg`<g>
            <title>${name}: ${now} in flight, of them ${overflow} from elsewhere; may have ${capacity}; without the bound ${other}</title>
            <rect class="fill" data-slot=${slots.get(name) ?? nothing} x=${i * step + step * 0.15} width=${step * 0.7} y=${y(now)} height=${HEIGHT - y(now)}></rect>
            <path class="elsewhere" stroke-width=${step * 0.7} d="M${(i + 0.5) * step} ${y(now)}V${y(now - overflow)}"></path>
            <path class="capacity" d="M${i * step} ${y(capacity)}h${step}"></path>
            <path class="without" d="M${i * step + step * 0.15} ${HEIGHT}V${y(other)}h${step * 0.7}V${HEIGHT}"></path></g>`)}
        </svg>
        <figcaption>${count(bounded.inFlight)} requests in flight, of 1,000 keys. Line: what a server may have. Hatched: from elsewhere. Outline: without the bound.${rows.length > BARS_MAX ? ` The ${BARS_MAX} fullest of ${count(rows.length)}.` : ''}</figcaption>
      </figure>
      <h3>How far they went</h3>
      <table class="flows"><tbody>${bounded.hops.map((n, i) => (n === 0 && i > 0 ? nothing : html`
        <tr><td>${i === 0 ? 'to their owner' : i === bounded.hops.length - 1 ? 'further' : many(i, 'candidate on', 'candidates on')}</td><td class="num">${percent(n / bounded.requests)}</td>
        <td class="wide" aria-hidden="true"><svg class="bar"><rect class="cost moved" width="${(100 * n) / bounded.requests}%" height="100%"></rect></svg></td></tr>`))}</tbody></table>`;
  }

  return { show };
}
