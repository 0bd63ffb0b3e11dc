// The log of what happened: the newest first, with what it moved; a click shows that moment.

import { html, nothing, render } from '../shared/dom.js';
import { eventWords } from '../shared/feed.js';
import { VirtualTable } from '../shared/virtual-table.js';
import { count, percent } from '../shared/words.js';
import { clockOf } from './format.js';

const SAY_PAUSE_MS = 2000;
const SAY_MAX = 3;
const MARKS = { good: '▲', bad: '▼', plain: '•' };

// Draws in `place`, and says what is new in `aloud` (role=log), until `signal` aborts.
export function createEvents({ place, aloud, store, signal }) {
  let said = store.log.count;
  let timer = null;
  let shown = -1;
  const table = new VirtualTable(place, {
    signal, rowHeight: 30, label: 'What happened', columns: 3, key: ({ id }) => id,
    head: () => html`<tr><th scope="col" class="c-at">Time</th><th scope="col">What</th><th scope="col" class="c-moved">Keys moved</th></tr>`,
    row: (entry, i) => {
      const { tone, text } = eventWords(entry);
      return html`
        <tr aria-rowindex=${i + 2} data-event=${entry.event} class="tone-${tone}">
          <td class="c-at"><button type="button" title="Show this moment" @click=${() => store.showTime(entry.at)}><time datetime=${entry.time}>${clockOf(entry.at)}</time></button></td>
          <td class="c-what" title=${text}><span aria-hidden="true">${MARKS[tone]}</span> ${text}</td>
          <td class="c-moved num">${entry.moved === undefined ? nothing : percent(entry.moved)}</td>
        </tr>`;
    },
  });
  signal.addEventListener('abort', () => clearTimeout(timer));

  // For ears: a few at a time, and not all the time.
  function say() {
    timer = null;
    const news = store.log.count - said;
    if (news === 0) return;
    const latest = store.log.entries.slice(-Math.min(news, SAY_MAX)).map((entry) => eventWords(entry).text);
    said = store.log.count;
    render(html`${news > SAY_MAX ? html`<p>${count(news)} events, the last of them:</p>` : nothing}${latest.map((text) => html`<p>${text}.</p>`)}`, aloud);
    timer = setTimeout(say, SAY_PAUSE_MS);
  }

  return {
    show() {
      if (store.log.count === shown) return;
      shown = store.log.count;
      table.show([...store.log.entries].reverse());
      if (timer === null) say();
    },
  };
}
