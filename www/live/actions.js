// What can be done to the fleet of the proxy: chosen, then shown what it would move, then confirmed.
// Nothing is done before that, and the plan is the proxy's own.

import { html, live, named, nothing, render } from '../shared/dom.js';
import { percent, ratio } from '../shared/words.js';

const FLOWS_MAX = 4;
const TITLES = {
  drain: (name) => html`Drain ${named(name)}`,
  activate: (name) => html`Let ${named(name)} take requests again`,
  weigh: (name) => html`Change the weight of ${named(name)}`,
  remove: (name) => html`Remove ${named(name)}`,
  add: () => 'Add a server',
};
const DONE = { drain: 'is being drained', activate: 'takes requests again', weigh: 'has its new weight', remove: 'was removed', add: 'was added' };
const WHATS = {
  drain: 'It takes no new requests; those in flight may end.',
  activate: 'It gets its keys again if its health allows.',
  weigh: 'Its part of the keys follows its weight.',
  remove: 'It leaves the fleet until the configuration is read anew, or for good if that does not name it.',
  add: 'It joins until the configuration is read anew.',
};

// `find(name)` is a server; `onForbidden()` is told when the token may only read.
export function createActions(dialog, { api, find, say, onForbidden }) {
  let state = null;
  let asking = null;

  const change = (patch) => {
    state = { ...state, ...patch };
    show();
  };

  // Asks the proxy what the wish would move.
  async function foresee(kind, wish) {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    change({ kind, wish, plan: null, problem: null, isAsking: true });
    try {
      const plan = await api.act(kind, wish, true);
      if (!signal.aborted) change({ plan, isAsking: false });
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 403) onForbidden();
      change({ problem: error.message, isAsking: false });
    }
  }

  async function confirm() {
    const { kind, wish, name } = state;
    change({ isDoing: true, problem: null });
    try {
      await api.act(kind, wish, false);
      const text = `${name ?? wish.spec.name} ${DONE[kind]}`;
      dialog.close();
      say(text);
    } catch (error) {
      change({ isDoing: false, problem: error.message });
    }
  }

  function choose(kind) {
    const { name, server } = state;
    if (kind === 'add') return change({ kind, wish: { spec: null }, plan: null, problem: null });
    if (kind === 'weigh') return change({ kind, wish: { name, weight: server.weight }, plan: null, problem: null });
    return foresee(kind, { name });
  }

  function weighed(event) {
    event.preventDefault();
    foresee('weigh', { name: state.name, weight: event.target.elements.weight.valueAsNumber });
  }

  function added(event) {
    event.preventDefault();
    const { name, address, port, weight } = event.target.elements;
    foresee('add', { spec: { name: name.value, address: address.value, port: port.valueAsNumber, weight: weight.valueAsNumber } });
  }

  function show() {
    const { name, server, kind, problem, isDoing } = state;
    render(html`
      <div class="acts">
        <h2>${kind === null ? named(name) : TITLES[kind](name)}</h2>
        ${kind === null ? menuView(server) : html`
          <p class="note">${WHATS[kind]}</p>
          ${kind === 'weigh' ? weightView() : kind === 'add' ? addView() : nothing}
          ${planView()}
          ${problem ? html`<p class="problem" role="alert">${problem}</p>` : nothing}`}
        <div class="buttons">
          <button type="button" @click=${() => dialog.close()}>${kind === null ? 'Close' : 'Leave it as it is'}</button>
          ${state.plan ? html`<button type="button" class="primary" data-testid="confirm" ?disabled=${isDoing} @click=${confirm}>${isDoing ? 'Doing it…' : html`Do it: ${TITLES[kind](name)}`}</button>` : nothing}
        </div>
      </div>`, dialog);
  }

  const menuView = (server) => html`
    <div class="menu">
      ${server?.state === 'draining' ? html`<button type="button" @click=${() => choose('activate')}>Let it take requests again…</button>` : html`<button type="button" @click=${() => choose('drain')}>Drain…</button>`}
      <button type="button" @click=${() => choose('weigh')}>Change its weight…</button>
      <button type="button" @click=${() => choose('remove')}>Remove…</button>
    </div>
    <p class="note">Each shows first what it would move.</p>`;

  const weightView = () => html`
    <form @submit=${weighed} class="line"><label class="field"><span>Weight</span><input name="weight" type="number" min="1" max="1000" required .value=${live(String(state.wish.weight))}></label>
      <button type="submit">Show what it moves</button></form>`;

  const addView = () => html`
    <form @submit=${added} class="line">
      <label class="field"><span>Name</span><input name="name" required maxlength="255" autocomplete="off" spellcheck="false"></label>
      <label class="field"><span>Address</span><input name="address" required autocomplete="off" spellcheck="false"></label>
      <label class="field"><span>Port</span><input name="port" type="number" min="1" max="65535" required></label>
      <label class="field"><span>Weight</span><input name="weight" type="number" min="1" max="1000" value="1" required></label>
      <button type="submit">Show what it moves</button></form>`;

  function planView() {
    const { plan, isAsking } = state;
    if (isAsking) return html`<p class="note" role="status">Asking the proxy what it would move…</p>`;
    if (!plan) return nothing;
    const flows = [...plan.flows].sort((a, b) => b.fraction - a.fraction);
    return html`
      <div class="plan" data-testid="plan" role="status">
        <p class="big" data-planned=${plan.moved}>${percent(plan.moved)} <span>of keys move; the least that any rule could is ${percent(plan.minimum)}</span></p>
        ${flows.length === 0 ? nothing : html`<ul>${flows.slice(0, FLOWS_MAX).map(({ from, to, fraction }) => html`<li>${named(from)} → ${named(to)} <span class="num">${percent(fraction)}</span></li>`)}
          ${flows.length > FLOWS_MAX ? html`<li class="note">and ${flows.length - FLOWS_MAX} more</li>` : nothing}</ul>`}
        <p class="note">Peak to mean ${ratio(plan.before.balance.peak_to_mean)} → ${ratio(plan.after.balance.peak_to_mean)}. Nothing is done yet.</p>
      </div>`;
  }

  return {
    // What can be done to the server called `name`, or to the fleet with 'add'.
    open(name, kind = null) {
      state = { name, server: find(name), kind: null, wish: null, plan: null, problem: null, isAsking: false, isDoing: false };
      if (kind !== null) choose(kind);
      show();
      dialog.showModal();
    },
  };
}
