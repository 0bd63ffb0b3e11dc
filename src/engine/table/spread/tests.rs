//! Who gets the requests of a hot key.

use super::*;
use crate::engine::table::Idle;
use crate::engine::{
    Address, AdminState, Algorithm, Command, LoadBalancer, LoadFactor, Port, Server, ServerName,
    Settings, TableSize, Timestamp, Weight,
};

fn balancer(algorithm: Algorithm, load_factor: Option<LoadFactor>) -> LoadBalancer {
    let servers = (0..6).map(|i| Server {
        name: ServerName::new(&format!("s{i}")).expect("a good name"),
        address: Address::new("127.0.0.1").expect("a good address"),
        port: Port::new(80 + i).expect("a good port"),
        weight: Weight::ONE,
        backup: false,
        id: None,
        hash_name: None,
        max_in_flight: None,
        link: None,
    });
    let settings = Settings {
        algorithm,
        load_factor,
        ..Settings::default()
    };
    LoadBalancer::new(settings, servers.collect(), Timestamp::ZERO).expect("a good fleet")
}

fn routed(table: &RoutingTable, key: Position, nth: u32, tried: &[ServerIndex]) -> ServerIndex {
    let spread = Some(Spread { nth, over: 3 });
    let route = table.route_spread(Some(key), spread, &Idle, tried);
    route.expect("a server").server
}

#[test]
fn requests_go_round_the_first_usable_candidates_by_every_rule() {
    for algorithm in [
        Algorithm::Ring,
        Algorithm::LocalRendezvous,
        Algorithm::Rendezvous,
        Algorithm::Jump,
        Algorithm::Maglev(TableSize::DEFAULT),
    ] {
        let mut balancer = balancer(algorithm.clone(), None);
        for key in 0..50 {
            let key = Position::of_key(&[key]);
            let table = balancer.table();
            let first = table.spread_over(key, 6);
            let order: Vec<ServerIndex> = table
                .explain(key, &Idle, &[])
                .iter()
                .map(|candidate| candidate.server)
                .collect();
            assert_eq!(first, order, "{algorithm:?}");
            for nth in [0, 1, 2, 3, 4, u32::MAX] {
                let to = routed(table, key, nth, &[]);
                assert_eq!(to, first[nth as usize % 3]);
                // Failover goes round the three, and then on in the key's order.
                let mut tried = vec![to];
                for _ in 0..5 {
                    tried.push(routed(table, key, nth, &tried));
                }
                let round = [0, 1, 2].map(|step| first[(nth as usize % 3 + step) % 3]);
                assert_eq!(tried[..3], round);
                assert_eq!(tried[3..], first[3..]);
            }
        }
        // One that may not be used is passed over.
        let key = Position::of_key(b"a");
        let second = balancer.table().spread_over(key, 2)[1];
        let name = balancer.table().server(second).server.name.clone();
        let drain = Command::SetState(name, AdminState::Draining);
        let _ = balancer.apply(drain, Timestamp::ZERO).expect("it drains");
        let table = balancer.table();
        assert_eq!(table.n_usable(), 5);
        assert!(!table.spread_over(key, 3).contains(&second));
        assert_eq!(table.spread_over(key, 8).len(), 5);
    }
}

#[test]
fn the_bound_of_bounded_loads_holds() {
    struct Busy(ServerIndex);
    impl Loads for Busy {
        fn in_flight(&self, server: ServerIndex) -> u32 {
            if server == self.0 { 9 } else { 1 }
        }
    }
    let balancer = balancer(Algorithm::Ring, LoadFactor::new(1.25).ok());
    let (table, key) = (balancer.table(), Position::of_key(b"a"));
    let first = table.spread_over(key, 3);
    let spread = Some(Spread { nth: 0, over: 3 });
    let route = table.route_spread(Some(key), spread, &Busy(first[0]), &[]);
    let route = route.expect("a server");
    assert_eq!(route.server, first[1]);
    // ⌈1.25 × 15 / 6⌉
    assert_eq!(route.bound, Some(4));
}
