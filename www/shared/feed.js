// What a proxy tells of its fleet, line by line (`GET /api/events`, or a recording of it), folded
// into what is known at that moment. No DOM, no clock, no network: time is what the lines say.

// Ticks further apart than this are not neighbours: what lies between them is a gap.
const GAP_MS = 3500;
// Counts read so soon after others say nothing of a rate.
const SOON_MS = 500;
const FORMAT = 'ringway-events';
const VERSION = 2;

// A line of text as an object; null for an empty one. Throws with what is wrong.
export function parseLine(text) {
  if (text.trim() === '') return null;
  let line;
  try {
    line = JSON.parse(text);
  } catch {
    throw new Error('not a line of JSON');
  }
  if (typeof line?.event !== 'string' || Number.isNaN(Date.parse(line.time))) throw new Error('not a line of an event log: it has no "event" and "time"');
  if (line.event === 'snapshot' && (line.format !== FORMAT || line.version !== VERSION)) {
    throw new Error(`its format is ${line.format} ${line.version}; this page reads ${FORMAT} ${VERSION}`);
  }
  return line;
}

// `take(line)` answers with what it was: 'snapshot', 'tick', or the event's own line with what is
// to be known of it; null for what cannot be understood without a state before it.
export function createFeed() {
  let names = [];
  let ticked = null;
  // What is known; null before the first state. The same objects are changed by each line.
  let state = null;

  function takeSnapshot(line) {
    const at = Date.parse(line.time);
    const isSame = state?.boot === line.boot;
    const servers = new Map(line.servers.map((view, i) => [view.name, serverOf(view, at, at - 1000 * (line.since_s[i] ?? 0))]));
    state = {
      boot: line.boot, program: line.program, generation: line.generation, fingerprint: line.fingerprint, failOpen: line.fail_open,
      config: line.config, routing: line.routing, seq: line.seq, at, servers,
      total: isSame ? state.total : { rps: null, errorRate: null, inFlight: 0, p50: 0, p99: 0, overflowRate: null },
    };
    names = line.servers.map(({ name }) => name);
    // Counts of another process have nothing to do with those before.
    if (!isSame) ticked = null;
    return 'snapshot';
  }

  function takeTick(line) {
    const at = Date.parse(line.time);
    if (line.servers) names = line.servers;
    const { changed } = line;
    changed?.server.forEach((place, i) => {
      const server = state.servers.get(names[place]);
      if (!server) return;
      server.standing = changed.standing[i];
      server.since = at - 1000 * changed.since_s[i];
      if (changed.probe_ago_s[i] !== null) {
        const why = changed.probe_why[i] === null ? null : changed.reasons[changed.probe_why[i]];
        server.probe = { ok: why === null, why, at: at - 1000 * changed.probe_ago_s[i], tookMs: changed.probe_took_ms[i] };
      }
    });
    const passed = ticked === null ? Infinity : at - ticked.at;
    const isGap = passed > GAP_MS;
    names.forEach((name, i) => {
      const server = state.servers.get(name);
      if (!server) return;
      server.inFlight = line.in_flight[i];
      // Without answers in the last minute there is no such time.
      server.p50 = line.p50_ms[i] || null;
      server.p99 = line.p99_ms[i] || null;
      rate(server, line.requests[i], line.errors[i], at);
    });
    const { total } = line;
    const was = ticked?.total;
    const isNext = was && !isGap && passed > 0 && total.requests >= was.requests;
    const n = isNext ? total.requests - was.requests : null;
    state.total = {
      rps: isNext ? (1000 * n) / passed : null,
      errorRate: isNext && n > 0 ? Math.max(0, total.errors - was.errors) / n : null,
      inFlight: total.in_flight, p50: total.p50_ms || null, p99: total.p99_ms || null,
      overflowRate: isNext && n > 0 && total.overflowed !== undefined && was.overflowed !== undefined ? Math.max(0, total.overflowed - was.overflowed) / n : null,
    };
    ticked = { at, total };
    Object.assign(state, { at, seq: line.seq });
    return 'tick';
  }

  function takeEvent(line) {
    const at = Date.parse(line.time);
    Object.assign(state, { at: Math.max(at, state.at), seq: line.seq });
    const server = state.servers.get(line.server);
    const act = {
      'server-added': () => state.servers.set(line.server, joined(line.spec, at)),
      'server-removed': () => state.servers.delete(line.server),
      'server-changed': () => server && Object.assign(server, pick(line.spec)),
      'weight-changed': () => server && Object.assign(server, { weight: line.weight }),
      'state-changed': () => server && stand(server, line.state === 'draining' ? 'draining' : 'eligible', at, { state: line.state }),
      'health-changed': () => server && stand(server, line.health === 'unhealthy' ? 'unhealthy' : 'eligible', at, { health: line.health }),
      ejected: () => server && stand(server, 'ejected', at),
      'trial-began': () => server && stand(server, 'on-trial', at),
      readmitted: () => server && stand(server, 'eligible', at),
      'fail-open': () => Object.assign(state, { failOpen: line.on }),
    }[line.event];
    act?.();
    return line;
  }

  return {
    get state() {
      return state;
    },
    take(line) {
      if (line.event === 'snapshot') return takeSnapshot(line);
      if (state === null) return null;
      return line.event === 'tick' ? takeTick(line) : takeEvent(line);
    },
    // The stream broke: what comes next is no neighbour of what came before.
    broke() {
      ticked = null;
      for (const server of state?.servers.values() ?? []) Object.assign(server, { rps: null, errorRate: null, counted: null });
    },
  };
}

// What an event says of a standing, until the next tick says it for sure.
function stand(server, standing, at, more = {}) {
  Object.assign(server, more);
  // A draining server stays that, whatever its probes find.
  const word = server.state === 'draining' ? 'draining' : standing;
  if (word !== server.standing) Object.assign(server, { standing: word, since: at });
}

function rate(server, requests, errors, at) {
  const { counted } = server;
  const passed = counted === null ? Infinity : at - counted.at;
  // Another server of the same name, or another process.
  const isNext = passed <= GAP_MS && requests >= counted.requests;
  if (isNext && passed < SOON_MS) return;
  const n = isNext ? requests - counted.requests : null;
  server.rps = isNext ? (1000 * n) / passed : null;
  server.errorRate = isNext && n > 0 ? Math.max(0, errors - counted.errors) / n : null;
  server.counted = { at, requests, errors };
}

const pick = ({ name, address, port, weight, backup }) => ({ name, address, port, weight: weight ?? 1, backup: backup ?? false });

function serverOf(view, at, since) {
  const probe = view.last_probe;
  return {
    ...pick(view), state: view.state, health: view.health, standing: view.standing, since, share: view.share, admission: view.admission,
    probe: probe && { ok: probe.ok, why: probe.why, at: at - 1000 * probe.ago_s, tookMs: probe.took_ms },
    inFlight: view.in_flight, p50: null, p99: null, rps: null, errorRate: null,
    counted: { at, requests: view.requests, errors: view.errors },
  };
}

const joined = (spec, at) => ({
  ...pick(spec), state: 'active', health: 'unknown', standing: 'unproven', since: at, share: { expected: 0, actual: 0 }, admission: 1,
  probe: null, inFlight: 0, p50: null, p99: null, rps: null, errorRate: null, counted: { at, requests: 0, errors: 0 },
});

// What an event is in words: { text, tone }. Names come from anywhere; they are text, never markup.
export function eventWords(line) {
  const { server, why, for_s: wait } = line;
  const because = why ? `: ${why}` : '';
  const words = {
    'server-added': ['good', `${server} joined`],
    'server-removed': ['plain', `${server} left`],
    'server-changed': ['plain', `${server} was changed`],
    'weight-changed': ['plain', `${server} weighs ${line.weight} now`],
    'state-changed': ['plain', line.state === 'draining' ? `${server} is being drained` : `${server} takes requests again`],
    'health-changed': line.health === 'unhealthy' ? ['bad', `${server} is unhealthy${because}`] : ['good', `${server} is ${line.health}`],
    'health-forgotten': ['plain', `${server}: its probing was switched off`],
    ejected: ['bad', `${server} was ejected${wait ? ` for ${Math.round(wait)} s` : ''}${because}`],
    'trial-began': ['plain', `${server} is on trial`],
    readmitted: ['good', `${server} was re-admitted`],
    'slow-started': ['plain', `${server} comes back bit by bit${wait ? `, for ${Math.round(wait)} s` : ''}`],
    'slow-start-ended': ['good', `${server} has all of its keys`],
    drained: ['plain', `${server} is drained: it has no keys left`],
    'fail-open': line.on ? ['bad', 'Nobody is eligible: it fails open, all servers get their keys'] : ['good', 'A server is eligible again'],
    reconfigured: ['plain', `The configuration was read anew: ${line.added} joined, ${line.removed} left, ${line.changed} changed`],
    restarted: ['bad', 'The proxy was restarted: counts begin anew'],
    'stream-broke': ['bad', line.text],
    'stream-back': ['plain', 'The stream is back'],
  }[line.event] ?? ['plain', `${line.event}${server ? ` ${server}` : ''}`];
  return { tone: words[0], text: words[1] };
}
