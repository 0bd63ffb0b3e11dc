// The frame around the modes: which one is shown, the header, the theme, what is said aloud.
//
// A mode is { name, title, keys, start }. `start({ LoadBalancer, shell })` is called once and
// answers with the mode's own side of the seam:
//
//   mount(root, { signal, rest })   draw in `root` until `signal` aborts; `rest` is the mode's own
//                                   part of the address. May answer with a promise: the page is
//                                   ready when it is fulfilled.
//   receive(baggage)                optional: take over what another mode hands on, before mount
//   goTo(rest)                      optional: the address changed while the mode is shown
//   find()                          optional: a promise of whether there is anything to show; a
//                                   mode with it is offered only then, and first if none is asked for

import { html, live, nothing, render } from '../shared/dom.js';
import { format, parse } from './address.js';
import { createHelp } from './help.js';
import { THEMES, createTheme } from './theme.js';

// An address changes at most so often: browsers refuse more.
const ADDRESS_PAUSE_MS = 300;

export function startShell({ LoadBalancer, modes }) {
  const at = (id) => document.getElementById(id);
  const stillness = matchMedia('(prefers-reduced-motion: reduce)');
  const looks = new Set();
  const look = () => {
    showHeader();
    for (const listener of looks) listener();
  };
  const theme = createTheme(look);
  stillness.addEventListener('change', look);

  const started = new Map();
  const offered = new Set();
  let shown = null;
  let ending = null;
  let addressTimer;

  const shell = {
    // 'light' or 'dark'.
    get theme() {
      return theme.name;
    },
    // Whether nothing shall move by itself.
    get isStill() {
      return stillness.matches;
    },
    // Calls `listener` when theme or motion changed, until `signal` aborts.
    onLook(listener, signal) {
      looks.add(listener);
      signal.addEventListener('abort', () => looks.delete(listener));
    },
    // The mode's places in the header and the footer, for templates.
    status: (template) => render(template, at('status')),
    tools: (template) => render(template, at('tools')),
    foot: (template) => render(template, at('foot')),
    title(text) {
      document.title = text;
    },
    // Said by screen readers, when they are free.
    say(text) {
      if (at('aloud').textContent !== text) at('aloud').textContent = text;
    },
    // Shows another mode, and hands it `baggage` if there is any.
    go(name, baggage) {
      if (baggage !== undefined) started.get(name).receive(baggage);
      show(name, '');
      history.pushState(null, '', format({ mode: name, rest: '' }));
    },
    // Keeps `rest` as the mode's part of the address.
    keep(rest) {
      const { name } = shown;
      clearTimeout(addressTimer);
      addressTimer = setTimeout(() => {
        if (shown.name === name) history.replaceState(null, '', format({ mode: name, rest }));
      }, ADDRESS_PAUSE_MS);
    },
  };

  for (const mode of modes) {
    const side = mode.start({ LoadBalancer, shell });
    started.set(mode.name, side);
    if (!side.find) offered.add(mode.name);
  }

  function show(name, rest) {
    const mode = modes.find((one) => one.name === name);
    if (shown === mode) return started.get(name).goTo?.(rest);
    ending?.abort();
    clearTimeout(addressTimer);
    for (const place of ['status', 'tools', 'foot']) render(nothing, at(place));
    ending = new AbortController();
    shown = mode;
    document.documentElement.dataset.mode = name;
    const root = document.createElement('main');
    root.id = 'main';
    root.className = `mode-${name}`;
    root.tabIndex = -1;
    document.querySelector('main').replaceWith(root);
    showHeader();
    return started.get(name).mount(root, { signal: ending.signal, rest });
  }

  function showHeader() {
    render(html`${modes.filter(({ name }) => offered.has(name)).map(({ name, title }) => html`
      <a href=${format({ mode: name, rest: '' })} data-testid="mode-${name}" aria-current=${name === shown?.name ? 'page' : nothing}>${title}</a>`)}`, at('modes'));
    render(html`
      <label class="field"><span>Theme</span><select data-testid="theme" .value=${live(theme.wish)} @change=${(event) => theme.choose(event.target.value)}>
        ${Object.entries(THEMES).map(([name, title]) => html`<option value=${name} ?selected=${name === theme.wish}>${title}</option>`)}
      </select></label>
      <button type="button" class="round" data-testid="help" aria-label="Help: what the keyboard does" aria-keyshortcuts="?" @click=${() => help.open()}>?</button>`, at('common'));
  }

  const help = createHelp(at('help'), () => shown?.keys ?? []);
  document.addEventListener('keydown', (event) => {
    const isTyping = event.target instanceof Element && event.target.closest('input, select, textarea, dialog');
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '?') help.open();
    else if (event.key === '/' && at('key')) {
      at('key').focus();
      at('key').select();
    } else return;
    event.preventDefault();
  });
  at('skip').addEventListener('click', (event) => {
    event.preventDefault();
    document.querySelector('main').focus();
  });
  addEventListener('hashchange', () => {
    const { mode, rest } = parse(location.hash);
    if (offered.has(mode)) show(mode, rest);
  });

  at('starting').remove();
  const { mode: wanted, rest } = parse(location.hash);
  const isWanted = offered.has(wanted);
  const first = show(isWanted ? wanted : modes[0].name, isWanted ? rest : '');
  const searches = modes.filter(({ name }) => started.get(name).find).map(async ({ name }) => {
    if (!(await started.get(name).find())) return undefined;
    offered.add(name);
    showHeader();
    const { mode: asked } = parse(location.hash);
    return asked === name || asked === null ? show(name, asked === null ? '' : rest) : undefined;
  });
  // Ready is what is drawn: in the frame after the one that an answer asked for.
  Promise.all([first, ...searches]).then(() => requestAnimationFrame(() => {
    document.documentElement.dataset.ready = '';
  }));
}
