// The door for Cloudflare Workers, which may not compile from bytes: the wasm comes compiled.
import { attach } from './core.js';
import module from './lb_bg.wasm';

attach(() => module);

export { LoadBalancer } from './core.js';
