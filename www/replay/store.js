// What Replay knows: what is replayed, where it is, and who gets the keys at that moment. Every
// request is routed by an engine that has gone through all that happened before it. No DOM.

import { Fleet } from '../shared/fleet.js';
import { createFleetStore } from '../shared/fleet-store.js';
import { createMirror } from '../shared/mirror.js';
import { KEYLESS } from '../shared/words.js';
import { createClock } from './clock.js';
import { createTraveller, fromLines } from './recording.js';
import { SCENARIOS, play } from './scenarios.js';

// Requests whose servers are shown: those of so much time, and never more than these.
export const WINDOW_MS = 10_000;
const WINDOW_MAX = 20_000;
// Keys for which it is asked whether they are elsewhere than at the beginning.
const KEYS_MAX = 50_000;

export function createStore(LoadBalancer) {
  const nobody = new Fleet(LoadBalancer, { servers: [], virtualNodes: 100 });
  const clock = createClock();
  const mirror = createMirror();
  const base = createFleetStore(nobody, { mode: 'replay', story: null, recording: null, log: null, titles: {}, moment: null, notice: null }, rows);
  const { update, updateFleet, replace } = base;
  let traveller = null;
  let pictured = -1;
  let [homeOf, homeCount, movedAt, moved] = [null, 0, -1, null];

  function rows(servers, { moment }) {
    if (!moment) return servers;
    return servers.map((own) => {
      const told = moment.servers.get(own.name);
      return { ...own, ...(told && { standing: told.standing, state: told.state, eligible: told.eligible, admission: told.admission }), requests: moment.counts.get(own.name) ?? 0 };
    });
  }

  // Another recording or log: the stretch of time is that of both.
  function begin(patch) {
    const next = { ...base.state, ...patch };
    base.prepare(patch);
    traveller?.free();
    traveller = createTraveller(LoadBalancer, next.recording);
    const { log, recording } = next;
    const hasLog = log && log.times.length > 0;
    const ends = [...(hasLog ? [log.times[0], log.times.at(-1)] : []), ...(recording.isStanding ? [] : [recording.from, recording.to])];
    clock.span(Math.min(...ends), Math.max(...ends));
    traveller.goTo(clock.from);
    const keys = hasLog ? log.keys.slice(0, KEYS_MAX) : [];
    homeOf = traveller.engine.routeMany(keys).map((server) => server?.name);
    homeCount = keys.length;
    [movedAt, moved] = [-1, null];
    const servers = mirrored();
    const { routing } = traveller.engine.toJSON();
    const algorithm = KEYLESS.has(routing.algorithm) ? routing.algorithm : 'ring';
    replace(new Fleet(LoadBalancer, { servers: mirror.begin(servers), virtualNodes: routing.virtual_nodes, failOpen: routing.fail_open, algorithm }), { changes: [], selected: null, notice: overlap(next), moment: momentAt(clock.at) });
    pictured = -1;
    show();
  }

  function overlap({ recording, log }) {
    if (!log || log.times.length === 0 || recording.isStanding) return null;
    const isApart = log.times.at(-1) < recording.from || log.times[0] > recording.to;
    return isApart ? 'The recording and the access log are of different times: keys are routed by the fleet at the recording’s nearest end.' : null;
  }

  // The servers as the engine has them at this moment.
  const mirrored = () => new Map(traveller.engine.servers().map((server) => [server.name, server]));

  // The first request after `time`.
  function after(time) {
    const { times } = base.state.log;
    let [low, high] = [0, times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Whom the requests of the last seconds went to: each by the fleet of its own moment.
  function routed(at) {
    const { log } = base.state;
    if (!log || log.times.length === 0) return { counts: new Map(), latest: [] };
    const end = after(at);
    const first = Math.max(0, after(at - WINDOW_MS), end - WINDOW_MAX);
    const counts = new Map();
    const latest = [];
    for (let i = first; i < end; i++) {
      traveller.goTo(log.times[i]);
      const name = traveller.engine.route(log.keys[log.ids[i]])?.name;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      if (end - i <= 12) latest.unshift({ id: i, at: log.times[i], key: log.keys[log.ids[i]], server: name });
    }
    return { counts, latest };
  }

  // What part of the log's keys is elsewhere than at the beginning.
  function movedNow() {
    if (homeCount === 0) return null;
    if (movedAt !== traveller.version) {
      movedAt = traveller.version;
      const now = traveller.engine.routeMany(base.state.log.keys.slice(0, KEYS_MAX));
      moved = now.reduce((n, server, i) => n + (server?.name === homeOf[i] ? 0 : 1), 0) / homeCount;
    }
    return moved;
  }

  function momentAt(at) {
    const { counts, latest } = routed(at);
    traveller.goTo(at);
    return { at, counts, latest, servers: mirrored(), moved: movedNow(), answer: base.state.key === '' ? null : traveller.engine.explain(base.state.key) };
  }

  // Brings everything to where the clock is.
  function show() {
    if (traveller === null) return;
    const moment = momentAt(clock.at);
    if (pictured !== traveller.version) {
      pictured = traveller.version;
      const news = mirror.difference(base.fleet, moment.servers);
      if (news.length > 0) {
        base.fleet.together(() => {
          for (const { act } of news) act();
        });
        updateFleet({ moment });
        return;
      }
    }
    update({ moment });
  }

  // A fleet that stays as it is, for a log without a recording.
  function standing(config) {
    const engine = new LoadBalancer(config);
    for (let now = 0; now < 3; now++) {
      engine.advance(now);
      for (const probe of engine.probesDue()) engine.recordProbe(probe, { ok: true, latencyMs: 1 });
    }
    const line = {
      event: 'snapshot', seq: 1, time: new Date(0).toISOString(), format: 'ringway-events', version: 2, boot: 'standing', program: '', generation: 1, fingerprint: engine.fingerprint,
      fail_open: false, config: engine.toJSON(), servers: engine.servers(), since_s: engine.servers().map(() => 0), routing: engine.snapshot(),
    };
    engine.free();
    return { ...fromLines([line]), isStanding: true };
  }

  return {
    ...base.doors,
    clock,
    get state() {
      return base.state;
    },
    get isLoaded() {
      return traveller !== null;
    },
    setKey(key) {
      base.prepare({ key });
      show();
    },
    tellStory(name) {
      begin({ story: name, ...play(LoadBalancer, SCENARIOS[name]), titles: { recording: SCENARIOS[name].title } });
    },
    openRecording(recording, title) {
      const { log, story } = base.state;
      begin({ story: null, recording, log: story === null ? log : null, titles: { recording: title, log: story === null ? base.state.titles.log : undefined } });
    },
    // `config` is a fleet that stays, where no recording is open.
    openLog(log, title, config) {
      const { recording, story } = base.state;
      const goesOn = recording !== null && story === null && !recording.isStanding;
      begin({ story: null, log, recording: goesOn ? recording : standing(config), titles: { recording: goesOn ? base.state.titles.recording : undefined, log: title } });
    },
    setFleet(config) {
      begin({ story: null, recording: standing(config), titles: { ...base.state.titles, recording: undefined } });
    },
    show,
    // The next or the last thing that happened, or request where nothing did.
    step(by) {
      const { recording, log } = base.state;
      const { at } = clock;
      const times = recording.events.length > 0 ? recording.events.map((event) => event.at) : Array.from(log?.times ?? []);
      const found = by > 0 ? times.find((time) => time > at) : times.findLast((time) => time < at);
      clock.pause();
      clock.goTo(found ?? (by > 0 ? clock.to : clock.from));
      show();
    },
  };
}
