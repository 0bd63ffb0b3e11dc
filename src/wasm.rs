//! The engine for JavaScript: convert, call, convert.
//!
//! `pkg-template/core.js` makes the class `LoadBalancer` of [`Engine`]. Three
//! ways lead across:
//!
//! - Keys are written by JavaScript straight into memory that [`Engine`] keeps
//!   for them, and servers come back as numbers: routing is asked millions of
//!   times. A server's number is its place in the routing table plus one; 0 is
//!   no server.
//! - What users write comes in as bytes ([`tree`]) and is read by the same rules as
//!   configuration files and REST bodies. Bytes have no getters that would run
//!   while the engine is borrowed.
//! - Views go out as bytes ([`answer`]), and so do refusals, which are thrown.

use core::time::Duration;
use std::sync::Arc;

use js_sys::Uint8Array;
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

mod tree;
use tree::Tree;

/// The bytes of a view, or those of a [`RefusalView`], which are thrown.
type Answer = Result<Vec<u8>, Uint8Array>;

/// The same where there may be nothing to tell.
type Answered = Result<Option<Vec<u8>>, Uint8Array>;

/// Random numbers are whole ones below this: as many as an f64 has without gaps.
const RANDOM_MAX: f64 = 9_007_199_254_740_992.0;

/// A load balancer and what JavaScript needs beside it.
#[wasm_bindgen]
pub struct Engine {
    balancer: LoadBalancer,
    config: RoutingConfig,
    /// The hottest keys of the requests that were begun.
    hot_keys: KeySketch,
    /// The last time JavaScript told; the engine reads no clock.
    now: Timestamp,
    /// Where JavaScript writes keys; it only grows.
    scratch: Vec<u8>,
    /// For each key of a batch: where it ends in `scratch`, then its server.
    batch: Vec<u32>,
    /// What [`Self::changed`] answers.
    changed: u32,
    /// What rules without keys remember; made when it is first needed, since some
    /// runtimes give no random numbers before.
    picker: Option<Picker>,
    /// Probes that are due and not yet handed out, the latest of each server, in order.
    probes: Vec<(ProbeId, Server)>,
}

#[wasm_bindgen]
impl Engine {
    /// A balancer made from the JSON of a configuration.
    ///
    /// Rules without keys draw what follows from `seed`, a whole number, or from a
    /// random one.
    #[wasm_bindgen(constructor)]
    pub fn new(config: &[u8], seed: Option<f64>) -> Result<Engine, Uint8Array> {
        let config = RoutingConfig::read(Tree(config)).map_err(|e| faulty("invalid-config", &e))?;
        let now = Timestamp::ZERO;
        let balancer =
            LoadBalancer::new(config.settings(), config.servers(), now).map_err(refused)?;
        Ok(Self {
            balancer,
            hot_keys: KeySketch::new(&config.hot_keys.settings(), now),
            config,
            now,
            scratch: Vec::new(),
            batch: Vec::new(),
            changed: 0,
            picker: seed.map(|seed| Picker::new(seed as u64)),
            probes: Vec::new(),
        })
    }

    /// Where keys are to be written: room for `bytes` of them. An earlier
    /// answer is void then.
    pub fn scratch(&mut self, bytes: usize) -> *mut u8 {
        if self.scratch.len() < bytes {
            self.scratch.resize(bytes, 0);
        }
        self.scratch.as_mut_ptr()
    }

    /// Where the ends of `keys` keys are to be written before, and their
    /// servers are to be read after [`Self::route_batch`].
    pub fn batch(&mut self, keys: usize) -> *mut u32 {
        self.batch.resize(keys, 0);
        self.batch.as_mut_ptr()
    }

    /// The number of the server for the key of `len` bytes in the scratch memory.
    /// By a rule without keys the next pick.
    pub fn route(&mut self, len: usize) -> u32 {
        if self.is_keyless() {
            return self.pick();
        }
        number_of(&self.balancer, self.scratch.get(..len).unwrap_or_default())
    }

    /// The same for a request that begins: it is counted, and a hot key is spread.
    pub fn begin(&mut self, len: usize) -> u32 {
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

    /// [`HotKeysView`] with at most `limit` keys.
    pub fn hot_keys(&self, limit: usize) -> Vec<u8> {
        let table = self.balancer.table();
        let counts: KeyCounts = self.hot_keys.counts(table);
        let settings = self.config.hot_keys.settings();
        answer(&HotKeysView::new(&counts, &settings, table, limit))
    }

    /// Replaces the ends of the keys that lie in the scratch memory by the
    /// numbers of their servers.
    pub fn route_batch(&mut self) {
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

    /// Whether the rule has no keys, so that none need be written.
    pub fn is_keyless(&self) -> bool {
        self.balancer.table().keyless().is_some()
    }

    /// The numbers of the first `n` servers in the order the key prefers them.
    pub fn candidates(&self, len: usize, n: usize) -> Vec<u32> {
        let table = self.balancer.table();
        let candidates = table.explain(table.position(self.key(len)), &Idle, &[]);
        let numbers = candidates.iter().map(|candidate| number(candidate.server));
        numbers.take(n).collect()
    }

    /// [`ExplainView`] of the key.
    pub fn explain(&self, len: usize) -> Vec<u8> {
        answer(&ExplainView::new(
            self.balancer.table(),
            &self.balancer,
            self.key(len),
            None,
        ))
    }

    /// `n` servers by number, from the one after `from`.
    pub fn directory(&self, from: usize, n: usize) -> Vec<u8> {
        let servers = || self.balancer.table().servers().iter().skip(from).take(n);
        answer(&DirectoryView {
            ids: servers().map(|entry| entry.id.number()).collect(),
            servers: servers().map(|e| (&e.server).into()).collect(),
        })
    }

    /// What the last change did to the servers by number: times four how many
    /// stand before it, and 2 if one there is gone, and 1 if one is there now.
    pub fn changed(&self) -> u32 {
        self.changed
    }

    /// Adds the server of a [`ServerSpec`]; answers with a [`ChangeView`].
    pub fn add_server(&mut self, spec: &[u8]) -> Answer {
        let server = Server::from(read::<ServerSpec>(spec)?);
        self.change(Command::AddServer(server.clone()), &server.name)
    }

    /// Removes a server; answers with a [`ChangeView`].
    pub fn remove_server(&mut self, name: &str) -> Answer {
        let name = known(name)?;
        self.change(Command::RemoveServer(name.clone()), &name)
    }

    /// Sets the weight of a [`WeightSpec`]; answers with a [`ChangeView`].
    pub fn set_weight(&mut self, name: &str, spec: &[u8]) -> Answer {
        let (name, weight) = (known(name)?, read::<WeightSpec>(spec)?.weight);
        self.change(Command::SetWeight(name.clone(), weight), &name)
    }

    /// Sets the state of a [`StateSpec`]; answers with a [`ChangeView`].
    pub fn set_state(&mut self, name: &str, spec: &[u8]) -> Answer {
        let (name, state) = (known(name)?, read::<StateSpec>(spec)?.state);
        self.change(Command::SetState(name.clone(), state), &name)
    }

    /// [`PlanView`] of the changes of a [`PlanSpec`]; nothing is done.
    pub fn plan(&self, spec: &[u8]) -> Answer {
        let changes = read::<PlanSpec>(spec)?.changes(&self.config);
        let changes = changes.map_err(|faults| faulty("invalid-argument", &faults))?;
        let plan = self.balancer.plan(changes).map_err(refused)?;
        Ok(answer(&PlanView::new(&plan, None)))
    }

    /// The `servers` of [`ServersView`].
    pub fn servers(&self) -> Vec<u8> {
        answer(&ServersView::from(&self.balancer.snapshot(self.now)).servers)
    }

    /// [`HealthView`].
    pub fn health(&self) -> Vec<u8> {
        answer(&HealthView::from(&self.balancer.snapshot(self.now)))
    }

    /// [`MetricsView`].
    pub fn metrics(&self) -> Vec<u8> {
        answer(&MetricsView::from(&self.balancer.snapshot(self.now)))
    }

    /// [`RingView`] with at most `limit` points that stand after `after`.
    pub fn ring(&self, after: Option<String>, limit: usize) -> Answer {
        let after = match after.map(|text| u64::from_str_radix(&text, 16)) {
            None => None,
            Some(Ok(bits)) => Some(Position::from_bits(bits)),
            Some(Err(_)) => {
                let message = "after must be a position: sixteen hexadecimal digits".to_owned();
                return Err(error("invalid-argument", message, Vec::new()));
            }
        };
        Ok(answer(&RingView::new(self.balancer.table(), after, limit)))
    }

    /// The configuration, with the servers there are now.
    pub fn config(&mut self) -> Vec<u8> {
        let servers = self.balancer.table().servers().iter();
        self.config.servers = servers.map(|entry| (&entry.server).into()).collect();
        answer(&self.config)
    }

    /// [`SnapshotView`] of this moment.
    pub fn snapshot(&self) -> Vec<u8> {
        answer(&SnapshotView::new(&self.config, &self.balancer, self.now))
    }

    /// Goes on where the balancer was that the `servers` of a [`SnapshotView`] are
    /// of, from `now_ms` on, or from the last time told; answers with what came of
    /// it.
    pub fn resume(&mut self, servers: &[u8], now_ms: Option<f64>) -> Answered {
        let known: Vec<ServerMemory> = read(servers)?;
        let memories: Vec<Memory> = known.into_iter().map(Memory::from).collect();
        self.now = now_ms.map_or(self.now, timestamp);
        let events = self.balancer.resume(&memories, self.now);
        Ok(self.report(events))
    }

    /// Sixteen hexadecimal digits that are equal when two fleets route alike.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", self.balancer.table().fingerprint())
    }

    /// A request was sent to the server with this id; answers with the term.
    pub fn request_started(&mut self, id: f64) -> u32 {
        let server = ServerId::from_number(id as u64);
        let started = Observation::RequestStarted { server };
        let _: Option<Vec<u8>> = self.observe(started);
        self.balancer.term(server).number()
    }

    /// The request that was sent in this term has ended; answers with what came
    /// of it.
    pub fn request_finished(
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

    /// The probes that are due and were not handed out before.
    pub fn probes_due(&mut self) -> Vec<u8> {
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

    /// The probe with this id has ended; answers with what came of it.
    pub fn probe_finished(
        &mut self,
        id: &str,
        ok: bool,
        took_ms: f64,
        why: Option<String>,
    ) -> Option<Vec<u8>> {
        let (server, round) = id.split_once('-')?;
        let probe = ProbeId {
            server: ServerId::from_number(server.parse().ok()?),
            round: round.parse().ok()?,
        };
        let outcome = if ok {
            ProbeOutcome::Good
        } else {
            ProbeOutcome::Failed(why.unwrap_or_else(|| "failed".to_owned()))
        };
        let took = duration(took_ms);
        self.observe(Observation::ProbeFinished {
            probe,
            outcome,
            took,
        })
    }

    /// Lets time pass; answers with what came of it.
    pub fn advance(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        self.advance_to(timestamp(now_ms))
    }

    /// When [`Self::advance`] has something to do next, rounded up.
    pub fn next_deadline_ms(&self) -> Option<f64> {
        let nanos = self.balancer.next_deadline()?.as_nanos();
        Some(nanos.div_ceil(1_000_000) as f64)
    }
}

impl Engine {
    fn key(&self, len: usize) -> &[u8] {
        self.scratch.get(..len).unwrap_or_default()
    }

    /// The number of the server that a rule without keys picks.
    fn pick(&mut self) -> u32 {
        let random = || Picker::new((js_sys::Math::random() * RANDOM_MAX) as u64);
        let picker = self.picker.get_or_insert_with(random);
        let route = self.balancer.table().pick(picker, &self.balancer, &[]);
        route.map_or(0, |route| number(route.server))
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

fn read<T: deserr::Deserr<Faults>>(spec: &[u8]) -> Result<T, Uint8Array> {
    wire::read(Tree(spec)).map_err(|faults| faulty("invalid-argument", &faults))
}

/// A text that is no name is nobody's name.
fn known(name: &str) -> Result<ServerName, Uint8Array> {
    ServerName::new(name).map_err(|e| error("unknown-server", e.to_string(), Vec::new()))
}

fn refused(refusal: CommandError) -> Uint8Array {
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

fn faulty(code: &'static str, faults: &Faults) -> Uint8Array {
    error(code, faults.to_string(), faults.into())
}

fn error(code: &'static str, message: String, errors: Vec<FaultView>) -> Uint8Array {
    let refusal = RefusalView {
        code,
        message,
        errors,
    };
    Uint8Array::from(answer(&refusal).as_slice())
}
