import type { WasmModule } from './slim.js';

/** The engine, compiled, in runtimes and bundlers that import wasm as a module. */
declare const module: WasmModule;
export default module;
