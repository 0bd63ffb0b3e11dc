// Has an access log read: by a worker where there can be one, and else here, in slices.

import { readLog } from './worker.js';

const WORKER = './replay/worker.js';
// The policy of the page lets nothing but this be a worker.
const scripts = globalThis.trustedTypes?.createPolicy('ringway-worker', {
  createScriptURL: (url) => {
    if (url !== WORKER) throw new TypeError(`${url} is no worker of this page`);
    return url;
  },
});

const breath = () => new Promise((done) => setTimeout(done));

// Answers as `createReader` does. `signal` ends it.
export async function read(blob, settings, { onProgress, signal }) {
  let worker = null;
  // A page opened from disk may have none.
  if (location.protocol !== 'file:') {
    try {
      worker = new Worker(scripts ? scripts.createScriptURL(WORKER) : WORKER, { type: 'module' });
    } catch {
      worker = null;
    }
  }
  if (worker === null) return readLog(blob, settings, { onProgress, signal, pause: breath });
  try {
    return await new Promise((done, fail) => {
      signal.addEventListener('abort', () => fail(signal.reason));
      worker.addEventListener('message', ({ data: { progress, log, problem } }) => {
        if (log) done(log);
        else if (problem) fail(new Error(problem));
        else onProgress(progress);
      });
      // It could not be loaded: then it is done here.
      worker.addEventListener('error', (event) => {
        event.preventDefault();
        readLog(blob, settings, { onProgress, signal, pause: breath }).then(done, fail);
      });
      worker.postMessage({ blob, settings });
    });
  } finally {
    worker.terminate();
  }
}
