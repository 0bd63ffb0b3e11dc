// What a visitor takes along or brings: a configuration, a link, a command, a snippet, a picture.

import { html, nothing, render } from '../shared/dom.js';
import { count, many } from '../shared/words.js';
import { ADDRESS_MAX, pack } from './link.js';
import { command, configText, readConfig, snippet, stateOf } from './outside.js';

// A configuration is no longer than this.
const FILE_MAX = 32 * 2 ** 20;

export function createShare(dialog, { store, LoadBalancer, pictures }) {
  let [note, problem, link] = ['', null, ''];

  async function open() {
    [note, problem] = ['', null];
    link = `${location.href.replace(/#.*$/s, '')}#${await pack(stateOf(store.state))}`;
    show();
    dialog.showModal();
  }

  function show() {
    const { state } = store;
    render(html`
      <form method="dialog">
        <h2>Share</h2>
        <div class="ways">
          ${way('Link', `All of it is in the address: ${count(link.length)} letters, which no server sees.${link.length > ADDRESS_MAX ? ' That is long; a file is safer.' : ''}`,
            html`<button type="button" @click=${() => copy(link, 'The link')}>Copy link</button>`)}
          ${way('config.json', `The proxy’s own configuration, of ${many(state.view.servers.length, 'server')}.`,
            html`<button type="button" data-testid="export" @click=${() => save(new Blob([configText(state)], { type: 'application/json' }), 'config.json')}>Export</button>
              <label class="button">Import<input type="file" class="hidden" data-testid="import" accept=".json,application/json" @change=${(event) => take(event.target)}></label>`)}
          ${way('Command', 'Asks the proxy’s program where this key goes.', html`<button type="button" @click=${() => copy(command(state), 'The command')}>Copy command</button>`)}
          ${way('JavaScript', 'The same by the npm package.', html`<button type="button" @click=${() => copy(snippet(state), 'The snippet')}>Copy snippet</button>`)}
          ${way('Picture', 'The ring as it is shown, with a caption.', html`
            <button type="button" data-testid="svg" ?disabled=${!state.view.isRing} @click=${() => save(new Blob([pictures.svg()], { type: 'image/svg+xml' }), 'ring.svg')}>SVG</button>
            <button type="button" data-testid="png" ?disabled=${!state.view.isRing} @click=${async () => save(await pictures.png(), 'ring.png')}>PNG</button>`)}
        </div>
        ${problem === null ? nothing : html`<p class="problem" role="alert">${problem}</p>`}
        <p class="note" role="status">${note}</p>
        <button class="primary">Done</button>
      </form>`, dialog);
  }

  const way = (title, what, buttons) => html`<section><div><h3>${title}</h3><p>${what}</p></div><div class="line">${buttons}</div></section>`;

  function say(text) {
    [note, problem] = [text, null];
    show();
  }

  async function copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} is copied.`);
    } catch {
      problem = 'This browser does not let pages copy here.';
      show();
    }
  }

  function save(blob, name) {
    const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
    say(`${name} is saved.`);
  }

  async function take(input) {
    const [file] = input.files;
    input.value = '';
    if (!file) return;
    try {
      if (file.size > FILE_MAX) throw new Error(`${file.name} has ${count(file.size)} bytes; ${count(FILE_MAX)} are allowed`);
      const isTaken = store.receive(readConfig(LoadBalancer, await file.text()));
      if (!isTaken) throw new Error(store.state.problem.message);
      say(`${file.name} is shown.`);
    } catch (error) {
      problem = error.message;
      show();
    }
  }

  return { open };
}
