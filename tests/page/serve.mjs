// A static web server for www/, and no more than that; `answer` may answer a path itself, as a
// proxy's API does: at once, or with a stream.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, resolve } from 'node:path';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

export const www = resolve(import.meta.dirname, '../../www');

/** Serves www/, or another `folder`, under `prefix` on loopback. Answers with its URL and a function that stops it. */
export async function serve({ folder = www, prefix = '/', answer = () => undefined } = {}) {
  const server = createServer(async (request, response) => {
    const { pathname, search } = new URL(request.url, 'http://localhost');
    const path = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : undefined;
    let body = '';
    for await (const chunk of request) body += chunk;
    const told = answer(path, search, { method: request.method, headers: request.headers, body });
    if (told) {
      response.writeHead(told.status ?? 200, { 'content-type': told.type ?? 'application/json', 'cache-control': 'no-store' });
      if (told.stream) {
        told.stream(response);
        return;
      }
      response.end(told.text ?? JSON.stringify(told.body));
      return;
    }
    const file = join(folder, normalize(`/${path === '' ? 'index.html' : decodeURIComponent(path ?? '')}`));
    try {
      const found = path === undefined ? null : await readFile(file);
      if (found === null) throw new Error('outside');
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
      response.end(found);
    } catch {
      response.writeHead(404, { 'content-type': 'text/plain' });
      response.end('not found');
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
}
