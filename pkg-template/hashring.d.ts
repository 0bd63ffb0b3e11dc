/**
 * A consistent hash ring with the API and the answers of npm's `hashring` 3.2: the same key goes to
 * the same server as there. It is plain JavaScript and runs wherever JavaScript does.
 *
 * Every error has a `code`: `invalid-argument` for servers that are none, `invalid-key`,
 * `invalid-hash` for a hash function that answers with nothing, `unsupported-algorithm`, and
 * `too-many-points` above 16,777,216 points.
 */
declare class HashRing {
  /**
   * @param servers one server, or many, or an object of servers and their weights; default none.
   * @param algorithm `md5`, the default; a function of your own; or any that Node's `crypto` has,
   *   where that is there.
   */
  constructor(servers?: HashRing.Servers, algorithm?: string | HashRing.HashFunction, options?: HashRing.HashRingOptions);

  /** The release of npm's `hashring` whose answers these are. */
  static readonly version: string;

  /** How often each server's name is hashed, where it does not say so itself. */
  vnode: number;
  /** How many points each hash gives. */
  replicas: number;
  /** How names and keys are hashed. */
  algorithm: string | HashRing.HashFunction;
  /** The port that is left out of names. */
  defaultport: number | null;
  /** The servers, in the order they were given. */
  servers: HashRing.Server[];
  /** How often each server asked to be hashed; 0 when it did not. */
  vnodes: Record<string, number>;
  /** The last keys and their servers. */
  readonly cache: HashRing.Cache;
  /** How many points there are. */
  readonly size: number;
  /** A copy of the points, in order. */
  readonly ring: HashRing.Point[];

  /** The server of a key; `undefined` when there is no server. */
  get(key: HashRing.Key): string | undefined;

  /**
   * The servers from a key's own onwards.
   *
   * @param size how many at most; default as many as there are servers.
   * @param unique whether each comes once only; default `true`.
   */
  range(key: HashRing.Key, size?: number, unique?: boolean): string[];

  /** Adds servers that are not there yet. */
  add(servers: HashRing.Servers): this;

  /** Removes a server; of many that are given, the last. */
  remove(server: HashRing.Servers): this;

  /** Puts a server in another one's place, points and all: no other key moves. */
  swap(from: string, to: string): this;

  /** Whether a server has a point. */
  has(server: string): boolean;

  /** The points of these servers; default of all. */
  points(servers?: readonly string[]): Record<string, number[]>;

  /** The place in the ring of the first point at or after a hash value, and 0 after the last. */
  find(hashValue: number): number;

  /** The hash value of a key: the first four bytes of its digest, the first lowest. */
  hashValue(key: HashRing.Key): number;

  /** The hash of a text, as the algorithm gives it. */
  hash(key: string): string | ArrayLike<number>;

  /** The hash of a text as numbers. */
  digest(key: HashRing.Key): ArrayLike<number>;

  /** Makes the points of the servers anew. */
  continuum(): this;

  /** Forgets points and cache, but not the servers. */
  reset(): this;

  /** Forgets everything. */
  end(): this;

  /** @deprecated use `remove`. */
  removeServer(server: HashRing.Servers): this;
  /** @deprecated use `add`. */
  addServer(servers: HashRing.Servers): this;
  /** @deprecated use `get`. */
  getNode(key: HashRing.Key): string | undefined;
  /** @deprecated use `find`. */
  getNodePosition(hashValue: number): number;
  /** @deprecated use `find`. */
  position(hashValue: number): number;
  /** @deprecated does nothing. */
  replace(...args: unknown[]): undefined;
  /** @deprecated does nothing. */
  replaceServer(...args: unknown[]): undefined;
}

declare namespace HashRing {
  /** What is routed; anything but a string is made one. */
  type Key = string | number | object;

  /** A server's weight, or how often its name is hashed, or both. */
  type ServerConfig = number | { weight?: number; vnodes?: number };

  /** Servers as `host:port`, alone, in an array or with their weights. */
  type Servers = string | readonly (string | { host: string; port: number; weight?: number; vnodes?: number })[] | Readonly<Record<string, ServerConfig>>;

  /** Gives the hash of a text: at least `4 * replicas` bytes, or as many characters. */
  type HashFunction = (key: string) => string | ArrayLike<number>;

  /** Options, all with defaults. */
  interface HashRingOptions {
    /** How often each server's name is hashed; default 40, which makes 160 points. */
    'vnode count'?: number;
    /** How many points each hash gives; default 4. */
    replicas?: number;
    /** `hash_ring` makes 3 replicas, as Python's package of that name does, and `ketama` 4. */
    compatibility?: 'hash_ring' | 'ketama';
    /** The most keys that are remembered with their servers; 0 is none; default 5000. */
    'max cache size'?: number;
    /** A port that is left out of the names that are hashed; default none. */
    'default port'?: number;
  }

  /** A server as it was understood. */
  interface Server {
    /** Its host. */
    host: string;
    /** Its port; `NaN` when none was given. */
    port: number;
    /** Its name, `host:port` as it was given. */
    string: string;
    /** Its weight. */
    weight: number;
    /** How often it asked to be hashed. */
    vnodes?: number | undefined;
  }

  /** A point of the ring. */
  interface Point {
    /** Its place among all of 32 bits. */
    value: number;
    /** Whose it is. */
    server: string;
  }

  /** Keys and their servers. */
  interface Cache {
    /** The server that is remembered for a key. */
    get(key: string): string | undefined;
    /** Remembers a server for a key. */
    set(key: string, server: string): void;
    /** Goes over all that is remembered. */
    forEach(callback: (server: string, key: string) => void): void;
    /** Forgets everything. */
    reset(): void;
  }
}

export { HashRing, HashRing as default };
