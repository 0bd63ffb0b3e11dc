// The places of Explore: the fleet at the left, the ring in the middle, what there is to know at the
// right.

import { html } from '../shared/dom.js';

export const TABS = {
  moves: 'Moves',
  balance: 'Balance',
  keys: 'Keys',
  compare: 'Compare',
  overload: 'Overload',
  failure: 'Failure',
};

export const FRAME = html`
  <section class="card side" aria-labelledby="servers-title">
    <div class="head"><h2 id="servers-title">Fleet</h2><div class="head-tools" id="servers-tools"></div></div>
    <div class="rules" id="rules"></div>
    <div class="rows" id="servers" tabindex="-1"></div>
    <div id="editor"></div>
    <div id="servers-add"></div>
  </section>

  <section class="card ring" aria-labelledby="ring-title">
    <h1 class="hidden" id="ring-title">The ring</h1>
    <form class="key" id="key-form">
      <label for="key">Key</label>
      <input id="key" type="text" maxlength="2000" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="A user, a session, a path…" aria-describedby="key-answer" aria-keyshortcuts="/">
      <output id="key-answer" for="key"></output>
    </form>
    <div class="staged-place" id="staged"></div>
    <div class="stage-place">
    <div class="stage" id="stage" role="slider" tabindex="0" aria-label="Ring cursor: arrow keys go from point to point, Page Up and Page Down from point to point of one server, Enter picks the server" aria-valuemin="0" aria-valuemax="0" aria-valuenow="0" aria-valuetext="No point chosen" aria-describedby="readout">
      <canvas aria-hidden="true"></canvas>
      <canvas aria-hidden="true"></canvas>
      <div class="centre" id="centre" aria-hidden="true"></div>
    </div>
    <div class="carpet-place" id="carpet" hidden></div>
    </div>
    <div class="unrolled" id="unrolled">
      <div class="strip" id="strip" role="slider" tabindex="0" aria-label="The ring unrolled: plus and minus zoom, the arrow keys move along it, 0 shows all of it" aria-valuemin="0" aria-valuemax="100" aria-valuenow="0" aria-valuetext="All of the ring">
        <canvas aria-hidden="true"></canvas>
        <canvas aria-hidden="true"></canvas>
      </div>
    </div>
    <div class="under" id="under">
      <button type="button" class="step" id="point-before" aria-label="The point before">‹</button>
      <p class="readout" id="readout"></p>
      <button type="button" class="step" id="point-after" aria-label="The next point">›</button>
    </div>
    <div class="zoom" id="zoom"><ul class="legend" aria-label="What the ring shows" id="legend"></ul>
      <button type="button" class="step" id="zoom-out" aria-label="Zoom out on the strip">−</button>
      <button type="button" class="step" id="zoom-in" aria-label="Zoom in on the strip">+</button>
    </div>
  </section>

  <section class="card know" aria-labelledby="know-title">
    <h2 class="hidden" id="know-title">What there is to know</h2>
    <div class="tabs" role="tablist" id="tabs"></div>
    <div class="panel" id="panel" role="tabpanel" tabindex="0"></div>
  </section>

  <section class="card table" aria-labelledby="table-title">
    <details id="points-details">
      <summary><h2 id="table-title">The ring as a table</h2></summary>
      <div id="points"></div>
    </details>
  </section>

  <dialog class="help share" id="share" aria-label="Share"></dialog>`;
