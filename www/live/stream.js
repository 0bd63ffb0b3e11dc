// Follows `GET ./api/events`: one stream and never a second, closed while nobody looks, taken up
// again after a break, asked for in pieces where no stream is to be had. Says truthfully how old
// what it has is. Everything of the browser comes in, so that it can be tested without one.

// Ticks come each second; so many are missed before what is shown counts as old, and so many
// before the stream counts as dead.
const LATE_MS = 3000;
const DEAD_MS = 10_000;
const HIDDEN_MS = 30_000;
// Waits between tries; the last one for all further ones.
const WAITS_MS = [1000, 2000, 4000, 8000, 15_000];
const POLL_MS = 2000;
// How long it is asked for pieces before a stream is tried again.
const POLLING_MS = 60_000;
const LINE_MAX = 32 << 20;

// `onText(text)` gets each line; `onChange(status)` each change of
//   { kind: 'connecting' | 'streaming' | 'polling' | 'waiting' | 'hidden' | 'locked' | 'stopped',
//     problem, retryAt, heardAt }
// where `locked` is: the API wants a token, or another one; and `onStart(isFresh)` is called before
// the first line of each stream.
export function follow({
  onText, onChange, onStart = () => {}, token = null,
  fetch = globalThis.fetch.bind(globalThis), document = globalThis.document, now = Date.now, timers = globalThis, base = './api/',
}) {
  let status = { kind: 'connecting', problem: null, retryAt: null, heardAt: null };
  let ending = null;
  let timer;
  let hiddenTimer;
  let n = 0;
  let lastId = null;
  let pollUntil = 0;
  let isOver = false;

  const change = (patch) => {
    status = { ...status, ...patch };
    onChange(status);
  };
  const later = (run, ms) => {
    timers.clearTimeout(timer);
    timer = timers.setTimeout(run, ms);
  };

  async function connect() {
    if (isOver) return;
    timers.clearTimeout(timer);
    ending?.abort();
    const mine = new AbortController();
    ending = mine;
    const isPolling = now() < pollUntil;
    try {
      await (isPolling ? poll(mine.signal) : stream(mine.signal));
      if (mine.signal.aborted) return;
      if (isPolling) return later(connect, POLL_MS);
      throw new Error('the stream ended');
    } catch (error) {
      if (mine.signal.aborted && !mine.signal.reason?.isDead) return;
      if (error.isLocked) return change({ kind: 'locked', problem: error.message, retryAt: null });
      // No room for a further stream, or somebody between who holds it back: ask for pieces.
      if (error.isRefused || (mine.signal.reason?.isDead && n > 1)) {
        pollUntil = now() + POLLING_MS;
        n = 0;
        return connect();
      }
      const wait = WAITS_MS[Math.min(n, WAITS_MS.length - 1)];
      n += 1;
      change({ kind: 'waiting', problem: (mine.signal.reason ?? error).message, retryAt: now() + wait });
      later(connect, wait);
    }
  }

  async function ask(path, accept, signal) {
    const headers = { accept, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    let answer;
    try {
      answer = await fetch(base + path, { cache: 'no-store', credentials: 'same-origin', headers, signal });
    } catch (error) {
      throw signal.aborted ? error : new Error('the API cannot be reached');
    }
    if (answer.status === 401) throw Object.assign(new Error(token === null ? 'this API wants its token' : 'this is not the token of this API'), { isLocked: true });
    if (answer.status === 503) throw Object.assign(new Error('the API has no room for a further stream'), { isRefused: path === STREAM });
    if (!answer.ok) throw new Error(`the API answered ${answer.status}`);
    return answer;
  }

  const heard = (text, isFirst, kind) => {
    if (isFirst) {
      n = 0;
      onStart();
    }
    if (isFirst || status.kind !== kind) change({ kind, problem: null, retryAt: null, heardAt: now() });
    else status.heardAt = now();
    onText(text);
  };

  async function stream(signal) {
    change({ kind: status.kind === 'waiting' ? 'waiting' : 'connecting' });
    const alive = watchdog(ending);
    try {
      const answer = await ask(STREAM, 'text/event-stream', signal);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      let isFirst = true;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        alive.kick();
        text += value;
        if (text.length > LINE_MAX) throw new Error('the stream sends no lines');
        const blocks = text.split('\n\n');
        text = blocks.pop();
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block);
          lastId = /^id: (.*)$/m.exec(block)?.[1] ?? lastId;
          if (!data) continue;
          heard(data[1], isFirst, 'streaming');
          isFirst = false;
        }
      }
    } finally {
      alive.stop();
    }
  }

  // The lines after the last one that is known; the whole state first.
  async function poll(signal) {
    const isFirst = status.kind !== 'polling';
    const answer = await ask(`events?format=jsonl&after=${encodeURIComponent(isFirst ? 'none' : lastId)}`, 'application/jsonl', signal);
    const lines = (await answer.text()).split('\n').filter(Boolean);
    lines.forEach((text, i) => heard(text, isFirst && i === 0, 'polling'));
    if (lines.length === 0) return;
    // Only a state says of which process it is.
    const { boot = lastId?.split('.')[0] } = JSON.parse(lines[0]);
    lastId = `${boot}.${JSON.parse(lines.at(-1)).seq}`;
  }

  // A stream that says nothing at all is dead, whatever its connection thinks.
  function watchdog(controller) {
    let dog;
    const kick = () => {
      timers.clearTimeout(dog);
      dog = timers.setTimeout(() => controller.abort(Object.assign(new Error('the API does not answer'), { isDead: true })), DEAD_MS);
    };
    kick();
    return { kick, stop: () => timers.clearTimeout(dog) };
  }

  const seen = () => {
    timers.clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = timers.setTimeout(() => {
        ending?.abort();
        timers.clearTimeout(timer);
        change({ kind: 'hidden', problem: null, retryAt: null });
      }, HIDDEN_MS);
    } else if (status.kind === 'hidden') {
      n = 0;
      connect();
    }
  };
  document.addEventListener('visibilitychange', seen);
  const started = document.hidden ? Promise.resolve(seen()) : connect();

  return {
    started,
    get status() {
      return status;
    },
    // How old what was heard last is, in milliseconds, and whether that is older than it should be.
    age() {
      const ms = status.heardAt === null ? null : Math.max(0, now() - status.heardAt);
      return { ms, isLate: ms !== null && ms > LATE_MS };
    },
    // Tries at once.
    retry() {
      n = 0;
      connect();
    },
    stop() {
      isOver = true;
      ending?.abort();
      timers.clearTimeout(timer);
      timers.clearTimeout(hiddenTimer);
      document.removeEventListener('visibilitychange', seen);
      change({ kind: 'stopped' });
    },
  };
}

const STREAM = 'events?format=sse';

// What is said of the age, for eyes: '' while all is well.
export function staleness({ status, age }, now) {
  if (status.kind === 'locked') return status.problem;
  const old = age.ms === null ? 'no data yet' : `no data for ${Math.max(1, Math.round(age.ms / 1000))} s`;
  if (status.kind === 'waiting') {
    const wait = Math.max(0, Math.ceil((status.retryAt - now) / 1000));
    return `${old}: ${status.problem}; retrying ${wait === 0 ? 'now' : `in ${wait} s`}`;
  }
  if (age.isLate) return `${old}, waiting`;
  return '';
}
