// A fleet as it goes out and comes in: configurations, links, commands, snippets. What comes in is
// foreign until the engine has read it. Pure.

import { ofConfig, toConfig } from './spec.js';

// Whose page this is, for those who paste what it says.
const PACKAGE = `ringway`;

// What is in a link: the fleet and what is looked at.
export const stateOf = ({ spec, staged, key, pins }) => ({ fleet: staged ?? spec, key, pins });

// The configuration of the fleet that is shown, as its engine writes it.
export const configText = ({ spec, staged }) => `${JSON.stringify(toConfig(staged ?? spec), null, 2)}\n`;

// A spec of the text of a configuration; the engine reads it. Throws what it finds wrong, with where.
export function readConfig(LoadBalancer, text) {
  let config;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new Error(`this is not JSON: ${error.message}`);
  }
  const engine = new LoadBalancer(config);
  engine.free();
  return ofConfig(config);
}

// A spec of a link's `fleet`, which may be anything.
export function readFleet(LoadBalancer, fleet) {
  const { servers, routing = {}, rest = {}, draining = [], killed = [] } = fleet ?? {};
  const spec = readConfig(LoadBalancer, JSON.stringify({ ...rest, servers, routing }));
  const names = new Set(spec.servers.map(({ name }) => name));
  const known = (list) => (Array.isArray(list) ? list.filter((name) => names.has(name)) : []);
  return { ...spec, draining: known(draining), killed: known(killed) };
}

// In single quotes, as a POSIX shell takes it, whatever it is.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// A command that asks the native program what this page shows: where the key goes.
export function command({ spec, staged, key }) {
  const { servers, routing } = toConfig(staged ?? spec);
  return `printf %s ${quoted(JSON.stringify({ servers, routing }))} > config.json && ringway explain --config config.json -- ${quoted(key)}`;
}

// The same for the package.
export function snippet({ spec, staged, key }) {
  const { servers, routing } = toConfig(staged ?? spec);
  return `import { LoadBalancer } from '${PACKAGE}';

const lb = new LoadBalancer(${JSON.stringify({ servers, routing }, null, 2)});
console.log(lb.route(${JSON.stringify(key)})?.name);
`;
}
