export * from './index.js';

/** A compiled module, where the program's own types know of WebAssembly. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object;

/** The answer to a fetch, where the program's own types know of it. */
export type WasmResponse = typeof globalThis extends { Response: { prototype: infer R } } ? R : object;

/** The wasm, `ringway/lb.wasm`: its bytes, or compiled. */
export type WasmSource = ArrayBuffer | ArrayBufferView | WasmModule;

/**
 * Starts the engine; a balancer can be made once this is done. Without `source` the wasm that lies
 * beside this file is fetched, and compiled while it comes in. Further calls wait for the first;
 * after one that failed the next tries again.
 *
 * @param source the wasm: its URL, a response that brings it, its bytes, or compiled; or a promise
 *   of one of them.
 * @throws with the code `not-loaded` when it cannot be fetched or is no wasm, and with
 *   `invalid-argument` when it is none of these.
 */
export function init(source?: string | { readonly href: string } | WasmResponse | WasmSource | PromiseLike<WasmResponse | WasmSource>): Promise<void>;

/**
 * Starts the engine at once; further calls do nothing.
 *
 * @param source the wasm: its bytes, or compiled.
 * @throws with the code `not-loaded` when it is no wasm, and with `invalid-argument` when it is
 *   neither.
 */
export function initSync(source: WasmSource): void;
