// A proxy's API for tests of the page: its words come from the engine, its time and traffic from
// the test. Only its stream is played; what a real one says is in proxy.test.mjs.
import { LoadBalancer } from '../../www/pkg/index.js';
import { serve } from './serve.mjs';

const PROBES = { interval: 1, timeout: 1, jitter_percent: 0, fall: 1, rise: 1 };
const REASON = 'cannot connect: Connection refused';

/** Servers of these names, as a configuration has them. */
export const specs = (names) => names.map((name, i) => ({ name, address: '10.0.0.1', port: 8000 + (i % 1000), weight: 1 }));

/** What a proxy with these servers says, line by line. Time begins at `at` and goes on by `tick`. */
export function createTeller(names, { at = Date.UTC(2026, 0, 2, 3, 4, 5), boot = 'b00t', virtualNodes = 100 } = {}) {
  const own = new LoadBalancer({ servers: specs(names), routing: { virtual_nodes: virtualNodes }, health_check: PROBES });
  const dead = new Set();
  const counts = new Map(names.map((name) => [name, { requests: 0, errors: 0 }]));
  let [seq, now, told] = [0, 0, []];
  const time = () => new Date(at + now).toISOString();
  const line = (more) => ({ seq: ++seq, time: time(), ...more });
  function settle() {
    now += 1;
    for (let i = 0; i < 4; i++) {
      own.advance(now);
      for (const probe of own.probesDue()) own.recordProbe(probe, dead.has(probe.server.name) ? { ok: false, latencyMs: 1, error: REASON } : { ok: true, latencyMs: 1 });
      now = Math.max(now, Math.min(own.nextDeadlineMs() ?? now, now + 1000));
    }
  }
  settle();
  return {
    own,
    boot,
    counts,
    get at() {
      return at + now;
    },
    snapshot() {
      const servers = own.servers().map((server) => ({ ...server, requests: counts.get(server.name).requests, errors: counts.get(server.name).errors }));
      told = servers.map(({ name, standing }) => `${name} ${standing}`);
      return {
        event: 'snapshot', seq, time: time(), format: 'ringway-events', version: 2, boot, program: '0.1.0', generation: 1, fingerprint: own.fingerprint,
        fail_open: own.health().fail_open, config: own.toJSON(), servers, since_s: servers.map(() => 60), routing: own.snapshot(),
      };
    },
    /** A second later. */
    tick(more = {}) {
      now += 1000;
      const servers = own.servers();
      const of = (pick) => servers.map(({ name }) => pick(counts.get(name)));
      const sum = (values) => values.reduce((a, b) => a + b, 0);
      const columns = { requests: of(({ requests }) => requests), errors: of(({ errors }) => errors) };
      const words = servers.map(({ name, standing }) => `${name} ${standing}`);
      const changed = servers.map((_, i) => i).filter((i) => words[i] !== told[i]);
      told = words;
      return line({
        event: 'tick', total: { in_flight: 3, requests: sum(columns.requests), errors: sum(columns.errors), p50_ms: 2, p99_ms: 40 },
        servers: servers.map(({ name }) => name), in_flight: servers.map(() => 1), ...columns, p50_ms: servers.map(() => 2), p99_ms: servers.map((_, i) => 40 + i),
        ...(changed.length === 0 ? {} : {
          changed: {
            server: changed, standing: changed.map((i) => servers[i].standing), since_s: changed.map(() => 0.5), probe_ago_s: changed.map(() => 0.4), probe_took_ms: changed.map(() => 1.5),
            probe_why: changed.map((i) => (dead.has(servers[i].name) ? 0 : null)), reasons: [REASON],
          },
        }),
        ...more,
      });
    },
    kill(name) {
      dead.add(name);
      settle();
      return line({ event: 'health-changed', server: name, health: 'unhealthy', why: REASON, moved: 0.25 });
    },
    revive(name) {
      dead.delete(name);
      settle();
      return line({ event: 'health-changed', server: name, health: 'healthy', why: null, moved: 0.25 });
    },
    event: (more) => line(more),
  };
}

/** Serves the page with a teller behind it. `say(line)` is told to all streams that are open. */
export async function fakeProxy(names, { token = null, ...options } = {}) {
  let teller = createTeller(names, options);
  const streams = new Set();
  const asked = [];
  const state = { refuse: null };
  const frame = (line) => `id: ${teller.boot}.${line.seq}\nevent: ${line.event}\ndata: ${JSON.stringify(line)}\n\n`;
  const problem = (status, detail) => ({ status, type: 'application/problem+json', body: { status, detail, title: detail } });
  let backlog = [];
  function answer(path, search, { method, headers, body } = {}) {
    if (!path?.startsWith('api/')) return undefined;
    asked.push(`${method} ${path}${search}`);
    if (token !== null && headers.authorization !== `Bearer ${token}`) return problem(401, 'send the token');
    const query = new URLSearchParams(search);
    if (path === 'api/events') {
      if (state.refuse === 'stream' && query.get('format') !== 'jsonl') return problem(503, 'there are 32 streams');
      if (state.refuse === 'all') return problem(500, 'down');
      if (query.get('format') === 'jsonl') {
        const after = query.get('after');
        const known = after?.startsWith(`${teller.boot}.`) ? Number(after.split('.')[1]) : null;
        const lines = known === null ? [teller.snapshot()] : backlog.filter(({ seq }) => seq > known);
        return { type: 'application/jsonl', text: lines.map((line) => `${JSON.stringify(line)}\n`).join('') };
      }
      return {
        type: 'text/event-stream',
        stream(response) {
          response.write(`retry: 2000\n\n${frame(teller.snapshot())}`);
          streams.add(response);
          response.on('close', () => streams.delete(response));
        },
      };
    }
    if (path === 'api/servers' && method === 'GET') return { body: { servers: teller.own.servers() } };
    if (path === 'api/explain') return { body: teller.own.explain(query.get('key')) };
    if (path === 'api/hot-keys') return { body: { total: 1, half_life_s: 60, capacity: 64, keys: [{ key: names[0], truncated: false, position: '0000000000000000', count: 1, error: 0, share: { at_least: 0.1, at_most: 0.2 }, server: names[0], spread: null }] } };
    const [, name, part] = /^api\/servers\/([^/]+)(?:\/(state|weight))?$/.exec(path) ?? [];
    if (name !== undefined) {
      const server = decodeURIComponent(name);
      const given = body ? JSON.parse(body) : {};
      const change = method === 'DELETE' ? { remove: server } : { [part]: { server, ...given } };
      if (query.get('dry_run') === 'true') return { body: teller.own.plan([change]) };
      if (part === 'state') {
        teller.own.setState(server, given.state);
        say(teller.event({ event: 'state-changed', server, state: given.state, moved: 0.3 }));
      }
      return { body: {} };
    }
    return problem(404, 'nothing here');
  }
  function say(line) {
    backlog.push(line);
    for (const stream of streams) stream.write(frame(line));
  }
  const site = await serve({ answer });
  return {
    ...site,
    asked,
    state,
    say,
    get teller() {
      return teller;
    },
    get nStreams() {
      return streams.size;
    },
    tick: (more) => say(teller.tick(more)),
    cut() {
      for (const stream of streams) stream.destroy();
    },
    /** Another process, whose counts begin anew. */
    restart() {
      teller = createTeller(names, { ...options, boot: 'an0ther', at: teller.at + 1000 });
      backlog = [];
      this.cut();
    },
  };
}
