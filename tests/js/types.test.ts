// Uses everything that the package declares, as strict TypeScript. It is compiled, and run too.
import { LoadBalancer } from 'ringway';
import type {
  Attempt,
  CandidateView,
  ChangeView,
  Config,
  EventView,
  ExplainView,
  HealthView,
  HotKeysView,
  Key,
  KeySource,
  LoadBalancerError,
  MetricsView,
  PointView,
  Probe,
  Result,
  RingPoint,
  RingPoints,
  RingView,
  RoutingConfig,
  Server,
  ServerSpec,
  ServerView,
  SnapshotView,
} from 'ringway';
import { fetchVia, follow } from 'ringway/fetch';
import type { AttemptReport, FetchViaOptions, FollowOptions, Followed } from 'ringway/fetch';
import HashRing from 'ringway/hashring';
import { HashRing as NamedHashRing } from 'ringway/hashring';
import { initSync } from 'ringway/slim';
import type { WasmSource } from 'ringway/slim';

const sources: KeySource[] = ['path', { header: 'x-user-id' }, { join: ['uri', { cookie: 'session' }, { query: 'id' }] }];
const spec: ServerSpec = { name: 'a', address: '10.0.0.1', port: 80 };
const config: Config = {
  servers: [spec, { name: 'b', address: 'b.example', port: 8080, weight: 2, backup: true }],
  routing: { hash_key: sources, virtual_nodes: 100 },
  health_check: { interval: 10, timeout: 2, path: '/up' },
};

const lb: LoadBalancer = new LoadBalancer(config);
const keys: readonly Key[] = ['user:1', new Uint8Array([1, 2, 3])];

const server: Server | undefined = lb.route('user:1');
const name: string | undefined = server?.name;
const weight: number | undefined = server?.weight;
const many: (Server | undefined)[] = lb.routeMany(keys);
const copies: Server[] = lb.candidates('user:1', 2);
const explained: ExplainView = lb.explain('user:1');
const reasons: CandidateView['reason'][] = explained.candidates.map((candidate) => candidate.reason);

const added: ChangeView = lb.addServer({ name: 'c', address: '10.0.0.3', port: 80 });
const moved: number = added.moved.fraction;
lb.setWeight('c', 3);
lb.setState('c', 'draining');
lb.removeServer('c');

const servers: ServerView[] = lb.servers();
const health: HealthView = lb.health();
const metrics: MetricsView = lb.metrics();
const hot: HotKeysView = lb.hotKeys(5);
const ring: RingView = lb.ring();
const page: PointView[] = lb.ring({ limit: 10, ...(ring.next === null ? {} : { after: ring.next }) }).points;
const { positions, servers: owners }: RingPoints = lb.points();
const point: RingPoint | undefined = lb.point(0);
const node: number | null | undefined = point?.virtual_node;
const cells: Float32Array = lb.cells(16, { from: [positions[0] ?? 0, positions[1] ?? 0], length: 2 ** 60, server: owners[0] ?? 0 });
const written: RoutingConfig = lb.toJSON();
const again: LoadBalancer = new LoadBalancer(written);
const same: boolean = again.fingerprint === lb.fingerprint;

const attempt: Attempt = lb.begin('user:1');
const result: Result = { ok: true, latencyMs: 12.5 };
const events: EventView[] = attempt.finish(result);
const probes: Probe[] = lb.probesDue();
for (const probe of probes) events.push(...lb.recordProbe(probe, { ok: false, latencyMs: 5000, error: 'timed out' }));
events.push(...lb.advance(60_000));
for (const event of events) {
  if (event.event === 'ejected') event.for_s satisfies number;
  if (event.event === 'health-changed') event.health satisfies 'unknown' | 'healthy' | 'unhealthy';
}
const deadline: number | undefined = lb.nextDeadlineMs();

let code: LoadBalancerError['code'] | undefined;
try {
  new LoadBalancer({ servers: [{ ...spec, weight: 0 }] });
} catch (error) {
  const { code: found, errors } = error as LoadBalancerError;
  code = errors?.[0]?.path === 'servers[0].weight' ? found : undefined;
}

// As those have it who come from npm's `hashring`.
const hashRing: HashRing = new HashRing({ 'a:1': 2, 'b:1': { vnodes: 50 } }, 'md5', { 'max cache size': 100, compatibility: 'hash_ring' });
const owner: string | undefined = hashRing.add('c:1').get('user:1');
const copiesOfRing: string[] = hashRing.range('user:1', 2);
const points: Record<string, number[]> = hashRing.points(['a:1']);
const custom: HashRing.HashFunction = (key) => [key.length, 0, 0, 0];
const start = (source: WasmSource) => initSync(source);
const reports: AttemptReport[] = [];
const forwarding: FetchViaOptions = { key: 'user:1', retries: 1, timeoutMs: 100, onAttempt: (report) => reports.push(report) };
const send = () => fetchVia(lb, 'http://x.example/', forwarding);
const following: FollowOptions = { intervalMs: 1000, token: 'secret', LoadBalancer, onChange: ({ lb }) => lb.route('user:1') };
const saved: SnapshotView = new LoadBalancer({ servers: [] }).snapshot();
const restored: LoadBalancer = LoadBalancer.fromSnapshot(saved, { now: 0, seed: 1 });
const heard: EventView[] = restored.restore(saved, { now: 1 });
new LoadBalancer(saved.config);
void heard;

const load = async (): Promise<SnapshotView> => {
  const followed: Followed = await follow('http://localhost:9090', following);
  await followed.refresh();
  followed.stop();
  return followed.snapshot;
};
const second: Attempt = lb.begin('user:1', { except: ['a'] });
// @ts-expect-error a key is needed
const noKeyGiven = () => fetchVia(lb, 'http://x.example/', {});
// @ts-expect-error there is no such option
const noOption = () => new HashRing('a', custom, { nonsense: 1 });

// @ts-expect-error a number is no key
const noKey = () => lb.route(1);
// @ts-expect-error the answer is frozen
const noChange = () => (copies[0]!.weight = 2);
// @ts-expect-error there is no such setting
const noSetting: Config = { servers: [], nonsense: 1 };
// @ts-expect-error there is no such state
const noState = () => lb.setState('a', 'stopped');

again.free();
lb[Symbol.dispose]?.();

/** What this program is expected to have met, each of them true. */
export const seen = {
  name: name === 'a' && weight === 1 && many.length === 2 && copies.length === 2,
  reasons: reasons.join() === 'chosen,backup',
  moved: moved > 0,
  same,
  views: servers.length === 2 && health.n_servers === 2 && metrics.servers.length === 2,
  page: page.length === 10,
  hot: hot.keys.length === 0 && hot.capacity === 256,
  events: probes.length === 2 && events.some((event) => event.event === 'health-changed'),
  deadline: deadline !== undefined,
  code: code === 'invalid-config',
  hashRing: NamedHashRing === HashRing && owner !== undefined && copiesOfRing.length === 2 && points['a:1']!.length > 0,
};

export const unused = [noKey, noChange, noSetting, noState, noOption, start, send, load, second, noKeyGiven];
