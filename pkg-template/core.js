// The class, over the engine in WebAssembly. Nothing is decided here: values are converted, the
// engine is called, its answer is converted. Written by hand and not generated is the way of a key
// into the engine's memory, because that way is most of what a call costs.
import * as glue from './glue.js';

// The longest key, in bytes: as much as the proxy's API takes in a whole body.
const KEY_BYTES_MAX = 1_048_576;
// Up to here a loop over the characters is faster than one call of the encoder (measured).
const LOOP_CHARS_MAX = 20;
// The keys of a batch share one call of the encoder; keys longer than this gain nothing by that.
const BATCH_KEYS_MAX = 1024;
const BATCH_KEY_CHARS_MAX = 100;
// UTF-8 needs at most three bytes for each UTF-16 unit.
const BYTES_PER_CHAR_MAX = 3;
// Room for the keys there usually are; more is made when a longer one comes.
const SCRATCH_BYTES_MIN = 1024;

const NO_SERVERS = [undefined];
const NO_BYTES = new Uint8Array(0);

const encoder = new TextEncoder();
let wasm;

/** Starts the engine. Each door calls this once, with the module as its runtime can have it. */
export function attach(module) {
  wasm = new WebAssembly.Instance(module, { './lb_bg.js': glue }).exports;
  glue.__wbg_set_wasm(wasm);
  wasm.__wbindgen_start();
}

export class LoadBalancer {
  #engine;
  // Where the engine is in its memory; 0 once it is freed.
  #pointer = 0;
  // A view of the memory that keys are written to; of length 0 when that memory has moved.
  #scratch = NO_BYTES;
  // What `route` answers, by the engine's number for it; number 0 is no server.
  #servers = NO_SERVERS;
  #ids = NO_SERVERS;
  #version = -1;

  constructor(config) {
    this.#engine = new glue.Engine(toJson(config));
    this.#pointer = this.#engine.__wbg_ptr;
    this.#refresh();
  }

  get fingerprint() {
    return this.#alive().fingerprint();
  }

  route(key) {
    const length = this.#write(key);
    return this.#servers[wasm.engine_route(this.#pointer, length)];
  }

  routeMany(keys) {
    this.#alive();
    if (!Array.isArray(keys)) throw fault('invalid_argument', `keys must be an array, not ${kind(keys)}`);
    const servers = [];
    for (let from = 0; from < keys.length; from += BATCH_KEYS_MAX) {
      const batch = keys.slice(from, from + BATCH_KEYS_MAX);
      if (!this.#routeBatch(batch, servers)) {
        for (const key of batch) servers.push(this.route(key));
      }
    }
    return servers;
  }

  candidates(key, n) {
    const length = this.#write(key);
    if (!Number.isInteger(n) || n < 0) throw fault('invalid_argument', `n must be a whole number from 0, not ${show(n)}`);
    const numbers = this.#engine.candidates(length, Math.min(n, this.#servers.length));
    return Array.from(numbers, (number) => this.#servers[number]);
  }

  explain(key) {
    const length = this.#write(key);
    return JSON.parse(this.#engine.explain(length));
  }

  addServer(spec) {
    const json = toJson(spec);
    this.#change((engine) => engine.add_server(json));
  }

  removeServer(name) {
    this.#change((engine) => engine.remove_server(toName(name)));
  }

  setWeight(name, weight) {
    const json = toJson({ weight });
    this.#change((engine) => engine.set_weight(toName(name), json));
  }

  setState(name, state) {
    const json = toJson({ state });
    this.#change((engine) => engine.set_state(toName(name), json));
  }

  servers() {
    return JSON.parse(this.#alive().servers());
  }

  health() {
    return JSON.parse(this.#alive().health());
  }

  metrics() {
    return JSON.parse(this.#alive().metrics());
  }

  ring() {
    return JSON.parse(this.#alive().ring());
  }

  toJSON() {
    return JSON.parse(this.#alive().config());
  }

  begin(key) {
    const length = this.#write(key);
    const number = wasm.engine_route(this.#pointer, length);
    const server = this.#servers[number];
    if (server === undefined) return { server, finish() {} };
    const id = this.#ids[number];
    this.#engine.request_started(id);
    let isRunning = true;
    const finish = (result) => {
      const { ok, latencyMs } = toResult(result);
      if (!isRunning || this.#pointer === 0) return;
      isRunning = false;
      this.#change((engine) => engine.request_finished(id, ok, latencyMs));
    };
    return { server, finish };
  }

  probesDue() {
    return JSON.parse(this.#alive().probes_due());
  }

  recordProbe(probe, result) {
    const { ok, latencyMs, error } = toResult(result);
    const id = probe?.id;
    if (typeof id !== 'string') throw fault('invalid_argument', 'probe must be one of those that probesDue() gave');
    this.#change((engine) => engine.probe_finished(id, ok, latencyMs, error));
  }

  advance(nowMs) {
    if (!isTime(nowMs)) throw fault('invalid_argument', `nowMs must be a number of milliseconds from 0, not ${show(nowMs)}`);
    this.#change((engine) => engine.advance(nowMs));
  }

  nextDeadlineMs() {
    return this.#alive().next_deadline_ms();
  }

  free() {
    if (this.#pointer === 0) return;
    this.#pointer = 0;
    this.#scratch = NO_BYTES;
    this.#servers = NO_SERVERS;
    this.#engine.free();
  }

  #alive() {
    if (this.#pointer === 0) throw fault('freed', 'this LoadBalancer was freed');
    return this.#engine;
  }

  #change(call) {
    const answer = call(this.#alive());
    if (this.#engine.version() !== this.#version) this.#refresh();
    return answer;
  }

  // Asks for the servers by number; those that did not change keep their objects.
  #refresh() {
    const known = new Map();
    for (const server of this.#servers) if (server) known.set(JSON.stringify(server), server);
    const { ids, servers } = JSON.parse(this.#engine.directory());
    this.#servers = [undefined, ...servers.map((server) => known.get(JSON.stringify(server)) ?? Object.freeze(server))];
    this.#ids = [undefined, ...ids];
    this.#version = this.#engine.version();
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
    if (typeof key === 'string') {
      const length = key.length;
      if (length > KEY_BYTES_MAX) throw tooLong(`${length} characters`);
      this.#reserve(length * BYTES_PER_CHAR_MAX);
      const { written } = encoder.encodeInto(key, this.#scratch);
      if (written > KEY_BYTES_MAX) throw tooLong(`${written} bytes`);
      return written;
    }
    if (!(key instanceof Uint8Array)) throw fault('invalid_key', `a key must be a string or a Uint8Array, not ${kind(key)}`);
    const length = key.length;
    if (length > KEY_BYTES_MAX) throw tooLong(`${length} bytes`);
    this.#reserve(length);
    this.#scratch.set(key);
    return length;
  }

  // Makes sure that there are so many bytes to write to, and that the view of them is of today.
  #reserve(bytes) {
    if (this.#scratch.length >= Math.max(bytes, SCRATCH_BYTES_MIN)) return;
    const room = Math.max(bytes, SCRATCH_BYTES_MIN);
    const pointer = this.#engine.scratch(room);
    this.#scratch = new Uint8Array(wasm.memory.buffer, pointer, room);
  }

  // Routes many short keys in one call. Answers `false`, having done nothing, when one of them is
  // not short text.
  #routeBatch(keys, servers) {
    for (let i = 0; i < keys.length; i += 1) {
      if (typeof keys[i] !== 'string' || keys[i].length > BATCH_KEY_CHARS_MAX) return false;
    }
    const text = keys.join('');
    const ends = this.#engine.batch(keys.length);
    this.#reserve(text.length * BYTES_PER_CHAR_MAX);
    const { written } = encoder.encodeInto(text, this.#scratch);
    // More bytes than characters: where each key ends would have to be counted.
    if (written !== text.length) return false;
    const numbers = new Uint32Array(wasm.memory.buffer, ends, keys.length);
    let end = 0;
    for (let i = 0; i < keys.length; i += 1) numbers[i] = end += keys[i].length;
    wasm.engine_route_batch(this.#pointer);
    for (let i = 0; i < numbers.length; i += 1) servers.push(this.#servers[numbers[i]]);
    return true;
  }
}

// Older runtimes have no `using`, and no symbol for it.
if (Symbol.dispose) LoadBalancer.prototype[Symbol.dispose] = LoadBalancer.prototype.free;

function fault(code, message) {
  return Object.assign(new Error(message), { code });
}

function tooLong(size) {
  return fault('key_too_long', `a key of ${size} is too long; ${KEY_BYTES_MAX} bytes are allowed`);
}

function kind(value) {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

function show(value) {
  return typeof value === 'number' ? String(value) : kind(value);
}

function toJson(value) {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (error) {
    throw fault('invalid_argument', `not to be written as JSON: ${error?.message}`);
  }
}

function toName(name) {
  if (typeof name !== 'string') throw fault('invalid_argument', `a name must be a string, not ${kind(name)}`);
  return name;
}

function isTime(ms) {
  return typeof ms === 'number' && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER;
}

// How a request or a probe went.
function toResult(result) {
  let ok, latencyMs, error;
  try {
    ({ ok, latencyMs, error } = result);
  } catch {
    throw fault('invalid_argument', `a result must be an object, not ${kind(result)}`);
  }
  if (typeof ok !== 'boolean') throw fault('invalid_argument', `ok must be true or false, not ${show(ok)}`);
  if (!isTime(latencyMs)) throw fault('invalid_argument', `latencyMs must be a number of milliseconds from 0, not ${show(latencyMs)}`);
  if (error !== undefined && typeof error !== 'string') throw fault('invalid_argument', `error must be a string, not ${kind(error)}`);
  return { ok, latencyMs, error };
}
