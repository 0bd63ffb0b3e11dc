//! How long it takes to say what a change would move.

use ringway::config::Config;
use ringway::engine::{
    Address, AdminState, Change, LoadBalancer, Server, ServerName, Timestamp, VirtualNodes, Weight,
};
use serde_json::{Value, json};

use crate::{Bench, Case, POINTS};

/// Plans for a fleet of `n_servers`, by each rule one table.
pub(crate) fn run(bench: &Bench, n_servers: u32) {
    for algorithm in [
        "ring",
        "local-rendezvous",
        "rendezvous",
        "maglev",
        "ketama",
        "jump",
    ] {
        let fleet = balancer(algorithm, n_servers);
        let title = format!("plan: {n_servers} servers of {POINTS} points, {algorithm}");
        let cases = changes(&fleet, algorithm, n_servers);
        let cases = cases.into_iter().map(|(name, changes)| -> Case<'_> {
            let fleet = &fleet;
            let plan = move || {
                let plan = fleet.plan(changes.clone()).expect("it can be done");
                assert!(plan.moved.total.fraction() > 0.0);
                1
            };
            (name, Box::new(plan))
        });
        bench.compare(&title, cases.collect());
    }
}

fn changes(
    fleet: &LoadBalancer,
    algorithm: &str,
    n_servers: u32,
) -> Vec<(&'static str, Vec<Change>)> {
    let name = |i: u32| ServerName::new(&format!("s{i:05}")).expect("a valid name");
    let weight = |n| Weight::new(n).expect("a valid weight");
    let new = || Server {
        name: ServerName::new("new").expect("a valid name"),
        address: Address::new("192.0.2.1").expect("a valid address"),
        id: None,
        ..fleet.table().servers()[0].server.clone()
    };
    let add = Change::Add(new());
    let last = Change::Remove(name(n_servers - 1));
    let drain = Change::State(name(n_servers / 2), AdminState::Draining);
    let mut changes = vec![
        ("add one", vec![add.clone()]),
        ("remove one", vec![last]),
        ("drain one", vec![drain.clone()]),
    ];
    if algorithm != "jump" {
        let weigh = |i, n| Change::Weight(name(i), weight(n));
        changes.push(("weight of one 1 to 2", vec![weigh(1, 2)]));
        changes.push((
            "add, drain and re-weigh two",
            vec![add, drain, weigh(1, 2), weigh(2, 3)],
        ));
    }
    if ["ring", "local-rendezvous"].contains(&algorithm) {
        let half = VirtualNodes::new(u64::from(POINTS) / 2).expect("a valid number");
        changes.push(("half the virtual nodes", vec![Change::VirtualNodes(half)]));
    }
    changes
}

fn balancer(algorithm: &str, n_servers: u32) -> LoadBalancer {
    let server = |i: u32| {
        let address = format!("10.{}.{}.{}", i >> 16, (i >> 8) & 255, i & 255);
        json!({"name": format!("s{i:05}"), "address": address, "port": 8080})
    };
    let servers: Value = (0..n_servers).map(server).collect();
    let routing = json!({"algorithm": algorithm, "virtual_nodes": POINTS});
    let config = Config::read(json!({"servers": servers, "routing": routing}));
    let config = config.expect("a good configuration");
    let fleet = LoadBalancer::new(config.settings(), config.servers(), Timestamp::ZERO);
    fleet.expect("few enough points")
}
