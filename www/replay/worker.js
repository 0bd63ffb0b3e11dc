// Reads an access log aside, so that the page goes on: a slice at a time, and says how far it is.

import { createReader } from './access-log.js';

const SLICE = 64 * 1024;

// Reads a File or Blob. `onProgress(fraction)` is told now and then; ends early when `signal` aborts.
export async function readLog(blob, settings, { onProgress = () => {}, pause = () => undefined, signal } = {}) {
  const reader = createReader(settings);
  const decoder = new TextDecoder();
  for (let at = 0; at < blob.size && !reader.isFull; at += SLICE) {
    signal?.throwIfAborted();
    reader.push(decoder.decode(await blob.slice(at, at + SLICE).arrayBuffer(), { stream: true }));
    if ((at / SLICE) % 16 === 15) {
      onProgress(at / blob.size);
      await pause();
    }
  }
  reader.push(decoder.decode());
  return reader.end();
}

if (typeof WorkerGlobalScope !== 'undefined' && globalThis instanceof WorkerGlobalScope) {
  globalThis.addEventListener('message', async ({ data: { blob, settings } }) => {
    try {
      const log = await readLog(blob, settings, { onProgress: (progress) => postMessage({ progress }) });
      postMessage({ log }, [log.times.buffer, log.ids.buffer]);
    } catch (error) {
      postMessage({ problem: error.message });
    }
  });
}
