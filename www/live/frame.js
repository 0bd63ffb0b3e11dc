// Where things are in Live.

import { html } from '../shared/dom.js';
import { TRACKS } from './tracks.js';
import { WINDOWS } from './charts.js';

export const frame = ({ onTrack, onWindow }) => html`
  <div id="banner" role="status"></div>
  <section class="kpi-strip" id="kpis" aria-label="Figures"></section>
  <section class="card ring" aria-labelledby="ring-title">
    <div class="head"><h1 id="ring-title">The ring</h1>
      <label class="field"><span>Track</span><select data-testid="track" @change=${(event) => onTrack(event.target.value)}>${Object.entries(TRACKS).map(([name, { title }]) => html`<option value=${name}>${title}</option>`)}</select></label>
    </div>
    <form class="key" id="key-form">
      <label for="key">Key</label>
      <input id="key" type="text" maxlength="2000" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="Where is it now?" aria-describedby="key-answer" aria-keyshortcuts="/">
      <output id="key-answer" for="key"></output>
    </form>
    <div class="stage" id="stage" role="slider" tabindex="0" aria-label="Ring cursor: arrow keys go from point to point, Page Up and Page Down from point to point of one server, Enter picks the server" aria-valuemin="0" aria-valuemax="0" aria-valuenow="0" aria-valuetext="No point chosen" aria-describedby="readout">
      <canvas aria-hidden="true"></canvas>
      <canvas aria-hidden="true"></canvas>
      <canvas aria-hidden="true" id="tracks"></canvas>
      <div class="centre" id="centre" aria-hidden="true"></div>
    </div>
    <div class="under">
      <button type="button" class="step" id="point-before" aria-label="The point before">‹</button>
      <p class="readout" id="readout"></p>
      <button type="button" class="step" id="point-after" aria-label="The next point">›</button>
    </div>
    <p class="note" id="track-note"></p>
    <div id="walk"></div>
  </section>
  <section class="card servers" aria-labelledby="servers-title">
    <div class="head"><h2 id="servers-title">Servers</h2><div class="head-tools filters" id="filters"></div></div>
    <div class="rows" id="rows"></div>
  </section>
  <section class="card charts" aria-labelledby="charts-title">
    <div class="head"><h2 id="charts-title">Over time</h2>
      <div class="head-tools"><label class="field"><span>Show</span><select data-testid="window" @change=${(event) => onWindow(Number(event.target.value))}>${Object.entries(WINDOWS).map(([seconds, title]) => html`<option value=${seconds}>${title}</option>`)}</select></label></div>
    </div>
    <div class="scrub" id="scrub"></div>
    <div class="plots" id="plots"></div>
  </section>
  <section class="card events" aria-labelledby="events-title">
    <div class="head"><h2 id="events-title">What happened</h2><span class="note" id="events-note"></span></div>
    <div class="rows" id="events"></div>
    <div class="aloud" id="said" role="log" aria-label="What happened"></div>
  </section>
  <section class="card hot" aria-labelledby="hot-title">
    <div class="head"><h2 id="hot-title">Hot keys</h2><span class="note" id="hot-note"></span></div>
    <div id="hot"></div>
  </section>
  <dialog id="act" aria-label="Change the fleet"></dialog>`;
