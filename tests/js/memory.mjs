// Watches the engine's memory: to be imported before the package is, whose instance it hears of.
import v8 from 'node:v8';
import vm from 'node:vm';

const { Instance } = WebAssembly;
let memory;
WebAssembly.Instance = class extends Instance {
  constructor(...given) {
    super(...given);
    memory = this.exports.memory;
  }
};

/** Bytes of the engine's memory, which may grow and never shrinks. */
export const engineBytes = () => memory.buffer.byteLength;

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');

/** Bytes of JavaScript's heap that are in use, after what is not was collected. */
export function heapBytes() {
  // What one round frees may hold what the next one can.
  for (let round = 0; round < 3; round += 1) gc();
  return process.memoryUsage().heapUsed;
}
