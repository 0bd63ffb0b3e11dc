// A failure and the way back, as a picture: what is away from home, what moved in all, how hard the
// others have to work, and what the engine said when.

import { html, nothing, render, svg } from '../shared/dom.js';
import { many, percent, ratio } from '../shared/words.js';
import { CHOICES, KEYS, outage, victims } from './outage.js';

const [WIDTH, HEIGHT] = [340, 64];
// So long may be worked before the page is drawn again.
const SLICE_MS = 12;
const GONE = 20;
const HOWS = { fail: 'fail and recover', drain: 'are drained and resumed' };
const EVENTS_MAX = 12;

export function failurePage(body, ending, { store, LoadBalancer }) {
  const wish = { n: 1, choice: 'random', how: 'fail', detect: 3, slow: 10 };
  let known = { key: null, moments: [], isOver: true };
  let timer;
  ending.addEventListener('abort', () => clearTimeout(timer));

  function begin(spec) {
    const key = JSON.stringify(wish);
    if (known.spec === spec && known.key === key) return;
    clearTimeout(timer);
    const names = victims(spec, wish.choice, Math.min(wish.n, Math.max(0, spec.servers.length - 1)));
    known = { spec, key, names, moments: [], isOver: false };
    const run = outage(LoadBalancer, spec, { ...wish, names, gone: GONE });
    const goOn = () => {
      const until = performance.now() + SLICE_MS;
      try {
        while (performance.now() < until) {
          const { done, value } = run.next();
          if (done) {
            known.isOver = true;
            break;
          }
          known.moments.push(value);
        }
      } catch (error) {
        Object.assign(known, { problem: error.message, isOver: true });
      }
      draw();
      if (!known.isOver) timer = setTimeout(goOn);
    };
    // A page that is left or asked for something else lets go of the engine.
    known.stop = () => run.return();
    timer = setTimeout(goOn);
  }

  function show() {
    const { state } = store;
    const spec = state.staged ?? state.spec;
    if (!known.isOver && (known.spec !== spec || known.key !== JSON.stringify(wish))) known.stop();
    begin(spec);
    draw();
  }

  function draw() {
    if (ending.aborted) return;
    const { servers } = store.state;
    const most = Math.max(1, Math.min(servers.length - 1, 20));
    const set = (name) => (event) => {
      wish[name] = event.target.type === 'range' ? event.target.valueAsNumber : event.target.value;
      show();
    };
    const slider = (title, name, min, max, text) => html`
      <label class="slider"><span>${title}</span><input type="range" data-testid="failure-${name}" min=${min} max=${max} .value=${String(wish[name])} @input=${set(name)}><output class="num">${text}</output></label>`;
    const choose = (title, name, all) => html`
      <label class="field"><span>${title}</span><select @change=${set(name)}>${Object.entries(all).map(([value, text]) => html`<option value=${value} ?selected=${value === wish[name]}>${text}</option>`)}</select></label>`;
    render(html`
      <div class="line wrap">${choose('Servers that', 'how', HOWS)}${choose('of them', 'choice', CHOICES)}</div>
      ${slider('How many', 'n', 1, most, many(Math.min(wish.n, most), 'server'))}
      ${wish.how === 'fail' ? slider('Found out after', 'detect', 1, 10, many(wish.detect, 'probe')) : nothing}
      ${slider(wish.how === 'fail' ? 'Slow start' : 'Drain, slow start', 'slow', 0, 30, wish.slow === 0 ? 'off' : `${wish.slow} s`)}
      ${known.problem !== undefined ? html`<p class="problem" role="alert">${known.problem}</p>` : known.moments.length === 0 ? nothing : resultView()}`, body);
  }

  function resultView() {
    const { moments, names, isOver } = known;
    const last = moments[moments.length - 1];
    const worst = moments.reduce((a, b) => (b.peak > a.peak ? b : a));
    const home = 1 - last.away;
    const span = moments.length - 1;
    const chart = (title, of, most, text) => {
      const x = (t) => (span === 0 ? 0 : (t / span) * WIDTH);
      const y = (value) => HEIGHT - 4 - (value / Math.max(most, 1e-9)) * (HEIGHT - 10);
      const line = moments.map((moment) => `${moment.t === 0 ? 'M' : 'L'}${x(moment.t).toFixed(1)} ${y(of(moment)).toFixed(1)}`).join('');
      return html`
        <figure class="curve"><figcaption><span>${title}</span><b class="num">${text}</b></figcaption>
        <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}: ${text}">
          ${moments.filter(({ lost }) => lost > 0).map(({ t }) => svg`<rect class="lost" x=${x(t)} width=${Math.max(1, WIDTH / Math.max(1, span))} y="0" height=${HEIGHT}></rect>`)}
          <line class="grid" x1="0" x2=${WIDTH} y1=${y(0)} y2=${y(0)}></line><path class="line-of" d=${line}></path></svg></figure>`;
    };
    const lost = moments.reduce((sum, moment) => sum + moment.lost, 0);
    const events = moments.flatMap(({ t, events: list }) => list.map((event) => ({ t, ...event })));
    return html`
      <div aria-busy=${!isOver}>
        ${chart('Away from home', ({ away }) => away, Math.max(...moments.map(({ away }) => away)), `at most ${percent(Math.max(...moments.map(({ away }) => away)))}`)}
        ${chart('Moved in all', ({ moved }) => moved, last.moved, percent(last.moved))}
        ${chart('Largest load', ({ peak }) => peak, worst.peak, `${ratio(worst.peak)} × fair`)}
        <p class="hint">Of ${KEYS.length.toLocaleString('en-US')} keys, a moment each second.${lost > 0 ? html` Shaded: keys still go to who is down, ${many(moments.filter((moment) => moment.lost > 0).length, 'second')}.` : nothing}</p>
        ${isOver ? html`<p class="home"><b data-testid="home" data-value=${home}>${percent(home)}</b> of keys are home again${names.length === 0 ? '' : html`, after <bdi>${names.slice(0, 3).join(', ')}</bdi>${names.length > 3 ? ` and ${names.length - 3} more` : ''}`}.</p>` : nothing}
        <h3>What the engine said</h3>
        <ul class="past">${events.slice(0, EVENTS_MAX).map(({ t, event, server, health }) => html`<li><span class="what">${server ?? ''} ${event.replaceAll('-', ' ')}${health ? `: ${health}` : ''}</span><span class="num">${t} s</span></li>`)}</ul>
        ${events.length > EVENTS_MAX ? html`<p class="more">and ${events.length - EVENTS_MAX} more</p>` : nothing}
      </div>`;
  }

  return { show };
}
