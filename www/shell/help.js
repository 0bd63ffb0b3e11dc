// What the keyboard does, in a dialog that `?` opens.

import { html, render } from '../shared/dom.js';

const COMMON = [
  ['/', 'type a key'],
  ['?', 'this list'],
  ['Esc', 'let go of what is chosen'],
];

// `keysOf()` answers with what the mode that is shown adds: [[keys, what they do]].
export function createHelp(dialog, keysOf) {
  return {
    open() {
      render(html`
        <form method="dialog">
          <h2>Keyboard</h2>
          <dl class="keys">${[...COMMON, ...keysOf()].map(([keys, what]) => html`<div><dt>${keys.split(' ').map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${what}</dd></div>`)}</dl>
          <p class="note">Every number here comes from Ringway’s engine in WebAssembly, the one its proxy and its npm package route with.</p>
          <button class="primary" autofocus>Done</button>
        </form>`, dialog);
      dialog.showModal();
    },
  };
}
