//! What a plan says is what then happens, for every kind of change.

use ringway::config::Config;
use ringway::engine::{
    AdminState, Algorithm, Basis, Change, Command, Idle, LoadBalancer, Position, ServerName, Share,
    Timestamp,
};
use serde_json::{Value, json};

use crate::support::{self, name, weight};

const NOW: Timestamp = Timestamp::ZERO;

fn balancer(algorithm: &str, n: usize) -> LoadBalancer {
    let servers: Vec<Value> = (0..n)
        .map(|i| json!({"name": format!("s{i}"), "address": format!("10.0.0.{i}"), "port": 80}))
        .collect();
    let config = json!({"servers": servers, "routing": {"algorithm": algorithm}});
    let config = Config::read(config).expect("a good configuration");
    LoadBalancer::new(config.settings(), config.servers(), NOW).expect("a good fleet")
}

/// What part of many keys goes elsewhere, by asking both.
fn seen(before: &LoadBalancer, after: &LoadBalancer) -> f64 {
    let n_keys = 20_000;
    let server = |lb: &LoadBalancer, key: &str| -> Option<ServerName> {
        let table = lb.table();
        let route = table.route(Some(table.position(key.as_bytes())), &Idle, &[]);
        route
            .ok()
            .map(|r| table.server(r.server).server.name.clone())
    };
    let moves = |i: &u32| {
        let key = format!("key-{i}");
        server(before, &key) != server(after, &key)
    };
    (0..n_keys).filter(moves).count() as f64 / f64::from(n_keys)
}

#[test]
fn what_is_planned_is_what_happens() {
    for algorithm in [
        "ring",
        "local-rendezvous",
        "rendezvous",
        "maglev",
        "nginx",
        "ketama",
    ] {
        let commands = [
            Command::AddServer(support::server("new", 2)),
            Command::RemoveServer(name("s3")),
            Command::SetWeight(name("s1"), weight(3)),
            Command::SetState(name("s2"), AdminState::Draining),
        ];
        for command in commands {
            let about = format!("{algorithm}: {command:?}");
            let before = balancer(algorithm, 10);
            let plan = before
                .plan(vec![Change::from(command.clone())])
                .expect("it can be done");
            let mut after = before.clone();
            let _ = after.apply(command, NOW).expect("it can be done");
            // Nobody has been probed, so nobody holds the new server back.
            let (planned, seen) = (plan.moved.total.fraction(), seen(&before, &after));
            assert!((planned - seen).abs() < 0.012, "{about}: {planned} {seen}");
            assert!(planned > 0.0, "{about}");
            let flows: Share = plan.moved.flows.iter().map(|flow| flow.share).sum();
            assert_eq!(flows, plan.moved.total, "{about}");
            let shares = |load: &ringway::engine::Load| -> Share {
                load.shares.iter().map(|(_, share, _)| *share).sum()
            };
            assert_eq!(
                (shares(&plan.before), shares(&plan.after)),
                (Share::WHOLE, Share::WHOLE)
            );
        }
    }
}

#[test]
fn the_minimum_is_what_fair_shares_grow_by() {
    let before = balancer("rendezvous", 9);
    let add = Change::Add(support::server("new", 1));
    let plan = before.plan(vec![add]).expect("it can be done");
    assert!((plan.minimum - 0.1).abs() < 1e-12, "{}", plan.minimum);
    // Rendezvous moves no more than that.
    assert!((plan.moved.total.fraction() - 0.1).abs() < 1e-12);
    assert_eq!(plan.moved.basis, Basis::Expected);
}

#[test]
fn another_rule_moves_nearly_everything_and_nothing_is_done() {
    let before = balancer("ring", 10);
    let version = before.table().version();
    let plan = before
        .plan(vec![Change::Algorithm(Algorithm::Rendezvous)])
        .expect("it can be done");
    assert!((0.85..0.95).contains(&plan.moved.total.fraction()));
    assert_eq!(plan.minimum, 0.0);
    assert_eq!(before.table().version(), version);
    let fewer = ringway::engine::VirtualNodes::new(50).expect("good");
    let plan = before
        .plan(vec![Change::VirtualNodes(fewer)])
        .expect("it can be done");
    // Half of the points stay, exactly compared.
    assert_eq!(plan.moved.basis, Basis::Exact);
    assert!((0.2..0.7).contains(&plan.moved.total.fraction()));
}

#[test]
fn changes_are_planned_one_after_the_other_and_refused_as_a_whole() {
    let before = balancer("ring", 4);
    let there_and_back = vec![
        Change::Remove(name("s1")),
        Change::State(name("s2"), AdminState::Draining),
        Change::State(name("s2"), AdminState::Active),
    ];
    let one = before
        .plan(vec![Change::Remove(name("s1"))])
        .expect("it can be done");
    assert_eq!(before.plan(there_and_back), Ok(one));
    let refused = before.plan(vec![Change::Remove(name("s1")), Change::Remove(name("s1"))]);
    assert_eq!(
        refused.map_err(|error| error.to_string()),
        Err("there is no server named \"s1\"".to_owned())
    );
    let position = Position::from_bits(1);
    assert!(before.table().route(Some(position), &Idle, &[]).is_ok());
}
