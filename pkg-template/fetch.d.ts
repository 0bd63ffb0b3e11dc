import type { Key, LoadBalancer, Server, SnapshotView } from './index.js';

// The types of fetch, where the program's own types know of it.
type Global<Name extends string> = typeof globalThis extends { [N in Name]: { prototype: infer T } } ? T : any;
/** A request, as `fetch` takes it. */
export type FetchRequest = Global<'Request'>;
/** An answer, as `fetch` gives it. */
export type FetchResponse = Global<'Response'>;

/** How one try went. */
export interface AttemptReport {
  /** Where it went. */
  server: Server;
  /** Whether that speaks for the server: an answer below 500, or the client gave up. */
  ok: boolean;
  /** The status of the answer; `undefined` when there was none. */
  status: number | undefined;
  /** Why there was no answer. */
  error: unknown;
  /** Milliseconds until the answer began, or until there was none. */
  latencyMs: number;
}

/** Options of `fetchVia`; only `key` is required. */
export interface FetchViaOptions {
  /** What is routed, or what of the request is. */
  key: Key | ((request: FetchRequest) => Key);
  /** How many further servers may be tried, a whole number from 0; default 2, as the proxy. */
  retries?: number;
  /** The server's URL for the request; default `http://address:port` with its path and query. */
  url?: (server: Server, request: FetchRequest) => string | { readonly href: string };
  /** Sends a request to a server; default the global `fetch`. A Worker's bindings go here. */
  fetch?: (request: FetchRequest, server: Server) => Promise<FetchResponse>;
  /** Milliseconds until a try is given up when no answer has begun; default never. */
  timeoutMs?: number;
  /**
   * The time in milliseconds, of the clock by which the balancer is advanced; default
   * `performance.now`. With `null` it is not advanced.
   */
  now?: (() => number) | null;
  /** Hears of every try. */
  onAttempt?: (report: AttemptReport) => void;
}

/**
 * Forwards a request to the server of its key, and tells the balancer how it went. A server that
 * cannot be reached, or answers with 502, 503 or 504, is passed over for the next candidate of the
 * key, if the request can be sent again: its method is idempotent, and it has no body or one of at
 * most 64 KiB that says its length. The last answer is given back as it is; redirects are not
 * followed. A request counts as in flight until its answer begins.
 *
 * @throws with the code `no-server` when there is none for the key, `unreachable` when no server
 *   answered (its `cause` is why), and what aborted the request when its client gave up.
 */
export function fetchVia(lb: LoadBalancer, request: FetchRequest | string | { readonly href: string }, options: FetchViaOptions): Promise<FetchResponse>;

/** Options of `follow`, all with defaults. */
export interface FollowOptions {
  /** Milliseconds between two looks, from 0; default 5000. With 0 only `refresh` looks. */
  intervalMs?: number;
  /** Milliseconds until a look is given up; default 10000, 0 is never. */
  timeoutMs?: number;
  /** The token of the proxy's API (`api.token`); default none. */
  token?: string;
  /**
   * The time in milliseconds, of the clock by which the balancer is advanced; default
   * `performance.now`, as for `fetchVia`. With `null` it stays where it is.
   */
  now?: (() => number) | null;
  /** Gets the snapshot; default the global `fetch`. */
  fetch?: (url: string, init: { headers: Record<string, string>; signal: any }) => Promise<FetchResponse>;
  /** The class to make balancers of; default that of `ringway`. For users of `ringway/slim`. */
  LoadBalancer?: typeof LoadBalancer;
  /** Hears of everything new, the first time too. */
  onChange?: (followed: Followed) => void;
  /** Hears why a look in the background failed; default a warning on the console. */
  onError?: (error: Error & { code: string }) => void;
}

/** What follows a proxy. */
export interface Followed {
  /**
   * Routes as the proxy does. The same balancer is changed as long as only servers change; with
   * other settings a new one takes its place, so ask for it each time.
   */
  readonly lb: LoadBalancer;
  /** What the proxy said last. */
  readonly snapshot: SnapshotView;
  /**
   * Looks now; answers whether anything was new. When it fails, the last good snapshot stays.
   *
   * @throws as `follow`.
   */
  refresh(): Promise<boolean>;
  /** Looks no more. */
  stop(): void;
  /** The same, for `using`. */
  [Symbol.dispose](): void;
}

/**
 * Makes a balancer that routes as a running proxy does, from `GET /api/snapshot`, and keeps it so:
 * servers, settings, health, ejections, draining and slow start. Between two looks time passes as
 * `advance` says, and `begin` counts the requests that were begun here, not those of the proxy.
 *
 * @param url the proxy's API, as `http://localhost:9090`, or the snapshot's whole URL.
 * @throws with the code `not-loaded` when it cannot be fetched, `invalid-snapshot` when it is none,
 *   and `not-alike` when the proxy is of a release that routes otherwise.
 */
export function follow(url: string | { readonly href: string }, options?: FollowOptions): Promise<Followed>;
