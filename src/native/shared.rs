//! What the threads of the proxy share.
//!
//! The control half of the engine stands behind a lock that only the control
//! thread's tasks take (API, driver). Workers read the published [`Fleet`]
//! without a lock, write counters of their own, and hand failures to the
//! driver through a bounded queue.

mod telling;

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};
use tracing::warn;

use super::clock;
use super::connections::ConnectionCounts;
use super::counters::{BoundedShard, Shard};
use super::fleet::Queue;
pub use super::fleet::{Fleet, ServerRuntime};
use super::in_flight::InFlightCount;
use super::operations::Operations;
use super::proxy::tls;
use super::queue::{Queued, Waiting};
use super::rate_limit::{RateLimitCounters, RateLimits};
use super::retries::Retries;
use super::server_tls::{EveryServerTls, ServerTls};
use super::state::{Keeper, Start};
use super::telemetry::feed::{Feed, Kind};
use super::telemetry::otlp::Trace;
use super::telemetry::{Counts, events, moved, otlp};
use crate::config::{Config, SnapshotView};
use crate::engine::{
    BoundedCounters, Change, Command, CommandError, Counters, Event, Events, KeyCounts, KeySketch,
    Link, LoadBalancer, Memory, NoServer, Observation, Outcome, Picker, Plan, Route, RoutingTable,
    Server, ServerId, ServerName, Snapshot, Standing, Term, Timestamp, Verdict,
};
use crate::wire::{FeedEvent, FleetState, ServerSpec};
use telling::Ticked;

/// Verdicts waiting for the driver. It takes them out in batches thousands of
/// times a second; more only pile up when the machine is drowning, and are
/// then dropped and counted.
const REPORTS_MAX: usize = 4096;

/// It went well: further successes need not be reported.
const WELL: u8 = 0;
/// It failed.
const FAILED: u8 = 1;
/// Its answer began well and broke off: from now on it is only when answers
/// have ended that they speak for the server, or each would be forgiven by the
/// beginning of the next.
const BROKE_OFF: u8 = 2;

/// The state of the running proxy.
#[derive(Debug)]
pub struct Shared {
    fleet: ArcSwap<Fleet>,
    control: Mutex<Control>,
    /// For each worker, requests that no server got.
    unrouted: Box<[Shard]>,
    /// For each worker, what bounded loads did.
    bounded: Box<[BoundedShard]>,
    /// TLS towards servers.
    pub(super) server_tls: Arc<EveryServerTls>,
    /// For each worker, a copy of its sketch that is about a second old.
    hot_keys: Box<[ArcSwap<KeySketch>]>,
    /// TLS towards clients.
    pub tls: tls::InUse,
    /// Connections that have changed over to another protocol, of all workers.
    pub(super) tunnels: InFlightCount,
    /// For requests of the API, by rules without keys.
    picker: Mutex<Picker>,
    /// Requests that wait for a place.
    queue: Queue,
    /// Requests that were sent again.
    retries: Retries,
    /// For each worker, tells it that another fleet is published.
    is_published: Box<[Notify]>,
    reports: mpsc::Sender<Observation>,
    reports_dropped: AtomicU64,
    traces: mpsc::Sender<Trace>,
    /// For whoever sends them, once.
    traces_out: Mutex<Option<mpsc::Receiver<Trace>>>,
    /// Keeps what operators decide.
    keeper: Keeper,
    /// What was done to the process.
    pub(super) operations: Operations,
    /// What became of what the proxy tells about itself.
    pub counts: Arc<Counts>,
    /// What happens, for whoever follows it.
    pub feed: Feed,
    /// When its lines were last asked for by somebody who will ask again, in
    /// milliseconds since the UNIX epoch.
    asked: AtomicU64,
    /// Wakes the driver after a change that may have brought a nearer deadline.
    pub(super) is_changed: Notify,
}

/// What workers observe, on its way to the driver.
pub type Reports = mpsc::Receiver<Observation>;

#[derive(Debug)]
struct Control {
    balancer: LoadBalancer,
    config: Arc<Config>,
    rate_limits: Arc<RateLimits>,
    server_tls: Arc<EveryServerTls>,
    members: BTreeMap<ServerId, Member>,
    unrouted: Counted,
    /// How many configurations have been in effect, this one included.
    generation: u64,
    n_ticks: u64,
    /// What the last tick that was made has told.
    ticked: Ticked,
    /// What part of all keys changes have moved, about, added up.
    keys_moved: f64,
}

/// What the engine has been told of a set of shards.
#[derive(Debug, Default)]
struct Counted {
    counters: Counters,
    in_flight: u32,
}

/// A server whose shards are added up; it stays here after its removal until
/// its last request has ended.
#[derive(Debug)]
struct Member {
    runtime: Arc<ServerRuntime>,
    /// How it is spoken to, and TLS if it is spoken to over that.
    link: Option<Arc<Link>>,
    tls: Option<Arc<ServerTls>>,
    counted: Counted,
    standing: Standing,
    /// Since when it stands so.
    since: Timestamp,
}

/// What a command did.
#[derive(Debug)]
pub struct Applied {
    /// The table before it.
    pub before: Arc<RoutingTable>,
    /// The table after it.
    pub after: Arc<RoutingTable>,
}

impl Shared {
    /// The state at start, for `n_workers` workers, and the queue for the driver.
    ///
    /// # Errors
    /// When the servers cannot form a fleet; [`Config::parse`] has ruled it out.
    pub fn new(config: &Config, n_workers: usize) -> Result<(Arc<Self>, Reports), CommandError> {
        let start = Start::as_configured(config);
        Self::starting(config, n_workers, start, Keeper::default())
    }

    /// The same with the fleet that it starts with, and the keeper of changes.
    ///
    /// # Errors
    /// When the servers cannot form a fleet.
    pub fn starting(
        config: &Config,
        n_workers: usize,
        start: Start,
        keeper: Keeper,
    ) -> Result<(Arc<Self>, Reports), CommandError> {
        let now = clock::now();
        let mut balancer = LoadBalancer::new(config.settings(), start.servers, now)?;
        // Nobody listens yet: what is drained was so before.
        let _ = match start.memories {
            Some(memories) => balancer.resume(&memories, now),
            None => balancer.begin_drained(&start.drained),
        };
        let mut control = Control {
            balancer,
            config: Arc::new(config.clone()),
            rate_limits: Arc::new(RateLimits::new(&config.rate_limit)),
            server_tls: Arc::default(),
            members: BTreeMap::new(),
            unrouted: Counted::default(),
            generation: 1,
            n_ticks: 0,
            ticked: Ticked::default(),
            keys_moved: 0.0,
        };
        let waiting = Queue::new(n_workers);
        let fleet = control.fleet(n_workers, &waiting, now);
        let (reports, queue) = mpsc::channel(REPORTS_MAX);
        let (traces, traces_out) = mpsc::channel(otlp::QUEUE_MAX);
        let sketch = KeySketch::new(&config.hot_keys.settings(), clock::now());
        let shared = Self {
            server_tls: Arc::clone(&control.server_tls),
            fleet: ArcSwap::from_pointee(fleet),
            control: Mutex::new(control),
            unrouted: (0..n_workers).map(|_| Shard::default()).collect(),
            bounded: (0..n_workers).map(|_| BoundedShard::default()).collect(),
            hot_keys: (0..n_workers)
                .map(|_| ArcSwap::from_pointee(sketch.clone()))
                .collect(),
            tls: tls::InUse::default(),
            tunnels: InFlightCount::default(),
            picker: Mutex::new(Picker::new(random())),
            queue: waiting,
            retries: Retries::default(),
            is_published: (0..n_workers).map(|_| Notify::new()).collect(),
            reports,
            reports_dropped: AtomicU64::new(0),
            traces,
            traces_out: Mutex::new(Some(traces_out)),
            keeper,
            operations: Operations::default(),
            counts: Arc::default(),
            feed: Feed::new(),
            asked: AtomicU64::new(0),
            is_changed: Notify::new(),
        };
        shared.tell_state(&shared.lock(), Kind::Keyframe, clock::now());
        Ok((Arc::new(shared), queue))
    }

    /// The fleet as published; workers keep a cache over this.
    pub fn fleet(&self) -> &ArcSwap<Fleet> {
        &self.fleet
    }

    /// Waits until another fleet is published; for the worker of this number.
    pub async fn published(&self, worker: usize) {
        self.is_published[worker].notified().await;
    }

    /// Waits until there may be a place for a request of the worker of this
    /// number that waits for one.
    pub async fn called(&self, worker: usize) {
        self.queue.calls[worker].notified().await;
    }

    /// Who waits for a place at any server.
    pub fn waiting_anywhere(&self) -> &Arc<Waiting> {
        &self.queue.anywhere
    }

    /// What became of requests that found their servers full.
    pub fn queued(&self) -> Queued {
        let fleet = self.fleet.load();
        let at_servers = fleet.servers.iter().map(|server| server.waiting.number());
        let waiting = self.queue.anywhere.number() + at_servers.sum::<u32>();
        self.queue.counts.with(waiting)
    }

    /// Requests that were sent again.
    pub fn retries(&self) -> &Retries {
        &self.retries
    }

    /// How many workers there are.
    pub fn n_workers(&self) -> usize {
        self.unrouted.len()
    }

    /// The counters of requests that no server got, for one worker.
    pub fn unrouted(&self, worker: usize) -> &Shard {
        &self.unrouted[worker]
    }

    /// The counters of bounded loads, for one worker.
    pub fn bounded(&self, worker: usize) -> &BoundedShard {
        &self.bounded[worker]
    }

    /// What bounded loads did since the start, of all workers together.
    pub fn bounded_counters(&self) -> BoundedCounters {
        let mut sum = BoundedCounters::default();
        self.bounded.iter().for_each(|shard| shard.add_to(&mut sum));
        sum
    }

    /// How many requests the servers of the fleet have in flight, tunnels among them.
    pub fn n_in_flight(&self) -> u32 {
        let fleet = self.fleet.load();
        fleet.servers.iter().map(|s| s.in_flight.number()).sum()
    }

    /// What was counted of the connections to each server, by its name.
    pub fn connection_counts(&self) -> Vec<(ServerName, ConnectionCounts)> {
        let fleet = self.fleet.load();
        let servers = fleet.servers.iter();
        let each =
            servers.map(|runtime| (runtime.server.name.clone(), runtime.connections.counts()));
        each.collect()
    }

    /// Why there was no TLS with this server at the last attempt, if there was none.
    pub fn tls_trouble(&self, name: &str) -> Option<String> {
        let fleet = self.fleet.load();
        let mut servers = fleet.servers.iter();
        let server = servers.find(|runtime| runtime.server.name.as_str() == name)?;
        server.connections.tls_trouble()
    }

    /// How many connections have changed over to another protocol and are open.
    pub fn n_tunnels(&self) -> u32 {
        self.tunnels.number()
    }

    /// What limits on rates have counted since the start.
    pub fn rate_limit_counters(&self) -> Vec<RateLimitCounters> {
        self.fleet.load().rate_limits.counters().collect()
    }

    /// Shows the sketch of a worker to whoever asks; for that worker, once in a
    /// while.
    pub fn publish_hot_keys(&self, worker: usize, sketch: &KeySketch) {
        let published = &self.hot_keys[worker];
        if !sketch.is_as(&published.load()) {
            published.store(Arc::new(sketch.clone()));
        }
    }

    /// The keys with most of the traffic, of all workers together.
    pub fn hot_keys(&self) -> KeyCounts {
        let table = self.table();
        let sketches = self.hot_keys.iter();
        KeyCounts::merged(sketches.map(|sketch| sketch.load().counts(&table)))
    }

    /// Lets a request that was sent in `term` speak for or against its server.
    /// Free for a success after a success; never waits.
    pub fn report(&self, runtime: &ServerRuntime, term: Term, outcome: Outcome) {
        let verdict = Verdict::from(outcome);
        let last = runtime.last.load(Relaxed);
        match (verdict, last) {
            (Verdict::Good, BROKE_OFF) => return,
            (Verdict::Good, WELL) if !runtime.is_on_trial.load(Relaxed) => return,
            (Verdict::Good, _) => runtime.last.store(WELL, Relaxed),
            (_, BROKE_OFF) => {}
            _ => runtime.last.store(FAILED, Relaxed),
        }
        self.hand_over(runtime, term, verdict);
    }

    /// An answer that was reported as good has broken off.
    pub fn report_broken_off(&self, runtime: &ServerRuntime, term: Term) {
        runtime.last.store(BROKE_OFF, Relaxed);
        self.hand_over(runtime, term, Verdict::Failed);
    }

    /// An answer has ended well. Free unless one broke off before.
    pub fn report_whole(&self, runtime: &ServerRuntime, term: Term) {
        if runtime.last.load(Relaxed) == BROKE_OFF {
            runtime.last.store(WELL, Relaxed);
            self.hand_over(runtime, term, Verdict::Good);
        }
    }

    fn hand_over(&self, runtime: &ServerRuntime, term: Term, verdict: Verdict) {
        self.tell_driver(Observation::Judged {
            server: runtime.id,
            term,
            verdict,
        });
    }

    /// No request that waits for an answer of this server gets one.
    pub fn suspect(&self, runtime: &ServerRuntime) {
        self.tell_driver(Observation::Suspected { server: runtime.id });
    }

    fn tell_driver(&self, observation: Observation) {
        if self.reports.try_send(observation).is_err() {
            self.reports_dropped.fetch_add(1, Relaxed);
        }
    }

    /// Verdicts dropped because the driver could not keep up.
    pub fn reports_dropped(&self) -> u64 {
        self.reports_dropped.load(Relaxed)
    }

    /// Has what is known of a request sent to the collector; never waits.
    pub fn trace(&self, trace: Trace) {
        if self.traces.try_send(trace).is_err() {
            self.counts.traces_dropped.fetch_add(1, Relaxed);
        }
    }

    /// Where traces come out; `None` but for the first who asks.
    pub fn traces(&self) -> Option<mpsc::Receiver<Trace>> {
        let mut out = self
            .traces_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        out.take()
    }

    /// Whose turn it is to change what operators decide.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// What operators have made of the configured fleet.
    pub fn fleet_state(&self) -> FleetState {
        let control = self.lock();
        FleetState::between(&control.config.servers, &control.balancer.roster())
    }

    /// What is known of the servers that another process can go on with.
    pub fn memories(&self) -> Vec<Memory> {
        self.lock().balancer.memories(clock::now())
    }

    /// The same after a command; nothing is done.
    ///
    /// # Errors
    /// When it could not be done.
    pub fn foreseen(&self, command: Command) -> Result<FleetState, CommandError> {
        let control = self.lock();
        let (mut balancer, config) = (control.balancer.clone(), Arc::clone(&control.config));
        drop(control);
        let _ = balancer.apply(command, clock::now())?;
        Ok(FleetState::between(&config.servers, &balancer.roster()))
    }

    /// The same after going over to another configuration: what it says, with
    /// the admin states that there are.
    pub fn foreseen_with(&self, config: &Config) -> FleetState {
        let states: BTreeMap<_, _> = self
            .lock()
            .balancer
            .roster()
            .into_iter()
            .map(|(server, state)| (server.name, state))
            .collect();
        let servers = config.servers().into_iter();
        let roster: Vec<_> = servers
            .map(|server| {
                let state = states.get(&server.name).copied().unwrap_or_default();
                (server, state)
            })
            .collect();
        FleetState::between(&config.servers, &roster)
    }

    /// Carries out an operator's command.
    ///
    /// # Errors
    /// When it cannot be done; nothing has changed then.
    pub fn apply(&self, command: Command) -> Result<Applied, CommandError> {
        let mut control = self.lock();
        self.carry_out(&mut control, command)
    }

    fn carry_out(&self, control: &mut Control, command: Command) -> Result<Applied, CommandError> {
        let before = Arc::clone(control.balancer.table());
        let now = clock::now();
        let events = control.balancer.apply(command, now)?;
        self.settle(control, events, now);
        self.is_changed.notify_one();
        Ok(Applied {
            before,
            after: Arc::clone(control.balancer.table()),
        })
    }

    /// What changes would do to the fleet of this moment; nothing is done.
    ///
    /// # Errors
    /// When one of them could not be done.
    pub fn plan(&self, changes: Vec<Change>) -> Result<Plan, CommandError> {
        // A copy, so that the plan is computed while others go on.
        let balancer = self.lock().balancer.clone();
        balancer.plan(changes)
    }

    /// Carries out an operator's command unless more than `max_moved` of all
    /// keys would move by it: `Err` has the plan then.
    ///
    /// # Errors
    /// When it cannot be done; nothing has changed then.
    pub fn apply_within(
        &self,
        command: Command,
        max_moved: f64,
    ) -> Result<Result<Applied, Plan>, CommandError> {
        let mut control = self.lock();
        let plan = control.balancer.plan(vec![Change::from(command.clone())])?;
        if plan.moved.total.fraction() > max_moved {
            return Ok(Err(plan));
        }
        self.carry_out(&mut control, command).map(Ok)
    }

    /// Goes over to another configuration, as a whole and if `may` says so of
    /// what that moves; `Err` has the plan when it does not.
    ///
    /// # Errors
    /// When its servers cannot form a fleet; nothing has changed then.
    pub fn reconfigure(
        &self,
        config: Config,
        may: impl FnOnce(&Plan) -> bool,
    ) -> Result<Result<(Applied, Plan), Plan>, CommandError> {
        let mut control = self.lock();
        let now = clock::now();
        let (settings, servers) = (config.settings(), config.servers());
        let before = &control.balancer;
        let (balancer, events) = before.reconfigured(settings, servers, now)?;
        let plan = Plan::between(before, &balancer);
        if !may(&plan) {
            return Ok(Err(plan));
        }
        let applied = Applied {
            before: Arc::clone(before.table()),
            after: Arc::clone(balancer.table()),
        };
        control.balancer = balancer;
        control.rate_limits = Arc::new(control.rate_limits.with(&config.rate_limit));
        control.config = Arc::new(config);
        control.generation += 1;
        let moved = plan.moved.total.fraction();
        self.settle_moved(&mut control, events, now, Some(moved));
        self.tell_state(&control, Kind::Snapshot, now);
        self.is_changed.notify_one();
        Ok(Ok((applied, plan)))
    }

    /// The configuration in effect; its servers may be out of date.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.fleet.load().config)
    }

    /// Everything worth showing, up to this moment.
    pub fn snapshot(&self) -> Snapshot {
        let mut control = self.lock();
        self.collect(&mut control);
        control.balancer.snapshot(clock::now())
    }

    /// What another engine needs to route as this proxy does now.
    pub fn routing_snapshot(&self) -> SnapshotView {
        let control = self.lock();
        SnapshotView::new(&control.config.rules(), &control.balancer, clock::now())
    }

    /// Where a request of the API goes by `fleet`, of which the rule has no keys.
    ///
    /// # Errors
    /// When there is no server.
    pub fn pick(&self, fleet: &Fleet) -> Result<Route, NoServer> {
        let mut picker = self.picker.lock().unwrap_or_else(PoisonError::into_inner);
        fleet.table.pick(&mut picker, fleet, &[])
    }

    /// The routing table of this moment.
    pub fn table(&self) -> Arc<RoutingTable> {
        Arc::clone(&self.fleet.load().table)
    }

    /// Takes note of observations; for the driver.
    pub(super) fn observe(&self, observations: impl IntoIterator<Item = Observation>) {
        let mut control = self.lock();
        let now = clock::now();
        for observation in observations {
            let events = control.balancer.observe(observation, now);
            self.settle(&mut control, events, now);
        }
    }

    /// The configuration in effect, with the servers that there are now.
    pub fn config_now(&self) -> Config {
        self.lock().config_now()
    }

    /// Fires what is due; for the driver. Returns the probes to send and when
    /// to come back.
    pub(super) fn advance(&self) -> (Vec<Event>, Option<Timestamp>) {
        let mut control = self.lock();
        let now = clock::now();
        let events = control.balancer.advance(now);
        let probes = self.settle(&mut control, events, now);
        (probes, control.balancer.next_deadline())
    }

    /// Tells the log what happened and publishes a new table, or
    /// configuration, if there is one.
    /// Returns the events that ask for a probe.
    fn settle(&self, control: &mut Control, events: Events, now: Timestamp) -> Vec<Event> {
        self.settle_moved(control, events, now, None)
    }

    /// The same, where it is known what part of all keys that has moved.
    fn settle_moved(
        &self,
        control: &mut Control,
        events: Events,
        now: Timestamp,
        known: Option<f64>,
    ) -> Vec<Event> {
        let mut probes = Vec::new();
        let mut happened = Vec::new();
        for event in events {
            if let Event::ProbeDue { .. } = event {
                probes.push(event);
            } else {
                events::log(&event, now);
                happened.push(event);
            }
        }
        let published = self.fleet.load();
        let mut moved = None;
        if control.balancer.table().version() != published.table.version() {
            let estimate = || moved::estimate(&published.table, control.balancer.table());
            let part = known.unwrap_or_else(estimate);
            control.keys_moved += part;
            moved = Some(part).filter(|part| *part > 0.0);
        }
        for event in &happened {
            // What they moved together stands at the first.
            let moved = moved.take();
            self.feed.push(Kind::News, |seq| {
                let line = FeedEvent::new(seq, event, now, moved);
                (line.name(), line)
            });
        }
        if control.balancer.table().version() != published.table.version()
            || !Arc::ptr_eq(&control.config, &published.config)
        {
            self.fleet
                .store(Arc::new(control.fleet(self.n_workers(), &self.queue, now)));
            self.is_published.iter().for_each(Notify::notify_one);
        }
        probes
    }

    /// Hands the engine what the workers have counted since the last time.
    fn collect(&self, control: &mut Control) {
        let now = clock::now();
        let Control {
            balancer,
            members,
            unrouted,
            ..
        } = control;
        let mut count = |server, shards: &[Shard], counted: &mut Counted, in_flight| {
            let mut sum = Counters::default();
            shards.iter().for_each(|shard| shard.add_to(&mut sum));
            if sum == counted.counters && in_flight == counted.in_flight {
                return;
            }
            let counters = Box::new(sum.since(&counted.counters));
            *counted = Counted {
                counters: sum,
                in_flight,
            };
            // Counting never makes an event.
            let _ = balancer.observe(
                Observation::Counted {
                    server,
                    counters,
                    in_flight,
                },
                now,
            );
        };
        count(None, &self.unrouted, unrouted, 0);
        for (&id, member) in members.iter_mut() {
            let runtime = &member.runtime;
            let in_flight = runtime.in_flight.number();
            count(Some(id), &runtime.shards, &mut member.counted, in_flight);
        }
        // Mostly nobody has left.
        if members.len() == balancer.table().servers().len() {
            return;
        }
        let stays = |id, name: &ServerName| {
            let servers = balancer.table().servers();
            servers
                .binary_search_by(|entry| entry.server.name.cmp(name))
                .is_ok_and(|i| servers[i].id == id)
        };
        members.retain(|&id, member| {
            member.counted.in_flight > 0 || stays(id, &member.runtime.server.name)
        });
    }

    /// A panic under the lock leaves the engine whole between two calls of
    /// its, so the next one goes on.
    fn lock(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that no one can foretell, by which nothing is routed that has a key.
#[expect(
    clippy::disallowed_types,
    reason = "randomness is wanted here: picks of two processes must not be the same"
)]
pub fn random() -> u64 {
    // The standard library keys its hasher by the system's randomness.
    std::hash::RandomState::new().hash_one("picks")
}

impl Control {
    fn config_now(&self) -> Config {
        let servers = self.balancer.table().servers().iter();
        Config {
            servers: servers
                .map(|entry| ServerSpec::from(&entry.server))
                .collect(),
            ..Config::clone(&self.config)
        }
    }

    /// The fleet of the table that is there from `now` on; servers that stay keep
    /// their runtime.
    fn fleet(&mut self, n_workers: usize, queue: &Queue, now: Timestamp) -> Fleet {
        let table = Arc::clone(self.balancer.table());
        let mut tls = Vec::with_capacity(table.servers().len());
        let servers = table
            .servers()
            .iter()
            .map(|entry| {
                let member = self.members.entry(entry.id).or_insert_with(|| Member {
                    runtime: Arc::new(ServerRuntime::new(
                        entry.id,
                        entry.server.clone(),
                        n_workers,
                        queue,
                    )),
                    link: None,
                    tls: None,
                    counted: Counted::default(),
                    standing: entry.standing,
                    since: now,
                });
                if member.link != entry.server.link {
                    member.follow(&entry.server, &self.server_tls);
                }
                tls.push(member.tls.clone());
                member.runtime.limit(entry.server.max_in_flight);
                if member.standing != entry.standing {
                    (member.standing, member.since) = (entry.standing, now);
                }
                let is_on_trial = entry.standing == Standing::OnTrial;
                member.runtime.is_on_trial.store(is_on_trial, Relaxed);
                Arc::clone(&member.runtime)
            })
            .collect();
        Fleet {
            table,
            servers,
            tls,
            config: Arc::clone(&self.config),
            rate_limits: Arc::clone(&self.rate_limits),
        }
    }
}

impl Member {
    /// It is spoken to as `server` says from now on.
    fn follow(&mut self, server: &Server, every: &EveryServerTls) {
        self.tls = every.of(server.link.as_deref());
        self.link.clone_from(&server.link);
        let tls = self.link.as_ref().and_then(|link| link.tls.as_ref());
        if tls.is_some_and(|tls| !tls.verify) {
            let server = server.name.as_str();
            warn!(
                server,
                "tls.verify is false: anybody can pass for this server"
            );
        }
    }
}
