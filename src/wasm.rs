//! The engine for JavaScript: convert, call, convert.
//!
//! `pkg-template/core.js` makes the class `LoadBalancer` of these functions. Each
//! balancer has a handle there; what is asked of one that was closed is answered
//! by nothing. Numbers alone cross, and memory that both know:
//!
//! - Keys are written by JavaScript straight into memory that the engine keeps
//!   for them ([`scratch`]), and servers come back as numbers: routing is asked
//!   millions of times. A server's number is its place in the routing table plus
//!   one; 0 is no server.
//! - What users write comes in as bytes ([`tree`]) and is read by the same rules as
//!   configuration files and REST bodies. Bytes have no getters that would run
//!   while the engine is borrowed.
//! - Views go out as bytes ([`answer`]), and so do refusals.
//!
//! All questions go by one function, [`ask`]: what generated code would need for
//! each on both sides is more than many of them are.

#![expect(unreachable_pub, reason = "they are exported to JavaScript")]

use core::cell::RefCell;
use core::time::Duration;
use std::sync::Arc;

use wasm_bindgen::prelude::wasm_bindgen;

use crate::config::{PlanSpec, RoutingConfig, SnapshotView};
use crate::engine::{
    Command, CommandError, Event, Events, Idle, KeyCounts, KeySketch, LayoutError, LoadBalancer,
    Memory, Observation, Outcome, Picker, Position, ProbeId, ProbeOutcome, Server, ServerId,
    ServerIndex, ServerName, Term, Timestamp,
};
use crate::wire::{
    self, ChangeView, DirectoryView, EventView, ExplainView, FaultView, Faults, HealthView,
    HotKeysView, MetricsView, PlanView, ProbeDueView, RefusalView, RingView, ServerMemory,
    ServerSpec, ServerView, ServersView, StateSpec, WeightSpec,
};

mod answer;
use answer::answer;

mod drawing;

mod tree;
use tree::Tree;

/// The bytes of a view, or those of a [`RefusalView`].
type Answer = Result<Vec<u8>, Vec<u8>>;

/// Random numbers are whole ones below this: as many as an f64 has without gaps.
const RANDOM_MAX: f64 = 9_007_199_254_740_992.0;

/// What [`ask`] says: that it refuses, that there is nothing to tell, or that
/// there is an answer. A change adds to the last what became of the servers by
/// number: times four how many stand before it, and 2 if one there is gone, and 1
/// if one is there now.
const REFUSED: u32 = 0;
const NOTHING: u32 = 1;
const ANSWERED: u32 = 2;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Math)]
    fn random() -> f64;
}

/// What JavaScript holds on to.
#[derive(Default)]
struct Door {
    /// By handle, less one.
    engines: Vec<Option<Box<Engine>>>,
    /// What JavaScript has written for the next call, which takes it.
    input: Vec<u8>,
    /// What the last call that had something to tell told.
    answer: Vec<u8>,
}

impl Door {
    /// Keeps what is told; says how it is to be read.
    fn tell(&mut self, answer: Answer) -> u32 {
        let said = if answer.is_ok() { ANSWERED } else { REFUSED };
        self.answer = answer.unwrap_or_else(|refusal| refusal);
        said
    }

    /// The same of what may be nothing.
    fn tell_any(&mut self, answer: Option<Vec<u8>>) -> u32 {
        answer.map_or(NOTHING, |answer| self.tell(Ok(answer)))
    }
}

thread_local! {
    static DOOR: RefCell<Door> = const {
        RefCell::new(Door { engines: Vec::new(), input: Vec::new(), answer: Vec::new() })
    };
}

/// The engine with this handle, as `call` wants it. One that was closed has
/// nothing to say.
#[inline(always)]
fn with<T: Default>(handle: u32, call: impl FnOnce(&mut Engine) -> T) -> T {
    DOOR.with_borrow_mut(
        |door| match door.engines.get_mut((handle as usize).wrapping_sub(1)) {
            Some(Some(engine)) => call(engine),
            _ => T::default(),
        },
    )
}

/// Where `bytes` bytes are to be written for the next call.
#[wasm_bindgen]
pub fn input(bytes: usize) -> *mut u8 {
    DOOR.with_borrow_mut(|door| {
        door.input = vec![0; bytes];
        door.input.as_mut_ptr()
    })
}

/// Where the answer is.
#[wasm_bindgen]
pub fn answer_at() -> *const u8 {
    DOOR.with_borrow(|door| door.answer.as_ptr())
}

/// How many bytes it has.
#[wasm_bindgen]
pub fn answer_bytes() -> usize {
    DOOR.with_borrow(|door| door.answer.len())
}

/// Makes a balancer of the configuration that was written; its handle, or 0 when
/// it is refused. Rules without keys draw what follows from `seed`, or from a
/// random number when it is none.
#[wasm_bindgen]
pub fn open(seed: f64) -> u32 {
    DOOR.with_borrow_mut(
        |door| match Engine::new(core::mem::take(&mut door.input), seed) {
            Ok(engine) => {
                let vacant = door.engines.iter().position(Option::is_none);
                let place = vacant.unwrap_or_else(|| {
                    door.engines.push(None);
                    door.engines.len() - 1
                });
                door.engines[place] = Some(Box::new(engine));
                place as u32 + 1
            }
            Err(refusal) => door.tell(Err(refusal)),
        },
    )
}

/// Gives back what the balancer has taken.
#[wasm_bindgen]
pub fn close(handle: u32) {
    DOOR.with_borrow_mut(|door| {
        if let Some(engine) = door.engines.get_mut((handle as usize).wrapping_sub(1)) {
            *engine = None;
        }
    });
}

/// Where keys are to be written: room for `bytes` of them. An earlier answer is
/// void then.
#[wasm_bindgen]
pub fn scratch(handle: u32, bytes: usize) -> *mut u8 {
    with(handle, |engine| {
        if engine.scratch.len() < bytes {
            engine.scratch.resize(bytes, 0);
        }
        engine.scratch.as_mut_ptr() as usize
    }) as *mut u8
}

/// Where the ends of `keys` keys are to be written before, and their servers are
/// to be read after [`route_batch`].
#[wasm_bindgen]
pub fn batch(handle: u32, keys: usize) -> *mut u32 {
    with(handle, |engine| {
        engine.batch.resize(keys, 0);
        engine.batch.as_mut_ptr() as usize
    }) as *mut u32
}

/// The number of the server for the key of `len` bytes in the scratch memory. By
/// a rule without keys the next pick.
#[wasm_bindgen]
pub fn route(handle: u32, len: usize) -> u32 {
    with(handle, |engine| engine.route(len))
}

/// The same for a request that begins: it is counted, and a hot key is spread.
#[wasm_bindgen]
pub fn begin(handle: u32, len: usize) -> u32 {
    with(handle, |engine| engine.begin(len))
}

/// Replaces the ends of the keys that lie in the scratch memory by the numbers
/// of their servers.
#[wasm_bindgen]
pub fn route_batch(handle: u32) {
    with(handle, Engine::route_batch);
}

/// Whether the rule has no keys, so that none need be written.
#[wasm_bindgen]
pub fn is_keyless(handle: u32) -> bool {
    with(handle, |engine| engine.is_keyless())
}

/// A request was sent to the server with this id; answers with the term.
#[wasm_bindgen]
pub fn request_started(handle: u32, id: f64) -> u32 {
    with(handle, |engine| engine.request_started(id))
}

/// The request that was sent in this term has ended; tells what came of it.
#[wasm_bindgen]
pub fn request_finished(handle: u32, id: f64, term: u32, ok: bool, latency_ms: f64) -> u32 {
    let events = with(handle, |engine| {
        engine.request_finished(id, term, ok, latency_ms)
    });
    DOOR.with_borrow_mut(|door| door.tell_any(events))
}

/// Lets time pass; tells what came of it.
#[wasm_bindgen]
pub fn advance(handle: u32, now_ms: f64) -> u32 {
    let events = with(handle, |engine| engine.advance_to(timestamp(now_ms)));
    DOOR.with_borrow_mut(|door| door.tell_any(events))
}

/// When [`advance`] has something to do next, rounded up; no number when never.
#[wasm_bindgen]
pub fn next_deadline_ms(handle: u32) -> f64 {
    let deadline = with(handle, |engine| engine.balancer.next_deadline());
    deadline.map_or(f64::NAN, |at| at.as_nanos().div_ceil(1_000_000) as f64)
}

/// The probe whose id is the first `id_bytes` of the text that was written has
/// ended; what follows says why, where it failed. Tells what came of it.
#[wasm_bindgen]
pub fn probe_finished(handle: u32, id_bytes: usize, ok: bool, took_ms: f64) -> u32 {
    let text = DOOR.with_borrow_mut(|door| core::mem::take(&mut door.input));
    let events = with(handle, |engine| {
        let (id, why) = core::str::from_utf8(&text)
            .ok()?
            .split_at_checked(id_bytes)?;
        engine.probe_finished(id, if ok { None } else { Some(why) }, took_ms)
    });
    DOOR.with_borrow_mut(|door| door.tell_any(events))
}

/// Asks one of [`Engine::asked`], or for a change; says one of [`REFUSED`],
/// [`NOTHING`] and [`ANSWERED`].
#[wasm_bindgen]
pub fn ask(handle: u32, what: u32, n: f64, m: f64) -> u32 {
    let input = DOOR.with_borrow_mut(|door| core::mem::take(&mut door.input));
    let (answer, changed) = with(handle, |engine| {
        engine.changed = 0;
        let answer = engine.asked(what, &input, n, m).transpose();
        (answer, engine.changed)
    });
    DOOR.with_borrow_mut(|door| match answer {
        None => NOTHING,
        Some(answer) => door.tell(answer) + changed,
    })
}

/// A load balancer and what JavaScript needs beside it.
struct Engine {
    balancer: LoadBalancer,
    /// What it was made with, without the servers.
    config: RoutingConfig,
    /// The hottest keys of the requests that were begun.
    hot_keys: KeySketch,
    /// The last time JavaScript told; the engine reads no clock.
    now: Timestamp,
    /// Where JavaScript writes keys; it only grows.
    scratch: Vec<u8>,
    /// For each key of a batch: where it ends in `scratch`, then its server.
    batch: Vec<u32>,
    /// What the last change did to the servers by number.
    changed: u32,
    /// What rules without keys remember; made when it is first needed, since some
    /// runtimes give no random numbers before.
    picker: Option<Picker>,
    /// Probes that are due and not yet handed out, the latest of each server, in order.
    probes: Vec<(ProbeId, Server)>,
}

impl Engine {
    fn new(text: Vec<u8>, seed: f64) -> Result<Self, Vec<u8>> {
        let read = RoutingConfig::read(Tree(&text));
        let mut config = read.map_err(|e| faulty("invalid-config", &e))?;
        // What is taken on the way is never given back to JavaScript.
        drop(text);
        let servers = core::mem::take(&mut config.servers);
        let servers = servers.into_iter().map(Server::from).collect();
        let now = Timestamp::ZERO;
        let balancer = LoadBalancer::new(config.settings(), servers, now).map_err(refused)?;
        Ok(Self {
            balancer,
            hot_keys: KeySketch::new(&config.hot_keys.settings(), now),
            config,
            now,
            scratch: Vec::new(),
            batch: Vec::new(),
            changed: 0,
            picker: (!seed.is_nan()).then(|| Picker::new(seed as u64)),
            probes: Vec::new(),
        })
    }

    #[inline(always)]
    fn route(&mut self, len: usize) -> u32 {
        if self.is_keyless() {
            return self.pick();
        }
        number_of(&self.balancer, self.scratch.get(..len).unwrap_or_default())
    }

    fn begin(&mut self, len: usize) -> u32 {
        if self.is_keyless() {
            return self.pick();
        }
        let key = self.scratch.get(..len).unwrap_or_default();
        let table = self.balancer.table();
        let position = table.position(key);
        let spread = self.hot_keys.observe(table, position, key);
        let route = table.route_spread(Some(position), spread, &self.balancer, &[]);
        route.map_or(0, |route| number(route.server))
    }

    fn route_batch(&mut self) {
        if self.is_keyless() {
            for i in 0..self.batch.len() {
                self.batch[i] = self.pick();
            }
            return;
        }
        let mut start = 0;
        for entry in &mut self.batch {
            let end = *entry as usize;
            let key = self.scratch.get(start..end).unwrap_or_default();
            *entry = number_of(&self.balancer, key);
            start = end;
        }
    }

    fn is_keyless(&self) -> bool {
        self.balancer.table().keyless().is_some()
    }

    /// What JavaScript asks by number: `core.js` has the names. Of `n` and `m`
    /// each question says what they are; the input is a value ([`tree`]), or a
    /// text where it says so.
    fn asked(
        &mut self,
        what: u32,
        input: &[u8],
        n: f64,
        m: f64,
    ) -> Result<Option<Vec<u8>>, Vec<u8>> {
        let table = self.balancer.table();
        let answered = match what {
            // `n` servers by number, from the one after `m`.
            0 => {
                let servers = || table.servers().iter().skip(m as usize).take(n as usize);
                answer(&DirectoryView {
                    ids: servers().map(|entry| entry.id.number()).collect(),
                    servers: servers().map(|e| (&e.server).into()).collect(),
                })
            }
            // The numbers of the first `m` servers in the order in which the key of
            // `n` bytes prefers them.
            1 => {
                let candidates = table.explain(table.position(self.key(n)), &Idle, &[]);
                let numbers = candidates.iter().map(|candidate| number(candidate.server));
                answer(&numbers.take(m as usize).collect::<Vec<u32>>())
            }
            // [`ExplainView`] of the key of `n` bytes.
            2 => answer(&ExplainView::new(table, &self.balancer, self.key(n), None)),
            // Adds the server of a [`ServerSpec`]. This and the next three answer
            // with a [`ChangeView`].
            3 => {
                let server = Server::from(read::<ServerSpec>(input)?);
                self.change(Command::AddServer(server.clone()), &server.name)?
            }
            // Removes the server whose name is the text.
            4 => {
                let name = known(input)?;
                self.change(Command::RemoveServer(name.clone()), &name)?
            }
            // Sets the weight of a [`WeightSpec`]; before it stands the name, of
            // `n` bytes.
            5 => {
                let (name, spec) = named(input, n);
                let (name, weight) = (known(name)?, read::<WeightSpec>(spec)?.weight);
                self.change(Command::SetWeight(name.clone(), weight), &name)?
            }
            // The same of the state of a [`StateSpec`].
            6 => {
                let (name, spec) = named(input, n);
                let (name, state) = (known(name)?, read::<StateSpec>(spec)?.state);
                self.change(Command::SetState(name.clone(), state), &name)?
            }
            // [`PlanView`] of the changes of a [`PlanSpec`]; nothing is done.
            7 => {
                let changes = read::<PlanSpec>(input)?.changes(&self.config);
                let changes = changes.map_err(|faults| faulty("invalid-argument", &faults))?;
                let plan = self.balancer.plan(changes).map_err(refused)?;
                answer(&PlanView::new(&plan, None))
            }
            // The `servers` of [`ServersView`].
            8 => answer(&ServersView::from(&self.balancer.snapshot(self.now)).servers),
            // [`HealthView`].
            9 => answer(&HealthView::from(&self.balancer.snapshot(self.now))),
            // [`MetricsView`].
            10 => answer(&MetricsView::from(&self.balancer.snapshot(self.now))),
            // [`HotKeysView`] with at most `n` keys.
            11 => {
                let counts: KeyCounts = self.hot_keys.counts(table);
                let settings = self.config.hot_keys.settings();
                answer(&HotKeysView::new(&counts, &settings, table, n as usize))
            }
            // [`RingView`] with at most `n` points that stand after the position
            // of the text, or all of them if it is empty.
            12 => {
                let digits = core::str::from_utf8(input).unwrap_or_default();
                let after = u64::from_str_radix(digits, 16).ok();
                answer(&RingView::new(
                    table,
                    after.map(Position::from_bits),
                    n as usize,
                ))
            }
            // The configuration, with the servers there are now.
            13 => {
                let servers = table.servers().iter();
                self.config.servers = servers.map(|entry| (&entry.server).into()).collect();
                let all = answer(&self.config);
                self.config.servers = Vec::new();
                all
            }
            // [`SnapshotView`] of this moment.
            14 => answer(&SnapshotView::new(&self.config, &self.balancer, self.now)),
            // Goes on where the balancer was that the `servers` of a [`SnapshotView`]
            // are of, from `n` milliseconds on, or from the last time told when that
            // is no number; tells what came of it.
            15 => {
                let known: Vec<ServerMemory> = read(input)?;
                let memories: Vec<Memory> = known.into_iter().map(Memory::from).collect();
                if !n.is_nan() {
                    self.now = timestamp(n);
                }
                let events = self.balancer.resume(&memories, self.now);
                return Ok(self.report(events));
            }
            // Sixteen hexadecimal digits that are equal when two fleets route alike.
            16 => answer(&format!("{:016x}", table.fingerprint())),
            // The probes that are due and were not handed out before.
            17 => self.probes_due(),
            // [`Engine::points`].
            18 => self.points(),
            // [`Engine::point`] with the index `n`.
            19 => return Ok(self.point(n as usize)),
            // [`Engine::virtual_node`] of the point with the index `n`.
            20 => answer(&self.virtual_node(n as usize)),
            // [`Engine::cells`]: `n` of them, of `m` units.
            21 => self.cells(input, n as usize, m),
            _ => return Ok(None),
        };
        Ok(Some(answered))
    }

    fn key(&self, bytes: f64) -> &[u8] {
        self.scratch.get(..bytes as usize).unwrap_or_default()
    }

    /// The number of the server that a rule without keys picks.
    fn pick(&mut self) -> u32 {
        let random = || Picker::new((random() * RANDOM_MAX) as u64);
        let picker = self.picker.get_or_insert_with(random);
        let route = self.balancer.table().pick(picker, &self.balancer, &[]);
        route.map_or(0, |route| number(route.server))
    }

    fn request_started(&mut self, id: f64) -> u32 {
        let server = ServerId::from_number(id as u64);
        let started = Observation::RequestStarted { server };
        let _: Option<Vec<u8>> = self.observe(started);
        self.balancer.term(server).number()
    }

    fn request_finished(
        &mut self,
        id: f64,
        term: u32,
        ok: bool,
        latency_ms: f64,
    ) -> Option<Vec<u8>> {
        self.observe(Observation::RequestFinished {
            server: ServerId::from_number(id as u64),
            term: Term::from_number(term),
            outcome: if ok {
                Outcome::Status(200)
            } else {
                Outcome::NoAnswer
            },
            latency: duration(latency_ms),
        })
    }

    fn probes_due(&mut self) -> Vec<u8> {
        let _: Option<Vec<u8>> = self.advance_to(self.now);
        let mut probes = core::mem::take(&mut self.probes);
        let servers = self.balancer.table().servers().iter();
        let due: Vec<ProbeDueView> = servers
            .filter_map(|entry| {
                let at = find(&probes, entry.id).ok()?;
                let (probe, server) = probes.remove(at);
                Some(ProbeDueView {
                    id: format!("{}-{}", probe.server.number(), probe.round),
                    server: (&server).into(),
                })
            })
            .collect();
        answer(&due)
    }

    /// A probe has ended well, or `failed` says why not.
    fn probe_finished(&mut self, id: &str, failed: Option<&str>, took_ms: f64) -> Option<Vec<u8>> {
        let (server, round) = id.split_once('-')?;
        let probe = ProbeId {
            server: ServerId::from_number(server.parse().ok()?),
            round: round.parse().ok()?,
        };
        let outcome = match failed {
            None => ProbeOutcome::Good,
            Some(why) => ProbeOutcome::Failed(why.to_owned()),
        };
        let took = duration(took_ms);
        self.observe(Observation::ProbeFinished {
            probe,
            outcome,
            took,
        })
    }

    fn change(&mut self, command: Command, name: &ServerName) -> Answer {
        let before = Arc::clone(self.balancer.table());
        let events = self.balancer.apply(command, self.now).map_err(refused)?;
        let _: Option<Vec<u8>> = self.report(events);
        let after = self.balancer.table();
        let moved = after.moved_since(&before);
        let (was, is) = (before.find(name), after.find(name));
        self.changed = is.or(was).map_or(0, |at| at.as_usize() as u32 * 4)
            + u32::from(was.is_some()) * 2
            + u32::from(is.is_some());
        let server = self.balancer.snapshot_of(name, self.now);
        Ok(answer(&ChangeView {
            server: server.map(|server| ServerView::new(&server, self.now)),
            moved: (&moved).into(),
        }))
    }

    fn observe(&mut self, observation: Observation) -> Option<Vec<u8>> {
        let events = self.balancer.observe(observation, self.now);
        self.report(events)
    }

    fn advance_to(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        self.now = now;
        self.hot_keys.advance(now);
        let events = self.balancer.advance(now);
        self.report(events)
    }

    /// Keeps the probes that are due; the bytes are of [`EventView`]s, `None`
    /// when there are none.
    fn report(&mut self, events: Events) -> Option<Vec<u8>> {
        let views: Vec<EventView> = events
            .as_slice()
            .iter()
            .map(|event| EventView::new(event, self.now))
            .collect();
        for event in events {
            if let Event::ProbeDue { probe, server } = event {
                match find(&self.probes, probe.server) {
                    Ok(at) => self.probes[at] = (probe, server),
                    Err(at) => self.probes.insert(at, (probe, server)),
                }
            }
        }
        (!views.is_empty()).then(|| answer(&views))
    }
}

/// Where the probe of a server is among those that are due, or where it would be.
fn find(probes: &[(ProbeId, Server)], server: ServerId) -> Result<usize, usize> {
    probes.binary_search_by(|(probe, _)| probe.server.cmp(&server))
}

fn number_of(balancer: &LoadBalancer, key: &[u8]) -> u32 {
    let table = balancer.table();
    let route = table.route(Some(table.position(key)), balancer, &[]);
    route.map_or(0, |route| number(route.server))
}

fn number(server: ServerIndex) -> u32 {
    server.as_usize() as u32 + 1
}

fn timestamp(ms: f64) -> Timestamp {
    // In two parts, since a number of nanoseconds may be too long for an f64.
    let whole = ms.trunc();
    let rest = ((ms - whole) * 1e6) as u64;
    let nanos = (whole as u64).saturating_mul(1_000_000);
    Timestamp::from_nanos(nanos.saturating_add(rest))
}

fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

fn read<T: deserr::Deserr<Faults>>(spec: &[u8]) -> Result<T, Vec<u8>> {
    wire::read(Tree(spec)).map_err(|faults| faulty("invalid-argument", &faults))
}

/// A name of `n` bytes, and what follows it.
fn named(input: &[u8], n: f64) -> (&[u8], &[u8]) {
    input.split_at((n as usize).min(input.len()))
}

/// A text that is no name is nobody's name.
fn known(name: &[u8]) -> Result<ServerName, Vec<u8>> {
    let name = core::str::from_utf8(name).unwrap_or_default();
    ServerName::new(name).map_err(|e| error("unknown-server", e.to_string(), Vec::new()))
}

fn refused(refusal: CommandError) -> Vec<u8> {
    let code = match &refusal {
        CommandError::DuplicateName(_) => "duplicate-name",
        CommandError::UnknownServer(_) => "unknown-server",
        CommandError::DuplicateId(_) => "duplicate-id",
        CommandError::NoKeys(_) => "no-keys",
        CommandError::Layout(LayoutError::TooManyPoints(_)) => "too-many-points",
        CommandError::Layout(LayoutError::NotLastShard { .. }) => "not-last-shard",
        CommandError::Layout(_) => "not-laid-out",
    };
    let message = refusal.to_string();
    let fault = refusal.place().map(|(_, field)| FaultView {
        path: field.to_owned(),
        message: message.clone(),
    });
    error(code, message, fault.into_iter().collect())
}

fn faulty(code: &'static str, faults: &Faults) -> Vec<u8> {
    error(code, faults.to_string(), faults.into())
}

fn error(code: &'static str, message: String, errors: Vec<FaultView>) -> Vec<u8> {
    let refusal = RefusalView {
        code,
        message,
        errors,
    };
    answer(&refusal)
}
