// What Live knows: what the proxy tells of its fleet, what is remembered of it, and the same fleet
// made again by an engine of the page's own, which draws the ring. No DOM, no clock, no network.

import { createFeed, parseLine } from '../shared/feed.js';
import { Fleet } from '../shared/fleet.js';
import { createFleetStore } from '../shared/fleet-store.js';
import { createMirror } from '../shared/mirror.js';
import { KEYLESS } from '../shared/words.js';
import { createHistory } from './history.js';
import { createLog } from './log.js';

// More servers than this that come or go at once are one change of the picture.
const NOTES_MAX = 8;
// Of so many points a picture takes a while, and is made less often.
const MANY_POINTS = 20_000;
const PICTURE_PAUSE_MS = 2000;
// Over so many seconds it is counted how evenly requests fall: one alone is all noise.
const LOAD_SECONDS = 30;

export function createStore(LoadBalancer) {
  const nobody = new Fleet(LoadBalancer, { servers: [], virtualNodes: 100 });
  const base = createFleetStore(nobody, { mode: 'live', live: null, time: null, asked: null }, rows);
  const { update, updateFleet, note, replace, prepare } = base;
  const feed = createFeed();
  const history = createHistory();
  const log = createLog();
  const mirror = createMirror();
  // What was heard and is not shown yet.
  let isStateNew = false;
  let isFleetNew = false;
  let picturedAt = -Infinity;

  // The servers as they are shown: as the proxy says, with the shares of the page's own engine.
  function rows(servers, { live, time }) {
    if (!live) return servers;
    const past = time === null ? null : log.standingsAt(time);
    return servers.map((own) => {
      const told = live.servers.get(own.name);
      if (!told) return own;
      const standing = past?.get(own.name) ?? told.standing;
      const row = { ...own, ...told, standing, eligible: standing === 'eligible', share: own.share };
      return past ? { ...row, ...figuresAt(own.name, time) } : row;
    });
  }

  function figuresAt(name, time) {
    const { rps = NaN, errorRate = NaN, p50 = NaN, p99 = NaN, inFlight = NaN } = history.at(name, time) ?? {};
    const known = (value) => (Number.isNaN(value) ? null : value);
    return { rps: known(rps), errorRate: known(errorRate), p50: known(p50), p99: known(p99), inFlight: known(inFlight) };
  }

  const liveOf = (patch) => ({ ...base.state.live, ...feed.state, ...patch });

  // Another state: the fleet as it was found, unless it is the one that is shown.
  function begin() {
    const { config, servers, failOpen, fingerprint, program } = feed.state;
    const { fleet, state } = base;
    // Of other rules the page draws what a ring would be, and says so.
    const { algorithm: rule, virtual_nodes: virtualNodes } = config.routing;
    const algorithm = KEYLESS.has(rule) ? rule : 'ring';
    const mayFailOpen = config.routing.fail_open;
    const isKnown = state.live && fleet.virtualNodes === virtualNodes && fleet.algorithm === algorithm && fleet.failOpen === mayFailOpen;
    const isAlike = state.live?.fingerprint === fingerprint && state.live?.program === program ? state.live.isAlike : agrees(feed.state);
    const live = liveOf({ isAlike, rule, failOpen });
    if (isKnown) {
      catchUp({ live });
      return;
    }
    replace(new Fleet(LoadBalancer, { servers: mirror.begin(servers), virtualNodes, failOpen: mayFailOpen, algorithm }), { live, changes: [], problem: null, selected: null });
    doTogether(mirror.difference(base.fleet, servers));
  }

  function doTogether(news) {
    base.fleet.together(() => {
      for (const { act } of news) act();
    });
    updateFleet({});
  }

  // Whether the page's engine makes of this state what the proxy's made.
  function agrees({ routing, fingerprint }) {
    try {
      const engine = LoadBalancer.fromSnapshot(routing);
      const isAlike = engine.fingerprint === fingerprint;
      engine.free();
      return isAlike;
    } catch {
      // It says itself that it cannot: of another release.
      return false;
    }
  }

  // Does to the page's own fleet what happened to the proxy's, and notes what that moved.
  function catchUp(patch) {
    const news = mirror.difference(base.fleet, feed.state.servers);
    prepare(patch);
    if (news.length > (base.state.view.nPoints > MANY_POINTS ? 1 : NOTES_MAX)) {
      doTogether(news);
      return;
    }
    for (const { act, ...entry } of news) {
      const before = base.state.view;
      note({ ...entry, moved: act(), at: feed.state.at }, before);
    }
    if (news.length === 0) update({});
  }

  const standings = () => new Map([...(feed.state?.servers ?? [])].map(([name, { standing }]) => [name, standing]));

  return {
    ...base.doors,
    history,
    log,
    get state() {
      return base.state;
    },

    // The proxy told something: a line of its feed.
    hear(text) {
      const line = parseLine(text);
      if (line === null) return;
      const [boot, before] = [feed.state?.boot, standings()];
      const kind = feed.take(line);
      if (kind === null) return;
      for (const [name, { standing, since }] of feed.state.servers) {
        const was = before.get(name);
        if (was !== undefined && was !== standing) log.stood(name, was, since);
      }
      if (kind === 'snapshot') {
        if (boot !== undefined && boot !== line.boot) log.add({ event: 'restarted', time: line.time });
        isStateNew = true;
      } else if (kind === 'tick') {
        history.put(feed.state);
        isFleetNew ||= Boolean(line.changed || line.servers);
      } else {
        log.add(line);
        isFleetNew = true;
      }
    },
    // Shows what was heard since; `now` is a time in milliseconds of any clock.
    settle(now) {
      if (feed.state === null) return;
      const isPause = base.state.view.nPoints > MANY_POINTS && now - picturedAt < PICTURE_PAUSE_MS;
      if (!isStateNew && (!isFleetNew || isPause)) {
        update({ live: liveOf() });
        return;
      }
      const act = isStateNew ? begin : () => catchUp({ live: liveOf() });
      [isStateNew, isFleetNew, picturedAt] = [false, false, now];
      act();
    },
    // The stream broke, or is there again: noted, so that a gap in the log is seen as one.
    broke(text, at) {
      feed.broke();
      log.add({ event: 'stream-broke', time: new Date(at).toISOString(), text });
    },
    // What the proxy itself says of a key: { key, walk, problem }.
    answer(asked) {
      update({ asked });
    },
    // Shows a moment of the past; null shows the present.
    showTime(time) {
      update({ time });
    },
    // All servers together, at the moment that is shown.
    total() {
      const { live, time } = base.state;
      return time === null ? live.total : { ...live.total, ...figuresAt(null, time), overflowRate: null };
    },
    // How evenly requests fall: each server's part over its fair one, the largest over the mean;
    // null without requests. Of the servers that take requests.
    load() {
      const { live, servers, time } = base.state;
      const now = time ?? live.at;
      const eligible = servers.filter(({ standing }) => standing === 'eligible');
      const weights = eligible.reduce((sum, { weight }) => sum + weight, 0);
      const rates = eligible.map(({ name, weight }) => {
        const known = history.last(name, 'rps', now, LOAD_SECONDS).filter((value) => !Number.isNaN(value));
        return { name, fair: weight / weights, rps: known.length === 0 ? 0 : known.reduce((a, b) => a + b, 0) / known.length };
      });
      const all = rates.reduce((sum, { rps }) => sum + rps, 0);
      const ratios = new Map(rates.map(({ name, fair, rps }) => [name, all === 0 ? 0 : rps / all / fair]));
      return { peak: all === 0 ? null : Math.max(...ratios.values()), ratios };
    },
    // A copy for Explore to go on with, which no proxy sees.
    copy() {
      const { fleet, state } = base;
      return { servers: state.view.servers, virtualNodes: fleet.virtualNodes, algorithm: fleet.algorithm, failOpen: fleet.failOpen };
    },
  };
}
