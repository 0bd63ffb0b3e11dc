//! The fleet as the workers see it: a routing table, with what the proxy keeps
//! for each of its servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};

use tokio::sync::Notify;

use super::clock;
use super::connections::Connections;
use super::counters::Shard;
use super::in_flight::{InFlightCount, TrialPlace};
use super::latency::LatencyShard;
use super::queue::{QueueCounts, Waiting};
use super::rate_limit::RateLimits;
use super::server_tls::ServerTls;
use crate::config::Config;
use crate::engine::{Loads, MaxInFlight, RoutingTable, Server, ServerId, ServerIndex, Term};

/// A routing table with what the proxy keeps for each of its servers.
#[derive(Debug)]
pub struct Fleet {
    /// Where keys go.
    pub table: Arc<RoutingTable>,
    /// By [`ServerIndex`].
    pub servers: Vec<Arc<ServerRuntime>>,
    /// TLS towards each that is spoken to over it, by [`ServerIndex`].
    pub(super) tls: Vec<Option<Arc<ServerTls>>>,
    /// The configuration in effect; its servers may be out of date.
    pub config: Arc<Config>,
    /// How often who may ask.
    pub rate_limits: Arc<RateLimits>,
}

impl Loads for Fleet {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.servers[server.as_usize()].in_flight.number()
    }

    /// That of the worker to which it seems slowest.
    fn latency(&self, server: ServerIndex) -> u64 {
        let now = clock::now();
        let shards = self.servers[server.as_usize()].latencies.iter();
        shards
            .map(|shard| shard.read().mean(now))
            .max()
            .unwrap_or(0)
    }

    fn has_trial(&self, server: ServerIndex, term: Term) -> bool {
        self.servers[server.as_usize()].trial.is_taken(term)
    }
}

/// What the proxy keeps for a server during its stay in the fleet.
#[derive(Debug)]
pub struct ServerRuntime {
    /// Its stay.
    pub id: ServerId,
    /// Its name and where it listens; its weight here may be out of date.
    pub server: Server,
    /// Requests in flight, of all workers.
    pub in_flight: InFlightCount,
    /// For its one request while it is on trial.
    pub trial: TrialPlace,
    /// The most requests in flight that it may have; [`NO_LIMIT`] for any number.
    max_in_flight: AtomicU32,
    /// Who waits for a place at it.
    pub waiting: Waiting,
    /// Who waits for a place at any server.
    anywhere: Arc<Waiting>,
    /// One for each worker.
    pub shards: Box<[Shard]>,
    /// One for each worker; written where the rule goes by that.
    pub latencies: Box<[LatencyShard]>,
    /// Connections to it.
    pub connections: Arc<Connections>,
    /// How its last reported request ended, as one of the states below.
    pub(super) last: AtomicU8,
    /// While it is on trial every success is reported.
    pub(super) is_on_trial: AtomicBool,
}

/// More than there can ever be in flight.
const NO_LIMIT: u32 = u32::MAX;

/// What full servers have in common.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Tells each worker that there may be a place for one of its requests.
    pub calls: Arc<[Notify]>,
    /// What became of requests that waited.
    pub counts: Arc<QueueCounts>,
    /// Who waits for a place at any server.
    pub anywhere: Arc<Waiting>,
}

impl Queue {
    /// Nobody waits.
    pub fn new(n_workers: usize) -> Self {
        let calls = (0..n_workers).map(|_| Notify::new()).collect();
        let counts = Arc::default();
        let anywhere = Arc::new(Waiting::new(&calls, &counts));
        Self {
            calls,
            counts,
            anywhere,
        }
    }
}

impl ServerRuntime {
    /// Nothing is in flight at `server` yet.
    pub fn new(id: ServerId, server: Server, n_workers: usize, queue: &Queue) -> Self {
        Self {
            id,
            server,
            in_flight: InFlightCount::default(),
            trial: TrialPlace::default(),
            max_in_flight: AtomicU32::new(NO_LIMIT),
            waiting: Waiting::new(&queue.calls, &queue.counts),
            anywhere: Arc::clone(&queue.anywhere),
            shards: (0..n_workers).map(|_| Shard::default()).collect(),
            latencies: (0..n_workers).map(|_| LatencyShard::default()).collect(),
            connections: Arc::default(),
            last: AtomicU8::new(0),
            is_on_trial: AtomicBool::new(false),
        }
    }

    /// From now on it may have so many requests in flight.
    pub(super) fn limit(&self, max: Option<MaxInFlight>) {
        let max = max.map_or(NO_LIMIT, MaxInFlight::number);
        self.max_in_flight.store(max, Relaxed);
    }

    /// Whether there is a limit on its requests in flight.
    pub fn is_limited(&self) -> bool {
        self.max_in_flight.load(Relaxed) != NO_LIMIT
    }

    /// Counts a request out that was counted in, whose place somebody may wait
    /// for.
    pub fn leave(&self) {
        self.in_flight.leave();
        if self.is_limited() {
            self.call();
        }
    }

    /// There may be a place: calls who waits for one here, or else anywhere.
    #[cold]
    pub fn call(&self) {
        if !self.waiting.call() {
            self.anywhere.call();
        }
    }
}
