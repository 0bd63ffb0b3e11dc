// Made-up requests, to see what bounded loads do with them: the engine is asked for each by its own
// bounded routing, and counts them as in flight until they end. Pure: the same numbers for the same
// seed.

// Lehmer's generator with the multiplier of Park, Miller and Stockmeyer: 0 to less than 1.
export function createRandom(seed) {
  let state = (seed % 2147483646) + 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return (state - 1) / 2147483646;
  };
}

// Keys by Zipf's law: the r-th has a part that goes with r^-skew; besides, the first has `hot` of all.
export function createKeys(n, skew, hot) {
  const sums = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) sums[i] = sum += (i + 1) ** -skew;
  return (random) => {
    if (random() < hot) return 0;
    const wanted = random() * sum;
    let [low, high] = [0, n - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

const HOPS_MAX = 6;

// Sends `requests` of `keys` keys, of which always the latest `inFlight` are under way. Without
// `loadFactor` nothing is bounded. Answers with what each server has at the end and had at most, how
// much of it came from elsewhere, and how many requests went how many candidates on.
export function simulate(LoadBalancer, { servers, routing }, { loadFactor, keys = 1000, skew = 1, hot = 0, inFlight = 400, requests = 8000, seed = 1 }) {
  const { load_factor: _, ...rules } = routing;
  const engine = new LoadBalancer({ servers, routing: { ...rules, ...(loadFactor === null ? {} : { load_factor: loadFactor }) } });
  const random = createRandom(seed);
  const draw = createKeys(keys, skew, hot);
  const rows = new Map(engine.ring({ limit: 1 }).servers.map(({ name, share }) => [name, { name, fair: share.expected * inFlight, now: 0, most: 0, overflow: 0 }]));
  const orders = new Map();
  const order = (key) => {
    if (!orders.has(key)) orders.set(key, engine.candidates(key, HOPS_MAX).map(({ name }) => name));
    return orders.get(key);
  };
  const hops = new Array(HOPS_MAX + 1).fill(0);
  const under = [];
  let [first, refused] = [0, 0];
  for (let i = 0; i < requests; i++) {
    if (under.length - first >= inFlight) {
      const { row, isOverflow, finish } = under[first];
      under[first++] = undefined;
      finish({ ok: true, latencyMs: 1 });
      row.now -= 1;
      if (isOverflow) row.overflow -= 1;
    }
    const key = `key-${draw(random)}`;
    const { server, finish } = engine.begin(key);
    if (server === undefined) {
      refused += 1;
      continue;
    }
    const row = rows.get(server.name);
    const at = order(key).indexOf(server.name);
    hops[at < 0 ? HOPS_MAX : at] += 1;
    row.now += 1;
    row.most = Math.max(row.most, row.now);
    if (at !== 0) row.overflow += 1;
    under.push({ row, isOverflow: at !== 0, finish });
  }
  engine.free();
  return { rows: [...rows.values()], hops, refused, requests, inFlight };
}
