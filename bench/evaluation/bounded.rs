//! Bounded loads: how high, how often and how far requests overflow.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use ringway::engine::{
    LoadBalancer, LoadFactor, Loads, Position, RoutingTable, ServerIndex, Settings, Timestamp,
    VirtualNodes,
};

use super::fleet::{SEED, fleet};

const SERVERS: u32 = 100;
/// Requests in flight, always: twenty for each server.
const IN_FLIGHT: usize = 2000;
const REQUESTS: u64 = 30_000;
/// Different keys of the Zipf distribution.
const ZIPF_KEYS: u64 = 100_000;

struct Counted(RefCell<Vec<u32>>);

impl Loads for Counted {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.0.borrow()[server.as_usize()]
    }
}

fn table(n: u32, virtual_nodes: u64, factor: f64) -> Arc<RoutingTable> {
    let settings = Settings {
        virtual_nodes: VirtualNodes::new(virtual_nodes).expect("a valid number"),
        load_factor: Some(LoadFactor::new(factor).expect("a valid factor")),
        ..Settings::default()
    };
    let servers = fleet(0, n, |_| 1).into_iter().map(|(server, _)| server);
    let balancer = LoadBalancer::new(settings, servers.collect(), Timestamp::ZERO);
    Arc::clone(balancer.expect("few points").table())
}

/// The key of the `i`-th request: a new one each time, or the k-th of
/// [`ZIPF_KEYS`] with a chance in proportion to 1/k.
struct Keys {
    sums: Vec<f64>,
}

impl Keys {
    fn zipf() -> Self {
        let mut sum = 0.0;
        let sums = (1..=ZIPF_KEYS).map(|k| {
            sum += 1.0 / k as f64;
            sum
        });
        Self {
            sums: sums.collect(),
        }
    }

    fn key(&self, i: u64) -> Position {
        let drawn = crate::mix(i + (SEED << 32));
        let Some(all) = self.sums.last() else {
            return Position::from_bits(drawn);
        };
        let at = (drawn >> 11) as f64 / (1_u64 << 53) as f64 * all;
        let k = self.sums.partition_point(|&sum| sum < at);
        Position::from_bits(crate::mix(k as u64))
    }
}

pub(crate) fn experiment(out: &mut String) {
    out.push_str("| keys | virtual nodes | factor | peak to mean in flight | overflowed, % | servers asked: mean | 99 % | most | moved when one leaves ÷ least |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    let kinds = [
        ("uniform", Keys { sums: Vec::new() }),
        ("Zipf", Keys::zipf()),
    ];
    for (kind, keys) in &kinds {
        for virtual_nodes in [1, 100] {
            for factor in [1.1, 1.25, 1.5, 2.0] {
                let table = table(SERVERS, virtual_nodes, factor);
                let steady = steady(&table, keys);
                let fewer = self::table(SERVERS - 1, virtual_nodes, factor);
                let ratio = moved(&table, &fewer, keys);
                let _ = writeln!(
                    out,
                    "| {kind} | {virtual_nodes} | {factor} | {:.2} | {:.1} | {:.2} | {} | {} | {ratio:.1} |",
                    steady.peak, steady.overflowed, steady.mean, steady.p99, steady.most
                );
            }
        }
    }
}

struct Steady {
    peak: f64,
    overflowed: f64,
    mean: f64,
    p99: usize,
    most: usize,
}

/// Requests come and go, the oldest first.
fn steady(table: &RoutingTable, keys: &Keys) -> Steady {
    let loads = Counted(RefCell::new(vec![0; SERVERS as usize]));
    let mut running = VecDeque::new();
    let mut asked = Vec::new();
    let mut peak = 0;
    for i in 0..IN_FLIGHT as u64 + REQUESTS {
        let key = keys.key(i);
        let chosen = table
            .route(Some(key), &loads, &[])
            .expect("a server")
            .server;
        if running.len() == IN_FLIGHT {
            let candidates = table.primary().candidates(key);
            let place = candidates
                .iter()
                .position(|&rank| rank as usize == chosen.as_usize());
            asked.push(place.expect("a candidate") + 1);
        }
        running.push_back(chosen);
        let mut counts = loads.0.borrow_mut();
        counts[chosen.as_usize()] += 1;
        if running.len() > IN_FLIGHT {
            let done: ServerIndex = running.pop_front().expect("one runs");
            counts[done.as_usize()] -= 1;
            peak = peak.max(counts[chosen.as_usize()]);
        }
    }
    asked.sort_unstable();
    let n_asked = asked.len();
    let n_overflowed = asked.iter().filter(|&&place| place > 1).count();
    Steady {
        peak: f64::from(peak) / (IN_FLIGHT as f64 / f64::from(SERVERS)),
        overflowed: n_overflowed as f64 / n_asked as f64 * 100.0,
        mean: asked.iter().sum::<usize>() as f64 / n_asked as f64,
        p99: asked[(n_asked - 1) * 99 / 100],
        most: asked[n_asked - 1],
    }
}

/// The same requests, one after the other and none ending, with all servers
/// and without the last: how many went elsewhere over how many had to.
fn moved(all: &RoutingTable, fewer: &RoutingTable, keys: &Keys) -> f64 {
    let [before, after] = [all, fewer].map(|table| {
        let loads = Counted(RefCell::new(vec![0; SERVERS as usize]));
        let routes = (0..IN_FLIGHT as u64).map(|i| {
            let route = table.route(Some(keys.key(i)), &loads, &[]);
            let server = route.expect("a server").server.as_usize();
            loads.0.borrow_mut()[server] += 1;
            server
        });
        routes.collect::<Vec<usize>>()
    });
    let last = SERVERS as usize - 1;
    // Names are in the order of the fleet, so that indexes agree.
    let n_moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    let n_least = before.iter().filter(|&&server| server == last).count();
    n_moved as f64 / n_least.max(1) as f64
}
