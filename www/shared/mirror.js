// Makes a fleet of the page's own like one that is told of. No DOM, no clock.

const isOut = ({ standing, state }) => standing !== 'eligible' && state !== 'draining';
const specOf = ({ name, address, port, weight, backup }) => ({ name, address, port, weight, backup });

export function createMirror() {
  // What the page's own fleet was told: name → { weight, state, isOut }.
  let mine = new Map();
  const noted = (servers) => new Map([...servers].map(([name, server]) => [name, { weight: server.weight, state: server.state, isOut: isOut(server) }]));

  return {
    // What a new fleet begins with, so that only standings are left to follow.
    begin(servers) {
      const specs = [...servers.values()].map(specOf);
      mine = new Map(specs.map(({ name, weight }) => [name, { weight, state: 'active', isOut: false }]));
      return specs;
    },
    // What has to happen to `fleet` to be like `servers`, a Map by name: [{ kind, server, act, … }].
    difference(fleet, servers) {
      const news = [];
      for (const server of mine.keys()) {
        if (!servers.has(server)) news.push({ kind: 'removed', server, act: () => fleet.remove(server) });
      }
      for (const [server, told] of servers) {
        const { weight, state, standing } = told;
        const was = mine.get(server);
        if (!was) news.push({ kind: 'added', server, act: () => fleet.add(specOf(told)) });
        else if (was.weight !== weight) news.push({ kind: 'weighed', server, was: was.weight, weight, act: () => fleet.setWeight(server, weight) });
        if ((was?.state ?? 'active') !== state) news.push({ kind: state, server, act: () => fleet.setState(server, state) });
        if ((was?.isOut ?? false) !== isOut(told)) {
          news.push({ kind: isOut(told) ? 'out' : 'back', server, standing, act: () => (isOut(told) ? fleet.kill(server) : fleet.revive(server)) });
        }
      }
      mine = noted(servers);
      return news;
    },
  };
}
