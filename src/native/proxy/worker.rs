//! What one thread of the proxy has, and how the threads start and stop.

mod enter;
pub(super) use enter::{NoEntry, Turn};

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use http::HeaderValue;
use hyper::server::conn::http1;
use tokio::runtime::{self, LocalOptions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::backoff::{Backoff, Jitter};
use super::crowd::Crowd;
use super::door::WorkerDoor;
use super::hash_key::HashKey;
use super::headers::HeadRules;
use super::line::{At, Lines};
use super::pace::MinRate;
use super::places::Places;
use super::request_id::RequestIds;
use super::silence::Silence;
use super::timer::{Timers, Wait};
use super::trust::Trust;
use super::upgrade::Upgrades;
use super::upstream::Upstream;
use super::{conn, listen};
use crate::config::Config;
use crate::engine::{
    Candidate, KeySketch, Keyless, Link, NoServer, Outcome, Picker, Position, RoutingTable, Server,
    ServerIndex, ServerProtocol,
};
use crate::native::clock;
use crate::native::counters::{BoundedShard, Shard};
use crate::native::rate_limit::RateLimits;
use crate::native::server_tls::ServerTls;
use crate::native::shared::{Fleet, ServerRuntime, Shared, random};
use crate::native::telemetry::access_log::AccessLog;
use crate::native::telemetry::trace_context::TraceIds;

/// How often kept connections are looked over: expired ones are closed, and
/// those to servers that have left the fleet.
const SWEEP: Duration = Duration::from_secs(1);

/// The running threads of the proxy.
pub struct Workers(Vec<JoinHandle<()>>);

/// Starts [`Shared::n_workers`] threads, which share `listeners`. When `stop` is
/// cancelled they accept no more, let requests in flight end for as long as
/// configuration says, and end.
///
/// # Errors
/// When a thread or its runtime cannot be made.
pub fn start(
    config: &Config,
    shared: &Arc<Shared>,
    listeners: Vec<TcpListener>,
    access_log: Option<&AccessLog>,
    stop: &CancellationToken,
) -> io::Result<Workers> {
    let places = Places::new(n_places(config));
    let shares = listen::share_out(listeners, shared.n_workers())?;
    let mut threads = Vec::with_capacity(shares.len());
    for (number, listeners) in shares.into_iter().enumerate() {
        let (shared, places, access_log, stop) = (
            Arc::clone(shared),
            Arc::clone(&places),
            access_log.cloned(),
            stop.clone(),
        );
        // The runtime has to be made on its thread.
        let (is_up, came_up) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let built = runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            // Whoever started the thread waits for this.
            let runtime = match built {
                Ok(runtime) => runtime,
                Err(error) => return drop(is_up.send(Err(error))),
            };
            let _ = is_up.send(Ok(()));
            let worker = Worker::new(number, shared, access_log);
            runtime.block_on(worker.run(listeners, places, stop));
        };
        let name = format!("worker-{number}");
        threads.push(thread::Builder::new().name(name).spawn(run)?);
        came_up
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("a worker thread has ended")))?;
    }
    Ok(Workers(threads))
}

impl Workers {
    /// Waits until all have ended; blocks the thread.
    pub fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                error!("a worker thread has panicked");
            }
        }
    }
}

/// What one thread has.
pub(super) struct Worker {
    number: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) timers: Rc<Timers>,
    pub(super) request_ids: RequestIds,
    pub(super) trace_ids: TraceIds,
    pub(super) jitter: Jitter,
    /// The hottest keys of this thread's requests.
    pub(super) hot_keys: RefCell<KeySketch>,
    pub(super) access_log: Option<AccessLog>,
    /// Requests that wait for a place at a server.
    pub(super) lines: Lines,
    /// Connections of clients.
    pub(super) crowd: Crowd,
    fleet: RefCell<LastSeen>,
    is_stopping: Cell<bool>,
    /// Requests over HTTP/2 that are not in the process's counts yet.
    n_http2: Cell<u64>,
}

/// The published fleet, and the view of it that this thread works with.
struct LastSeen {
    published: Cache<Published, Arc<Fleet>>,
    view: Rc<WorkerFleet>,
}

/// The configuration in effect, and what this thread makes of it.
pub(super) struct Rules {
    pub(super) config: Arc<Config>,
    pub(super) waits: Waits,
    pub(super) backoff: Backoff,
    /// How long a server may be silent until it is probed for that.
    suspect_after: Option<Duration>,
    pub(super) hash_key: HashKey,
    /// Which proxies before this one are believed; `None` when none are.
    pub(super) trust: Option<Trust>,
    pub(super) heads: HeadRules,
    pub(super) http1: http1::Builder,
    /// `None` where it is not spoken.
    pub(super) http2: Option<h2::server::Builder>,
    pub(super) upgrades: Upgrades,
}

impl Rules {
    fn new(config: &Arc<Config>) -> Rc<Self> {
        Rc::new(Self {
            config: Arc::clone(config),
            waits: Waits::new(config),
            suspect_after: (config.health_check.suspect_after)
                .filter(|_| config.health_check.enabled)
                .map(|limit| limit.duration()),
            backoff: Backoff {
                base: config.retries.backoff.duration(),
                cap: config.retries.backoff_max.duration(),
            },
            hash_key: HashKey::new(&config.routing.hash_key),
            trust: Trust::new(&config.forwarding),
            heads: HeadRules::new(&config.forwarding),
            http1: conn::http1_builder(&config.limits),
            http2: conn::http2_builder(config),
            upgrades: Upgrades::new(&config.upgrades),
        })
    }
}

impl Rules {
    /// Whether a key that stands somewhere by the rules `before` does so by these.
    fn places_keys_as(&self, before: &Self) -> bool {
        let (before, now) = (&before.config, &self.config);
        Arc::ptr_eq(before, now) || (&before.routing, &before.compat) == (&now.routing, &now.compat)
    }
}

/// The configured timeouts, as timers take them.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) connect: Wait,
    /// For the head of an answer, or for an attempt where that is less.
    pub(super) response_header: Wait,
    pub(super) stream_idle: Wait,
    pub(super) tls_handshake: Wait,
    pub(super) client_header: Wait,
    pub(super) client_idle: Wait,
    pub(super) tunnel_idle: Wait,
    /// How fast clients have to be.
    pub(super) min_rate: Option<MinRate>,
    /// For a word of a client that waits, over HTTP/2.
    pub(super) ping: Option<Wait>,
}

impl Waits {
    fn new(config: &Config) -> Self {
        let timeouts = &config.timeouts;
        let per_try = config.retries.per_try_timeout;
        let answer = per_try.unwrap_or(timeouts.response_header);
        Self {
            connect: timeouts.connect.duration().into(),
            response_header: answer.duration().into(),
            stream_idle: timeouts.stream_idle.duration().into(),
            tls_handshake: timeouts.tls_handshake.duration().into(),
            client_header: timeouts.client_header.duration().into(),
            client_idle: timeouts.client_idle.duration().into(),
            tunnel_idle: timeouts.tunnel_idle.duration().into(),
            min_rate: MinRate::new(&config.limits),
            ping: config.http2.ping.map(|ping| ping.duration().into()),
        }
    }
}

/// Where the fleet is published; the cache wants to own the way to it.
struct Published(Arc<Shared>);

impl Deref for Published {
    type Target = ArcSwap<Fleet>;

    fn deref(&self) -> &Self::Target {
        self.0.fleet()
    }
}

/// A fleet with what this thread keeps for each server.
pub(super) struct WorkerFleet {
    fleet: Arc<Fleet>,
    servers: Vec<Rc<WorkerServer>>,
    rules: Rc<Rules>,
    /// Whether some server is told for whom connections are.
    is_told_of_clients: bool,
    /// What rules without keys remember; it outlives this view.
    picker: Rc<RefCell<Picker>>,
    worker: usize,
    /// Whether HTTP/2 is spoken to any of them.
    has_http2: bool,
}

/// A server, as this thread sees it; lives as long as the server stays.
pub(super) struct WorkerServer {
    pub(super) runtime: Arc<ServerRuntime>,
    pub(super) upstream: Upstream,
    /// How it is spoken to.
    link: Option<Arc<Link>>,
    /// What `Host` says when the client does not.
    pub(super) authority: HeaderValue,
    /// Its name, for the debug header.
    pub(super) name: HeaderValue,
    /// Whether probes or ejection have taken it out while others may be used:
    /// what waits for it goes elsewhere, if it can.
    pub(super) is_out: Cell<bool>,
    pub(super) silence: Silence,
    worker: usize,
    /// Whether the rule goes by how long it takes to answer.
    is_timed: Cell<bool>,
}

impl Worker {
    fn new(number: usize, shared: Arc<Shared>, access_log: Option<AccessLog>) -> Rc<Self> {
        let mut published = Cache::new(Published(Arc::clone(&shared)));
        let fleet = Arc::clone(published.load());
        let timers = Timers::new();
        let view = Rc::new(WorkerFleet::new(fleet, None, &timers, number));
        Rc::new(Self {
            number,
            timers,
            request_ids: RequestIds::new(),
            trace_ids: TraceIds::default(),
            jitter: Jitter::new(),
            hot_keys: RefCell::new(sketch(&view.rules.config)),
            access_log,
            crowd: Crowd::default(),
            lines: Lines::new(number, Arc::clone(shared.waiting_anywhere())),
            fleet: RefCell::new(LastSeen { published, view }),
            is_stopping: Cell::new(false),
            n_http2: Cell::new(0),
            shared,
        })
    }

    /// Accepts and serves until `stop` is cancelled and the last request has
    /// ended, or had its time.
    async fn run(
        self: Rc<Self>,
        listeners: Vec<TcpListener>,
        places: Arc<Places>,
        stop: CancellationToken,
    ) {
        let timers = Rc::clone(&self.timers);
        tokio::task::spawn_local(async move { timers.run().await });
        let worker = Rc::clone(&self);
        let swept = Arc::clone(&places);
        tokio::task::spawn_local(async move { worker.sweep(&swept).await });
        let worker = Rc::clone(&self);
        tokio::task::spawn_local(async move { worker.follow().await });
        let worker = Rc::clone(&self);
        tokio::task::spawn_local(async move { worker.let_in().await });
        let connections = TaskTracker::new();
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let worker = Rc::clone(&self);
            let door = WorkerDoor::new(worker, Arc::clone(&places), connections.clone());
            accepting.spawn_local(listen::accept(listener, stop.clone(), door));
        }
        while let Some(ended) = accepting.join_next().await {
            if let Ok(Err(error)) = ended {
                error!(%error, "cannot listen");
                return;
            }
        }
        self.is_stopping.set(true);
        self.timers.wake_all();
        connections.close();
        let grace = self.fleet().rules.config.process.shutdown_grace.duration();
        if tokio::time::timeout(grace, connections.wait())
            .await
            .is_err()
        {
            let left = connections.len();
            warn!(left, "connections are cut: their time to end is over");
        }
    }

    async fn sweep(&self, places: &Places) {
        loop {
            tokio::time::sleep(SWEEP).await;
            // Dropping the old view closes the connections to removed servers.
            let fleet = self.fleet();
            places.resize(n_places(&fleet.rules.config));
            let n_http2 = self.n_http2.take();
            self.shared
                .counts
                .http2_requests
                .fetch_add(n_http2, Relaxed);
            let mut hot_keys = self.hot_keys.borrow_mut();
            hot_keys.advance(clock::now());
            self.shared.publish_hot_keys(self.number, &hot_keys);
            drop(hot_keys);
            let now = self.timers.now();
            let suspect_after = fleet.rules.suspect_after;
            for server in &fleet.servers {
                server.upstream.sweep(now);
                if suspect_after.is_some_and(|limit| server.silence.has_lasted(limit)) {
                    self.shared.suspect(&server.runtime);
                }
            }
        }
    }

    /// Takes note of each fleet when it is published, request or not.
    async fn follow(&self) {
        loop {
            self.shared.published(self.number).await;
            let fleet = self.fleet();
            if fleet.servers.iter().any(|server| server.is_out.get()) {
                self.timers.wake_attentive();
            }
            self.lines.wake_all();
        }
    }

    /// Has requests try for places that have come free.
    async fn let_in(&self) {
        loop {
            self.shared.called(self.number).await;
            self.lines.call();
        }
    }

    /// Ends connections of clients that rest.
    #[cold]
    pub(super) fn make_room(&self) {
        let now = clock::now();
        let n_ended = self.crowd.make_room(now);
        let ended = &self.shared.counts.connections_ended;
        ended.fetch_add(n_ended as u64, Relaxed);
    }

    /// There are no descriptors left: ends all connections that rest, to servers
    /// too.
    #[cold]
    pub(super) fn free_descriptors(&self) {
        self.make_room();
        for server in &self.fleet().servers {
            server.upstream.close_idle();
        }
    }

    /// Whether no new requests are wanted on connections that are there.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    /// A request over HTTP/2 has come.
    pub(super) fn count_http2(&self) {
        self.n_http2.set(self.n_http2.get() + 1);
    }

    /// The fleet of this moment.
    pub(super) fn fleet(&self) -> Rc<WorkerFleet> {
        let mut seen = self.fleet.borrow_mut();
        let LastSeen { published, view } = &mut *seen;
        let fleet = published.load();
        if !Arc::ptr_eq(fleet, &view.fleet) {
            let fleet = Arc::clone(fleet);
            let next = WorkerFleet::new(fleet, Some(view), &self.timers, self.number);
            let (before, after) = (&view.rules, &next.rules);
            // Keys are counted anew when what they are counted by is another.
            let is_same = before.config.hot_keys == after.config.hot_keys;
            if !is_same || !after.places_keys_as(before) {
                let sketch = sketch(&after.config);
                // At once: when as many have come again as before, nothing
                // tells the old sums from the new ones.
                self.shared.publish_hot_keys(self.number, &sketch);
                *self.hot_keys.borrow_mut() = sketch;
            }
            *view = Rc::new(next);
        }
        Rc::clone(view)
    }

    /// This thread's counters of bounded loads.
    pub(super) fn bounded(&self) -> &BoundedShard {
        self.shared.bounded(self.number)
    }

    /// This thread's counters of requests that no server got.
    pub(super) fn unrouted(&self) -> &Shard {
        self.shared.unrouted(self.number)
    }
}

fn n_places(config: &Config) -> usize {
    // At most a million.
    config.limits.connections.number() as usize
}

fn sketch(config: &Config) -> KeySketch {
    KeySketch::new(&config.hot_keys.settings(), clock::now())
}

impl WorkerFleet {
    /// The view of `fleet`; servers that stay keep what they had in `before`.
    fn new(fleet: Arc<Fleet>, before: Option<&Self>, timers: &Rc<Timers>, worker: usize) -> Self {
        let same_rules = before.filter(|before| Arc::ptr_eq(&before.rules.config, &fleet.config));
        let rules = match same_rules {
            Some(before) => Rc::clone(&before.rules),
            None => Rules::new(&fleet.config),
        };
        let config = &*fleet.config;
        let picker = match before {
            Some(before) => Rc::clone(&before.picker),
            None => Rc::new(RefCell::new(Picker::new(random()))),
        };
        let servers_before = before.map_or(&[][..], |before| &before.servers);
        if same_rules.is_none() {
            // Kept connections stay; what is over goes with the next sweep.
            servers_before
                .iter()
                .for_each(|server| server.upstream.set_limits(&config.pool));
        }
        let before: BTreeMap<_, _> = servers_before
            .iter()
            .map(|server| (server.runtime.id, server))
            .collect();
        let table = &fleet.table;
        let servers = fleet.servers.iter().zip(table.servers()).zip(&fleet.tls);
        let servers = servers.map(|((runtime, entry), tls)| {
            let known = before.get(&runtime.id).filter(|known| {
                // One that is spoken to in another way keeps nothing of this.
                Arc::ptr_eq(&known.runtime, runtime) && known.link == entry.server.link
            });
            let server = match known {
                Some(&server) => Rc::clone(server),
                None => Rc::new(WorkerServer::new(
                    Arc::clone(runtime),
                    &entry.server,
                    tls.clone(),
                    config,
                    timers,
                    worker,
                )),
            };
            server.is_out.set(entry.is_out && !table.is_fail_open());
            server
        });
        let servers: Vec<_> = servers.collect();
        let is_timed = fleet.table.keyless() == Some(Keyless::ResponseTime);
        servers
            .iter()
            .for_each(|server| server.is_timed.set(is_timed));
        let speaks_http2 = |link: &Option<Arc<Link>>| matches!(link, Some(link) if link.protocol == ServerProtocol::Http2);
        let has_http2 = servers.iter().any(|server| speaks_http2(&server.link));
        let is_told = |server: &Rc<WorkerServer>| {
            let link = server.link.as_ref();
            link.is_some_and(|link| link.proxy_protocol.is_some())
        };
        Self {
            is_told_of_clients: servers.iter().any(is_told),
            servers,
            rules,
            picker,
            worker,
            has_http2,
            fleet,
        }
    }

    /// The configuration that goes with it.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether HTTP/2 is spoken to any server.
    pub(super) fn has_http2(&self) -> bool {
        self.has_http2
    }

    /// Whether some server is told for whom connections are.
    pub(super) fn is_told_of_clients(&self) -> bool {
        self.is_told_of_clients
    }

    /// How often who may ask.
    pub(super) fn rate_limits(&self) -> &RateLimits {
        &self.fleet.rate_limits
    }

    /// Where keys go.
    pub(super) fn table(&self) -> &RoutingTable {
        &self.fleet.table
    }

    /// The server at `index`, which must be of this fleet.
    pub(super) fn server(&self, index: ServerIndex) -> &Rc<WorkerServer> {
        &self.servers[index.as_usize()]
    }

    /// How many servers there are, whatever their standing.
    pub(super) fn n_servers(&self) -> usize {
        self.servers.len()
    }

    /// The place of `server`, if it is in this fleet.
    pub(super) fn index_of(&self, server: &WorkerServer) -> Option<ServerIndex> {
        let id = server.runtime.id;
        let here = self
            .servers
            .iter()
            .position(|server| server.runtime.id == id)?;
        self.fleet.table.index(here)
    }

    /// Whose line is the one `at` a server, unless it is that for any server, and
    /// how many may be in it: `length`, or as many as may be in flight.
    pub(super) fn line(
        &self,
        at: At,
        length: Option<u32>,
    ) -> Option<(Option<&Arc<ServerRuntime>>, u32)> {
        let table = &self.fleet.table;
        let lengths = self.servers.iter().zip(table.servers());
        let mut lengths = lengths.filter_map(|(server, entry)| {
            let max = entry.server.max_in_flight?.number();
            Some((&server.runtime, length.unwrap_or(max)))
        });
        match at {
            At::Server(id) => lengths
                .find(|(runtime, _)| runtime.id == id)
                .map(|(runtime, length)| (Some(runtime), length)),
            At::Anywhere => {
                let all = lengths.map(|(_, length)| length);
                Some((None, all.fold(0, u32::saturating_add)))
            }
        }
    }

    /// Requests in flight at all servers, of all workers.
    pub(super) fn n_in_flight(&self) -> u64 {
        let servers = self.servers.iter();
        servers
            .map(|server| u64::from(server.runtime.in_flight.number()))
            .sum()
    }

    /// The places in this fleet of those servers in `before` at `indices` that
    /// are still there; `None` when keys go by other rules here.
    pub(super) fn places(
        &self,
        before: &Self,
        indices: &[ServerIndex],
    ) -> Option<Vec<ServerIndex>> {
        if !self.rules.places_keys_as(&before.rules) {
            return None;
        }
        let place = |&index| self.index_of(before.server(index));
        Some(indices.iter().filter_map(place).collect())
    }

    /// Whether a request that was `tried` can be sent to another server, perhaps
    /// when there is a place for it.
    #[cold]
    pub(super) fn has_candidate(&self, key: Option<Position>, tried: &[ServerIndex]) -> bool {
        let table = &self.fleet.table;
        // Spreading a key decides where it goes, and not whether.
        let route = table.route(key, &*self.fleet, tried);
        let is_full = route.is_err_and(|why| why == NoServer::AllFull);
        is_full || route.is_ok() || table.route_backup(key, tried).is_some()
    }

    /// Why a key goes where it goes now, after these were tried.
    pub(super) fn explain(&self, key: Position, tried: &[ServerIndex]) -> Vec<Candidate> {
        self.fleet.table.explain(key, &*self.fleet, tried)
    }
}

impl WorkerServer {
    fn new(
        runtime: Arc<ServerRuntime>,
        server: &Server,
        tls: Option<Arc<ServerTls>>,
        config: &Config,
        timers: &Rc<Timers>,
        worker: usize,
    ) -> Self {
        let (address, port) = (server.address.in_authority(), server.port.number());
        Self {
            // Addresses have only characters that a header may have.
            authority: HeaderValue::from_str(&format!("{address}:{port}"))
                .unwrap_or(HeaderValue::from_static("")),
            upstream: Upstream::new(server, &runtime, tls, config, timers),
            link: server.link.clone(),
            silence: Silence::new(timers),
            // Names have no control characters, which is all a header forbids.
            name: HeaderValue::from_str(server.name.as_str())
                .or_else(|_| HeaderValue::from_bytes(server.name.as_str().as_bytes()))
                .unwrap_or(HeaderValue::from_static("")),
            is_out: Cell::new(false),
            worker,
            is_timed: Cell::new(false),
            runtime,
        }
    }

    /// Counts an attempt that took `latency`.
    pub(super) fn record(&self, outcome: Outcome, latency: Duration) {
        self.runtime.shards[self.worker].record(outcome, latency);
        if self.is_timed.get() {
            let mean = &self.runtime.latencies[self.worker];
            mean.record(latency, outcome.is_error(), clock::now());
        }
    }
}
