/// <reference lib="esnext.disposable" />
import type {
  ChangeSpec,
  ChangeView,
  Config,
  EventView,
  ExplainView,
  HealthView,
  HotKeysView,
  MetricsView,
  PlanView,
  PointView,
  RingView,
  RoutingConfig,
  ServerSpec,
  ServerView,
  SnapshotView,
} from './wire.js';

export type * from './wire.js';

/** What is routed: text counts as its UTF-8 bytes. At most 1,048,576 bytes. */
export type Key = string | Uint8Array;

/** A server as `route` answers it: the same frozen object for the same server each time. */
export type Server = Readonly<
  Required<Omit<ServerSpec, 'id' | 'hash_name' | 'max_in_flight' | 'protocol' | 'tls'>> &
    Pick<ServerSpec, 'id' | 'hash_name' | 'max_in_flight' | 'protocol' | 'tls'>
>;

/** How a request or a probe went. */
export interface Result {
  /** Whether it went well. */
  ok: boolean;
  /** How long it took. */
  latencyMs: number;
}

/** A request that was begun. */
export interface Attempt {
  /** Where to send it; `undefined` when there is nowhere. */
  readonly server: Server | undefined;
  /**
   * Says how it went, once; further calls do nothing. Failures in a row eject a server for a time.
   * Answers with what came of it.
   */
  finish(result: Result): EventView[];
}

/** The points of a ring, for drawing. */
export interface RingPoints {
  /** The upper and the lower 32 bits of each point's position, by turns. */
  positions: Uint32Array;
  /** The place of each point's server in `ring().servers`. */
  servers: Uint32Array;
}

/** A point of a ring. */
export interface RingPoint extends PointView {
  /** Which of its server's virtual nodes it is, from 0; null where points are another product's. */
  virtual_node: number | null;
}

/** A probe to send to a server. */
export interface Probe {
  /** For `recordProbe`. */
  readonly id: string;
  /** Whom to probe. */
  readonly server: Server;
}

/** What every method throws when it cannot do what it is asked. */
export interface LoadBalancerError extends Error {
  /** What kind of error it is; the message says the rest. */
  code:
    | 'invalid-config'
    | 'invalid-argument'
    | 'invalid-snapshot'
    | 'not-alike'
    | 'invalid-key'
    | 'key-too-long'
    | 'duplicate-name'
    | 'duplicate-id'
    | 'not-last-shard'
    | 'not-laid-out'
    | 'unknown-server'
    | 'too-many-points'
    | 'no-keys'
    | 'freed'
    | 'not-started'
    | 'not-loaded';
  /** Each fault of what was given, with its place: `servers[2].weight`. */
  errors?: { path: string; message: string }[];
}

/**
 * Routes keys to servers by consistent hashing, as the Ringway proxy does: the same configuration
 * and the same key give the same server.
 *
 * It reads no clock and sends nothing. Time passes when `advance` says so; probes are sent by the
 * caller, who records how they went.
 */
export class LoadBalancer {
  /**
   * Takes what the proxy's configuration file has; only `servers` is required. What decides where keys
   * go is checked; of what only the proxy goes by (its listeners, limits, …), and how it asks in a
   * probe, only the names are. Rules without keys
   * draw what follows from `seed`, a whole number, or else from a random one.
   */
  constructor(config: Config, options?: { seed?: number });

  /**
   * A balancer that goes on where another was: as `GET /api/snapshot` of a proxy or `snapshot()` has
   * it. What was eligible, ejected, on trial, draining or coming back there is so here, and waits that
   * had begun go on from `now`, a number of milliseconds from 0, default 0, as `advance` takes it.
   * Requests under way and figures are not part of it. `seed` as for the constructor.
   *
   * @throws with the code `invalid-snapshot` when it is none, or of a version that is not known here,
   *   with each fault in `errors`; and `not-alike` when it is of a release that routes otherwise.
   */
  static fromSnapshot(snapshot: SnapshotView, options?: { now?: number; seed?: number }): LoadBalancer;

  /** Equal for two fleets just when they route alike while every server is eligible. */
  readonly fingerprint: string;

  /**
   * The server for a key; `undefined` when there is none. By a rule without keys (least-connections,
   * response-time, round-robin, random) the one that is picked next; a key may be left out then, and
   * is not looked at.
   */
  route(key?: Key): Server | undefined;

  /** The servers for many keys, in their order; faster than asking one by one. */
  routeMany(keys: readonly (Key | undefined)[]): (Server | undefined)[];

  /**
   * The first `n` servers in the order the key prefers them, the sick ones too: for copies. By a rule
   * without keys in order of their names.
   */
  candidates(key: Key | undefined, n: number): Server[];

  /** Why a key goes where it goes; by a rule without keys, which servers are usable. */
  explain(key?: Key): ExplainView;

  /** Adds a server; answers with what moved. */
  addServer(spec: ServerSpec): ChangeView;

  /** Removes a server; answers with what moved. */
  removeServer(name: string): ChangeView;

  /** Changes a server's weight, 1 to 1000; answers with what moved. */
  setWeight(name: string, weight: number): ChangeView;

  /** Drains a server, which then gets no new keys, or lets it have them again. */
  setState(name: string, state: 'active' | 'draining'): ChangeView;

  /**
   * What these changes, one after the other, would move; nothing is done. Health is left out of it.
   *
   * @throws when one of them could not be done, or the rule has no keys that could move.
   */
  plan(changes: ChangeSpec[]): PlanView;

  /** The servers and everything known about them. */
  servers(): ServerView[];

  /** Which servers are well. */
  health(): HealthView;

  /** What was counted of the requests that `begin` began. */
  metrics(): MetricsView;

  /**
   * The keys with most of the traffic, of the requests that `begin` began: at most `limit`, default
   * 20. `route` and `routeMany` are questions and do not count.
   */
  hotKeys(limit?: number): HotKeysView;

  /** The ring and its points; a part of them with `limit`, and `after` a point's position. */
  ring(page?: { after?: string; limit?: number }): RingView;

  /**
   * The points of the ring in numbers, for drawing: of each, in order, the two halves of its position
   * and the place of its server in `ring().servers`. None by rules that are no ring.
   */
  points(): RingPoints;

  /** One of them in words, and which of its server's virtual nodes it is; `undefined` past the last. */
  point(index: number): RingPoint | undefined;

  /**
   * The ring, or a window of it, in `n` equal cells (1 to 65,536), for drawing: of each, what part of
   * it `server` owns, 0 to 1; or without one how many points stand there.
   *
   * @param window `from`: the two halves of its first position, default 0; `length`: in units of
   *   positions, 1 to 2^64, default all; `server`: its place in `ring().servers`.
   */
  cells(n: number, window?: { from?: readonly [number, number]; length?: number; server?: number }): Float32Array;

  /**
   * What another balancer needs to route as this one does at this moment: for `fromSnapshot` and
   * `restore`, as plain JSON.
   */
  snapshot(): SnapshotView;

  /**
   * Goes on where another balancer was that has the same servers and settings, whatever this one knew
   * of them; figures and requests under way stay. Waits go on from `now`, default the last time that
   * `advance` was told. Answers with what came of it. When it throws, nothing has changed.
   *
   * @throws with the code `invalid-snapshot` as `fromSnapshot`, and `not-alike` when it is of another
   *   fleet, or of a release that routes otherwise.
   */
  restore(snapshot: SnapshotView, options?: { now?: number }): EventView[];

  /**
   * The configuration, with the servers there are now: another balancer can be made of it. What only
   * the proxy goes by is not in it, and so no secret either.
   */
  toJSON(): RoutingConfig;

  /**
   * Routes a request and counts it as in flight until it is finished. With `routing.load_factor` a
   * server takes no more than its part of those in flight, and the rest goes on to the next
   * candidate of its key; `route` answers by the same count. With `hot_keys.spread` a hot key's
   * requests go round its first candidates. Rules without keys need none; least-connections and
   * response-time go by what `begin` and `finish` count.
   *
   * @param options `except`: names of servers not to take, as those that were tried before.
   */
  begin(key?: Key, options?: { except?: readonly string[] }): Attempt;

  /** The probes that are due and were not handed out before. */
  probesDue(): Probe[];

  /** Says how a probe went, and why it failed; answers with what came of it. */
  recordProbe(probe: Probe, result: Result & { error?: string }): EventView[];

  /**
   * Lets time pass until `nowMs`, a number of milliseconds from 0 of any clock; answers with what
   * came of it: probes that are due, servers that are let back in.
   */
  advance(nowMs: number): EventView[];

  /** When `advance` has something to do next; `undefined` when never. */
  nextDeadlineMs(): number | undefined;

  /** Gives the memory back at once; every other call throws then. */
  free(): void;

  /** The same, for `using`. */
  [Symbol.dispose](): void;
}
