//! Fleets and algorithms that the experiments share.

use ringway::engine::{
    Address, Algorithm, Compat, EnvoyRing, Haproxy, Layout, Libmemcached, Placed, Port, Position,
    Server, ServerName, Settings, TableSize, Twemproxy, VirtualNodes, Weight,
};

/// Where the numbers of all experiments begin.
pub(crate) const SEED: u64 = 5;

/// A server with its number.
pub(crate) type Numbered = (Server, u32);

/// Every algorithm, ours first.
pub(crate) fn algorithms() -> Vec<Algorithm> {
    let mut all = vec![
        Algorithm::Ring,
        Algorithm::LocalRendezvous,
        Algorithm::Rendezvous,
        Algorithm::Maglev(TableSize::DEFAULT),
        Algorithm::Jump,
    ];
    all.extend(
        [
            Compat::Nginx,
            Compat::Ketama,
            Compat::Libmemcached(Libmemcached {
                is_weighted: true,
                ..Libmemcached::default()
            }),
            Compat::Twemproxy(Twemproxy::default()),
            Compat::EnvoyRing(EnvoyRing::default()),
            Compat::EnvoyMaglev(TableSize::DEFAULT),
            Compat::Haproxy(Haproxy::default()),
        ]
        .map(Algorithm::Compat),
    );
    all
}

/// Servers of the `fleet`-th fleet, the `i`-th with the weight `weight(i)`.
pub(crate) fn fleet(fleet: u64, n: u32, weight: impl Fn(u32) -> u64) -> Vec<Numbered> {
    let server = |i: u32| Server {
        name: ServerName::new(&format!("f{}-s{i:04}", SEED + fleet)).expect("a valid name"),
        address: Address::new(&format!("10.{}.{}.{}", SEED + fleet, i >> 8, i & 255))
            .expect("a valid address"),
        port: Port::new(8080).expect("a valid port"),
        weight: Weight::new(weight(i)).expect("a valid weight"),
        backup: false,
        id: None,
        hash_name: None,
        max_in_flight: None,
        link: None,
    };
    (0..n).map(|i| (server(i), i + 1)).collect()
}

/// The layout of these servers.
pub(crate) fn layout(algorithm: &Algorithm, virtual_nodes: u64, servers: &[Numbered]) -> Layout {
    let settings = Settings {
        algorithm: algorithm.clone(),
        virtual_nodes: VirtualNodes::new(virtual_nodes).expect("a valid number"),
        ..Settings::default()
    };
    let mut placed: Vec<Placed<'_>> = servers
        .iter()
        .map(|(server, number)| Placed {
            server,
            order: u64::from(*number),
            number: *number,
        })
        .collect();
    placed.sort_by(|a, b| a.server.name.cmp(&b.server.name));
    Layout::new(&settings, &placed).expect("a good fleet")
}

/// The same random positions in every run.
pub(crate) fn positions(n: u64) -> impl Iterator<Item = Position> {
    (0..n).map(|i| Position::from_bits(crate::mix(i + (SEED << 32))))
}
