// A recorded event log, of which the fleet at any moment can be told: by an engine that goes through
// what the fleet went through. Pure but for the engine.

import { createFeed, parseLine } from '../shared/feed.js';

// What part of its keys a server takes, in 65,536ths: all of them, and as it begins to come back.
const WHOLE = 65_536;
const FIRST = Math.floor(WHOLE / 10);
const BAD_MAX = 200;
// Ticks before a moment whose figures are shown there.
const TICKS_BEFORE_MS = 3500;

// Reads the lines. Throws when not one state is among them.
export function parseRecording(text) {
  const lines = [];
  let rejected = 0;
  let firstBad = null;
  text.split('\n').forEach((raw, i) => {
    try {
      const line = parseLine(raw);
      if (line !== null) lines.push({ ...brief(line), raw });
    } catch (error) {
      rejected += 1;
      firstBad ??= { line: i + 1, text: raw.slice(0, BAD_MAX), why: error.message };
    }
  });
  const first = lines.findIndex(({ event }) => event === 'snapshot');
  if (first < 0) throw new Error(firstBad ? `line ${firstBad.line}: ${firstBad.why}` : 'there is no line "snapshot", from which the fleet could be told');
  return recordingOf(lines.slice(first), { rejected: rejected + first, firstBad });
}

// Whether a text looks like the lines of an event log.
export function isRecording(text) {
  const [line] = text.split('\n', 1);
  return /^\s*\{/.test(line) && /"event":"/.test(line) && /"seq":\d/.test(line);
}

const brief = (line) => ({ at: Date.parse(line.time), event: line.event, server: line.server, isSilent: line.event === 'tick' && !line.changed && !line.servers });

function recordingOf(lines, about) {
  const events = lines.filter(({ event }) => event !== 'tick' && event !== 'snapshot');
  return { lines, from: lines[0].at, to: lines.at(-1).at, events: events.map(({ raw, ...line }) => ({ ...line, line: JSON.parse(raw) })), ...about };
}

// The same of lines that are objects already.
export const fromLines = (lines) => recordingOf(lines.map((line) => ({ ...brief(line), raw: JSON.stringify(line) })), { rejected: 0, firstBad: null });

// Goes through a recording: `goTo(time)` brings `engine` and `state` to that moment.
export function createTraveller(LoadBalancer, recording) {
  const { lines } = recording;
  let feed;
  let engine = null;
  // The first line that is not taken yet, and the time the engine was told.
  let next = 0;
  let now = 0;
  // Counts what may have changed where keys go.
  let version = 0;

  function begin(i) {
    feed = createFeed();
    next = i;
  }

  function take(i, isShown) {
    const { raw, event, at, isSilent } = lines[i];
    if (isSilent && !isShown) return;
    const line = parseLine(raw);
    feed.take(line);
    if (event === 'tick') return;
    version += 1;
    if (event === 'snapshot') {
      engine?.free();
      now = at;
      engine = LoadBalancer.fromSnapshot(line.routing, { now: 0 });
      start = at;
      return;
    }
    pass(at);
    follow(line, at);
  }

  let start = 0;
  // Time passes for the engine: ejections end, servers come back bit by bit.
  function pass(at) {
    now = Math.max(now, at);
    if (engine.advance(now - start).some(({ event }) => event !== 'probe-due')) version += 1;
  }

  // Does to the engine what happened to the fleet.
  function follow(line) {
    const { server } = line;
    const is = engine.servers().some(({ name }) => name === server);
    const acts = {
      'server-added': () => !is && engine.addServer(line.spec),
      'server-removed': () => is && engine.removeServer(server),
      'weight-changed': () => is && engine.setWeight(server, line.weight),
      'state-changed': () => is && engine.setState(server, line.state),
    };
    if (acts[line.event]) {
      acts[line.event]();
      return;
    }
    const knows = {
      'health-changed': (memory) => {
        const isWell = line.health === 'healthy';
        memory.healthy = isWell ? true : line.health === 'unhealthy' ? false : null;
        if (isWell) Object.assign(memory, { trusted: true, admission: WHOLE });
      },
      'health-forgotten': (memory) => { memory.healthy = null; },
      ejected: (memory) => Object.assign(memory, { ejected_for_ms: Math.round(1000 * line.for_s), on_trial: false }),
      'trial-began': (memory) => Object.assign(memory, { ejected_for_ms: null, on_trial: true }),
      readmitted: (memory) => Object.assign(memory, { ejected_for_ms: null, on_trial: false, admission: WHOLE }),
      'slow-started': (memory) => { memory.admission = FIRST; },
      'slow-start-ended': (memory) => { memory.admission = WHOLE; },
    }[line.event];
    if (!knows || !is) return;
    const snapshot = engine.snapshot();
    knows(snapshot.servers.find((memory) => memory.server.name === server));
    engine.restore(snapshot, { now: now - start });
  }

  begin(0);
  return {
    get state() {
      return feed.state;
    },
    get engine() {
      return engine;
    },
    get version() {
      return version;
    },
    goTo(time) {
      const wanted = Math.max(recording.from, time);
      // Back: from the last whole state before it on.
      if (engine === null || wanted < now || (next > 0 && lines[next - 1].at > wanted)) {
        let i = 0;
        lines.forEach(({ event, at }, j) => { if (event === 'snapshot' && at <= wanted) i = j; });
        begin(i);
        version += 1;
      }
      while (next < lines.length && lines[next].at <= wanted) {
        take(next, lines[next].at > wanted - TICKS_BEFORE_MS);
        next += 1;
      }
      pass(wanted);
    },
    free() {
      engine?.free();
      engine = null;
    },
  };
}
