// Replay as it is seen: what is replayed, the ring at that moment, who gets the requests, the timeline.

import { html, live, named, nothing, render, swatch, tagged } from '../shared/dom.js';
import { eventWords } from '../shared/feed.js';
import { walkView } from '../shared/key-walk.js';
import { RingView } from '../shared/ring-view.js';
import { VirtualTable } from '../shared/virtual-table.js';
import { count, keyless, many, percent, standing } from '../shared/words.js';
import { BYTES_MAX, recognise } from './access-log.js';
import { SPEEDS, formatPosition, parsePosition } from './clock.js';
import { read } from './read.js';
import { isRecording, parseRecording } from './recording.js';
import { SCENARIOS } from './scenarios.js';
import { WINDOW_MS } from './store.js';
import { createTimeline } from './timeline.js';

// Without movement a replay goes on in steps.
const STILL_MS = 1000;
const FRAME_MAX_MS = 250;
const KEEP_MS = 1000;
const SAMPLE_BYTES = 64 * 1024;
const FLEETS = [3, 8, 20, 100];
const SPEED_NAMES = { 0.25: '¼×', 0.5: '½×' };

const FRAME = html`
  <section class="card source" aria-labelledby="source-title"><div class="head"><h1 id="source-title">Replay</h1><div class="head-tools" id="stories"></div></div><div id="source"></div></section>
  <section class="card ring" aria-labelledby="ring-title">
    <div class="head"><h2 id="ring-title">The ring then</h2></div>
    <form class="key" id="key-form"><label for="key">Key</label>
      <input id="key" type="text" maxlength="2000" autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="key-answer" aria-keyshortcuts="/"><output id="key-answer" for="key"></output></form>
    <div class="stage" id="stage" role="slider" tabindex="0" aria-label="Ring cursor" aria-valuemin="0" aria-valuemax="0" aria-valuenow="0" aria-valuetext="No point chosen" aria-describedby="readout">
      <canvas aria-hidden="true"></canvas><canvas aria-hidden="true"></canvas><div class="centre" id="centre" aria-hidden="true"></div></div>
    <p class="readout" id="readout"></p>
    <div id="walk"></div>
  </section>
  <section class="card servers" aria-labelledby="servers-title"><div class="head"><h2 id="servers-title">Who gets the requests</h2><span class="note" id="servers-note"></span></div><div class="rows" id="rows"></div></section>
  <section class="card events" aria-labelledby="events-title"><div class="head"><h2 id="events-title">What happened</h2></div><div class="rows" id="events"></div></section>
  <section class="card requests" aria-labelledby="requests-title"><div class="head"><h2 id="requests-title">Requests</h2></div><div id="requests"></div></section>
  <section class="card deck" aria-label="Timeline"><div id="controls"></div>
    <canvas class="timeline" id="timeline" aria-hidden="true"></canvas><div id="position"></div></section>`;

const words = (at, more = { timeStyle: 'medium' }) => new Intl.DateTimeFormat('en-GB', more).format(at);
const stamp = (at) => `${words(at, { dateStyle: 'medium' })}, ${words(at)}.${String(Math.floor(at % 1000)).padStart(3, '0')}`;

// Draws Replay in `root` until `signal` aborts; `rest` is its part of the address.
export function mountReplay(root, { signal, shell, store, rest }) {
  const { clock } = store;
  let frame = 0;
  let timer;
  let shownAt = 0;
  let keptAt = 0;
  let point = -1;
  // What was opened and waits for the choice of its key: { blob, name, about }.
  let chosen = null;
  let progress = null;
  let problem = null;
  let reading = null;
  root.className = 'mode-replay replay';
  render(FRAME, root);
  const at = (id) => root.querySelector(`#${id}`);
  const timeline = createTimeline(at('timeline'));
  const ring = new RingView(at('stage'), {
    signal,
    onPoint(index) { point = index; showReadout(); },
    onPick(index) {
      const name = store.state.view.points.labels[index];
      store.select(name === undefined || name === store.state.selected ? null : name);
    },
  });
  const rows = new VirtualTable(at('rows'), {
    signal, rowHeight: 32, label: 'Servers', columns: 4, key: ({ name }) => name,
    head: () => html`<tr><th scope="col">Server</th><th scope="col" class="c-standing">Standing</th><th scope="col" class="c-share num">Share</th><th scope="col" class="c-requests num">Requests</th></tr>`,
    row: rowView,
  });
  const events = new VirtualTable(at('events'), {
    signal, rowHeight: 30, label: 'What happened', columns: 3, key: ({ line }) => line.seq,
    head: () => html`<tr><th scope="col" class="c-at">Time</th><th scope="col">What</th><th scope="col" class="c-moved num">Moved</th></tr>`,
    row: ({ at: time, line }, i) => {
      const { tone, text } = eventWords(line);
      return html`<tr aria-rowindex=${i + 2} class="tone-${tone} ${time > clock.at ? 'later' : ''}"><td class="c-at"><button type="button" @click=${() => jump(time)}>${words(time)}</button></td>
        <td class="c-what" title=${text}>${text}</td><td class="num">${line.moved === undefined ? nothing : percent(line.moved)}</td></tr>`;
    },
  });

  at('key').value = store.state.key;
  at('key').addEventListener('input', ({ target }) => store.setKey(target.value));
  at('key-form').addEventListener('submit', (event) => event.preventDefault());
  at('timeline').addEventListener('pointerdown', (event) => {
    at('timeline').setPointerCapture(event.pointerId);
    jump(timeline.timeAt(event.clientX, clock));
  });
  at('timeline').addEventListener('pointermove', (event) => event.buttons & 1 && jump(timeline.timeAt(event.clientX, clock)));
  root.addEventListener('dragover', (event) => event.preventDefault());
  root.addEventListener('drop', (event) => {
    event.preventDefault();
    openAll([...event.dataTransfer.files]);
  });
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input:not([type="range"]), select, textarea, dialog, .stage, button')) return;
    const act = { ' ': toggle, ',': () => step(-1), '.': () => step(1) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }, { signal });
  const sizes = new ResizeObserver(() => store.isLoaded && show());
  sizes.observe(at('timeline'));
  signal.addEventListener('abort', () => {
    sizes.disconnect();
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    clock.pause();
    reading?.abort();
  });
  signal.addEventListener('abort', store.subscribe(show));
  shell.onLook(show, signal);
  goTo(rest);

  // === What is replayed ===

  function goTo(address) {
    const wanted = parsePosition(address);
    const story = Object.hasOwn(SCENARIOS, wanted.story ?? '') ? wanted.story : null;
    if (!store.isLoaded || (story !== null && story !== store.state.story)) store.tellStory(story ?? 'failure');
    clock.setSpeed(wanted.speed);
    clock.setLoop(wanted.loop);
    if (wanted.at !== null) clock.goTo(wanted.at);
    store.show();
  }

  async function openAll(files) {
    for (const file of files) await open(file, file.name);
  }

  async function open(blob, name) {
    problem = null;
    try {
      if (blob.size > BYTES_MAX) throw new Error(`${name} has ${Math.round(blob.size / 2 ** 20)} MB; at most ${BYTES_MAX / 2 ** 20} are read`);
      const sample = await blob.slice(0, SAMPLE_BYTES).text();
      if (isRecording(sample)) {
        store.openRecording(parseRecording(await blob.text()), name);
        chosen = null;
      } else {
        const about = recognise(sample);
        if (about === null) throw new Error(`${name}: neither an event log nor an access log that is known (common, combined, JSON lines with a time)`);
        chosen = { blob, name, about, field: about.field, fleet: FLEETS[1] };
        await readChosen();
      }
    } catch (error) {
      if (error.name !== 'AbortError') problem = error.message;
    }
    show();
  }

  async function readChosen() {
    reading?.abort();
    const mine = reading = new AbortController();
    const { blob, name, about, field, fleet } = chosen;
    progress = 0;
    show();
    try {
      const log = await read(blob, { format: about.format, field }, { signal: mine.signal, onProgress(done) { progress = done; showSource(); } });
      if (mine.signal.aborted) return;
      if (log.times.length === 0) throw new Error(`${name}: no line could be used${log.firstBad ? `; line ${log.firstBad.line}: ${log.firstBad.why}` : ''}`);
      store.openLog(log, name, configOf(fleet));
    } finally {
      if (mine === reading) progress = null;
    }
  }

  const configOf = (n) => ({ servers: Array.from({ length: n }, (_, i) => ({ name: `cache-${i + 1}`, address: '10.0.0.1', port: 8001 + i })) });

  function paste(event) {
    event.preventDefault();
    const text = event.target.elements.text.value;
    if (text.trim() !== '') open(new Blob([text]), 'what was pasted');
  }

  // === How it goes on ===

  function toggle() {
    if (clock.isPlaying) clock.pause();
    else clock.play();
    shownAt = performance.now();
    run();
    show();
  }

  function run() {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    if (!clock.isPlaying || signal.aborted) return;
    const next = () => {
      const now = performance.now();
      // A page that was not seen has not missed anything.
      clock.pass(Math.min(now - shownAt, shell.isStill ? 2 * STILL_MS : FRAME_MAX_MS));
      shownAt = now;
      store.show();
      run();
    };
    if (shell.isStill) timer = setTimeout(next, STILL_MS);
    else frame = requestAnimationFrame(next);
  }

  function jump(time) {
    clock.goTo(time);
    store.show();
  }

  function step(by) {
    store.step(by);
  }

  // === What is shown ===

  function show() {
    if (!store.isLoaded || signal.aborted) return;
    const { state } = store;
    const { view, servers, slots, selected, moment, recording, log } = state;
    ring.show({ points: view.points, keys: view.keys, slots, servers, selected, walk: moment.answer, change: undefined, theme: shell.theme, isStill: true });
    rows.show(servers);
    events.show(recording.events);
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    timeline.show({
      from: clock.from, to: clock.to, at: clock.at, loop: clock.loop, times: log?.times ?? [],
      events: recording.events.map(({ at: time, line }) => ({ at: time, tone: eventWords(line).tone })),
      colours: { ink: of('ink'), muted: of('muted'), line: of('line'), bad: of('bad'), good: of('good'), accent: of('focus') },
    });
    const { answer } = moment;
    render(answer?.server ? html`<span aria-hidden="true">→</span> ${tagged(answer.server, slots)}` : nothing, at('key-answer'));
    render(answer === null ? nothing : walkView({ view, walk: answer, slots }), at('walk'));
    const nEligible = servers.filter(({ eligible }) => eligible).length;
    render(html`<p class="answer">${`${count(nEligible)} of ${count(servers.length)}`}</p><p class="small">eligible</p>`, at('centre'));
    render(log ? `of the last ${WINDOW_MS / 1000} s, each routed by the fleet of its moment` : 'open an access log to see requests', at('servers-note'));
    render(log
      ? html`${moment.moved === null ? nothing : html`<p class="big" data-elsewhere=${moment.moved}>${percent(moment.moved)} <span>of the log’s keys are elsewhere than at the start</span></p>`}
        <ol class="latest">${moment.latest.map(({ at: time, key, server }) => html`<li><span class="num">${words(time)}</span> ${named(key)} <span aria-hidden="true">→</span> ${server === undefined ? 'nowhere' : tagged(server, slots)}</li>`)}</ol>`
      : html`<p class="empty">No access log is open.</p>`, at('requests'));
    showSource();
    showControls();
    showReadout();
    shell.title('Ringway: replay');
    shell.status(html`<span class="chip-note">Nothing leaves this page.</span>`);
    shell.foot(html`Ring <code>${view.fingerprint}</code>`);
    // The shell waits until nothing more comes; while it plays there is always more.
    const now = performance.now();
    if (clock.isPlaying && now - keptAt < KEEP_MS) return;
    keptAt = now;
    shell.keep(formatPosition({ story: state.story, at: Math.round(clock.at), speed: clock.speed, loop: clock.loop }));
  }

  function showReadout() {
    const { view, slots } = store.state;
    const shown = view.points.at(point);
    const stage = at('stage');
    stage.setAttribute('aria-valuemax', Math.max(0, view.nPoints - 1));
    stage.setAttribute('aria-valuenow', Math.max(0, point));
    stage.setAttribute('aria-valuetext', shown ? `${shown.server} owns ${percent(shown.share)} up to here` : 'No point chosen');
    render(view.isKeyless ? keyless(view.algorithm) : shown ? html`${percent(shown.share)} of ${tagged(shown.server, slots)}` : html`<span class="quiet">${many(view.nPoints, 'point')}</span>`, at('readout'));
  }

  function showSource() {
    const { story, titles, log, recording, notice } = store.state;
    render(html`<label class="field"><span>A story</span><select data-testid="story" .value=${live(story ?? '')} @change=${(event) => { chosen = null; problem = null; store.tellStory(event.target.value); }}>
      <option value="" disabled hidden ?selected=${story === null}>your own</option>
      ${Object.entries(SCENARIOS).map(([name, { title }]) => html`<option value=${name} ?selected=${name === story}>${title}</option>`)}</select></label>`, at('stories'));
    const bad = (about) => (about?.rejected > 0 ? html`<span class="bad">${many(about.rejected, 'line')} could not be used; the first is line ${count(about.firstBad.line)} (${about.firstBad.why}): <code><bdi>${about.firstBad.text}</bdi></code></span>` : nothing);
    render(html`
      <div class="opened">
        <label class="file"><span>Open a log…</span><input type="file" multiple data-testid="file" @change=${({ target }) => { openAll([...target.files]); target.value = ''; }}></label>
        <details class="paste"><summary>or paste one</summary><form @submit=${paste}><textarea name="text" rows="4" aria-label="Lines of a log" spellcheck="false"></textarea><button type="submit">Replay it</button></form></details>
        <p class="note">An access log (common, combined or JSON lines), a recording of <code>ringway serve --record</code> or <code>GET /api/events</code>, or one of each; drop them here. They are read on this machine, and nothing of them leaves it.</p>
      </div>
      ${progress === null ? nothing : html`<p role="status">Reading… <progress max="1" .value=${progress}></progress></p>`}
      ${problem ? html`<p class="problem" role="alert">${problem}</p>` : nothing}
      ${notice ? html`<p class="problem" role="status">${notice}</p>` : nothing}
      ${story !== null ? nothing : html`
        <ul class="sources">
          ${titles.recording ? html`<li><b>Recording</b> <bdi>${titles.recording}</bdi>: ${many(recording.lines.length, 'line')}, ${many(recording.events.length, 'event')}. ${bad(recording)}</li>` : nothing}
          ${titles.log && log ? html`<li><b>Access log</b> <bdi>${titles.log}</bdi>: ${many(log.times.length, 'request')}, ${many(log.keys.length, 'key')}${log.isCut ? '; it is longer, and was cut' : ''}. ${bad(log)}</li>` : nothing}
          ${chosen ? html`<li class="choices">
            <label class="field"><span>The key is</span><select data-testid="field" @change=${(event) => { chosen.field = event.target.value; redo(); }}>${chosen.about.fields.map(({ name, example }) => html`<option value=${name} ?selected=${name === chosen.field}>${name} (${example})</option>`)}</select></label>
            ${recording.isStanding ? html`<label class="field"><span>Routed by</span><select data-testid="fleet" @change=${(event) => { chosen.fleet = Number(event.target.value); store.setFleet(configOf(chosen.fleet)); }}>${FLEETS.map((n) => html`<option value=${n} ?selected=${n === chosen.fleet}>${n} equal servers</option>`)}</select></label>` : nothing}</li>` : nothing}
        </ul>`}`, at('source'));
  }

  async function redo() {
    try {
      await readChosen();
    } catch (error) {
      if (error.name !== 'AbortError') problem = error.message;
    }
    show();
  }

  function showControls() {
    const { loop } = clock;
    render(html`
      <div class="controls">
        <button type="button" aria-label="Step back" aria-keyshortcuts="," @click=${() => step(-1)}>‹</button>
        <button type="button" class="primary play" data-testid="play" aria-keyshortcuts="Space" @click=${toggle}>${clock.isPlaying ? 'Pause' : 'Play'}</button>
        <button type="button" aria-label="Step on" aria-keyshortcuts="." @click=${() => step(1)}>›</button>
        <label class="field"><span>Speed</span><select data-testid="speed" @change=${(event) => { clock.setSpeed(Number(event.target.value)); show(); }}>${SPEEDS.map((value) => html`<option value=${value} ?selected=${value === clock.speed}>${SPEED_NAMES[value] ?? `${value}×`}</option>`)}</select></label>
        <output class="stamp" data-testid="stamp">${stamp(clock.at)}</output>
        <span class="loops">
          ${loop
            ? html`<button type="button" @click=${() => { clock.setLoop(null); show(); }}>End the loop ${words(loop.from)} – ${words(loop.to)}</button>`
            : html`<button type="button" data-testid="loop" @click=${() => { clock.setLoop({ from: clock.at, to: Math.min(clock.to, clock.at + Math.max(1000, (clock.to - clock.from) / 6)) }); show(); }}>Loop from here</button>`}
          ${loop ? html`<button type="button" @click=${() => { clock.setLoop({ from: loop.from, to: clock.at }); show(); }}>…to here</button>` : nothing}
        </span>
      </div>`, at('controls'));
    render(html`<input type="range" class="scrubber" data-testid="scrubber" aria-label="Moment" min=${clock.from} max=${clock.to} step="1" .value=${String(Math.round(clock.at))} aria-valuetext=${stamp(clock.at)} @input=${({ target }) => jump(target.valueAsNumber)}>
      <div class="ends"><span class="num">${words(clock.from)}</span><span class="num">${words(clock.to)}</span></div>`, at('position'));
  }

  function rowView(server, i) {
    const { state } = store;
    const { name, share } = server;
    const most = state.servers.reduce((max, { requests }) => Math.max(max, requests ?? 0), 1);
    const { word } = standing(server);
    return html`
      <tr aria-rowindex=${i + 2} data-name=${name} class=${server.eligible ? '' : 'out'} aria-selected=${state.selected === name}>
        <th scope="row"><button type="button" class="pick" aria-pressed=${state.selected === name} @click=${() => store.select(state.selected === name ? null : name)}>${swatch(state.slots.get(name))}${named(name)}</button></th>
        <td class="c-standing"><span class="standing" data-standing=${server.standing}>${word}</span></td>
        <td class="c-share num">${percent(share.keys)}</td>
        <td class="num requests-of" data-requests=${server.requests ?? 0}><svg class="bar" aria-hidden="true"><rect class="fill" data-slot=${state.slots.get(name) ?? nothing} width="${(100 * (server.requests ?? 0)) / most}%" height="100%"></rect></svg>${count(server.requests ?? 0)}</td>
      </tr>`;
  }

  return { goTo };
}
