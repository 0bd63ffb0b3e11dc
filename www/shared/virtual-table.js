// A table of which only the rows in view are in the document: thousands of rows cost as much as
// the few that are seen. All rows are equally high.

import { html, render, repeat } from './dom.js';

// Rows drawn beyond each edge, so that scrolling and the Tab key find something there.
const BEYOND = 4;

export class VirtualTable {
  #scroller;
  #options;
  #rows = [];
  #frame = 0;

  // Draws in `scroller` until `signal` aborts. `rowHeight` is in CSS pixels, or says so when called; `label` names the
  // table; `head()` and `row(item, index)` answer with templates of a <tr>, `row`'s with
  // aria-rowindex=${index + 2}; `key(item)` says which row is which; `columns` is how many.
  constructor(scroller, { signal, ...options }) {
    this.#scroller = scroller;
    this.#options = options;
    scroller.classList.add('virtual');
    const later = () => {
      this.#frame ||= requestAnimationFrame(() => this.#draw());
    };
    scroller.addEventListener('scroll', later, { signal, passive: true });
    const sizes = new ResizeObserver(later);
    sizes.observe(scroller);
    signal.addEventListener('abort', () => {
      sizes.disconnect();
      cancelAnimationFrame(this.#frame);
    });
  }

  // All rows there are.
  show(rows) {
    this.#rows = rows;
    this.#draw();
  }

  // Brings a row into view, and the focus to what `selector` finds in it.
  reveal(index, selector) {
    const rowHeight = this.#rowHeight;
    const { scrollTop, clientHeight } = this.#scroller;
    const top = index * rowHeight;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    // The head stands above the rows and is as high as one.
    else if (top + 2 * rowHeight > scrollTop + clientHeight) this.#scroller.scrollTop = top + 2 * rowHeight - clientHeight;
    this.#draw();
    if (selector) this.#scroller.querySelector(`[aria-rowindex="${index + 2}"] ${selector}`)?.focus();
  }

  get #rowHeight() {
    const { rowHeight } = this.#options;
    return typeof rowHeight === 'function' ? rowHeight() : rowHeight;
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { label, head, row, key, columns } = this.#options;
    const rowHeight = this.#rowHeight;
    const { scrollTop, clientHeight } = this.#scroller;
    const n = this.#rows.length;
    const first = Math.max(0, Math.min(n, Math.floor(scrollTop / rowHeight)) - BEYOND);
    const end = Math.min(n, Math.ceil((scrollTop + clientHeight) / rowHeight) + BEYOND);
    const space = (name) => html`<tr class="space ${name}" aria-hidden="true"><td colspan=${columns}></td></tr>`;
    render(html`
      <table aria-label=${label} aria-rowcount=${n + 1}>
        <thead>${head()}</thead>
        <tbody>${space('before')}${repeat(this.#rows.slice(first, end), key, (item, i) => row(item, first + i))}${space('after')}</tbody>
      </table>`, this.#scroller);
    const grow = (name, rows) => this.#scroller.querySelector(`.${name}`).style.setProperty('height', `${rows * rowHeight}px`);
    grow('before', first);
    grow('after', n - end);
  }
}
