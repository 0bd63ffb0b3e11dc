//! Bounded loads: no server is sent more than its bound, what is too much goes
//! on in its key's own order, and it is counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use ringway::engine::{
    Admission, Algorithm, Event, Idle, LoadBalancer, LoadFactor, Loads, NoServer, Position, Reason,
    RoutingTable, Server, ServerIndex, Settings, Spread, Standing, TableServer, TableSize,
    Timestamp, Verdict,
};
use ringway::native::in_flight::InFlightCount;
use serde_json::json;

use crate::support::api::Api;
use crate::support::client::Client;
use crate::support::origin::{After, Origin, ok};
use crate::support::proxy::{Proxy, eventually};
use crate::support::rng::Rng;
use crate::support::{id_of, judge, server, trouble};

/// Requests in flight, by index.
struct Counts(Vec<u32>);

impl Loads for Counts {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.0[server.as_usize()]
    }
}

/// The same, counted as workers do.
struct Shared(Vec<InFlightCount>);

impl Loads for Shared {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.0[server.as_usize()].number()
    }
}

fn factor(number: f64) -> LoadFactor {
    LoadFactor::new(number).expect("a good factor")
}

/// A fleet in some trouble: ejected, drained over some time, coming back.
fn troubled(rng: &mut Rng, load_factor: LoadFactor) -> LoadBalancer {
    let algorithms = [
        Algorithm::Ring,
        Algorithm::LocalRendezvous,
        Algorithm::Rendezvous,
        Algorithm::Maglev(TableSize::DEFAULT),
    ];
    // A table of 65,537 slots takes its time.
    let algorithm = algorithms[if rng.chance(5) {
        3
    } else {
        rng.below(3) as usize
    }]
    .clone();
    let settings = Settings {
        algorithm,
        load_factor: Some(load_factor),
        slow_start: Duration::from_secs(20),
        drain: Duration::from_secs(20),
        ..Settings::default()
    };
    let n = 1 + rng.below(12);
    let servers: Vec<Server> = (0..n)
        .map(|i| Server {
            backup: rng.chance(15),
            ..server(&format!("s{i}"), 1 + rng.below(5))
        })
        .collect();
    let mut lb = LoadBalancer::new(settings, servers, Timestamp::ZERO).expect("a good fleet");
    let n_rounds = rng.below(3);
    trouble(&mut lb, rng, n_rounds);
    // An ejection lasts 30 s and a little, a slow start 20 s.
    let until = Timestamp::from_millis(rng.below(60_000));
    while let Some(at) = lb.next_deadline().filter(|&at| at <= until) {
        for event in lb.advance(at) {
            if let Event::TrialBegan { name } = event {
                let server = id_of(&lb, &name);
                let _ = judge(&mut lb, server, Verdict::Good, at);
            }
        }
    }
    lb
}

/// What a server should have of the load: its weight, scaled by the part of its
/// keys that it takes.
fn capacity(server: &TableServer) -> u128 {
    let parts = (server.admission.fraction() * 65_536.0) as u128;
    u128::from(server.server.weight.number()) * parts
}

/// ⌈factor × (n + 1) × capacity / all capacities⌉, by another way than the engine's.
fn bound(factor: LoadFactor, n: u32, capacity: u128, all: u128) -> u32 {
    let thousandths = (factor.number() * 1000.0).round() as u128;
    let least =
        |bound: &u32| u128::from(*bound) * 1000 * all >= thousandths * u128::from(n + 1) * capacity;
    (0..).find(least).expect("some bound is enough")
}

/// The servers that share the load now: of the tier in use, the eligible ones
/// and those that are drained and have keys left. `None` in another tier.
fn in_use(table: &RoutingTable) -> Option<Vec<ServerIndex>> {
    let is_backup = [false, true].into_iter().find(|&is_backup| {
        let mut members = table.members(is_backup).into_iter();
        members.any(|i| table.server(i).standing == Standing::Eligible)
    })?;
    let mut members = table.members(is_backup);
    members.retain(|&i| {
        let server = table.server(i);
        match server.standing {
            Standing::Eligible => true,
            Standing::Draining => server.admission > Admission::NONE,
            _ => false,
        }
    });
    Some(members)
}

#[test]
fn no_assignment_exceeds_its_bound_and_overflow_goes_in_the_keys_order() {
    const SEED: u64 = 5;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let (mut n_overflowed, mut n_gated, mut n_leaving, mut n_retried) = (0, 0, 0, 0);
    for case in 0..250 {
        let factor = factor(1.001 + rng.below(3000) as f64 / 1000.0);
        let lb = troubled(&mut rng, factor);
        let table = lb.table();
        let Some(usable) = in_use(table) else {
            continue;
        };
        let all: u128 = usable.iter().map(|&i| capacity(table.server(i))).sum();
        n_leaving += usize::from(
            usable
                .iter()
                .any(|&i| table.server(i).standing == Standing::Draining),
        );
        let mut loads = Counts(vec![0; table.servers().len()]);
        let mut inside: Vec<ServerIndex> = Vec::new();
        for step in 0..120 {
            if rng.chance(25) && !inside.is_empty() {
                let left = inside.swap_remove(rng.below(inside.len() as u64) as usize);
                loads.0[left.as_usize()] -= 1;
                continue;
            }
            let n_keys = if rng.chance(70) { 1 } else { 50 };
            let key = rng.below(n_keys);
            let position = table.position(&key.to_le_bytes());
            let tried: Vec<ServerIndex> = match rng.chance(15) {
                true => rng.pick(&usable).copied().into_iter().collect(),
                false => Vec::new(),
            };
            n_retried += usize::from(!tried.is_empty());
            let n = inside.len() as u32;
            let limit = |i: ServerIndex| bound(factor, n, capacity(table.server(i)), all);
            let has_room = |i: &ServerIndex| loads.0[i.as_usize()] < limit(*i);
            // In the key's order: first those that admit the key, then those
            // that are not on their way out.
            let candidates = table.explain(position, &Idle, &[]);
            let untried = candidates
                .iter()
                .filter(|c| usable.contains(&c.server) && !tried.contains(&c.server));
            let admits = |c: &&&ringway::engine::Candidate| {
                let gate = table.server(c.server).admission;
                n_gated += usize::from(gate != Admission::FULL && gate != Admission::NONE);
                matches!(c.reason, Reason::Chosen | Reason::Next)
            };
            let order: Vec<ServerIndex> = {
                let untried: Vec<_> = untried.collect();
                let admitting = untried.iter().filter(admits).map(|c| c.server);
                let first: Vec<ServerIndex> = admitting.collect();
                let staying = untried.iter().map(|c| c.server).filter(|&i| {
                    table.server(i).standing != Standing::Draining && !first.contains(&i)
                });
                first.iter().copied().chain(staying).collect()
            };
            let wanted = order.iter().copied().find(has_room);
            let route = table.route(Some(position), &loads, &tried);
            let at = format!("case {case}, step {step}");
            let route = match route {
                Ok(route) => route,
                Err(why) => {
                    let nobody = usable.iter().all(|i| tried.contains(i));
                    assert!(nobody && why == NoServer::AllTried, "{at}: {why}");
                    continue;
                }
            };
            match wanted {
                Some(wanted) => assert_eq!(route.server, wanted, "{at}"),
                // Then it is the one with the least load, and only when servers
                // were tried can that one be at its bound.
                None => assert!(has_room(&route.server) || !tried.is_empty(), "{at}"),
            }
            assert_eq!(route.bound.is_some(), has_room(&route.server), "{at}");
            if let Some(bound) = route.bound {
                // An idle owner is told 1, which is enough.
                assert!(bound <= limit(route.server), "{at}");
                assert!(loads.0[route.server.as_usize()] < bound, "{at}");
            }
            assert!(!tried.contains(&route.server), "{at}");
            let before = order.iter().take_while(|i| !has_room(i)).count() as u32;
            let overflowed = order.first().is_some_and(|first| *first != route.server);
            assert_eq!(route.overflowed, overflowed, "{at}");
            if wanted.is_some() {
                assert_eq!(route.n_asked, before + 1, "{at}");
            }
            n_overflowed += usize::from(overflowed);
            loads.0[route.server.as_usize()] += 1;
            inside.push(route.server);
        }
    }
    println!(
        "{n_overflowed} overflowed, {n_gated} gated, {n_leaving} fleets leaving, {n_retried} retried"
    );
    assert!(n_overflowed > 1000 && n_gated > 1000 && n_leaving > 10 && n_retried > 1000);
}

#[test]
fn however_many_are_at_their_bounds_the_next_in_order_is_found() {
    for algorithm in [Algorithm::Ring, Algorithm::Rendezvous] {
        let settings = Settings {
            algorithm,
            load_factor: Some(factor(1.001)),
            ..Settings::default()
        };
        let servers = (0..60).map(|i| server(&format!("s{i}"), 1)).collect();
        let lb = LoadBalancer::new(settings, servers, Timestamp::ZERO).expect("a good fleet");
        let table = lb.table();
        let position = table.position(b"hot");
        let order = table.explain(position, &Idle, &[]);
        let mut loads = Counts(vec![0; 60]);
        // ⌈1.001 × 59 / 60⌉ is 1 still.
        for (nth, candidate) in order.iter().take(59).enumerate() {
            let route = table.route(Some(position), &loads, &[]);
            let route = route.expect("nothing was tried");
            assert_eq!(route.server, candidate.server, "request {nth}");
            assert_eq!((route.bound, route.overflowed), (Some(1), nth > 0));
            assert_eq!(route.n_asked, nth.min(32) as u32 + 1);
            loads.0[route.server.as_usize()] += 1;
        }
    }
}

#[test]
fn a_spread_key_keeps_its_bounds_too() {
    const SEED: u64 = 6;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let mut n_overflowed = 0;
    for case in 0..120 {
        let factor = factor(1.25);
        let lb = troubled(&mut rng, factor);
        let table = lb.table();
        let Some(usable) = in_use(table) else {
            continue;
        };
        let all: u128 = usable.iter().map(|&i| capacity(table.server(i))).sum();
        let position = table.position(&rng.next().to_le_bytes());
        let over = 2 + rng.below(4) as u8;
        let round = table.spread_over(position, over);
        // Who does not admit the key is not among those it is spread over.
        for candidate in table.explain(position, &Idle, &[]) {
            if matches!(
                candidate.reason,
                Reason::NotAdmitted { .. } | Reason::NotUsable(_)
            ) {
                assert!(!round.contains(&candidate.server), "case {case}");
            }
        }
        let mut loads = Counts(vec![0; table.servers().len()]);
        for nth in 0..60 {
            let spread = Some(Spread { nth, over });
            let route = table.route_spread(Some(position), spread, &loads, &[]);
            let route = route.expect("nothing was tried");
            let limit = bound(factor, nth, capacity(table.server(route.server)), all);
            loads.0[route.server.as_usize()] += 1;
            let at = format!("case {case}, request {nth}: {route:?}");
            assert!(loads.0[route.server.as_usize()] <= limit, "{at}");
            assert!(route.n_asked > 0, "{at}");
            if let Some(first) = round.get(nth as usize % round.len().max(1)) {
                assert_eq!(route.overflowed, *first != route.server, "{at}");
                assert_eq!(route.overflowed, route.n_asked > 1, "{at}");
            }
            n_overflowed += usize::from(route.overflowed);
        }
    }
    assert!(n_overflowed > 100, "{n_overflowed}");
}

/// As a worker does: asks, counts itself in, and asks again if another was first.
fn enter(
    table: &RoutingTable,
    position: Position,
    shared: &Shared,
    largest: &[AtomicU32],
) -> usize {
    loop {
        let route = table.route(Some(position), shared, &[]);
        let route = route.expect("nothing was tried");
        let i = route.server.as_usize();
        assert!(route.bound.is_some(), "nothing was tried");
        largest[i].fetch_max(route.bound.unwrap_or(u32::MAX), SeqCst);
        if shared.0[i].enter(route.bound) {
            return i;
        }
    }
}

fn of_weights(weights: &[u64]) -> LoadBalancer {
    let settings = Settings {
        load_factor: Some(factor(1.25)),
        ..Settings::default()
    };
    let servers = weights.iter().zip(0..);
    let servers = servers.map(|(&n, i)| server(&format!("s{i}"), n)).collect();
    LoadBalancer::new(settings, servers, Timestamp::ZERO).expect("a good fleet")
}

#[test]
fn while_requests_only_come_every_server_is_within_its_bound_of_that_moment() {
    const THREADS: usize = 4;
    const WEIGHTS: [u64; 5] = [1, 2, 1, 3, 1];
    for round in 0..40_u64 {
        let lb = of_weights(&WEIGHTS);
        let table = lb.table();
        let position = table.position(&round.to_le_bytes());
        let shared = Shared(WEIGHTS.iter().map(|_| InFlightCount::default()).collect());
        let largest = WEIGHTS.map(|_| AtomicU32::new(0));
        let begin = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    begin.wait();
                    for _ in 0..50 {
                        enter(table, position, &shared, &largest);
                    }
                });
            }
        });
        let n = (THREADS * 50) as u32;
        let got: Vec<u32> = shared.0.iter().map(InFlightCount::number).collect();
        assert_eq!(got.iter().sum::<u32>(), n);
        for (i, (&got, weight)) in got.iter().zip(WEIGHTS).enumerate() {
            // n - 1 others, and one more.
            let limit = bound(factor(1.25), n - 1, weight.into(), 8);
            assert!(got <= limit, "s{i} has {got} of at most {limit}");
        }
    }
}

#[test]
fn while_requests_come_and_go_no_server_exceeds_the_largest_bound_it_was_given() {
    const THREADS: usize = 4;
    const WEIGHTS: [u64; 4] = [1, 1, 2, 1];
    let lb = of_weights(&WEIGHTS);
    let table = lb.table();
    let position = table.position(b"hot");
    let shared = Shared(WEIGHTS.iter().map(|_| InFlightCount::default()).collect());
    let largest = WEIGHTS.map(|_| AtomicU32::new(0));
    let begin = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for seed in 0..THREADS as u64 {
            let (shared, largest, begin) = (&shared, &largest, &begin);
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                let mut inside = Vec::new();
                begin.wait();
                for _ in 0..5_000 {
                    if inside.len() < 8 && (inside.is_empty() || rng.chance(55)) {
                        inside.push(enter(table, position, shared, largest));
                    } else {
                        let i = inside.swap_remove(rng.below(inside.len() as u64) as usize);
                        shared.0[i].leave();
                    }
                    for (count, largest) in shared.0.iter().zip(largest) {
                        // Bounds only enter before counts rise to them.
                        let (now, largest) = (count.number(), largest.load(SeqCst));
                        assert!(now <= largest, "{now} of at most {largest}");
                    }
                }
                inside.iter().for_each(|&i| shared.0[i].leave());
            });
        }
    });
    assert!(shared.0.iter().all(|count| count.number() == 0));
}

#[test]
fn a_count_never_exceeds_the_bound_that_all_enter_with() {
    const THREADS: usize = 4;
    let count = InFlightCount::default();
    let begin = Barrier::new(THREADS);
    let (most, n_entered) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                begin.wait();
                // Nothing else in the loop, so that threads meet in `enter`.
                let (mut seen, mut n) = (0, 0);
                for _ in 0..1_000_000 {
                    if count.enter(Some(1)) {
                        seen = seen.max(count.number());
                        n += 1;
                        count.leave();
                    }
                }
                most.fetch_max(seen, SeqCst);
                n_entered.fetch_add(n, SeqCst);
            });
        }
    });
    assert_eq!((most.load(SeqCst), count.number()), (1, 0));
    assert!(n_entered.load(SeqCst) > 0);
}

/// Servers that answer nobody before so many requests are there together.
struct Gate {
    state: Mutex<Arrived>,
    is_open: Condvar,
}

#[derive(Default)]
struct Arrived {
    wanted: u32,
    n: u32,
    now: BTreeMap<&'static str, u32>,
    most: BTreeMap<&'static str, u32>,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            is_open: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.state.lock().expect("nobody panics under it")
    }

    /// Forgets what was; from now on `n` requests must be there together.
    fn close(&self, n: u32) {
        *self.lock() = Arrived {
            wanted: n,
            ..Arrived::default()
        };
    }

    /// Four of these, and where they stand.
    fn origins(self: &Arc<Self>) -> ([Origin; 4], Vec<(&'static str, SocketAddr)>) {
        let names = ["a", "b", "c", "d"];
        let origins = names.map(|name| self.origin(name));
        let addresses = origins.iter().map(|origin| origin.address);
        let servers = names.into_iter().zip(addresses).collect();
        (origins, servers)
    }

    fn origin(self: &Arc<Self>, name: &'static str) -> Origin {
        let gate = Arc::clone(self);
        Origin::new(move |_, stream| {
            let mut state = gate.lock();
            state.n += 1;
            let now = state.now.entry(name).or_default();
            *now += 1;
            let now = *now;
            let most = state.most.entry(name).or_default();
            *most = now.max(*most);
            gate.is_open.notify_all();
            // So that a test which fails does so without waiting for ever.
            let (mut state, _) = gate
                .is_open
                .wait_timeout_while(state, Duration::from_secs(15), |state| {
                    state.n < state.wanted
                })
                .expect("nobody panics under it");
            *state.now.entry(name).or_default() -= 1;
            drop(state);
            ok(stream, name);
            After::Keep
        })
    }
}

/// So many clients ask for one path at a time; who answered them.
fn ask_together(proxy: &Proxy, n: u32) -> Vec<String> {
    std::thread::scope(|scope| {
        let ask = || {
            let answer = Client::connect(proxy.address).get("/hot");
            assert_eq!(answer.status, 200);
            answer.text().to_owned()
        };
        let asking: Vec<_> = (0..n).map(|_| scope.spawn(ask)).collect();
        let answers = asking.into_iter();
        answers.map(|a| a.join().expect("an answer")).collect()
    })
}

#[tokio::test]
async fn one_hot_key_of_two_workers_fills_each_server_to_its_bound_and_is_counted() {
    const N: u32 = 40;
    const SETTINGS: &str = r#""routing": {"hash_key": ["path"], "load_factor": 1.25}"#;
    let gate = Gate::new();
    gate.close(N);
    let (_origins, servers) = gate.origins();
    let proxy = Proxy::start_with(&servers, SETTINGS, 2, None);
    let owner = proxy.owner_of("/hot");
    let answers = ask_together(&proxy, N);
    let most = gate.lock().most.clone();
    // Nobody left before all had come: ⌈1.25 × 40 / 4⌉ is exact.
    assert_eq!(most.values().sum::<u32>(), N);
    assert!(most.values().all(|&n| n <= 13), "{most:?}");
    let counters = proxy.shared.bounded_counters();
    let elsewhere = answers.iter().filter(|name| **name != owner).count() as u64;
    assert_eq!(counters.requests, u64::from(N));
    assert_eq!(counters.overflowed, elsewhere);
    assert!(elsewhere >= 27, "{elsewhere}");
    assert!(counters.asked >= counters.requests + counters.overflowed);
    assert!((2..=4 * u64::from(N)).contains(&counters.asked_max));

    let api = Api::over(Arc::clone(&proxy.shared), None, None).await;
    let shown = &api.get("/api/metrics").await.json()["bounded_loads"];
    let expected = json!({
        "requests": counters.requests,
        "overflowed": counters.overflowed,
        "asked": counters.asked,
        "asked_max": counters.asked_max,
    });
    assert_eq!(*shown, expected);
    let text = api.get("/metrics").await.text();
    for line in [
        format!("ringway_bounded_requests_total {}", counters.requests),
        format!("ringway_bounded_overflowed_total {}", counters.overflowed),
        format!("ringway_bounded_asked_total {}", counters.asked),
        format!("ringway_bounded_asked_max {:?}", counters.asked_max as f64),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
}

#[test]
fn a_hot_key_that_is_spread_fills_its_few_servers_first_and_overflows_behind_them() {
    const SETTINGS: &str = r#""routing": {"hash_key": ["path"], "load_factor": 1.25}, "hot_keys": {"spread": 2, "half_life": 86400}"#;
    let gate = Gate::new();
    let (_origins, servers) = gate.origins();
    let proxy = Proxy::start(&servers, SETTINGS);
    let mut client = Client::connect(proxy.address);
    // So many until it is known to be hot.
    for _ in 0..64 {
        assert_eq!(client.get("/hot").status, 200);
    }
    eventually("nothing in flight", || proxy.in_flight() == 0);
    gate.close(40);
    ask_together(&proxy, 40);
    let most = gate.lock().most.clone();
    assert!(most.values().all(|&n| n <= 13), "{most:?}");
    let table = proxy.shared.table();
    let round = table.spread_over(table.position(b"/hot"), 2);
    for server in round {
        let name = table.server(server).server.name.as_str();
        assert_eq!(most[name], 13, "{most:?}");
    }
}

#[test]
fn nothing_is_counted_without_bounded_loads_nor_without_a_key() {
    let origin = Origin::named("a");
    for settings in [
        r#""routing": {"hash_key": ["path"]}"#,
        r#""routing": {"hash_key": [{"header": "x-key"}], "load_factor": 1.25}"#,
    ] {
        let proxy = Proxy::start(&[("a", origin.address)], settings);
        assert_eq!(Client::connect(proxy.address).get("/").status, 200);
        assert_eq!(proxy.shared.bounded_counters(), Default::default());
    }
}
