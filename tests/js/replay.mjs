// Replays the golden vectors (tests/data/golden/README.md says what they are) against a class
// `LoadBalancer`, in any JavaScript runtime: it asks nothing of its surroundings. Each function
// answers with the number of comparisons it made, and throws at the first that fails.

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const fraction = (units) => Number(BigInt(`0x${units}`)) / 2 ** 64;

/** Positions, owners, candidates, points, shares and fingerprints of rings. */
export function routes(LoadBalancer, { fleets }) {
  const { same, count } = comparer();
  for (const fleet of fleets) {
    const { about } = fleet;
    const lb = new LoadBalancer(fleet.config);
    same(lb.fingerprint, fleet.fingerprint, about);
    const ring = lb.ring();
    same(ring.n_points, fleet.n_points, about);
    same(ring.points.length, fleet.n_points, about);
    for (const { index, ...point } of fleet.points) {
      const { position, server } = ring.points[index];
      same({ position, server }, point, about);
    }
    same(sharesOf(ring), fleet.shares.map(({ server, units }) => [server, fraction(units)]), about);
    const keys = fleet.routes.map(({ key, key_hex }) => key ?? bytes(key_hex));
    const many = lb.routeMany(keys);
    fleet.routes.forEach((route, i) => {
      const key = `${about}: ${route.key ?? route.key_hex}`;
      same(lb.explain(keys[i]).position, route.position, key);
      same(lb.route(keys[i])?.name ?? null, route.owner, key);
      same(many[i]?.name ?? null, route.owner, key);
      same(lb.candidates(keys[i], 8).map((server) => server.name), route.candidates, key);
    });
    lb.free();
  }
  return count();
}

/** The same by other rules. */
export function algorithms(LoadBalancer, { keys: asked, fleets }) {
  const { same, count } = comparer();
  const keys = asked.map(({ key, key_hex }) => key ?? bytes(key_hex));
  for (const { about, config, fingerprint, shares, candidates } of fleets) {
    const lb = new LoadBalancer(config);
    same(lb.fingerprint, fingerprint, about);
    same(sharesOf(lb.ring()), shares.map(({ server, units }) => [server, fraction(units)]), about);
    const place = new Map(config.servers.map(({ name }, i) => [name, i.toString(36)]));
    const many = lb.routeMany(keys);
    keys.forEach((key, i) => {
      same(lb.candidates(key, 8).map(({ name }) => place.get(name)).join(''), candidates[i], about);
      same(place.get(many[i]?.name) ?? '', candidates[i].slice(0, 1), about);
      same(lb.route(key), many[i], about);
      same(lb.explain(key).position, asked[i].position, about);
    });
    lb.free();
  }
  return count();
}

/** What moves when one server comes, goes or changes its weight. */
export function changes(LoadBalancer, golden) {
  const { same, count } = comparer();
  for (const { before, after, total, flows } of golden.changes) {
    const lb = new LoadBalancer(golden.fleets[before].config);
    const change = changeOf(lb, golden.fleets[before].config.servers, golden.fleets[after].config.servers);
    lb.free();
    if (change === undefined) continue;
    same(change.moved.fraction, fraction(total), 'what moves');
    same(change.moved.flows, flows.map(({ from, to, units }) => ({ from, to, fraction: fraction(units) })), 'flows');
  }
  return count();
}

/** Whom rules without keys pick. */
export function keyless(LoadBalancer, { runs }) {
  const { same, count } = comparer();
  for (const { about, config, seed, steps, picked } of runs) {
    const lb = new LoadBalancer(config, { seed });
    const place = new Map(config.servers.map(({ name }, i) => [name, i.toString(36)]));
    const begun = [];
    for (const step of steps) {
      const [what, first, ms, word] = step.split(' ');
      if (what === 't') lb.advance(Number(first));
      else if (what === 'f') begun[first].finish({ ok: word === 'ok', latencyMs: Number(ms) });
      else same(place.get(begun[begun.push(lb.begin()) - 1].server?.name) ?? '-', picked[begun.length - 1], about);
    }
    same(begun.length, picked.length, about);
    lb.free();
  }
  return count();
}

/** The state machine, step by step. */
export function trace(LoadBalancer, steps) {
  const { same, count } = comparer();
  const running = {};
  let lb;
  const methods = {
    new: ({ config }) => { lb = new LoadBalancer(config); },
    advance: ({ nowMs }) => ({ events: lb.advance(nowMs) }),
    addServer: ({ spec }) => ({ answer: lb.addServer(spec) }),
    removeServer: ({ name }) => ({ answer: lb.removeServer(name) }),
    setWeight: ({ name, weight }) => ({ answer: lb.setWeight(name, weight) }),
    setState: ({ name, state }) => ({ answer: lb.setState(name, state) }),
    begin: ({ request, key }) => {
      running[request] = lb.begin(key);
      return { answer: running[request].server?.name ?? null };
    },
    finish: ({ request, result }) => ({ events: running[request]?.finish(result) ?? [] }),
    recordProbe: ({ id, result }) => ({ events: lb.recordProbe({ id }, result) }),
    route: ({ key }) => ({ answer: lb.route(key)?.name ?? null }),
    nextDeadlineMs: () => ({ answer: lb.nextDeadlineMs() ?? null }),
    fingerprint: () => ({ answer: lb.fingerprint }),
    servers: () => ({ answer: lb.servers() }),
    health: () => ({ answer: lb.health() }),
    metrics: () => ({ answer: lb.metrics() }),
  };
  steps.forEach((step, i) => {
    const about = `step ${i + 1}: ${step.do}`;
    let came;
    try {
      came = methods[step.do](step) ?? {};
    } catch (error) {
      if (typeof error.code !== 'string') throw error;
      came = { error: error.code };
    }
    for (const [name, value] of Object.entries(came)) same(value, step[name], `${about}: ${name}`);
    if ('error' in step) same(came, { error: step.error }, about);
  });
  return count();
}

function sharesOf({ servers }) {
  return servers.map(({ name, share }) => [name, share.actual]);
}

// The one call that makes the fleet `after` of `before`, made; `undefined` when it takes several.
function changeOf(lb, before, after) {
  const weight = (server) => server.weight ?? 1;
  const find = (servers, name) => servers.find((server) => server.name === name);
  const added = after.filter(({ name }) => !find(before, name));
  const removed = before.filter(({ name }) => !find(after, name));
  const weighed = after.filter((server) => find(before, server.name) && weight(find(before, server.name)) !== weight(server));
  if (added.length + removed.length + weighed.length !== 1) return undefined;
  if (added.length) return lb.addServer(added[0]);
  if (removed.length) return lb.removeServer(removed[0].name);
  return lb.setWeight(weighed[0].name, weighed[0].weight);
}

function comparer() {
  let n = 0;
  return {
    same(value, expected, about) {
      n += 1;
      if (isSame(value, expected)) return;
      const [where, came, wanted] = difference(value, expected);
      throw new Error(`${about}${where}: ${JSON.stringify(came)} instead of ${JSON.stringify(wanted)}`);
    },
    count: () => n,
  };
}

function isSame(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const names = Object.keys(a);
  return Array.isArray(a) === Array.isArray(b) && names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]));
}

// Where two values differ first, and what stands there.
function difference(a, b, path = '') {
  const areObjects = [a, b].every((value) => typeof value === 'object' && value !== null);
  const name = areObjects && [...Object.keys(a), ...Object.keys(b)].find((name) => !isSame(a[name], b[name]));
  return typeof name === 'string' ? difference(a[name], b[name], `${path}.${name}`) : [path, a, b];
}
