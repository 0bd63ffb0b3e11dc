// A fleet as it is written down: a configuration, and what a visitor did to its servers besides. Pure:
// every change makes a new one.
//
//   { servers: [{ name, address, port, weight, … }], routing, rest, draining: [name], killed: [name] }
//
// `rest` is what a configuration has that Explore does not show, kept for when it is given back.

// The fleets to begin with. The first has few virtual nodes, so that single points can be seen; its
// names were chosen for a spread that is usual at so few (0.18, where theory expects 0.23).
export const SCENARIOS = {
  few: { title: '3 servers, 12 virtual nodes', virtualNodes: 12, names: numbered('cache-', 3), weights: [] },
  usual: { title: '8 servers, 100 virtual nodes', virtualNodes: 100, names: numbered('cache-', 8), weights: [1, 1, 2, 1, 1, 1, 2, 1] },
  many: { title: '20 servers, 100 virtual nodes', virtualNodes: 100, names: numbered('web-', 20), weights: [] },
  fleet: { title: '300 servers, 100 virtual nodes', virtualNodes: 100, names: numbered('shard-', 300), weights: [] },
  thousand: { title: '1,000 servers, 100 virtual nodes', virtualNodes: 100, names: numbered('shard-', 1000), weights: [] },
};
export const VIRTUAL_NODES = [1, 10, 40, 100, 160, 500];
export const STATES = ['active', 'draining', 'down'];

function numbered(prefix, n) {
  const digits = String(n).length;
  return Array.from({ length: n }, (_, i) => prefix + String(i + 1).padStart(digits, '0'));
}

// A server called `name` at the `i`-th address of a private network.
function invented(name, i, weight = 1) {
  return { name, address: `10.0.${Math.floor(i / 250)}.${(i % 250) + 1}`, port: 8080, weight };
}

export function scenario(name) {
  const { names, weights, virtualNodes } = SCENARIOS[name];
  return {
    servers: names.map((server, i) => invented(server, i, weights[i])),
    routing: { virtual_nodes: virtualNodes },
    rest: {},
    draining: [],
    killed: [],
  };
}

// The spec of a configuration that the engine has read and found good.
export function ofConfig({ servers, routing = {}, ...rest }) {
  return { servers: servers.map(slim), routing: bare(routing), rest, draining: [], killed: [] };
}

// Without what says nothing.
const slim = ({ name, address, port, weight = 1, ...more }) => ({ name, address, port, weight, ...bare(more) });
function bare(object) {
  const isSaid = (value) => value !== null && value !== false && value !== undefined;
  return Object.fromEntries(Object.entries(object).filter(([, value]) => isSaid(value)));
}

// A fleet of another mode: { servers, virtualNodes, algorithm, failOpen }.
export function ofFleet({ servers, virtualNodes, algorithm, failOpen }) {
  return {
    servers: servers.map(({ name, address, port, weight, backup }) => ({ name, address, port, weight, ...(backup ? { backup } : {}) })),
    routing: { virtual_nodes: virtualNodes, ...(algorithm === 'ring' ? {} : { algorithm }), ...(failOpen === false ? { fail_open: false } : {}) },
    rest: {},
    draining: servers.filter(({ state }) => state === 'draining').map(({ name }) => name),
    killed: servers.filter(({ killed }) => killed).map(({ name }) => name),
  };
}

// The configuration for a proxy: that a server is drained or killed is not of it.
export function toConfig({ servers, routing, rest }) {
  return { ...rest, servers, routing };
}

export function stateOf({ draining, killed }, name) {
  return killed.includes(name) ? 'down' : draining.includes(name) ? 'draining' : 'active';
}

const without = (list, name) => list.filter((other) => other !== name);
const renamed = (list, name, to) => list.map((other) => (other === name ? to : other));

const EDITS = {
  added: (spec, { spec: server }) => ({ ...spec, servers: [...spec.servers, server] }),
  removed: (spec, { server }) => ({
    ...spec, servers: spec.servers.filter(({ name }) => name !== server), draining: without(spec.draining, server), killed: without(spec.killed, server),
  }),
  renamed: (spec, { server, to }) => ({
    ...spec,
    servers: spec.servers.map((one) => (one.name === server ? { ...one, name: to } : one)),
    draining: renamed(spec.draining, server, to),
    killed: renamed(spec.killed, server, to),
  }),
  weighed: (spec, { server, weight }) => ({ ...spec, servers: spec.servers.map((one) => (one.name === server ? { ...one, weight } : one)) }),
  state: (spec, { server, state }) => {
    const [draining, killed] = [without(spec.draining, server), without(spec.killed, server)];
    return { ...spec, draining: state === 'draining' ? [...draining, server] : draining, killed: state === 'down' ? [...killed, server] : killed };
  },
  virtualNodes: (spec, { n }) => ({ ...spec, routing: { ...spec.routing, virtual_nodes: n } }),
  algorithm: (spec, { algorithm }) => ({ ...spec, routing: { ...spec.routing, algorithm } }),
};

// The spec after an edit: { kind, … }, of the kinds above.
export const edited = (spec, edit) => EDITS[edit.kind](spec, edit);

// What leads from one fleet to another, as the engine plans it. A server that is down is one whose
// keys go to their next candidates, as those of one that drains.
export function difference(before, after) {
  const takes = (spec) => {
    const out = new Set([...spec.draining, ...spec.killed]);
    return (name) => !out.has(name);
  };
  const [took, takesNow] = [takes(before), takes(after)];
  const [old, now] = [before, after].map(({ servers }) => new Map(servers.map((server) => [server.name, server])));
  const changes = [];
  for (const name of old.keys()) if (!now.has(name)) changes.push({ remove: name });
  for (const [name, server] of now) {
    const was = old.get(name);
    if (!was) changes.push({ add: server });
    else if (was.weight !== server.weight) changes.push({ weight: { server: name, weight: server.weight } });
    const state = takesNow(name) ? 'active' : 'draining';
    if (state !== (!was || took(name) ? 'active' : 'draining')) changes.push({ state: { server: name, state } });
  }
  const [{ routing: rules }, { routing: next }] = [before, after];
  if (rules.virtual_nodes !== next.virtual_nodes) changes.push({ virtual_nodes: next.virtual_nodes });
  if (rules.algorithm !== next.algorithm) changes.push({ algorithm: next.algorithm ?? 'ring' });
  return changes;
}

// A name and an address that are free.
export function suggestion({ servers }) {
  const [, prefix, digits] = /^(.*?)(\d*)$/s.exec(servers[servers.length - 1]?.name ?? 'cache-0');
  const names = new Set(servers.map(({ name }) => name));
  for (let i = servers.length; ; i++) {
    const name = prefix + String(i + 1).padStart(digits.length, '0');
    if (!names.has(name)) return invented(name, i);
  }
}
