// The library that makes elements from templates, at one address, and the pieces that several
// parts of the page are made of. Names of servers and keys come from anywhere: templates set them
// as text, never as markup.

export { html, nothing, render, svg } from '../vendor/lit-html-3.3.3/lit-html.js';
export { repeat } from '../vendor/lit-html-3.3.3/directives/repeat.js';
export { live } from '../vendor/lit-html-3.3.3/directives/live.js';

import { html, nothing } from '../vendor/lit-html-3.3.3/lit-html.js';

// The colour of a server; a grey ring for those that have none.
export const swatch = (slot) => html`<i class="swatch" data-slot=${slot ?? nothing}></i>`;

// A server's name, which may be in any script and of any length.
export const named = (name) => html`<bdi class="name" title=${name}>${name}</bdi>`;

export const tagged = (name, slots) => html`<span class="tagged">${swatch(slots.get(name))}${named(name)}</span>`;
