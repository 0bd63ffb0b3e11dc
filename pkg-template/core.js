// The class, over the engine in WebAssembly. Nothing is decided here: values are converted, the
// engine is called, its answer is converted. Written by hand and not generated is the way of a key
// into the engine's memory, because that way is most of what a call costs.
import { fromBytes, toBytes } from './bytes.js';
import { fault } from './fault.js';
import * as glue from './glue.js';

// The longest key, in bytes: as much as the proxy's API takes in a whole body.
const KEY_BYTES_MAX = 1_048_576;
// Up to here a loop over the characters is faster than one call of the encoder (measured).
const LOOP_CHARS_MAX = 20;
// The keys of a batch share one call of the encoder; keys longer than this gain nothing by that.
const BATCH_KEYS_MAX = 1024;
const BATCH_KEY_CHARS_MAX = 100;
// What the engine is given besides keys, in characters: memory once taken is never given back.
const JSON_CHARS_MAX = 33_554_432;
const NAME_CHARS_MAX = 255;
const REASON_CHARS_MAX = 1000;
// The form of snapshots that is known.
const SNAPSHOT_VERSION = 1;
// A ring has no more points than this.
const POINTS_MAX = 1_048_576;
// Of a picture there are no more than this.
const CELLS_MAX = 65_536;
// The whole ring in units of its positions.
const RING_UNITS = 2 ** 64;
// UTF-8 needs at most three bytes for each UTF-16 unit.
const BYTES_PER_CHAR_MAX = 3;
// Room for the keys there usually are; more is made when a longer one comes.
const SCRATCH_BYTES_MIN = 1024;

const NO_SERVERS = [undefined];
// More than there can be.
const ALL = 0xffff_ffff;
// So many servers are fetched at a time: what all of them need together is never given back.
const DIRECTORY_MAX = 100;

// What the engine is asked, by the numbers of src/wasm.rs, and what it says.
const DIRECTORY = 0;
const CANDIDATES = 1;
const EXPLAIN = 2;
const ADD_SERVER = 3;
const REMOVE_SERVER = 4;
const SET_WEIGHT = 5;
const SET_STATE = 6;
const PLAN = 7;
const SERVERS = 8;
const HEALTH = 9;
const METRICS = 10;
const HOT_KEYS = 11;
const RING = 12;
const CONFIG = 13;
const SNAPSHOT = 14;
const RESUME = 15;
const FINGERPRINT = 16;
const PROBES_DUE = 17;
const POINTS = 18;
const POINT = 19;
const VIRTUAL_NODE = 20;
const CELLS = 21;
const REFUSED = 0;
const NOTHING = 1;
const ANSWERED = 2;
const NO_BYTES = new Uint8Array(0);

const encoder = new TextEncoder();
// Where each key of a batch ends.
const keyEnds = new Uint32Array(BATCH_KEYS_MAX);
// What a typed array says it is, true also for one of another realm, where `instanceof` fails.
const typedArrayName = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;
// Balancers that nobody holds on to give their memory back.
const closing = new FinalizationRegistry((handle) => wasm.close(handle));
let wasm;

/**
 * Starts the engine, with the module as the door's runtime can have it; once, should a program
 * come in by two doors.
 */
export function attach(module) {
  if (isAttached()) return;
  const { exports } = new WebAssembly.Instance(module(), { './lb_bg.js': glue });
  if (!exports.ask) throw new TypeError('it does not export what the class calls');
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
  wasm = exports;
}

/** Whether the engine was started. */
export function isAttached() {
  return wasm !== undefined;
}

export class LoadBalancer {
  // By which the engine knows it; 0 once it is freed.
  #handle = 0;
  // A view of the memory that keys are written to; of length 0 when that memory has moved.
  #scratch = NO_BYTES;
  // What `route` answers, by the engine's number for it; number 0 is no server.
  #servers = NO_SERVERS;
  #ids = NO_SERVERS;
  // Whether the rule has no keys, so that none need be given.
  #isKeyless;

  constructor(config, options) {
    if (!isAttached()) throw fault('not-started', 'the engine is not started: await init() first');
    const spec = toSpec(config);
    const seed = toSeed(options);
    write(spec);
    this.#handle = wasm.open(seed ?? NaN);
    if (this.#handle === 0) throw refusal();
    closing.register(this, this.#handle, this);
    this.#isKeyless = wasm.is_keyless(this.#handle) !== 0;
    this.#refresh(0, 0, ALL);
  }

  static fromSnapshot(snapshot, options) {
    const { config } = toSnapshot(snapshot);
    const lb = ofSnapshot('config', () => new this(config, options));
    lb.restore(snapshot, { now: 0, ...options });
    return lb;
  }

  get fingerprint() {
    return this.#ask(FINGERPRINT);
  }

  route(key) {
    const length = this.#write(key);
    return this.#servers[wasm.route(this.#handle, length)];
  }

  routeMany(keys) {
    this.#alive();
    if (!Array.isArray(keys)) throw fault('invalid-argument', `keys must be an array, not ${kind(keys)}`);
    const servers = new Array(keys.length);
    for (let from = 0; from < keys.length; from += BATCH_KEYS_MAX) {
      const batch = keys.slice(from, from + BATCH_KEYS_MAX);
      if (!this.#routeBatch(batch, servers, from)) {
        for (let i = 0; i < batch.length; i += 1) servers[from + i] = this.route(batch[i]);
      }
    }
    return servers;
  }

  candidates(key, n) {
    const length = this.#write(key);
    if (!Number.isInteger(n) || n < 0) throw fault('invalid-argument', `n must be a whole number from 0, not ${show(n)}`);
    return this.#ask(CANDIDATES, length, Math.min(n, ALL)).map((number) => this.#servers[number]);
  }

  explain(key) {
    return this.#ask(EXPLAIN, this.#write(key));
  }

  addServer(spec) {
    return this.#change(ADD_SERVER, '', toSpec(spec));
  }

  removeServer(name) {
    return this.#change(REMOVE_SERVER, name, NO_BYTES);
  }

  setWeight(name, weight) {
    return this.#change(SET_WEIGHT, name, toSpec({ weight }));
  }

  setState(name, state) {
    return this.#change(SET_STATE, name, toSpec({ state }));
  }

  plan(changes) {
    return this.#ask(PLAN, 0, 0, toSpec({ changes }));
  }

  servers() {
    return this.#ask(SERVERS);
  }

  health() {
    return this.#ask(HEALTH);
  }

  metrics() {
    return this.#ask(METRICS);
  }

  hotKeys(limit = 20) {
    this.#alive();
    if (!Number.isInteger(limit) || limit < 0) throw fault('invalid-argument', `limit must be a whole number from 0, not ${show(limit)}`);
    return this.#ask(HOT_KEYS, Math.min(limit, POINTS_MAX));
  }

  ring(page) {
    this.#alive();
    const { after, limit } = toPage(page);
    return this.#ask(RING, limit, 0, encoder.encode(after));
  }

  points() {
    const numbers = new Uint32Array(this.#bytes(POINTS));
    const n = numbers.length / 3;
    return { positions: numbers.subarray(0, 2 * n), servers: numbers.subarray(2 * n) };
  }

  point(index) {
    this.#alive();
    if (!isWhole(index, 0, POINTS_MAX)) throw fault('invalid-argument', `a point's index must be a whole number from 0, not ${show(index)}`);
    const point = this.#ask(POINT, index);
    // Nothing is told as no events.
    if (Array.isArray(point)) return undefined;
    point.virtual_node = this.#ask(VIRTUAL_NODE, index);
    return point;
  }

  cells(n, window = {}) {
    this.#alive();
    const { from = [0, 0], length = RING_UNITS, server } = fields(window, 'a window');
    if (!isWhole(n, 1, CELLS_MAX)) throw fault('invalid-argument', `n must be a whole number from 1 to ${CELLS_MAX}, not ${show(n)}`);
    if (!Array.isArray(from) || from.length !== 2 || !from.every((half) => isWhole(half, 0, ALL))) throw fault('invalid-argument', 'from must be the two halves of a position, each a whole number below 2^32');
    if (!(length >= 1 && length <= RING_UNITS)) throw fault('invalid-argument', `length must be a number of units from 1 to 2^64, not ${show(length)}`);
    if (server !== undefined && !isWhole(server, 0, ALL)) throw fault('invalid-argument', `server must be its place in ring().servers, not ${show(server)}`);
    const numbers = Uint32Array.from(server === undefined ? from : [...from, server]);
    return new Float32Array(this.#bytes(CELLS, n, length, new Uint8Array(numbers.buffer)));
  }

  snapshot() {
    return this.#ask(SNAPSHOT);
  }

  restore(snapshot, options = {}) {
    const { now } = fields(options, 'options');
    const { fingerprint, servers } = toSnapshot(snapshot);
    const nowMs = now === undefined ? now : toTime(now, 'now');
    const known = toSpec(servers);
    if (fingerprint !== this.fingerprint) throw fault('not-alike', `the snapshot is of a fleet that routes otherwise: its fingerprint is ${fingerprint}, ours ${this.fingerprint}`);
    return ofSnapshot('servers', () => this.#ask(RESUME, nowMs ?? NaN, 0, known));
  }

  toJSON() {
    return this.#ask(CONFIG);
  }

  begin(key, options) {
    const number = options === undefined ? wasm.begin(this.#handle, this.#write(key)) : this.#beginExcept(key, options);
    const server = this.#servers[number];
    if (server === undefined) return { server, finish: () => [] };
    const id = this.#ids[number];
    const term = wasm.request_started(this.#handle, id);
    let isRunning = true;
    const finish = (result) => {
      const { ok, latencyMs } = toResult(result);
      if (!isRunning || this.#handle === 0) return [];
      isRunning = false;
      return answered(wasm.request_finished(this.#handle, id, term, ok, latencyMs));
    };
    return { server, finish };
  }

  probesDue() {
    return this.#ask(PROBES_DUE);
  }

  recordProbe(probe, result) {
    this.#alive();
    const { ok, latencyMs, error } = toResult(result);
    const id = encoder.encode(toProbeId(probe));
    write(id, encoder.encode(error ?? 'failed'));
    return answered(wasm.probe_finished(this.#handle, id.length, ok, latencyMs));
  }

  advance(nowMs) {
    this.#alive();
    return answered(wasm.advance(this.#handle, toTime(nowMs, 'nowMs')));
  }

  nextDeadlineMs() {
    this.#alive();
    const deadline = wasm.next_deadline_ms(this.#handle);
    return Number.isNaN(deadline) ? undefined : deadline;
  }

  free() {
    if (this.#handle === 0) return;
    closing.unregister(this);
    wasm.close(this.#handle);
    this.#handle = 0;
    this.#scratch = NO_BYTES;
    this.#servers = NO_SERVERS;
  }

  #alive() {
    if (this.#handle === 0) throw fault('freed', 'this LoadBalancer was freed');
  }

  #ask(what, n = 0, m = 0, ...input) {
    this.#alive();
    write(...input);
    return answered(wasm.ask(this.#handle, what, n, m));
  }

  // The same where the answer is bytes as they lie in memory, of which this is a copy.
  #bytes(what, n = 0, m = 0, ...input) {
    this.#alive();
    write(...input);
    wasm.ask(this.#handle, what, n, m);
    const at = wasm.answer_at();
    return wasm.memory.buffer.slice(at, at + wasm.answer_bytes());
  }

  #change(what, name, spec) {
    this.#alive();
    const bytes = encoder.encode(toName(name));
    write(bytes, spec);
    const said = wasm.ask(this.#handle, what, bytes.length, 0);
    const answer = answered(said);
    const changed = said - ANSWERED;
    this.#refresh(changed >>> 2, (changed >>> 1) & 1, changed & 1);
    return answer;
  }

  // The number of the first server that would take the key if those in `except` were not there.
  #beginExcept(key, options) {
    this.#alive();
    const { except = [] } = fields(options, 'options');
    if (!Array.isArray(except)) throw fault('invalid-argument', `except must be an array of names, not ${kind(except)}`);
    if (except.length === 0) return wasm.begin(this.#handle, this.#write(key));
    const passed = new Set(except.map(toName));
    const name = this.#isKeyless ? this.#idlest(passed) : this.#candidateExcept(key, passed);
    return name === undefined ? 0 : this.#servers.findIndex((server) => server?.name === name);
  }

  #candidateExcept(key, passed) {
    const isFit = ({ server, reason }) => (reason === 'chosen' || reason === 'next') && !passed.has(server);
    return this.explain(key).candidates.find(isFit)?.server;
  }

  // Rules without keys have no order of candidates: who has least to do for its weight is next.
  #idlest(passed) {
    const load = ({ in_flight, weight }) => in_flight / weight;
    const fit = this.servers().filter(({ name, eligible, backup }) => eligible && !backup && !passed.has(name));
    return fit.sort((a, b) => load(a) - load(b))[0]?.name;
  }

  // Asks for the servers by number that are new, after the first `from`, in place of those that
  // are gone; one that did not change keeps its object.
  #refresh(from, nGone, nNew) {
    const ids = [];
    const servers = [];
    let page;
    do {
      page = this.#ask(DIRECTORY, Math.min(nNew - ids.length, DIRECTORY_MAX), from + ids.length);
      ids.push(...page.ids);
      servers.push(...page.servers);
    } while (page.ids.length === DIRECTORY_MAX);
    const gone = this.#ids.slice(from + 1, from + 1 + nGone);
    const known = new Map(gone.map((id, i) => [id, this.#servers[from + 1 + i]]));
    const kept = (server, i) => {
      const before = known.get(ids[i]);
      return before !== undefined && isSame(before, server) ? before : Object.freeze(server);
    };
    const spliced = (list, items) => [...list.slice(0, from + 1), ...items, ...list.slice(from + 1 + nGone)];
    this.#servers = spliced(this.#servers, servers.map(kept));
    this.#ids = spliced(this.#ids, ids);
  }

  // Writes a key to the scratch memory and says how many bytes it has.
  #write(key) {
    const scratch = this.#scratch;
    if (typeof key === 'string' && key.length <= LOOP_CHARS_MAX && scratch.length !== 0) {
      const length = key.length;
      for (let i = 0; i < length; i += 1) {
        const unit = key.charCodeAt(i);
        if (unit > 127) return encoder.encodeInto(key, scratch).written;
        scratch[i] = unit;
      }
      return length;
    }
    return this.#writeAny(key);
  }

  #writeAny(key) {
    this.#alive();
    if (key === undefined && this.#isKeyless) return 0;
    if (typeof key === 'string') {
      const length = key.length;
      if (length > KEY_BYTES_MAX) throw tooLong(`${length} characters`);
      this.#reserve(length * BYTES_PER_CHAR_MAX);
      const { written } = encoder.encodeInto(key, this.#scratch);
      if (written > KEY_BYTES_MAX) throw tooLong(`${written} bytes`);
      return written;
    }
    if (typedArrayName.call(key) !== 'Uint8Array') throw fault('invalid-key', `a key must be a string or a Uint8Array, not ${kind(key)}`);
    const length = key.length;
    if (length > KEY_BYTES_MAX) throw tooLong(`${length} bytes`);
    this.#reserve(length);
    try {
      this.#scratch.set(key);
    } catch {
      throw fault('invalid-key', 'the memory of this key has gone elsewhere: its buffer is detached');
    }
    return length;
  }

  // Makes sure that there are so many bytes to write to, and that the view of them is of today.
  #reserve(bytes) {
    if (this.#scratch.length >= Math.max(bytes, SCRATCH_BYTES_MIN)) return;
    const room = Math.max(bytes, SCRATCH_BYTES_MIN);
    const pointer = wasm.scratch(this.#handle, room);
    this.#scratch = new Uint8Array(wasm.memory.buffer, pointer, room);
  }

  // Routes many short keys in one call, to `servers` from `from` on. Answers `false`, having done
  // nothing, when one of them is not short text.
  #routeBatch(keys, servers, from) {
    const { length } = keys;
    // Faster than `join`: what adds up is only a list of the keys until it is encoded.
    let text = '';
    for (let i = 0; i < length; i += 1) {
      const key = keys[i];
      if (typeof key !== 'string' || key.length > BATCH_KEY_CHARS_MAX) return false;
      text += key;
      keyEnds[i] = text.length;
    }
    const ends = wasm.batch(this.#handle, length);
    this.#reserve(text.length * BYTES_PER_CHAR_MAX);
    const { written } = encoder.encodeInto(text, this.#scratch);
    // More bytes than characters: where each key ends would have to be counted.
    if (written !== text.length) return false;
    const numbers = new Uint32Array(wasm.memory.buffer, ends, length);
    numbers.set(length === BATCH_KEYS_MAX ? keyEnds : keyEnds.subarray(0, length));
    wasm.route_batch(this.#handle);
    const known = this.#servers;
    for (let i = 0; i < length; i += 1) servers[from + i] = known[numbers[i]];
    return true;
  }
}

// Older runtimes have no `using`, and no symbol for it.
if (Symbol.dispose) LoadBalancer.prototype[Symbol.dispose] = LoadBalancer.prototype.free;

// Whether two servers have the same of everything.
function isSame(a, b) {
  for (const name in b) if (a[name] !== b[name]) return false;
  return true;
}

function isWhole(value, from, upto) {
  return Number.isInteger(value) && value >= from && value <= upto;
}

function tooLong(size) {
  return fault('key-too-long', `a key of ${size} is too long; ${KEY_BYTES_MAX} bytes are allowed`);
}

function kind(value) {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

function show(value) {
  return typeof value === 'number' ? String(value) : kind(value);
}

// Writes what the engine takes with the next call.
function write(...parts) {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  if (bytes === 0) return;
  let at = wasm.input(bytes);
  const memory = new Uint8Array(wasm.memory.buffer);
  for (const part of parts) {
    memory.set(part, at);
    at += part.length;
  }
}

// What the engine answers, after it said so; most often nothing came of an event, for which nothing
// is made.
function answered(said) {
  if (said === NOTHING) return [];
  if (said === REFUSED) throw refusal();
  return answer();
}

function answer() {
  return fromBytes(new Uint8Array(wasm.memory.buffer, wasm.answer_at(), wasm.answer_bytes()));
}

function refusal() {
  const { code, message, errors } = answer();
  return Object.assign(fault(code, message), errors.length ? { errors } : {});
}

function toSpec(value) {
  try {
    const json = JSON.stringify(value) ?? 'null';
    if (json.length <= JSON_CHARS_MAX) return toBytes(json);
    throw new RangeError(`${json.length} characters are too many; ${JSON_CHARS_MAX} are allowed`);
  } catch (error) {
    throw fault('invalid-argument', `this cannot be written as JSON: ${error instanceof Error ? error.message : kind(error)}`);
  }
}

// The parts of a snapshot, of which the engine reads the rest.
function toSnapshot(snapshot) {
  const parts = fields(snapshot, 'a snapshot', 'invalid-snapshot');
  const { version, fingerprint } = parts;
  if (version !== SNAPSHOT_VERSION) throw invalidSnapshot([{ path: 'version', message: `${show(version)} is not known here; known is ${SNAPSHOT_VERSION}` }]);
  if (typeof fingerprint === 'string') return parts;
  throw invalidSnapshot([{ path: 'fingerprint', message: `${show(fingerprint)} is not allowed; give a text` }]);
}

// Reads a part of a snapshot; what is wrong has its place in the whole.
function ofSnapshot(place, read) {
  try {
    return read();
  } catch (error) {
    if (!error.errors) throw error;
    throw invalidSnapshot(error.errors.map(({ path, message }) => ({ path: path && path[0] !== '[' ? `${place}.${path}` : place + path, message })));
  }
}

function invalidSnapshot(errors) {
  return Object.assign(fault('invalid-snapshot', errors.map(({ path, message }) => `${path}: ${message}`).join('\n')), { errors });
}

function toName(name) {
  if (typeof name !== 'string') throw fault('invalid-argument', `a name must be a string, not ${kind(name)}`);
  if (name.length > NAME_CHARS_MAX) throw fault('unknown-server', `there is no server with a name of ${name.length} characters`);
  return name;
}

function toTime(ms, name) {
  if (typeof ms === 'number' && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER) return ms;
  throw fault('invalid-argument', `${name} must be a number of milliseconds from 0, not ${show(ms)}`);
}

// The seed of what is drawn by rules without keys.
function toSeed(options = {}) {
  const { seed } = fields(options, 'options');
  if (seed === undefined || (Number.isSafeInteger(seed) && seed >= 0)) return seed;
  throw fault('invalid-argument', `seed must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, not ${show(seed)}`);
}

function toPage(page = {}) {
  const { after, limit = POINTS_MAX } = fields(page, 'a page');
  if (after !== undefined && (typeof after !== 'string' || !/^[0-9a-f]{16}$/.test(after))) {
    throw fault('invalid-argument', 'after must be the position of a point: sixteen hexadecimal digits');
  }
  if (!Number.isInteger(limit) || limit < 0) throw fault('invalid-argument', `limit must be a whole number from 0, not ${show(limit)}`);
  return { after: after ?? '', limit: Math.min(limit, POINTS_MAX) };
}

// How a request or a probe went.
function toResult(result) {
  const { ok, latencyMs, error } = fields(result, 'a result');
  if (typeof ok !== 'boolean') throw fault('invalid-argument', `ok must be true or false, not ${show(ok)}`);
  if (error !== undefined && typeof error !== 'string') throw fault('invalid-argument', `error must be a string, not ${kind(error)}`);
  return { ok, latencyMs: toTime(latencyMs, 'latencyMs'), error: error?.slice(0, REASON_CHARS_MAX) };
}

function toProbeId(probe) {
  const { id } = fields(probe, 'a probe');
  if (typeof id === 'string' && id.length <= NAME_CHARS_MAX) return id;
  throw fault('invalid-argument', 'a probe must be one that probesDue() gave');
}

// A copy of the caller's object: its code (getters, proxies) runs here and not later.
function fields(value, what, code = 'invalid-argument') {
  try {
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // A getter threw.
  }
  throw fault(code, `${what} must be a plain object, not ${kind(value)}`);
}
