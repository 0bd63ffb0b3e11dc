// The class, over the engine in WebAssembly. Nothing is decided here: values are converted, the
// engine is called, its answer is converted. What is written by hand instead of generated is the
// way of a key into the engine's memory, because that way is most of what a call costs.
import * as glue from './glue.js';

// The longest key: as much as the proxy's API takes in a whole body.
const KEY_BYTES_MAX = 1_048_576;
// Up to here a loop over the characters is faster than one call of the encoder (measured).
const LOOP_CHARS_MAX = 20;
// A batch is cut so that its keys share one encoder call and the scratch memory stays small.
const BATCH_KEYS_MAX = 1024;
const BATCH_CHARS_MAX = 65_536;
// UTF-8 needs at most three bytes for each UTF-16 unit.
const BYTES_PER_CHAR_MAX = 3;

const encoder = new TextEncoder();
let wasm;

// Starts the engine. Each door calls this once, with the module as its runtime can have it.
export function attach(module) {
  wasm = new WebAssembly.Instance(module, { './lb_bg.js': glue }).exports;
  glue.__wbg_set_wasm(wasm);
  wasm.__wbindgen_start();
}

export class LoadBalancer {
  #engine;
  // Where the engine is in wasm memory; 0 once it is freed.
  #pointer;
  // A view of the memory that keys are written to. It has length 0 after wasm memory has grown.
  #scratch = new Uint8Array(0);
  // What `route` answers, by the engine's numbers; 0 is no server.
  #servers = [undefined];

  constructor(config) {
    this.#engine = new glue.Engine(JSON.stringify(config));
    this.#pointer = this.#engine.__wbg_ptr;
    this.#servers = [undefined, ...JSON.parse(this.#engine.directory())];
  }

  route(key) {
    const length = this.#write(key);
    return this.#servers[wasm.engine_route(this.#pointer, length)];
  }

  routeMany(keys) {
    const out = [];
    for (let from = 0; from < keys.length; ) {
      // the longest run
      let to = from, chars = 0;
      while (to < keys.length && to - from < BATCH_KEYS_MAX && chars < BATCH_CHARS_MAX) chars += keys[to++].length;
      const joined = (from === 0 && to === keys.length ? keys : keys.slice(from, to)).join('');
      const room = joined.length * BYTES_PER_CHAR_MAX;
      if (this.#scratch.length < room) this.#grow(room);
      const pointer = wasm.engine_batch(this.#pointer, to - from);
      if (this.#scratch.length < room) this.#grow(room);
      const { written } = encoder.encodeInto(joined, this.#scratch);
      const view = new Uint32Array(wasm.memory.buffer, pointer, to - from);
      let end = 0;
      if (written === joined.length) for (let i = from; i < to; i++) view[i - from] = end += keys[i].length;
      wasm.engine_route_many(this.#pointer);
      const servers = this.#servers;
      for (let i = 0; i < view.length; i++) out.push(servers[view[i]]);
      from = to;
    }
    return out;
  }

  // Writes a key to the scratch memory and returns its length in bytes.
  #write(key) {
    const scratch = this.#scratch;
    const chars = key.length;
    if (typeof key === 'string' && chars <= LOOP_CHARS_MAX && scratch.length !== 0) {
      for (let i = 0; i < chars; i++) {
        const unit = key.charCodeAt(i);
        if (unit > 127) return this.#encode(key);
        scratch[i] = unit;
      }
      return chars;
    }
    return this.#encode(key);
  }

  #encode(key) {
    const room = key.length * BYTES_PER_CHAR_MAX;
    if (this.#scratch.length < room || this.#scratch.length === 0) this.#grow(room);
    return encoder.encodeInto(key, this.#scratch).written;
  }

  #grow(room) {
    room = Math.max(256, room, this.#scratch.length);
    const pointer = this.#engine.scratch(room);
    this.#scratch = new Uint8Array(wasm.memory.buffer, pointer, room);
  }
}
