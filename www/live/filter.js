// Which servers are wanted, and in which order. Pure.

const NUMBERS = {
  p50: (server) => server.p50,
  p99: (server) => server.p99,
  rps: (server) => server.rps,
  err: (server) => (server.errorRate === null ? null : 100 * server.errorRate),
  inflight: (server) => server.inFlight,
  weight: (server) => server.weight,
  share: (server) => 100 * server.share.actual,
};
const WORDS = {
  up: ({ standing }) => standing === 'eligible',
  down: ({ standing }) => standing !== 'eligible' && standing !== 'draining',
};
const COMPARISON = /^([a-z]\w*)(>=|<=|>|<|=)(-?\d+(?:\.\d+)?)%?$/;
const COMPARE = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '=': (a, b) => a === b,
};

export const FILTER_HELP = 'Words that all have to fit: up, down, draining, ejected…, p99>200, err>1, rps<5, inflight>10, weight=2, share>3, or a part of the name, the address or the reason';

// A test for servers from what was typed: { test, problem }.
export function parseFilter(text) {
  const tests = [];
  let problem = null;
  for (const token of text.trim().toLowerCase().split(/\s+/).filter(Boolean)) {
    const [, name, operator, number] = COMPARISON.exec(token) ?? [];
    if (name !== undefined && Object.hasOwn(NUMBERS, name)) {
      tests.push((server) => {
        const value = NUMBERS[name](server);
        return value !== null && COMPARE[operator](value, Number(number));
      });
    } else if (name !== undefined) {
      problem = `${name} is not a figure; there are ${Object.keys(NUMBERS).join(', ')}`;
    } else if (Object.hasOwn(WORDS, token)) {
      tests.push(WORDS[token]);
    } else {
      tests.push((server) => `${server.name} ${server.address}:${server.port} ${server.standing} ${server.probe?.why ?? ''}`.toLowerCase().includes(token));
    }
  }
  return { test: (server) => tests.every((test) => test(server)), problem };
}

const TROUBLE = { unhealthy: 0, ejected: 1, 'on-trial': 2, unproven: 3, draining: 4, eligible: 5 };
const none = (value) => (value === null || Number.isNaN(value) ? -1 : value);
const byName = (a, b) => (a.name < b.name ? -1 : 1);

// The orders, by the column that asks for them; `down` first turns it round.
export const ORDERS = {
  trouble: (a, b) => TROUBLE[a.standing] - TROUBLE[b.standing] || none(b.errorRate) - none(a.errorRate) || byName(a, b),
  name: byName,
  weight: (a, b) => b.weight - a.weight,
  share: (a, b) => b.share.actual - a.share.actual,
  rps: (a, b) => none(b.rps) - none(a.rps),
  err: (a, b) => none(b.errorRate) - none(a.errorRate),
  p50: (a, b) => none(b.p50) - none(a.p50),
  p99: (a, b) => none(b.p99) - none(a.p99),
  inflight: (a, b) => none(b.inFlight) - none(a.inFlight),
  probe: (a, b) => (b.probe?.at ?? 0) - (a.probe?.at ?? 0),
  since: (a, b) => b.since - a.since,
};

export function sorted(servers, { column, isTurned }) {
  const order = ORDERS[column];
  const all = [...servers].sort((a, b) => order(a, b) || byName(a, b));
  return isTurned ? all.reverse() : all;
}
