// Watches the proxy that served the page, if one did: asks its API once, and if it answers with
// servers, again a second after each answer. A page that is not seen asks nothing.

const PAUSE_MS = 1000;
const PATIENCE_MS = 5000;

// Calls `onAnswer({ servers, ring, health, at })` and `onLoss(why, at)`. Answers with a function
// that ends it. Everything of the browser comes in, so that it can be tested without one.
export function watch({ onAnswer, onLoss, fetch = globalThis.fetch, document = globalThis.document, now = Date.now, base = './api/' }) {
  let timer;
  let isAttached = false;
  let isAsking = false;
  let isOver = false;

  async function get(path) {
    const answer = await fetch(base + path, { cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(PATIENCE_MS) });
    const type = answer.headers.get('content-type') ?? '';
    // The fleet's health is told with 503 when it is bad; that is an answer all the same.
    if (!answer.ok && !(path === 'health' && type.includes('application/json'))) {
      throw new Error(`the API answered ${answer.status}${answer.status === 401 || answer.status === 403 ? ': it wants a token, which this page cannot give yet' : ''}`);
    }
    return answer.json();
  }

  async function ask() {
    if (isOver || isAsking || document.hidden) return;
    isAsking = true;
    try {
      const [{ servers }, ring, health] = isAttached
        ? await Promise.all([get('servers'), get('ring?limit=1'), get('health')])
        : await first();
      if (!isOver && servers) {
        isAttached = true;
        onAnswer({ servers, ring, health, at: now() });
      }
    } catch (error) {
      if (isAttached && !isOver) onLoss(why(error), now());
    } finally {
      isAsking = false;
      if (isAttached && !isOver) timer = setTimeout(ask, PAUSE_MS);
    }
  }

  // A static server has a file there that says there are no servers, or nothing at all.
  async function first() {
    const answer = await get('servers');
    if (!Array.isArray(answer.servers)) return [{ servers: null }];
    return [answer, await get('ring?limit=1'), await get('health')];
  }

  const seen = () => {
    clearTimeout(timer);
    if (isAttached) ask();
  };
  document.addEventListener('visibilitychange', seen);
  const started = ask();
  return {
    started,
    stop() {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    },
  };
}

function why(error) {
  if (error.name === 'TimeoutError') return 'the API does not answer';
  return error instanceof TypeError ? 'the API cannot be reached' : error.message;
}
