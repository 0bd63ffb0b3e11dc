// The ways in which npm's `hashring` lets servers be given, made one.
import { fault } from './fault.js';

/** What was given as `{ servers, vnodes }`; the points that each asks for are in `vnodes`. */
export function parse(given) {
  const servers = listed(given);
  const vnodes = Object.create(null);
  for (const server of servers) vnodes[server.string] = server.vnodes;
  return { servers, vnodes };
}

function listed(given) {
  if (Array.isArray(given)) return given.map((server) => (typeof server === 'string' ? named(server) : described(server)));
  if (typeof given === 'object' && given !== null) return Object.keys(given).map((name) => named(name, given[name]));
  if (typeof given === 'string' && given !== '') return [named(given)];
  if (!given && given !== null) return [];
  throw unknown(given);
}

// By name; `value` is its weight, or has `weight` and `vnodes`.
function named(string, value) {
  if (value === null) throw fault('invalid-argument', `${string} must have a weight, or an object with weight and vnodes, not null`);
  const [host, port] = string.split(':');
  const options = typeof value === 'object' ? value : { weight: value };
  try {
    return { host, port: +port, string, weight: +options.weight || 1, vnodes: Array.isArray(value) ? 0 : +options.vnodes || 0 };
  } catch (error) {
    throw fault('invalid-argument', `${string} must have numbers as weight and vnodes: ${error?.message}`);
  }
}

// By an object with `host` and `port`. Ours is a copy.
function described(server) {
  if (typeof server !== 'object' || server === null) throw unknown(server);
  const { host, port, vnodes } = server;
  return { ...server, host, port, string: `${host}:${port}`, weight: 1, vnodes };
}

function unknown(given) {
  return fault('invalid-argument', `servers must be a string, an array or an object of them, not ${given === null ? 'null' : typeof given}`);
}
