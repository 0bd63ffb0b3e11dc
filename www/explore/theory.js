// What to expect of random virtual nodes. The shares of servers whose points stand anywhere are
// distributed after Dirichlet; this is the spread that follows from it. Pure.

// The expected coefficient of variation of the ratios of shares to fair shares, for so many servers
// with `points` points together, shared out by weight: the square of it is (S - 1) / (P + 1).
export const spread = (servers, points) => Math.sqrt((servers - 1) / (points + 1));

// Between these two lies the spread of 99 of 100 fleets: S - 1 degrees of freedom, by the
// approximation of Wilson and Hilferty for chi square.
export function band(servers, points) {
  const middle = spread(servers, points);
  const n = servers - 1;
  const at = (normal) => Math.sqrt(Math.max(0, (1 - 2 / (9 * n) + normal * Math.sqrt(2 / (9 * n))) ** 3));
  // The 0.5 % and the 99.5 % quantile of the normal distribution.
  return [middle * at(-2.5758), middle * at(2.5758)];
}

const STEPS = [1, 2, 5, 10, 20, 40, 100, 160, 500, 1000];

// The spread of this very fleet by so many virtual nodes, as its engine says; null where theory says
// nothing of it.
export function measure(LoadBalancer, { servers, routing }, { isRing, virtualNodes }, pointsMax = 120_000) {
  const weights = servers.filter(({ backup }) => !backup).reduce((sum, { weight }) => sum + (weight ?? 1), 0);
  if (!isRing || servers.length < 2) return null;
  const steps = [...new Set([...STEPS, virtualNodes])].sort((a, b) => a - b).filter((n) => n === virtualNodes || n * weights <= pointsMax);
  const seen = steps.map((n) => {
    const engine = new LoadBalancer({ servers, routing: { ...routing, virtual_nodes: n } });
    const { balance, n_points: points, servers: placed } = engine.ring({ limit: 1 });
    engine.free();
    return { n, cv: balance.cv, expected: spread(placed.length, points), band: band(placed.length, points) };
  });
  return { seen, servers: servers.length };
}

// The least that must move between the very shares that a plan tells of, fair or not: what those who
// gain grow by.
export function least({ before, after }) {
  const had = new Map(before.servers.map(({ server, share }) => [server, share]));
  return after.servers.reduce((sum, { server, share }) => sum + Math.max(0, share - (had.get(server) ?? 0)), 0);
}
