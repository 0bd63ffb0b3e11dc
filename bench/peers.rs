//! Lookups by the other algorithms, each class beside its crates.
//!
//! Where a crate takes a hasher it is given one that passes the hash through,
//! so that only the rule is measured; `anchorhash` has a fixed one for the rest.
//! `rendezvous_hash` and `hrw-hash` sort all servers, which their only functions
//! do. Answers differ between crates, since seeds do; jump's are asserted equal.

use std::hash::{BuildHasherDefault, Hash};
use std::hint::black_box;

use anchorhash::AnchorHash;
use hrw_hash::{HrwNode, HrwNodes};
use jumphash::CustomJumpHasher;
use maglev::{ConsistentHasher, Maglev};
use rendezvous_hash::{NodeHasher, RendezvousNodes};
use ringway::engine::{
    Address, Algorithm, Layout, Placed, Port, Position, Server, ServerName, Settings, TableSize,
    Weight,
};

use super::{Bench, Case, Given, Through, random_keys};

fn layout(algorithm: Algorithm, n_servers: u32, weight: impl Fn(u32) -> u64) -> Layout {
    let servers: Vec<Server> = (0..n_servers)
        .map(|i| Server {
            name: ServerName::new(&format!("s{i:05}")).expect("a valid name"),
            address: Address::new("127.0.0.1").expect("a valid address"),
            port: Port::new(8080).expect("a valid port"),
            weight: Weight::new(weight(i)).expect("a valid weight"),
            backup: false,
            id: None,
            hash_name: None,
            max_in_flight: None,
            link: None,
        })
        .collect();
    let placed: Vec<Placed<'_>> = (servers.iter().zip(0..))
        .map(|(server, i)| Placed {
            server,
            order: i,
            number: i as u32 + 1,
        })
        .collect();
    let settings = Settings {
        algorithm,
        ..Settings::default()
    };
    Layout::new(&settings, &placed).expect("a good fleet")
}

/// Adds a server's seed to a key that is a hash, as ours does.
struct Mixed;

impl NodeHasher<u64> for Mixed {
    fn hash<T: Hash>(&self, node: &u64, item: &T) -> u64 {
        let mut given = Given::default();
        item.hash(&mut given);
        super::mix(given.0 ^ node)
    }
}

/// A server of `hrw-hash` with its weight.
#[derive(PartialEq, Eq, Hash)]
struct Weighted(u64, usize);

impl HrwNode for Weighted {
    fn capacity(&self) -> usize {
        self.1
    }
}

pub(crate) fn lookup(bench: &Bench, n_servers: u32) {
    let all_keys = random_keys();
    let keys = &all_keys[..];
    let few = &all_keys[..512];
    let run = |keys: &[u64], find: &dyn Fn(u64) -> u64| {
        black_box(keys.iter().map(|&key| find(key)).sum::<u64>());
        keys.len() as u64
    };
    let owner = |layout: &Layout, key: u64| {
        let owner = layout.owner(Position::from_bits(key)).expect("servers");
        u64::from(owner)
    };

    let ours = layout(Algorithm::Maglev(TableSize::DEFAULT), n_servers, |_| 1);
    let slots = TableSize::DEFAULT.number() as usize;
    let peer = Maglev::with_capacity_and_hasher(
        0..u64::from(n_servers),
        slots,
        BuildHasherDefault::<Seeded>::default(),
    );
    assert_eq!(peer.capacity(), slots);
    let theirs = |key: u64| *peer.get(&Through64(key)).expect("servers");
    assert!(
        keys[..1000]
            .iter()
            .all(|&key| theirs(key) < n_servers.into())
    );
    let cases: Vec<Case> = vec![
        ("ringway", Box::new(|| run(keys, &|key| owner(&ours, key)))),
        ("maglev", Box::new(|| run(keys, &theirs))),
    ];
    bench.compare(&format!("maglev, hash given: {n_servers} servers"), cases);

    let ours = layout(Algorithm::Jump, n_servers, |_| 1);
    let peer = CustomJumpHasher::new(Given::default());
    let theirs = |key: u64| u64::from(peer.slot(&Through(key), n_servers));
    for &key in &keys[..1000] {
        assert_eq!(owner(&ours, key), theirs(key));
    }
    let mut anchor = anchorhash::Builder::with_hasher(BuildHasherDefault::<Given>::default())
        .with_resources(0..u64::from(n_servers))
        .build(n_servers as u16 * 2);
    let cut = (0..n_servers / 2).map(u64::from);
    let full: AnchorHash<Through, u64, _> = anchor.clone();
    for gone in cut {
        anchor.remove_resource(&gone).expect("it is there");
    }
    let anchored = |key: u64| *full.get_resource(Through(key)).expect("servers");
    let halved = |key: u64| *anchor.get_resource(Through(key)).expect("servers");
    assert!(
        keys[..1000]
            .iter()
            .all(|&key| halved(key) >= (n_servers / 2).into())
    );
    let cases: Vec<Case> = vec![
        (
            "ringway, jump",
            Box::new(|| run(keys, &|key| owner(&ours, key))),
        ),
        ("jumphash", Box::new(|| run(keys, &theirs))),
        (
            "anchorhash, room for twice as many",
            Box::new(|| run(keys, &anchored)),
        ),
        (
            "anchorhash, and half of them left",
            Box::new(|| run(keys, &halved)),
        ),
    ];
    bench.compare(&format!("numbered shards, hash given: {n_servers}"), cases);

    let ours = layout(Algorithm::Rendezvous, n_servers, |_| 1);
    let uneven = layout(Algorithm::Rendezvous, n_servers, |i| u64::from(i % 10) + 1);
    let local = layout(Algorithm::LocalRendezvous, n_servers, |_| 1);
    let mut peer = RendezvousNodes::new(Mixed);
    for i in 0..n_servers {
        peer.insert(rendezvous_hash::IdNode::new(super::mix(i.into())));
    }
    let weighted = HrwNodes::new((0..n_servers).map(|i| Weighted(i.into(), i as usize % 10 + 1)));
    let theirs = |key: u64| {
        let mut sorted = peer.calc_candidates(&Through(key));
        **sorted.next().expect("servers")
    };
    let hrw = |key: u64| weighted.sorted(&key).next().expect("servers").0;
    assert!(few.iter().all(|&key| hrw(key) < n_servers.into()));
    let cases: Vec<Case> = vec![
        ("ringway", Box::new(|| run(few, &|key| owner(&ours, key)))),
        ("rendezvous_hash", Box::new(|| run(few, &theirs))),
        (
            "ringway, weights 1 to 10",
            Box::new(|| run(few, &|key| owner(&uneven, key))),
        ),
        (
            "hrw-hash, weights 1 to 10 (hashes the key)",
            Box::new(|| run(few, &hrw)),
        ),
        (
            "ringway, local-rendezvous",
            Box::new(|| run(keys, &|key| owner(&local, key))),
        ),
    ];
    bench.compare(
        &format!("rendezvous, hash given: {n_servers} servers"),
        cases,
    );
}

/// A key whose hash is given, for `maglev`, which wants keys to be comparable.
#[derive(Hash, PartialEq, Eq)]
struct Through64(u64);

/// Passes a key through and mixes `maglev`'s seed into the servers' numbers.
#[derive(Default)]
struct Seeded {
    seed: u32,
    hash: u64,
}

impl std::hash::Hasher for Seeded {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole numbers are given");
    }

    fn write_u32(&mut self, seed: u32) {
        self.seed = seed;
    }

    fn write_u64(&mut self, number: u64) {
        // Servers are small numbers and need mixing; keys are hashes already.
        self.hash = if number < 1 << 20 {
            super::mix(number ^ u64::from(self.seed) << 32) >> 1
        } else {
            number
        };
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}
