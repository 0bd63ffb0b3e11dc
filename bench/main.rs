//! How fast the ring is built, changed and searched, beside its peers.
//!
//! All cases of one table run in turns (A B C A B C …) in one process, so that
//! a busy or throttled machine slows all of them; what is worth reading is the
//! ratio: of the best rounds, which others disturbed least, and the median of
//! those within one round. Keys are random and many; points and index are warm.
//! Every case asserts its results. `cargo bench` takes some minutes, `cargo
//! bench -- --test` runs each case once.
//!
//! The peers: `hashring` (a sorted vector of positions; here with the same
//! positions as ours, and a hasher that passes them through, so that only its
//! search is measured), `pingora-ketama` (nginx's points, 32 bits; version 1
//! has 160 for each server, version 2 as many as we ask for), and a plain
//! binary search over our own points.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hashring::HashRing;
use pingora_ketama::{Bucket, Continuum, Version};
use ringway::engine::{
    Address, Idle, LoadBalancer, Point, Port, Position, Ring, RoutingTable, Server, ServerName,
    Settings, Timestamp, VirtualNodes, Weight,
};

mod plan;

/// Points for each server, everywhere.
const POINTS: u32 = 100;
/// Different random keys; too many for a processor to learn by heart.
const KEYS: usize = 1 << 16;
/// How long one case runs in one round: shorter than what a scheduler gives a
/// process at a time, so that most slices run undisturbed.
const SLICE: Duration = Duration::from_millis(3);
const ROUNDS: usize = 101;
/// The most time for all rounds of one table.
const TABLE: Duration = Duration::from_secs(10);

mod evaluation;
mod peers;

/// Counts what is allocated, for the tables of memory.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
// SAFETY: all is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size, Relaxed);
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Bytes that are allocated now.
fn allocated() -> usize {
    ALLOCATED.load(Relaxed)
}

fn main() {
    let is = |word: &str| std::env::args().any(|argument| argument == word);
    if is("evaluation") {
        return evaluation::write();
    }
    let is_smoke = is("--test");
    let bench = Bench { is_smoke };
    for n_servers in [10, 100, 1000] {
        peers::lookup(&bench, n_servers);
    }
    if is("peers") {
        return;
    }
    for n_servers in [10, 100, 160, 1000, 10_000] {
        bench.lookup(n_servers);
    }
    for n_servers in [10, 100, 1000, 10_000] {
        bench.build(n_servers);
    }
    for n_servers in [10, 100, 1000, 10_000] {
        bench.update(n_servers);
    }
    plan::run(&bench, 1000);
}

struct Bench {
    is_smoke: bool,
}

/// A case: does its work once and returns how many operations that was.
type Case<'a> = (&'a str, Box<dyn FnMut() -> u64 + 'a>);

impl Bench {
    fn lookup(&self, n_servers: u32) {
        let ring = ring(n_servers);
        let table = table(n_servers);
        let plain: Vec<Point> = ring.points().to_vec();
        let peer = hashring_of(&ring);
        let v1 = continuum(n_servers, Version::V1);
        let v2 = continuum(
            n_servers,
            Version::V2 {
                point_multiple: POINTS,
            },
        );
        let keys = random_keys();
        for &key in &keys[..1000] {
            let owner = ring.owner(Position::from_bits(key));
            assert_eq!(owner, plain_owner(&plain, key));
            let route = table.route(Some(Position::from_bits(key)), &Idle, &[]);
            assert_eq!(
                owner,
                route.ok().map(|route| route.server.as_usize() as u32)
            );
            assert_eq!(owner, peer.get(&Through(key)).map(|point| point.server));
            assert!(v1.node(&key.to_le_bytes()).is_some());
            assert!(v2.node(&key.to_le_bytes()).is_some());
        }
        let each = |find: &dyn Fn(u64) -> u32| {
            let sum = keys.iter().map(|&key| u64::from(find(key))).sum::<u64>();
            black_box(sum);
            KEYS as u64
        };
        // Each lookup's key depends on the answer of the one before.
        let chained = |find: &dyn Fn(u64) -> u32| {
            let mut last = 0;
            for &key in &keys {
                last = u64::from(find(key ^ (last & 1)));
            }
            black_box(last);
            KEYS as u64
        };
        let ours = |key| ring.owner(Position::from_bits(key)).unwrap_or(0);
        let route = |key| {
            let route = table.route(Some(Position::from_bits(key)), &Idle, &[]);
            route.map_or(0, |route| route.server.as_usize() as u32)
        };
        let halving = |key| plain_owner(&plain, key).unwrap_or(0);
        let theirs = |key| peer.get(&Through(key)).map_or(0, |point| point.server);
        self.compare(
            &format!("lookup, hash given: {} points", plain.len()),
            vec![
                ("ringway", Box::new(|| each(&ours))),
                ("ringway, the whole route", Box::new(|| each(&route))),
                ("plain binary search", Box::new(|| each(&halving))),
                ("hashring", Box::new(|| each(&theirs))),
            ],
        );
        self.compare(
            &format!(
                "lookup, hash given, one after the other: {} points",
                plain.len()
            ),
            vec![
                ("ringway", Box::new(|| chained(&ours))),
                ("plain binary search", Box::new(|| chained(&halving))),
                ("hashring", Box::new(|| chained(&theirs))),
            ],
        );
        let ours = |key: u64| {
            ring.owner(Position::of_key(&key.to_le_bytes()))
                .unwrap_or(0)
        };
        let first = |key: u64| {
            v1.node(&key.to_le_bytes())
                .map_or(0, |node| u32::from(node.port()))
        };
        let second = |key: u64| {
            v2.node(&key.to_le_bytes())
                .map_or(0, |node| u32::from(node.port()))
        };
        self.compare(
            &format!("lookup of a key of 8 bytes, hashed: {} points", plain.len()),
            vec![
                ("ringway", Box::new(|| each(&ours))),
                (
                    "pingora-ketama 1 (160 points each)",
                    Box::new(|| each(&first)),
                ),
                ("pingora-ketama 2", Box::new(|| each(&second))),
            ],
        );
    }

    fn build(&self, n_servers: u32) {
        let servers = servers(n_servers);
        let buckets = buckets(n_servers);
        let n_points = (n_servers * POINTS) as usize;
        self.compare(
            &format!("build: {n_servers} servers of {POINTS} points"),
            vec![
                (
                    "ringway",
                    Box::new(|| {
                        assert_eq!(ring_of(black_box(&servers)).points().len(), n_points);
                        1
                    }),
                ),
                (
                    "hashring",
                    Box::new(|| {
                        let mut ring = HashRing::new();
                        let nodes =
                            (0..n_servers).flat_map(|server| (0..POINTS).map(move |i| (server, i)));
                        ring.batch_add(black_box(nodes.collect::<Vec<(u32, u32)>>()));
                        assert_eq!(ring.len(), n_points);
                        1
                    }),
                ),
                (
                    "pingora-ketama 1 (160 points each)",
                    Box::new(|| {
                        let ring = Continuum::new_with_version(black_box(&buckets), Version::V1);
                        assert!(ring.node(b"key").is_some());
                        1
                    }),
                ),
                (
                    "pingora-ketama 2",
                    Box::new(|| {
                        let version = Version::V2 {
                            point_multiple: POINTS,
                        };
                        let ring = Continuum::new_with_version(black_box(&buckets), version);
                        assert!(ring.node(b"key").is_some());
                        1
                    }),
                ),
            ],
        );
    }

    fn update(&self, n_servers: u32) {
        let servers = servers(n_servers);
        let ring = ring_of(&servers);
        let n_points = ring.points().len();
        let weight = |n| Weight::new(n).expect("a valid weight");
        let new = ServerName::new("192.0.2.1:8080").expect("a valid name");
        let (old, _) = servers.iter().nth(servers.len() / 2).expect("not empty");
        let more = POINTS as usize;
        let mut peer = hashring_of(&ring);
        let added: Vec<PeerPoint> = (0..u64::from(POINTS))
            .map(|i| PeerPoint {
                position: mix(i + 1),
                server: n_servers,
            })
            .collect();
        self.compare(
            &format!("update: one of {n_servers} servers of {POINTS} points"),
            vec![
                (
                    "ringway, add",
                    Box::new(|| {
                        let after = ring.with_server(&new, Weight::ONE).expect("few points");
                        assert_eq!(after.points().len(), n_points + more);
                        1
                    }),
                ),
                (
                    "ringway, remove",
                    Box::new(|| {
                        assert_eq!(ring.without_server(old).points().len(), n_points - more);
                        1
                    }),
                ),
                (
                    "ringway, weight 1 to 2",
                    Box::new(|| {
                        let after = ring.with_weight(old, weight(2)).expect("few points");
                        assert_eq!(after.points().len(), n_points + more);
                        1
                    }),
                ),
                (
                    "ringway, built again",
                    Box::new(|| {
                        assert_eq!(ring_of(black_box(&servers)).points().len(), n_points);
                        1
                    }),
                ),
                (
                    "hashring, add and remove",
                    Box::new(|| {
                        peer.batch_add(added.clone());
                        assert_eq!(peer.len(), n_points + more);
                        for point in &added {
                            assert!(peer.remove(point).is_some());
                        }
                        2
                    }),
                ),
            ],
        );
    }

    /// Runs the cases in turns and prints for each the time of one operation,
    /// and how many times the first case's it is.
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    fn compare(&self, title: &str, mut cases: Vec<Case>) {
        if self.is_smoke {
            for (_, case) in &mut cases {
                case();
            }
            println!("{title}: {} cases ran", cases.len());
            return;
        }
        let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
        let begin = Instant::now();
        for round in 0..=ROUNDS {
            if round > 3 && begin.elapsed() > TABLE {
                break;
            }
            for (times, (_, case)) in rounds.iter_mut().zip(&mut cases) {
                let start = Instant::now();
                let mut n = 0;
                while n == 0 || start.elapsed() < SLICE {
                    n += case();
                }
                // The first round warms up.
                if round > 0 {
                    times.push(start.elapsed().as_nanos() as f64 / n as f64);
                }
            }
        }
        println!("\n{title}\n");
        println!("| | best, ns | median, ns | best ÷ ringway's | median of ratios |");
        println!("|---|---:|---:|---:|---:|");
        let best = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
        for ((name, _), times) in cases.iter().zip(&rounds) {
            let ratios = times
                .iter()
                .zip(&rounds[0])
                .map(|(time, first)| time / first);
            println!(
                "| {name} | {} | {} | {:.2} | {:.2} |",
                shown(best(times)),
                shown(median(times.iter().copied())),
                best(times) / best(&rounds[0]),
                median(ratios)
            );
        }
    }
}

/// Runs `case` for [`SLICE`] as often as `n_rounds` says, after once to warm
/// up: the nanoseconds of one operation in each round.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn nanos(mut case: impl FnMut() -> u64, n_rounds: usize) -> Vec<f64> {
    case();
    let round = |_| {
        let start = Instant::now();
        let mut n = 0;
        while n == 0 || start.elapsed() < SLICE {
            n += case();
        }
        start.elapsed().as_nanos() as f64 / n as f64
    };
    (0..n_rounds).map(round).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn shown(nanos: f64) -> String {
    if nanos < 1000.0 {
        format!("{nanos:.1}")
    } else {
        format!("{nanos:.0}")
    }
}

fn servers(n_servers: u32) -> BTreeMap<ServerName, Weight> {
    (0..n_servers)
        .map(|i| {
            let name = format!("10.{}.{}.{}:8080", i >> 16, (i >> 8) & 255, i & 255);
            (ServerName::new(&name).expect("a valid name"), Weight::ONE)
        })
        .collect()
}

fn ring(n_servers: u32) -> Ring {
    ring_of(&servers(n_servers))
}

fn ring_of(servers: &BTreeMap<ServerName, Weight>) -> Ring {
    let virtual_nodes = VirtualNodes::new(POINTS.into()).expect("a valid number");
    Ring::new(virtual_nodes, servers).expect("few enough points")
}

/// A table of as many eligible servers, all primary, so that ranks are indexes.
fn table(n_servers: u32) -> Arc<RoutingTable> {
    let servers = servers(n_servers).into_keys().map(|name| Server {
        name,
        address: Address::new("127.0.0.1").expect("a valid address"),
        port: Port::new(8080).expect("a valid port"),
        weight: Weight::ONE,
        backup: false,
        id: None,
        hash_name: None,
        max_in_flight: None,
        link: None,
    });
    let settings = Settings {
        virtual_nodes: VirtualNodes::new(POINTS.into()).expect("a valid number"),
        ..Settings::default()
    };
    let balancer = LoadBalancer::new(settings, servers.collect(), Timestamp::ZERO);
    Arc::clone(balancer.expect("few enough points").table())
}

fn plain_owner(points: &[Point], key: u64) -> Option<u32> {
    let i = points.partition_point(|point| point.position() < Position::from_bits(key));
    points.get(i).or(points.first()).map(|point| point.server)
}

fn buckets(n_servers: u32) -> Vec<Bucket> {
    (0..n_servers)
        .map(|i| Bucket::new(SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + i), 8080)), 1))
        .collect()
}

fn continuum(n_servers: u32, version: Version) -> Continuum {
    Continuum::new_with_version(&buckets(n_servers), version)
}

/// A point of [`HashRing`]; hashes to its own position.
#[derive(Clone, Debug)]
struct PeerPoint {
    position: u64,
    server: u32,
}

impl Hash for PeerPoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.position);
    }
}

/// A key whose hash is given.
struct Through(u64);

impl Hash for Through {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Passes a hash through as it is.
#[derive(Clone, Default)]
struct Given(u64);

impl Hasher for Given {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole hashes are given");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn hashring_of(ring: &Ring) -> HashRing<PeerPoint, BuildHasherDefault<Given>> {
    let mut peer = HashRing::with_hasher(BuildHasherDefault::default());
    let points = ring.points().iter().map(|point| PeerPoint {
        position: point.position().bits(),
        server: point.server,
    });
    peer.batch_add(points.collect());
    peer
}

/// Random keys, the same in every run.
fn random_keys() -> Vec<u64> {
    (0..KEYS as u64).map(mix).collect()
}

/// The n-th number of SplitMix64 from seed 0.
fn mix(n: u64) -> u64 {
    let mut bits = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
