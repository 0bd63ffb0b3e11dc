// Calls of the API beside the stream: what was asked is answered, or what was wrong is thrown.

const PATIENCE_MS = 8000;

// `token()` answers with the token, or null.
export function createApi({ token = () => null, fetch = globalThis.fetch.bind(globalThis), base = './api/' } = {}) {
  async function call(path, { method = 'GET', body, signal } = {}) {
    const given = token();
    const headers = {
      accept: 'application/json',
      ...(given === null ? {} : { authorization: `Bearer ${given}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const signals = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
    let answer;
    try {
      answer = await fetch(base + path, {
        method, headers, cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.any(signals), body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error(error.name === 'TimeoutError' ? 'the API does not answer' : 'the API cannot be reached');
    }
    const said = await answer.json().catch(() => null);
    if (answer.ok) return said;
    const faults = (said?.errors ?? []).map(({ path: at, message }) => `${at}: ${message}`).join('; ');
    const error = new Error(faults || said?.detail || `the API answered ${answer.status}`);
    throw Object.assign(error, { status: answer.status });
  }

  const named = (name) => `servers/${encodeURIComponent(name)}`;
  // What can be done to the fleet: the request for each, which is a plan with `isDry`.
  const DEEDS = {
    drain: ({ name }) => ({ method: 'PUT', path: `${named(name)}/state`, body: { state: 'draining' } }),
    activate: ({ name }) => ({ method: 'PUT', path: `${named(name)}/state`, body: { state: 'active' } }),
    weigh: ({ name, weight }) => ({ method: 'PUT', path: `${named(name)}/weight`, body: { weight } }),
    add: ({ spec }) => ({ method: 'POST', path: 'servers', body: spec }),
    remove: ({ name }) => ({ method: 'DELETE', path: named(name) }),
  };

  return {
    call,
    explain: (key, signal) => call(`explain?key=${encodeURIComponent(key)}`, { signal }),
    hotKeys: (signal) => call('hot-keys?limit=10', { signal }),
    // Does it, or only says what it would do.
    act(kind, wish, isDry) {
      const { path, ...request } = DEEDS[kind](wish);
      return call(isDry ? `${path}?dry_run=true` : path, request);
    },
  };
}
