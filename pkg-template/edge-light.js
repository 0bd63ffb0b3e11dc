// The door for Vercel's edge, whose bundler gives the compiled wasm under this name.
import { attach } from './core.js';
import module from './lb_bg.wasm?module';

attach(() => module);

export { LoadBalancer } from './core.js';
