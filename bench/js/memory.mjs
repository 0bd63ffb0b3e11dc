// The memory of one ring in KB: JavaScript's heap, typed arrays and the engine's own.
//
//   node bench/js/memory.mjs PEER SERVERS
import { engineBytes, heapBytes } from '../../tests/js/memory.mjs';
import { peers } from './peers.mjs';
import { serversOf } from './turns.mjs';

const [name, n] = process.argv.slice(2);
const names = serversOf(Number(n)).map((server) => server.name);
// Whatever is made once for all is made.
peers[name](names.slice(0, 2)).get('key');

const all = () => heapBytes() + process.memoryUsage().arrayBuffers + engineBytes();
const before = all();
// Small ones are many, since a heap has its own ups and downs.
const rings = Array.from({ length: Math.ceil(200 / names.length) }, () => peers[name](names));
for (const ring of rings) ring.get('key');
console.log(((all() - before) / rings.length / 1000).toFixed(0));
if (!rings.every((ring) => ring.get('key'))) throw new Error('no answer');
