// What happened, as long as it is remembered, and how the servers stood before it. Pure.

export const LOG_MAX = 5000;

export function createLog(max = LOG_MAX) {
  let entries = [];
  let transitions = [];
  let n = 0;

  // Both ends are cheap: the old ones go in one piece.
  const bounded = (list) => (list.length > max + max / 4 ? list.slice(-max) : list);

  return {
    // The newest last.
    get entries() {
      return entries.length > max ? entries.slice(-max) : entries;
    },
    // How many there were ever.
    get count() {
      return n;
    },
    add(line) {
      n += 1;
      entries.push({ ...line, id: n, at: Date.parse(line.time) });
      entries = bounded(entries);
    },
    // A server stands otherwise than before.
    stood(server, was, at) {
      transitions.push({ server, was, at });
      transitions = bounded(transitions);
    },
    // How servers stood at `time` that stand otherwise now: a Map.
    standingsAt(time) {
      const words = new Map();
      for (let i = transitions.length - 1; i >= 0 && transitions[i].at > time; i--) words.set(transitions[i].server, transitions[i].was);
      return words;
    },
  };
}
