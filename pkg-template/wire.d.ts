// Every JSON shape: of configuration, of the REST API's bodies, of what the package takes and gives.
// Made from src/wire.rs and src/config.rs by `UPDATE=1 cargo test typescript`; not to be edited.

/** A line for each request. */
export type AccessLog = {
  /**
   * Where it goes: `stdout`, or the path of a file to append to; default
   * nowhere.
   */
  to?: string,
  /**
   * What a line is: json, an object; combined, as nginx writes it; or
   * common, as Apache does. Default json.
   */
  format?: AccessLogFormat,
};

/** What a line of the access log is. */
export type AccessLogFormat = "json" | "combined" | "common";

/** What becomes of a request that got no place at its key's server. */
export type AfterQueue = "overflow" | "refuse";

/** The name of a rule; options of some are in sections of the same name. */
export type AlgorithmName = "ring" | "local-rendezvous" | "maglev" | "rendezvous" | "jump" | "nginx" | "ketama" | "libmemcached" | "twemproxy" | "envoy-ring" | "envoy-maglev" | "haproxy" | "least-connections" | "response-time" | "round-robin" | "random";

/** The listener for operators: REST API, metrics and page. */
export type Api = {
  /**
   * An IP address or host name of this machine; default localhost. Any
   * that is not loopback needs a token.
   */
  host?: string,
  /** A TCP port; default 9090. */
  port?: number,
  /** What clients must send as `Authorization: Bearer …`; default none. */
  token?: string,
  /** A file that holds the token instead. */
  token_file?: string,
  /**
   * Further names under which clients may address the API in `Host`,
   * besides `host`, localhost and loopback addresses.
   */
  allowed_hosts?: string[],
  /**
   * Networks, as 169.254.10.0/24, in which a server added through the
   * API may stand although it is link-local, a metadata service,
   * unspecified, multicast, broadcast, or the proxy or the API itself.
   * Default none.
   */
  allow_targets?: string[],
};

/** How evenly the ring is shared, relative to the weights. */
export type BalanceView = {
  /** The largest ratio of a server's share to its fair one; 1 is even. */
  peak_to_mean: number,
  /** The standard deviation of these ratios. */
  cv: number,
};

/** How a part of all keys is known. */
export type BasisWord = "exact" | "expected" | "sampled";

/**
 * What bounded loads did since the start. A request that is tried again at
 * another server counts again.
 */
export type BoundedLoadsView = {
  /** Requests that had a key and went where bounded loads said. */
  requests: number,
  /** Those of them that went to another server than without bounds. */
  overflowed: number,
  /**
   * How many candidates were asked for them whether they are below their
   * bounds.
   */
  asked: number,
  /** The most that were asked for one request. */
  asked_max: number,
};

/** A server in the order a key prefers them. */
export type CandidateView = {
  /** Its name. */
  server: string,
  /** Why it is the answer, or why not. */
  reason: ReasonWord,
  /**
   * Of one that is full or above its bound, or usable by a rule without
   * keys: requests in flight there.
   */
  in_flight?: number,
  /**
   * Of one that is full or above its bound: it takes a request only while
   * it has fewer.
   */
  bound?: number,
  /**
   * Of one that does not admit the key yet: what part of its keys it
   * admits, as a fraction. By a rule without keys: what part of its weight
   * counts, where that is not all of it.
   */
  admission?: number,
  /**
   * By response-time: how long it takes to answer, as the rule has it; left
   * out while nothing is known.
   */
  latency_ms?: number,
};

/** A certificate and its key. */
export type CertificateFiles = {
  /** A file with the certificate in PEM, and after it those that vouch for it. */
  cert_file: string,
  /** A file with its private key in PEM. */
  key_file: string,
};

/** One change: exactly one of these. */
export type ChangeSpec = {
  /** Add this server. */
  add?: ServerSpec,
  /** Remove the server of this name. */
  remove?: string,
  /** Change a server's weight. */
  weight?: WeightChange,
  /** Drain a server, or let it take requests again. */
  state?: StateChange,
  /** Change the points for each unit of weight. */
  virtual_nodes?: number,
  /** Change the rule by which keys go to servers. */
  algorithm?: AlgorithmName,
};

/** The answer to a write: the server, and what it moved. */
export type ChangeView = {
  /** The server after the change; null when it was removed. */
  server: ServerView | null,
  /**
   * What changed hands on the ring. Health and admin state move keys
   * too, but leave the ring as it is.
   */
  moved: MovedView,
};

/** Requests by the class of their answer. */
export type ClassesView = {
  /** 100 to 199. */
  "1xx": number,
  /** 200 to 299. */
  "2xx": number,
  /** 300 to 399. */
  "3xx": number,
  /** 400 to 499. */
  "4xx": number,
  /** 500 to 599. */
  "5xx": number,
  /** No answer, or one of another status. */
  none: number,
};

/** Whether clients need a certificate. */
export type ClientCertificates = "required" | "optional";

/**
 * What the product is set to whose rule is followed: the options that
 * decide its answers. docs/compatibility.md names each product's own.
 */
export type CompatOptions = {
  /**
   * How keys are hashed. For libmemcached and twemproxy: fnv1a_64,
   * fnv1_64, fnv1a_32, fnv1_32, md5, crc32, crc32a or one_at_a_time; for
   * haproxy: sdbm, djb2, wt6 or crc32. Default null: as the product does
   * when it is not told (for libmemcached md5, as KETAMA_WEIGHTED).
   */
  key_hash?: string | null,
  /**
   * libmemcached: whether points go by weights, as with KETAMA_WEIGHTED;
   * default true. A weight above 1 switches it on.
   */
  weighted?: boolean,
  /**
   * libmemcached: whether servers are named as spymemcached names them;
   * default false.
   */
  spy?: boolean,
  /** envoy-ring: minimum_ring_size, 1 to 8388608; default 1024. */
  ring_size_min?: number,
  /**
   * envoy-ring: maximum_ring_size, 1 to 8388608 and at least the minimum;
   * default 8388608.
   */
  ring_size_max?: number,
  /**
   * haproxy: hash-key, what of a server is hashed, id, addr or addr-port;
   * default id.
   */
  server_key?: ServerKey,
  /**
   * haproxy: whether a key's hash is mixed once more; default null: just
   * when key_hash is not given, as in hash-type.
   */
  avalanche?: boolean | null,
};

/** The whole configuration. */
export type Config = {
  /** The servers at start; may be empty, they can be added through the API. */
  servers: Array<ServerSpec>,
  /** Where the proxy listens for clients. */
  listen?: Listen,
  /** How HTTP/2 is spoken with clients. */
  http2?: Http2,
  /** How the proxy runs. */
  process?: Process,
  /** Which server a request goes to. */
  routing?: Routing,
  /** What the product is set to whose rule is followed. */
  compat?: CompatOptions,
  /** Judging servers by probes. */
  health_check?: HealthCheck,
  /** Judging servers by their traffic. */
  ejection?: Ejection,
  /** Counting the hottest keys, and spreading them. */
  hot_keys?: HotKeys,
  /** When and how often a request is tried again. */
  retries?: Retries,
  /** How long the proxy waits for what. */
  timeouts?: Timeouts,
  /** Kept connections to servers. */
  pool?: Pool,
  /** How much the proxy takes from clients. */
  limits?: Limits,
  /** Requests that wait for a place at a full server. */
  queue?: Queue,
  /** What servers are told of clients, and who is believed about them. */
  forwarding?: Forwarding,
  /**
   * How often a client, or a key, may ask: a rule, or a list of rules that
   * must all admit a request. Default none.
   */
  rate_limit?: RateLimitRule | RateLimitRule[],
  /** Connections that change over to another protocol. */
  upgrades?: Upgrades,
  /** A line for each request. */
  access_log?: AccessLog,
  /** Traces of requests, sent to a collector. */
  tracing?: Tracing,
  /** The listener for operators. */
  api?: Api,
};

/** How a client without the cookie is given one, with a random value. */
export type CookieIssue = {
  /**
   * Seconds for which the client keeps it, at most 34560000 (400 days,
   * which is all that browsers allow); 0, the default, until it ends.
   */
  ttl?: number,
  /**
   * The paths for which the client sends it, by their beginning; default
   * /, all.
   */
  path?: string,
  /** Whether scripts in a browser cannot read it; default true. */
  http_only?: boolean,
  /**
   * Whether requests that other sites bring about have it: strict, never;
   * lax, when they lead the user here; none, always, for which secure
   * must be true. Default lax.
   */
  same_site?: SameSite,
  /**
   * Whether the client sends it over TLS alone; default null: just when
   * the request came over TLS.
   */
  secure?: boolean | null,
};

/**
 * Judging servers by their traffic: failures in a row take one out for a
 * time.
 */
export type Ejection = {
  /** 5xx answers in a row; 0 switches this off. Default 5. */
  consecutive_5xx?: number,
  /** Connect errors in a row; 0 switches this off. Default 3. */
  consecutive_connect_errors?: number,
  /**
   * Seconds of a first ejection; the n-th in a row is n times as long.
   * Default 30.
   */
  base?: number,
  /** Seconds of the longest ejection; default 300, at least `base`. */
  cap?: number,
  /**
   * How much longer an ejection may be, in percent, so that servers do
   * not come back together; 0 to 100, default 10.
   */
  jitter_percent?: number,
  /**
   * The most servers ejected or on trial at a time, in percent; one may always be,
   * but never the last eligible one. 0 to 100, default 50.
   */
  max_percent?: number,
};

/** Something that happened to the fleet. */
export type EventView = {
  "event": "server-added",
  /** Its name. */
  server: string,
} | {
  "event": "server-removed",
  /** Its name. */
  server: string,
} | {
  "event": "weight-changed",
  /** Its name. */
  server: string,
  /** The new weight. */
  weight: number,
} | {
  "event": "server-changed",
  /** Its name. */
  server: string,
} | {
  "event": "state-changed",
  /** Its name. */
  server: string,
  /** The new state. */
  state: 'active' | 'draining',
} | {
  "event": "health-changed",
  /** Its name. */
  server: string,
  /** The new health. */
  health: HealthWord,
  /** What the last probe found wrong; null when it was good. */
  why: string | null,
} | {
  "event": "health-forgotten",
  /** Its name. */
  server: string,
} | {
  "event": "ejected",
  /** Its name. */
  server: string,
  /** For how many seconds. */
  for_s: number,
  /** What the last request met. */
  why: string,
} | {
  "event": "trial-began",
  /** Its name. */
  server: string,
} | {
  "event": "readmitted",
  /** Its name. */
  server: string,
} | {
  "event": "slow-started",
  /** Its name. */
  server: string,
  /** In how many seconds it will have them all. */
  for_s: number,
} | {
  "event": "slow-start-ended",
  /** Its name. */
  server: string,
} | {
  "event": "drained",
  /** Its name. */
  server: string,
} | {
  "event": "fail-open",
  /** Which of the two. */
  on: boolean,
} | {
  "event": "reconfigured",
  /** How many servers joined. */
  added: number,
  /** How many servers left. */
  removed: number,
  /** How many servers stayed and are no longer what they were. */
  changed: number,
} | {
  "event": "probe-due",
  /** Whom to probe. */
  server: string,
  /** The number of the probe among that server's. */
  round: number,
};

/** Which connections begin with a header of the PROXY protocol. */
export type ExpectedHeader = "off" | "trusted" | "required";

/** `GET /api/explain`: why a key goes where it goes. */
export type ExplainView = {
  /** The key, as text (bytes that are not UTF-8 replaced). */
  key: string,
  /** Of a request: what its key was made of, by `routing.hash_key`. */
  key_from?: KeyFromView,
  /** The rule by which keys go to servers. */
  algorithm: AlgorithmName,
  /** Where it stands: sixteen hexadecimal digits; null by rules without keys. */
  position: string | null,
  /** The same as a fraction of the ring, for drawing. */
  turn: number | null,
  /**
   * The first server clockwise, health ignored; null without servers, and
   * by rules without keys.
   */
  owner: string | null,
  /**
   * Where it goes now; null when it can go nowhere, and by rules without
   * keys, by which it may go to any usable server.
   */
  server: string | null,
  /** Whether nobody is eligible and the answer is a guess. */
  fail_open: boolean,
  /**
   * All servers in the order the key prefers them; by rules without keys in
   * order of their names.
   */
  candidates: Array<CandidateView>,
};

/** One fault of an input. */
export type FaultView = {
  /** Where: `servers[2].weight`. */
  path: string,
  /** What was given and what is allowed. */
  message: string,
};

/** The fleet in a word; draining servers are left out of account. */
export type FleetWord = "healthy" | "degraded" | "unhealthy";

/** A part of the ring that changed hands. */
export type FlowView = {
  /** Who owned it before. */
  from: string,
  /** Who owns it now. */
  to: string,
  /** How much, as a fraction of the ring. */
  fraction: number,
};

/** What servers are told of clients, and who is believed about them. */
export type Forwarding = {
  /**
   * Networks, as 10.0.0.0/8, of proxies that stand before this one and
   * are believed when they say for whom they ask; at most 1000. Default
   * none: who connects is the client.
   */
  trusted_proxies?: string[],
  /**
   * By which field trusted proxies say for whom they ask: the first of
   * these that a request has. Name only what they really set, as they
   * may pass on the other as a client sent it. Default x-forwarded-for,
   * then forwarded.
   */
  trusted_fields?: TrustedField[],
  /**
   * Whether servers get the field Forwarded (RFC 7239) besides
   * X-Forwarded-For, -Proto and -Host; default false.
   */
  forwarded?: boolean,
  /**
   * What Host says to servers: client, as the client sent it; server, the
   * address and port of the server; or {"name": "shop.internal"}, always
   * this. Default client. X-Forwarded-Host has what the client sent.
   */
  host?: 'client' | 'server' | Record<'name', string>,
  /**
   * Which messages get the field Via: requests, answers too (both), or
   * none. Default requests.
   */
  via?: Via,
};

/**
 * Judging servers by probes: each server is asked once in a while, and its
 * answers say whether it is healthy.
 */
export type HealthCheck = {
  /** Whether servers are probed; default true. */
  enabled?: boolean,
  /** Seconds from one probe of a server to the next; default 30. */
  interval?: number,
  /**
   * Seconds between probes while results contradict the health; default
   * 1, at most `interval`.
   */
  fast_interval?: number,
  /**
   * How far an interval may differ from its length, in percent, so that
   * probes spread out; 0 to 50, default 10.
   */
  jitter_percent?: number,
  /**
   * Failed probes in a row that make a healthy server unhealthy; 1 to
   * 100, default 3. The first probe of a server decides at once.
   */
  fall?: number,
  /**
   * Good probes in a row that make an unhealthy server healthy; 1 to
   * 100, default 2.
   */
  rise?: number,
  /** Seconds until a probe has failed; default 5, at most `interval`. */
  timeout?: number,
  /**
   * How a server is asked: by `http` or `https` requests, by connecting to
   * it (`tcp`), or by the health service of gRPC (`grpc`, over HTTP/2 in
   * clear text, or over TLS where `tls` is given). Default http.
   */
  kind?: ProbeKind,
  /** Of http and https: the method of the request; default GET. */
  method?: string,
  /** Of http and https: what is requested; default /health. */
  path?: string,
  /**
   * Of all but tcp: the `Host` of the request, perhaps with a port, and
   * the name that a certificate must have. Default null: the server's
   * address and port.
   */
  host?: string | null,
  /**
   * Of all but tcp: further header fields of the request; default none. The
   * values of `authorization` and `cookie` are never shown again.
   */
  headers?: Record<string, string>,
  /** Another port to ask at; default null: the server's own. */
  port?: number | null,
  /**
   * Of http and https: which statuses are good, as 204 or "200-299";
   * default ["200-299"]. Redirects are not followed.
   */
  expect_status?: (number | string)[],
  /**
   * Of http and https: what the body must have somewhere in its first
   * 65536 bytes, 1 to 1024 bytes of text. Default null: it is not read.
   */
  expect_body?: string | null,
  /**
   * Of grpc: the service that is asked about; default "", the server as a
   * whole.
   */
  grpc_service?: string,
  /**
   * Of https and grpc: whom to trust. Default null: https trusts whom the
   * system trusts, grpc is in clear text.
   */
  tls?: ProbeTls | null,
  /**
   * Seconds after which a server is suspected that answers none of the
   * requests which wait for it: it is probed at once, and one failed probe
   * then decides, so that a server that hangs is found out long before its
   * next probes would have. Default 2; null: never.
   */
  suspect_after?: number | null,
};

/**
 * What of `health_check` the engine goes by: when servers are probed, and what decides.
 * How they are asked is the proxy's.
 */
export type HealthRules = {
  /** Whether servers are probed; default true. */
  enabled?: boolean,
  /** Seconds from one probe of a server to the next; default 30. */
  interval?: number,
  /**
   * Seconds between probes while results contradict the health; default
   * 1, at most `interval`.
   */
  fast_interval?: number,
  /**
   * How far an interval may differ from its length, in percent, so that
   * probes spread out; 0 to 50, default 10.
   */
  jitter_percent?: number,
  /**
   * Failed probes in a row that make a healthy server unhealthy; 1 to
   * 100, default 3. The first probe of a server decides at once.
   */
  fall?: number,
  /**
   * Good probes in a row that make an unhealthy server healthy; 1 to
   * 100, default 2.
   */
  rise?: number,
};

/** `GET /api/health`. */
export type HealthView = {
  /** The fleet in a word. */
  status: FleetWord,
  /** Whether nobody is eligible and requests are routed by the ring all the same. */
  fail_open: boolean,
  /** How many servers there are. */
  n_servers: number,
  /** How many of them may get new requests. */
  n_eligible: number,
  /** What became of the state file; null without one, and in the package. */
  state_file: StateFileView | null,
  /** The servers, by name. */
  servers: Array<ServerHealthView>,
};

/** What probes say of a server. */
export type HealthWord = "unknown" | "healthy" | "unhealthy";

/** A key and its traffic. */
export type HotKeyView = {
  /** Its first 128 bytes as text, what is not UTF-8 replaced. */
  key: string,
  /** Whether it has more bytes than those. */
  truncated: boolean,
  /** Where it stands: sixteen hexadecimal digits. */
  position: string,
  /** The most requests it may have had. */
  count: number,
  /** How many of them may be other keys'. */
  error: number,
  /** Its part of all requests that had a key. */
  share: HotShareView,
  /** Where it goes now, when it is not spread; null when nowhere. */
  server: string | null,
  /**
   * The names of the servers that it is spread over, in order; null when
   * it is not.
   */
  spread: Array<string> | null,
};

/** Counting the hottest keys, and spreading them. */
export type HotKeys = {
  /**
   * How many keys each worker counts, 0 to 1024; 0 counts none. Every key
   * with more than 1/capacity of the requests is among them. Default 256.
   */
  capacity?: number,
  /** Seconds after which a request counts half; default 60. */
  half_life?: number,
  /**
   * Over how many of its candidates a hot key is spread, 2 to 8; 1, the
   * default, spreads none.
   */
  spread?: number,
  /**
   * From how many times the traffic of one server, were all even, a key
   * is hot; 0.01 to 100, default 0.5.
   */
  spread_above?: number,
};

/**
 * The keys with most of the traffic. All numbers of requests are aged: a
 * request counts half after each half-life.
 */
export type HotKeysView = {
  /** The requests that had a key. */
  total: number,
  /** Seconds after which a request counts half. */
  half_life_s: number,
  /** How many keys are counted; 0 when none are. */
  capacity: number,
  /** The hottest first. */
  keys: Array<HotKeyView>,
};

/** A part of all requests, as a fraction, between two bounds. */
export type HotShareView = {
  /** What it surely has. */
  at_least: number,
  /** The most it may have. */
  at_most: number,
};

/** What speaks HTTP/1.1 to servers. */
export type Http1Codec = "own" | "hyper";

/**
 * How HTTP/2 is spoken with clients: those that agree to it over TLS, and
 * those that begin with it in clear text.
 */
export type Http2 = {
  /** Whether it is spoken at all; default true. */
  enabled?: boolean,
  /**
   * Requests of one connection at a time, 1 to 10000; further ones are
   * refused, and clients know that beforehand. Default 100, the least that
   * RFC 9113 advises: a page seldom has more, and a client that wants more
   * makes a second connection.
   */
  max_streams?: number,
  /**
   * Bytes of one request's body that a client may send ahead of what its
   * server has taken, 65535 to 16777216; default 131072.
   */
  stream_window?: number,
  /**
   * The same of all requests of a connection together, and so the most
   * memory that bodies of one client can take; at least stream_window.
   * Default 262144.
   */
  connection_window?: number,
  /**
   * Seconds without a byte of a client that waits for answers until it is
   * asked whether it is still there; as long again without a word, and its
   * connection is cut. Default 60; null: it is not asked.
   */
  ping?: number | null,
};

/** How many of the given requests go to a server. */
export type KeyCountView = {
  /** Its name. */
  server: string,
  /** As it is. */
  before: number,
  /** As it would be. */
  after: number,
};

/**
 * What the key of a request was made of. Sources are named as
 * `header x-user-id`, `cookie session`, `query id`, `path`, `uri`,
 * `client_ip`, `join`.
 */
export type KeyFromView = {
  /** The source that was found. */
  source: string,
  /** What it held: one part, or those of a join in their order. */
  parts: Array<KeyPartView>,
  /** The sources that come before it and were not there. */
  absent: Array<string>,
};

/** A part of a key. */
export type KeyPartView = {
  /** Its source. */
  source: string,
  /** Its bytes, as text (bytes that are not UTF-8 replaced). */
  value: string,
};

/**
 * One part of a request that can be its key.
 */
export type KeySource =
  | 'path'
  | 'uri'
  | 'client_ip'
  | { header: string }
  | { cookie: string; issue?: CookieIssue }
  | { query: string }
  | { join: KeySource[] };

/** How many requests got their key from a source. */
export type KeySourceCountView = {
  /**
   * The source as the configuration has it; null for requests without a
   * key, which go wherever there is least to do.
   */
  source: string | null,
  /** As it is; null when this configuration has no such source. */
  before: number | null,
  /** As it would be; null when that configuration has no such source. */
  after: number | null,
};

/** Whose requests are counted together. */
export type LimitedBy = "client_ip" | "hash_key";

/** How much the proxy takes from clients. What is over is refused. */
export type Limits = {
  /** Bytes of a request's head; 1024 to 1048576, default 16384. */
  header_bytes?: number,
  /** Header fields of a request; 1 to 1000, default 100. */
  headers?: number,
  /**
   * Connections of clients at a time, all workers together; for a further
   * one another that rests is ended, or it is refused with 503. 1 to
   * 1000000, default 10000.
   */
  connections?: number,
  /** Bytes of a request's body; 0 to 2^50. Default null: any number. */
  request_body?: number | null,
  /**
   * Bytes a second that a client must move while it is waited for: of a
   * body that it sends, or of an answer that it reads; 1 to 1000000,
   * default 50. Null: no matter how few.
   */
  min_rate?: number | null,
  /**
   * Seconds of such waiting in which it must have moved as much on
   * average; default 60.
   */
  min_rate_window?: number,
};

/** Where the proxy listens for clients. */
export type Listen = {
  /**
   * An IP address or host name of this machine; default 127.0.0.1, so
   * that nothing is open to the network by accident.
   */
  host?: string,
  /** A TCP port; default 8080. */
  port?: number,
  /** TLS towards clients. Default null: they are spoken to in clear text. */
  tls?: ListenTls | null,
  /**
   * Which connections begin with a header of the PROXY protocol, version 1
   * or 2, that says who the client is: off, none; trusted, those of
   * forwarding.trusted_proxies, and others are clients' own; required, all,
   * and only trusted proxies may connect. Default off.
   */
  proxy_protocol?: ExpectedHeader,
};

/** TLS towards clients. The files are read at start and with every reload. */
export type ListenTls = {
  /**
   * What the proxy proves itself with: the first certificate for the name
   * that a client asks for, and for other names the very first. At least one.
   */
  certificates?: CertificateFiles[],
  /** The oldest version that is spoken, "1.2" or "1.3"; default 1.2. */
  min_version?: TlsVersion,
  /**
   * A file with certificates in PEM: of clients, those are let in that have
   * a certificate which one of these vouches for. Default null: clients are
   * not asked for any.
   */
  client_ca_file?: string | null,
  /**
   * Whether clients without a certificate are let in: required, none is;
   * optional, they are too. Needs client_ca_file. Default required.
   */
  client_certificates?: ClientCertificates | null,
  /**
   * Whether servers are told the client's certificate, in the field
   * `Client-Cert` of RFC 9440. What clients say in that field, or in
   * `Client-Cert-Chain`, is dropped then. Needs client_ca_file. Default false.
   */
  tell_servers?: boolean,
};

/** What part of all keys goes to a server. */
export type LoadShareView = {
  /** Its name. */
  server: string,
  /** What goes to it, as a fraction. */
  share: number,
  /** What would be fair. */
  fair: number,
};

/** How a fleet shares all keys. */
export type LoadSharesView = {
  /** How even the shares are. */
  balance: BalanceView,
  /** What goes to each server that takes keys, by name. */
  servers: Array<LoadShareView>,
};

/** Requests now, since the start and over the last minute. */
export type LoadView = {
  /** Requests sent whose answer has not ended. */
  in_flight: number,
  /** Since the start (of the server, for a server). */
  since_start: TrafficView,
  /** Over the last 55 to 60 seconds. */
  last_minute: TrafficView,
};

/** `GET /api/metrics`. */
export type MetricsView = {
  /** All requests, those that no server got included. */
  total: LoadView,
  /**
   * What bounded loads did; null while `routing.load_factor` is, and in
   * the package, which does not bound loads.
   */
  bounded_loads: BoundedLoadsView | null,
  /** Requests that were sent again; null in the package, which sends none. */
  retries: RetriesView | null,
  /**
   * Requests that waited for a place, at any server; null while none has a
   * `max_in_flight`, and in the package, where none waits.
   */
  queue: QueueView | null,
  /** The servers, by name. */
  servers: Array<ServerMetricsView>,
};

/** The part of the ring whose owner changed. */
export type MovedView = {
  /** How much of it, as a fraction. */
  fraction: number,
  /** The same by giver and taker. */
  flows: Array<FlowView>,
};

/** What the given keys, or the requests of an access log, would do. */
export type PlanKeysView = {
  /**
   * How many requests there were: keys, each as often as it was given, or
   * lines of the log.
   */
  total: number,
  /** How many of them would go to another server. */
  moved: number,
  /**
   * How many different keys they have. Of a log: as the hash key in use
   * makes them.
   */
  distinct: number,
  /** How many of these would go to another server, with any of their requests. */
  distinct_moved: number,
  /**
   * How evenly the requests that have a key are spread, as it is; null
   * when there are none.
   */
  balance_before: BalanceView | null,
  /** The same, as it would be. */
  balance_after: BalanceView | null,
  /** How many requests each server has and would have, by name. */
  servers: Array<KeyCountView>,
  /** How the log was read; null when keys were given. */
  log: PlanLogView | null,
};

/** How an access log was read. */
export type PlanLogView = {
  /**
   * How many requests got their key from which source of
   * `routing.hash_key`: those of the configuration in use, then those that
   * only the other one has, then those that found no key.
   */
  sources: Array<KeySourceCountView>,
  /** How many lines were no request. */
  skipped: number,
  /** The first of these. */
  first_skipped: SkippedLineView | null,
};

/** Changes, one after the other, of which nothing is done. */
export type PlanSpec = {
  /** What is to be planned, in this order. */
  changes: Array<ChangeSpec>,
};

/**
 * What a change would do, before it is made. Health is left out of it: two
 * fleets at rest are compared. The keys of draining servers count as going
 * to their next candidates.
 */
export type PlanView = {
  /** What part of all keys would go to another server, as a fraction. */
  moved: number,
  /**
   * The least that any rule could move: what the fair shares of those
   * who gain grow by.
   */
  minimum: number,
  /**
   * What would move if a key's hash modulo the number of servers chose
   * the server: for comparison, and without weights.
   */
  modulo: number,
  /** How `moved` and `flows` are known. */
  basis: BasisWord,
  /**
   * How many keys were asked for, where parts are estimated by a sample:
   * the standard error of a part p is `sqrt(p (1 - p) / sampled)`; else
   * null.
   */
  sampled: number | null,
  /** The moved part by giver and taker, by their names. */
  flows: Array<FlowView>,
  /** The fleet as it is. */
  before: LoadSharesView,
  /** The fleet as it would be. */
  after: LoadSharesView,
  /**
   * What given keys, or the requests of an access log, would do; null when
   * none were given.
   */
  keys: PlanKeysView | null,
};

/** A point, and the arc that ends in it. */
export type PointView = {
  /** Where it stands: sixteen hexadecimal digits. */
  position: string,
  /** The same as a fraction of the ring, for drawing. */
  turn: number,
  /** Whose it is. */
  server: string,
  /** The position of the point before it, where its arc begins. */
  after: string,
  /** The length of the arc, as a fraction of the ring. */
  share: number,
};

/** Kept connections to servers. */
export type Pool = {
  /**
   * The most idle connections kept, for each server and worker; 0 to
   * 10000, default 32.
   */
  max_idle?: number,
  /** Seconds an idle connection is kept; default 60. */
  idle?: number,
  /** Seconds after which a connection is not used again; default 3600. */
  max_age?: number,
  /**
   * Of h2: the most connections, for each server and worker; 1 to 1000,
   * default 8. A further one is made when all are full.
   */
  max_connections?: number,
  /**
   * Of h2: the most requests side by side on one connection, if the server
   * takes as many; 1 to 1000, default 100.
   */
  max_streams?: number,
  /**
   * Of h2: seconds after which a server from which nothing comes over a
   * connection with requests on it is asked whether it is still there; default
   * 310, since gRPC servers take more than one in 300 for an attack. Null: never.
   */
  ping?: number | null,
};

/** How a server is asked. */
export type ProbeKind = "http" | "https" | "tcp" | "grpc";

/** Whom probes over TLS trust. */
export type ProbeTls = {
  /**
   * A file with certificates in PEM: only who has one that these vouch
   * for is trusted. Default null: those that the system trusts.
   */
  ca_file?: string | null,
  /** Whether certificates are checked at all; default true. */
  verify?: boolean,
};

/** A finished probe. */
export type ProbeView = {
  /** Whether it was as expected. */
  ok: boolean,
  /** What was wrong; null when nothing was. */
  why: string | null,
  /** How long ago its result came in, in seconds. */
  ago_s: number,
  /** How long it took, in milliseconds. */
  took_ms: number,
};

/** `application/problem+json` (RFC 9457). */
export type ProblemView = {
  /** A name for the kind of problem. */
  type: string,
  /** The kind in words. */
  title: string,
  /** The HTTP status. */
  status: number,
  /** What went wrong this time. */
  detail: string,
  /** Every fault of the input, if that was it. */
  errors: Array<FaultView>,
};

/** How the proxy runs. */
export type Process = {
  /**
   * Worker threads, each with its own listener and connections; 0, the
   * default, is one for each core. At most 256.
   */
  workers?: number,
  /**
   * On SIGTERM: how long connections are still taken, while `/readyz` says
   * that none should be sent; default null: none are.
   */
  shutdown_delay?: number | null,
  /** On SIGTERM: how long requests in flight may take to end; default 30. */
  shutdown_grace?: number,
  /**
   * Whether the configuration is read anew when its file changes; default
   * false. It is looked at once a second.
   */
  watch_config?: boolean,
  /**
   * The most of all keys that a reload may move, as 0.05 or "5%"; one that
   * would move more is refused. What counts is what is in effect before
   * it. Default null: no limit.
   */
  max_moved?: number | string | null,
  /**
   * A file that keeps what is changed through the API, so that it
   * survives a restart; default null: nothing is kept.
   */
  state_file?: string | null,
  /**
   * What speaks HTTP/1.1 to servers: own, which is cheaper and stricter
   * in what it takes for an answer; or hyper. Default own.
   */
  http1_codec?: Http1Codec,
};

/**
 * Requests that wait for a place at a server with as many in flight as its
 * `max_in_flight`.
 */
export type Queue = {
  /**
   * The most requests that wait for one server, all workers together; 0,
   * for none, to 100000. Default null: as many as it may have in flight,
   * so that who waits at the end waits for about one answer.
   */
  length?: number | null,
  /** Seconds that a request waits at most; default 1. */
  timeout?: number,
  /**
   * What becomes of a request that has waited in vain, or found the queue
   * full: `overflow`, the default, sends it to the next candidate of its
   * key that has a place; `refuse` answers 503.
   */
  then?: AfterQueue,
};

/** Requests that waited for a place at a full server, since the start. */
export type QueueView = {
  /** Those that wait now. */
  waiting: number,
  /** Those that waited, or still do. */
  waited: number,
  /** Those that waited for `queue.timeout` in vain. */
  timed_out: number,
  /** Those that found `queue.length` requests waiting. */
  turned_away: number,
};

/**
 * One limit on how often may be asked: so many requests a second in the long
 * run, and so many at once.
 */
export type RateLimitRule = {
  /** Whose requests are counted together. */
  per: LimitedBy,
  /** Requests a second in the long run, 0.001 to 1000000. */
  requests_per_second: number,
  /**
   * Requests that may come at once after a pause, 1 to 1000000; default
   * null: those of one second, at least 1.
   */
  burst?: number | null,
  /**
   * How many clients or keys are remembered, 8 to 10000000, at 16 bytes each;
   * default 100000. When more come, who has been idle longest is forgotten.
   */
  max_keys?: number,
  /**
   * The leading bits of an IPv6 address that are one client, 1 to 128;
   * default 64, which is what one household or machine has.
   */
  ipv6_prefix?: number,
  /**
   * Whether answers to admitted requests carry RateLimit fields too; those to
   * refused ones always do. Default false.
   */
  headers?: boolean,
};

/** Why a candidate is the answer, or why it is not. */
export type ReasonWord = "chosen" | "next" | "usable" | "unproven" | "unhealthy" | "ejected" | "on-trial" | "draining" | "not-admitted" | "backup" | "tried" | "full" | "above-bound";

/** A server that is no longer what it was. */
export type ReloadServerView = {
  /** Its name. */
  server: string,
  /** What of it differs, as `weight`. */
  settings: Array<string>,
};

/** What became of the servers, by their names. */
export type ReloadServersView = {
  /** Those that joined. */
  added: Array<string>,
  /** Those that left. */
  removed: Array<string>,
  /** Those that are no longer what they were. */
  changed: Array<ReloadServerView>,
};

/** What a reload of the configuration changed. */
export type ReloadView = {
  /** Whether anything did. */
  changed: boolean,
  /** What became of the servers. */
  servers: ReloadServersView,
  /** The settings that have another value now. */
  settings: Array<SettingView>,
  /** What changed hands while nothing is wrong. */
  moved: MovedView,
  /** How `moved` is known. */
  basis: BasisWord,
  /**
   * How many keys were asked for, where it is estimated by a sample; else
   * null.
   */
  sampled: number | null,
};

/** The body of `POST /api/explain`: a request that is only asked about. */
export type RequestSpec = {
  /** Its path and query; default /. */
  path?: string,
  /** Its header fields; default none. */
  headers?: Record<string, string>,
  /** Its client's IP address; default null: unknown. */
  client_ip?: string,
};

/** When and how often a request is tried again. */
export type Retries = {
  /**
   * Further attempts after a first one that failed, each at the key's next
   * candidate; 0 to 10, default 2.
   */
  attempts?: number,
  /**
   * How many retries may be under way at a time, in percent of all requests
   * in flight; 0 to 100, default 20. Failovers that add no load (after a
   * failed connect, or away from a server that was taken out) do not
   * count.
   */
  budget_percent?: number,
  /**
   * How many may be under way however few requests are in flight, all
   * workers together; 0 to 100000, default 3.
   */
  budget_min?: number,
  /**
   * Seconds: a retry waits a random time up to this, the next one up to
   * twice this, and so on; default 0.025. The first failover after a
   * failed connect does not wait.
   */
  backoff?: number,
  /**
   * The longest of these waits in seconds, and of the Retry-After that is
   * heeded; default 0.25, at least `backoff`.
   */
  backoff_max?: number,
  /**
   * Answers with these statuses, 400 to 599, are no answers to idempotent
   * requests while another server can be asked; default 502, 503 and 504.
   */
  on_status?: number[],
  /**
   * Bytes of a request's body that are kept so that it can be sent again;
   * more is not tried again. 0, for none, to 16777216, default 65536.
   */
  replay_buffer?: number,
  /**
   * Answers to idempotent requests that say that they have at most so
   * many bytes are awaited whole before the client gets the first, so
   * that another server can be asked when they break off. 0, for none,
   * to 16777216, default 65536.
   */
  hold_answer?: number,
  /**
   * Seconds after which an idempotent request is tried elsewhere although
   * its server may still answer; less than `timeouts.response_header`.
   * Default null: never.
   */
  per_try_timeout?: number | null,
};

/**
 * Retries since the start. One that goes to the same server again, over
 * another connection, is none.
 */
export type RetriesView = {
  /** After a server that could not be connected to. */
  connect: number,
  /**
   * After one that broke off before its answer, or the part of it that is
   * awaited, was whole; or whose answer was none.
   */
  broken: number,
  /** After one that answered with a status in `retries.on_status`. */
  status: number,
  /** After one that took longer than `retries.per_try_timeout`. */
  timeout: number,
  /** Away from one that probes or ejection took out meanwhile. */
  taken_out: number,
  /** Requests that were not sent again because the budget was used up. */
  budget_exhausted: number,
};

/** A server on the ring. */
export type RingServerView = {
  /** Its name. */
  name: string,
  /** Relative capacity. */
  weight: number,
  /** How many points it has. */
  n_points: number,
  /** Fractions of the ring. */
  share: ShareView,
};

/** `GET /api/ring`: how the primary servers share all keys. */
export type RingView = {
  /**
   * Equal for two fleets just when they route alike while everybody is
   * eligible: sixteen hexadecimal digits.
   */
  fingerprint: string,
  /** The rule by which keys go to servers; only rings have points. */
  algorithm: AlgorithmName,
  /** Points for each unit of weight, where the rule is a ring of ours. */
  virtual_nodes: number,
  /** How many points there are in all. */
  n_points: number,
  /** How even the shares are. */
  balance: BalanceView,
  /** The servers on it, by name. */
  servers: Array<RingServerView>,
  /** One page of points, in order of position. */
  points: Array<PointView>,
  /** The position to ask for the points `after`, if there are more; else null. */
  next: string | null,
};

/** Which server a request goes to. */
export type Routing = {
  /**
   * The rule by which keys go to servers, or one without keys by which
   * requests do; default ring.
   */
  algorithm?: AlgorithmName,
  /**
   * Points on the ring for each unit of weight, 1 to 10000; default 100.
   * All servers together may have 2^20.
   */
  virtual_nodes?: number,
  /**
   * Slots of the table of maglev and envoy-maglev, a prime number from 2
   * to 5000011; default 65537.
   */
  table_size?: number,
  /**
   * Bounded loads: how many times its fair part of all requests in flight
   * a server may have, 1.001 to 100, before further ones go to the next
   * candidate of their key; 1.25 is the advice. Default null: no bound. Not
   * for rules without keys.
   */
  load_factor?: number | null,
  /**
   * Seconds in which a server that comes back, or joins a running fleet,
   * gets its keys: a tenth at once, the others bit by bit, each key once.
   * Default null: all at once.
   */
  slow_start?: number | null,
  /**
   * Seconds in which a drained server loses its keys, bit by bit. Default
   * null: all at once.
   */
  drain?: number | null,
  /**
   * When no server is eligible: route by the ring as if all were; default
   * true. Otherwise such requests are answered with 503.
   */
  fail_open?: boolean,
  /**
   * What is tried as the key of a request; the first that is present
   * wins. Default: the header x-ringway-key, then the client's IP
   * address. Without any, the server with the fewest requests in flight
   * for its weight is taken.
   */
  hash_key?: KeySource[],
  /**
   * Whether answers carry `x-ringway-server`, `x-ringway-attempts` and
   * `x-ringway-explain`; default false, since they tell clients what
   * stands behind.
   */
  debug_header?: boolean,
};

/** What of a configuration decides where keys go, and is one too. */
export type RoutingConfig = {
  /** The servers. In a snapshot, where the rule goes by their ids, all have one. */
  servers: Array<ServerSpec>,
  /** Which server a request goes to. */
  routing: RoutingRules,
  /** What the product is set to whose rule is followed. */
  compat: CompatOptions,
  /** Judging servers by probes. */
  health_check: HealthRules,
  /** Judging servers by their traffic. */
  ejection: Ejection,
  /** Counting the hottest keys, and spreading them. */
  hot_keys: HotKeys,
};

/** What of `routing` the engine goes by. */
export type RoutingRules = {
  /**
   * The rule by which keys go to servers, or one without keys by which
   * requests do; default ring.
   */
  algorithm?: AlgorithmName,
  /**
   * Points on the ring for each unit of weight, 1 to 10000; default 100.
   * All servers together may have 2^20.
   */
  virtual_nodes?: number,
  /**
   * Slots of the table of maglev and envoy-maglev, a prime number from 2
   * to 5000011; default 65537.
   */
  table_size?: number,
  /**
   * Bounded loads: how many times its fair part of all requests in flight
   * a server may have, 1.001 to 100, before further ones go to the next
   * candidate of their key; 1.25 is the advice. Default null: no bound. Not
   * for rules without keys.
   */
  load_factor?: number | null,
  /**
   * Seconds in which a server that comes back, or joins a running fleet,
   * gets its keys: a tenth at once, the others bit by bit, each key once.
   * Default null: all at once.
   */
  slow_start?: number | null,
  /**
   * Seconds in which a drained server loses its keys, bit by bit. Default
   * null: all at once.
   */
  drain?: number | null,
  /**
   * When no server is eligible: route by the ring as if all were; default
   * true. Otherwise such requests are answered with 503.
   */
  fail_open?: boolean,
};

/** Whether requests that other sites bring about have a cookie. */
export type SameSite = "strict" | "lax" | "none";

/** One server's part of [`HealthView`]. */
export type ServerHealthView = {
  /** Its name. */
  name: string,
  /** What probes say. */
  health: HealthWord,
  /** May it get a new request, and why not? */
  standing: StandingWord,
  /** The last finished probe; null before. */
  last_probe: ProbeView | null,
};

/** What of a server HAProxy hashes. */
export type ServerKey = "id" | "addr" | "addr-port";

/** What is known of one server. */
export type ServerMemory = {
  /** The server. */
  server: ServerSpec,
  /** What operators say. */
  state: 'active' | 'draining',
  /** What probes say: true is healthy, null is unknown. */
  healthy: boolean | null,
  /** Whether it may be used before a probe has judged it. */
  trusted: boolean,
  /** Milliseconds until an ejection ends. */
  ejected_for_ms: number | null,
  /** Ejections in a row. */
  ejections: number,
  /** How many milliseconds ago the last one ended. */
  readmitted_ms_ago: number | null,
  /** Whether its next failure ejects it again. */
  on_trial: boolean,
  /** What part of its keys it takes, in 65,536ths. */
  admission: number,
};

/** One server's part of [`MetricsView`]. */
export type ServerMetricsView = {
  /** Its name. */
  name: string,
  /**
   * Those that waited for a place at it; null while it has no
   * `max_in_flight`, and in the package.
   */
  queue: QueueView | null,
  /** Requests sent whose answer has not ended. */
  in_flight: number,
  /** Since the start (of the server, for a server). */
  since_start: TrafficView,
  /** Over the last 55 to 60 seconds. */
  last_minute: TrafficView,
};

/** A server as configuration, `POST /api/servers` and `addServer` take it. */
export type ServerSpec = {
  /** Its unique name, which decides where it stands on the ring. */
  name: string,
  /** An IP address or a host name. */
  address: string,
  /** Its TCP port, 1 to 65535. */
  port: number,
  /** Relative capacity, 1 to 1000; default 1. */
  weight?: number,
  /** Whether it gets keys only when no other server is eligible; default false. */
  backup?: boolean,
  /**
   * Its unique number, 1 to 2147483647, by which `jump` orders servers and
   * `haproxy` hashes them; default the lowest that no other has.
   */
  id?: number | null,
  /**
   * What a rule that follows another product hashes instead of what it
   * makes of the address and the port; 1 to 255 bytes.
   */
  hash_name?: string | null,
  /**
   * The most requests it may have in flight, 1 to 1000000; further ones
   * wait for a place, or go elsewhere. Default null: any number.
   */
  max_in_flight?: number | null,
  /**
   * What is spoken to it, `http/1.1` or `h2` (HTTP/2); default http/1.1. To an
   * h2 server requests go side by side over few connections.
   */
  protocol?: 'http/1.1' | 'h2',
  /** TLS towards it: true, or how. Default null: none. */
  tls?: ServerTls | true | null,
  /**
   * By which version of the PROXY protocol it is told for whom each
   * connection is, `v1` or `v2`; default null: it is not told. A connection
   * is for one client alone then.
   */
  proxy_protocol?: 'v1' | 'v2' | null,
};

/** TLS towards a server. `true` is all of it by default. */
export type ServerTls = {
  /**
   * For whom the server's certificate must be, which is also the name that it
   * is asked for. Default null: the server's address.
   */
  server_name?: string | null,
  /**
   * A file with certificates in PEM: only who has one that these vouch for is
   * trusted. Default null: those that the system trusts.
   */
  ca_file?: string | null,
  /**
   * Whether the server's certificate is checked; default true. Without that,
   * anybody between can read and change everything.
   */
  verify?: boolean,
  /**
   * A file with the certificate, in PEM, that the proxy shows where it is asked
   * for one, and after it those that vouch for it; needs key_file. Default null: none.
   */
  cert_file?: string | null,
  /** A file with the private key of that certificate, in PEM. */
  key_file?: string | null,
  /** The oldest version that is spoken; default 1.2. */
  min_version?: '1.2' | '1.3',
};

/** A server and everything known about it. */
export type ServerView = {
  /** Its unique name. */
  name: string,
  /** An IP address or a host name. */
  address: string,
  /** Its TCP port. */
  port: number,
  /** Relative capacity. */
  weight: number,
  /** Whether it gets keys only when no primary server is eligible. */
  backup: boolean,
  /** What is spoken to it. */
  protocol: 'http/1.1' | 'h2',
  /** TLS towards it; null when there is none. */
  tls: ServerTls | null,
  /**
   * By which version of the PROXY protocol it is told for whom each
   * connection is; null when it is not told.
   */
  proxy_protocol: 'v1' | 'v2' | null,
  /**
   * Why there was no TLS with it at the last attempt; null when there was,
   * and in the package, which connects to nobody.
   */
  tls_trouble: string | null,
  /** What operators say. */
  state: 'active' | 'draining',
  /** What probes say. */
  health: HealthWord,
  /** Whether traffic took it out. */
  ejected: boolean,
  /** Seconds until its trial begins, when ejected. */
  ejected_for_s: number | null,
  /**
   * Whether its ejection is over and it gets one request at a time, until
   * one is answered well: half-open, as circuit breakers have it.
   */
  on_trial: boolean,
  /** What follows from the three: may it get a new request? */
  eligible: boolean,
  /** The same with the reason. */
  standing: StandingWord,
  /**
   * What part of its keys it takes, as a fraction: less than 1 while it
   * comes back or is drained over some time, 0 while it takes none.
   */
  admission: number,
  /** Fractions of all keys. */
  share: ShareView,
  /** Requests sent to it whose answer has not ended. */
  in_flight: number,
  /** The most that it may have; null for any number. */
  max_in_flight: number | null,
  /** Finished requests since it was added. */
  requests: number,
  /** Those that ended with a 5xx or without an answer. */
  errors: number,
  /** The last finished probe; null before. */
  last_probe: ProbeView | null,
};

/** `GET /api/servers`. */
export type ServersView = {
  /** The servers, by name. */
  servers: Array<ServerView>,
};

/** A setting that has another value now. */
export type SettingView = {
  /** Where it stands: `routing.fail_open`. */
  path: string,
  /** Its value before. */
  before: unknown,
  /** Its value now. */
  after: unknown,
};

/** A server's part of the ring, as fractions of it. */
export type ShareView = {
  /** What its weight entitles it to. */
  expected: number,
  /** What its points own. */
  actual: number,
};

/** A line that is no request. */
export type SkippedLineView = {
  /** Its number, from 1. */
  line: number,
  /** What is wrong with it. */
  fault: string,
};

/** What another engine needs to route as this one does at this moment. */
export type SnapshotView = {
  /** The version of this document's form: 1. */
  version: number,
  /**
   * Sixteen hexadecimal digits that are equal when two fleets route alike
   * while every server is eligible.
   */
  fingerprint: string,
  /** The settings that decide, and the servers. */
  config: RoutingConfig,
  /**
   * What is known of the servers, by name. Times are from the moment of
   * asking.
   */
  servers: Array<ServerMemory>,
};

/** Whether a server may get a new request, and if not, why. */
export type StandingWord = "eligible" | "unproven" | "unhealthy" | "ejected" | "on-trial" | "draining";

/** A server's new admin state. */
export type StateChange = {
  /** The server's name. */
  server: string,
  /** active or draining. */
  state: 'active' | 'draining',
};

/** Whether what is changed through the API survives a restart. */
export type StateFileView = {
  /**
   * False when the file could not be written the last time: until it can,
   * changes are refused.
   */
  stored: boolean,
  /**
   * Whether the file found at start was of no use and was renamed: what
   * had been changed before is in effect no more.
   */
  set_aside: boolean,
};

/** The body of `PUT /api/servers/{name}/state`. */
export type StateSpec = {
  /** `active`, or `draining`: no new requests. */
  state: 'active' | 'draining',
};

/** How long the proxy waits for what, in seconds. */
export type Timeouts = {
  /** For a connection to a server; default 3. */
  connect?: number,
  /** From sending a request to the head of its answer; default 30. */
  response_header?: number,
  /** Between two pieces of a body, in either direction; default 300. */
  stream_idle?: number,
  /** For a client to agree on TLS, from when it has connected; default 10. */
  tls_handshake?: number,
  /** For the head of a client's request, from its first byte; default 10. */
  client_header?: number,
  /** For the next request on a client's connection; default 60. */
  client_idle?: number,
  /**
   * For a byte in either direction on a connection that has changed over
   * to another protocol; default 3600.
   */
  tunnel_idle?: number,
};

/** Response times in milliseconds; all 0 without answers. */
export type TimesView = {
  /** The mean. */
  mean: number,
  /** Half of the answers were as fast. */
  p50: number,
  /** 90 % were. */
  p90: number,
  /** 99 % were. */
  p99: number,
};

/** A version of TLS. */
export type TlsVersion = "1.2" | "1.3";

/** Traces of requests, sent to a collector. */
export type Tracing = {
  /**
   * Where spans are sent by OTLP over HTTP, as JSON:
   * http://127.0.0.1:4318/v1/traces. Default null: nowhere, and the
   * fields traceparent and tracestate pass as they came.
   */
  otlp?: string | null,
  /**
   * The part of the traces that begin here which is sent, as 0.1 or "10%";
   * default 1. A trace that comes in is sent if its sender says so.
   */
  sample?: number | string,
  /** What the proxy is called in traces; default ringway. */
  service_name?: string,
};

/** Sums over finished requests. */
export type TrafficView = {
  /** How many. */
  requests: number,
  /** Those that ended with a 5xx or without an answer. */
  errors: number,
  /** `errors / requests`; 0 without requests. */
  error_rate: number,
  /** From sending a request to the head of its answer. */
  response_time_ms: TimesView,
  /** Requests by the class of their answer. */
  by_class: ClassesView,
};

/** A field in which a proxy says for whom it asks. */
export type TrustedField = "x-forwarded-for" | "forwarded";

/**
 * Connections that change over to another protocol, at a client's request
 * and with a server's consent: tunnels.
 */
export type Upgrades = {
  /**
   * To which protocols, by the names in `Upgrade`; default websocket. An
   * empty list forwards no request to change over. Never h2c.
   */
  protocols?: string[],
};

/** Which messages get the field Via. */
export type Via = "requests" | "both" | "none";

/** A server's new weight. */
export type WeightChange = {
  /** The server's name. */
  server: string,
  /** Its new weight, 1 to 1000. */
  weight: number,
};

/** The body of `PUT /api/servers/{name}/weight`. */
export type WeightSpec = {
  /** The new weight, 1 to 1000. */
  weight: number,
};
