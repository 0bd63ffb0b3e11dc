// The door for Node, Deno, Bun, browsers and bundlers: the wasm is in the file, so that importing
// it is all there is to do. Compiling from bytes is synchronous everywhere that allows it at all.
import { attach } from './core.js';
import bytes from './wasm-inline.js';

attach(() => new WebAssembly.Module(bytes()));

export { LoadBalancer } from './core.js';
