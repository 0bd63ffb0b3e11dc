// What Explore knows, and everything that can be done to it. No DOM, no clock, no network: the
// page calls the actions here, and draws `state` when told that it changed.
//
// There are two fleets: the one that is, and the one that would be after the edits that are staged.
// What is staged is drawn over what is, until it is committed or taken back.

import { PINS_MAX } from '../shared/ring-base.js';
import { assign } from '../shared/slots.js';
import { ALL } from '../shared/window.js';
import { Fleet } from './fleet.js';
import { difference, edited, scenario, stateOf, suggestion } from './spec.js';

const PAST_MAX = 100;
const LEDGER_MAX = 50;

export function createStore(LoadBalancer, first = 'few') {
  const listeners = new Set();
  let [base, next] = [new Fleet(LoadBalancer, scenario(first)), null];
  let state = {
    scenario: first,
    // What the fleet was, and what it would be: each edit since then, and the engine's plan of them.
    spec: base.spec,
    staged: null,
    edits: [],
    plan: null,
    // What was committed, the latest first: { edits, plan }.
    ledger: [],
    past: [],
    future: [],
    key: 'user-42',
    keys: '',
    pins: [],
    selected: null,
    slots: new Map(),
    window: ALL,
    problem: null,
  };

  // Takes over what changed, derives the rest and tells everybody.
  function update(patch) {
    const { slots } = state;
    state = { ...state, ...patch };
    state.before = base.view();
    state.view = (next ?? base).view();
    state.servers = state.view.servers;
    const names = state.servers.map(({ name }) => name);
    // Those that would leave are still seen in what was.
    if (next) names.push(...state.before.servers.map(({ name }) => name).filter((name) => !names.includes(name)));
    const walked = state.key === '' || state.view.isKeyless ? null : (next ?? base).explain(state.key);
    state.walk = walked;
    state.pins = state.pins.filter((name) => names.includes(name));
    if (!names.includes(state.selected)) state.selected = null;
    state.slots = assign(slots, names, [...state.pins, state.selected, walked?.server, walked?.owner]);
    for (const listener of listeners) listener(state);
  }

  const moment = () => ({ scenario: state.scenario, spec: state.spec, staged: state.staged, edits: state.edits, ledger: state.ledger });
  const remember = () => ({ past: [...state.past, moment()].slice(-PAST_MAX), future: [] });

  // Makes the fleets of a moment. Throws, having changed nothing, what the engine refuses.
  function enter({ spec, staged }) {
    const nextBase = spec === base.spec ? base : new Fleet(LoadBalancer, spec);
    let nextNext = null;
    let plan = null;
    try {
      nextNext = staged === null ? null : next?.spec === staged ? next : new Fleet(LoadBalancer, staged);
      if (staged !== null && !nextBase.view().isKeyless && !nextNext.view().isKeyless) plan = nextBase.plan(difference(spec, staged));
    } catch (error) {
      if (nextNext !== next) nextNext?.free();
      if (nextBase !== base) nextBase.free();
      throw error;
    }
    if (next !== nextNext) next?.free();
    if (base !== nextBase) base.free();
    [base, next] = [nextBase, nextNext];
    return plan;
  }

  // Goes on at another moment. A refusal of the engine is shown, not thrown.
  function go(to, patch, about) {
    let plan;
    try {
      plan = enter(to);
    } catch (error) {
      update({ problem: { ...about, message: error.message } });
      return false;
    }
    update({ ...to, plan, problem: null, ...patch });
    return true;
  }

  function stage(edit) {
    if (next === null && edited(state.spec, edit) === state.spec) return true;
    const staged = edited(state.staged ?? state.spec, edit);
    const last = state.edits[state.edits.length - 1];
    // A slider that is dragged is one edit.
    const isMore = last && last.kind === edit.kind && last.server === edit.server && ['weighed', 'virtualNodes'].includes(edit.kind);
    const edits = isMore ? [...state.edits.slice(0, -1), { ...edit, was: last.was }] : [...state.edits, edit];
    const patch = isMore ? { future: [] } : remember();
    return go({ ...moment(), staged, edits }, patch, { kind: edit.kind, server: edit.server });
  }

  const serverOf = (name) => (state.staged ?? state.spec).servers.find((server) => server.name === name);

  update({});

  return {
    get state() {
      return state;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    // The fleet that is shown, for questions whose answers are not kept.
    get fleet() {
      return next ?? base;
    },
    // The one without what is staged.
    get committed() {
      return base;
    },

    // === Edits, which are staged ===

    add: (server) => stage({ kind: 'added', server: server.name, spec: server }),
    suggestion: () => suggestion(state.staged ?? state.spec),
    remove: (name) => stage({ kind: 'removed', server: name }),
    rename(name, to) {
      if (name === to) return true;
      const isDone = stage({ kind: 'renamed', server: name, to });
      if (isDone) update({ selected: to });
      return isDone;
    },
    setWeight(name, weight) {
      const was = serverOf(name)?.weight;
      return was === weight || stage({ kind: 'weighed', server: name, was, weight });
    },
    // One of STATES.
    setState(name, to) {
      const was = stateOf(state.staged ?? state.spec, name);
      return was === to || stage({ kind: 'state', server: name, was, state: to });
    },
    setVirtualNodes(n) {
      const was = state.view.virtualNodes;
      return was === n || stage({ kind: 'virtualNodes', was, n });
    },
    setAlgorithm(algorithm) {
      const was = state.view.algorithm;
      return was === algorithm || stage({ kind: 'algorithm', was, algorithm });
    },
    commit() {
      if (next === null) return;
      const { staged, edits, plan, ledger } = state;
      // The engines that were made for the preview go on as they are.
      const old = base;
      const patch = remember();
      [base, next] = [next, null];
      old.free();
      update({ spec: staged, staged: null, edits: [], plan: null, ledger: [{ edits, plan }, ...ledger].slice(0, LEDGER_MAX), ...patch });
    },
    discard() {
      if (next !== null) go({ ...moment(), staged: null, edits: [] }, remember(), {});
    },
    undo() {
      const before = state.past[state.past.length - 1];
      if (before) go(before, { past: state.past.slice(0, -1), future: [moment(), ...state.future] }, { kind: 'undo' });
    },
    redo() {
      const [after, ...future] = state.future;
      if (after) go(after, { past: [...state.past, moment()], future }, { kind: 'redo' });
    },

    // === Another fleet altogether ===

    load: (name) => go({ scenario: name, spec: scenario(name), staged: null, edits: [], ledger: [] }, { ...remember(), window: ALL, selected: null, pins: [] }, { kind: 'scenario' }),
    // A spec from elsewhere: a file, an address, another mode.
    receive: (spec) => go({ scenario: null, spec, staged: null, edits: [], ledger: [] }, { ...remember(), window: ALL, selected: null, pins: [] }, { kind: 'import' }),

    // === What is looked at ===

    setKey(key) {
      update({ key });
    },
    setKeys(keys) {
      update({ keys });
    },
    select(name) {
      if (name !== state.selected) update({ selected: name });
    },
    // Has a server stand out, or no longer.
    pin(name) {
      const { pins } = state;
      update({ pins: pins.includes(name) ? pins.filter((other) => other !== name) : [...pins, name].slice(-PINS_MAX) });
    },
    unpin() {
      if (state.pins.length > 0 || state.selected !== null) update({ pins: [], selected: null });
    },
    setWindow(window) {
      update({ window });
    },
    // Shows what was wrong with something from elsewhere.
    refuse(message) {
      update({ problem: { kind: 'import', message } });
    },
    clearProblem() {
      if (state.problem) update({ problem: null });
    },
  };
}
