use core::time::Duration;

use super::*;
use crate::engine::health::{Standing, Verdict};
use crate::engine::message::{Event, Observation, ProbeOutcome, Term};
use crate::engine::server::{Address, Port, Weight};
use crate::engine::settings::Settings;

fn server(name: &str, port: u64) -> Server {
    Server {
        name: ServerName::new(name).expect("a name"),
        address: Address::new("127.0.0.1").expect("an address"),
        port: Port::new(port).expect("a port"),
        weight: Weight::ONE,
        backup: false,
        id: None,
        hash_name: None,
        max_in_flight: None,
        link: None,
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1000 * seconds)
}

fn standings(balancer: &LoadBalancer) -> Vec<(String, Standing)> {
    let servers = balancer.table().servers().iter();
    let standing =
        |entry: &crate::engine::TableServer| (entry.server.name.to_string(), entry.standing);
    servers.map(standing).collect()
}

/// Five servers: a is unhealthy, b ejected at 10 s, c drained, d well.
fn in_trouble(settings: &Settings) -> LoadBalancer {
    let servers = ["a", "b", "c", "d"].iter().zip(1..);
    let servers = servers.map(|(name, port)| server(name, port)).collect();
    let mut balancer = LoadBalancer::new(settings.clone(), servers, at(0)).expect("a fleet");
    for event in balancer.advance(at(0)) {
        if let Event::ProbeDue { probe, server } = event {
            let outcome = match server.name.as_str() {
                "a" => ProbeOutcome::Failed("refused".to_owned()),
                _ => ProbeOutcome::Good,
            };
            let took = Duration::ZERO;
            let finished = Observation::ProbeFinished {
                probe,
                outcome,
                took,
            };
            let _ = balancer.observe(finished, at(1));
        }
    }
    let b = balancer.table().servers()[1].id;
    for _ in 0..3 {
        let verdict = Verdict::ConnectError;
        let _ = balancer.observe(
            Observation::Judged {
                server: b,
                term: Term::default(),
                verdict,
            },
            at(10),
        );
    }
    let drain = crate::engine::Command::SetState(
        ServerName::new("c").expect("a name"),
        AdminState::Draining,
    );
    let _ = balancer.apply(drain, at(10)).expect("c is there");
    balancer
}

#[test]
fn a_successor_judges_servers_as_its_predecessor_did() {
    let settings = Settings::default();
    let before = in_trouble(&settings);
    let memories = before.memories(at(15));
    // Another origin of time, another order.
    let servers = before.roster().into_iter().map(|(server, _)| server);
    let servers: Vec<Server> = servers.rev().collect();
    let mut after = LoadBalancer::new(settings, servers, at(1_000_000)).expect("a fleet");
    let _ = after.resume(&memories, at(1_000_000));
    assert_eq!(standings(&before), standings(&after));
    assert_eq!(after.memories(at(1_000_000)), memories);
    // The ejection ends when it would have ended: 30 s and up to a tenth.
    let _ = after.advance(at(1_000_024));
    assert_eq!(standings(&after)[1].1, Standing::Ejected);
    let _ = after.advance(at(1_000_029));
    assert_eq!(standings(&after)[1].1, Standing::OnTrial);
}

#[test]
fn what_is_known_holds_for_the_place_and_newcomers_join() {
    let settings = Settings::default();
    let memories = in_trouble(&settings).memories(at(15));
    let servers = vec![
        server("a", 99),
        server("c", 98),
        server("d", 4),
        server("new", 5),
    ];
    let mut after = LoadBalancer::new(settings, servers, at(0)).expect("a fleet");
    let _ = after.resume(&memories, at(0));
    let expected = [
        ("a", Standing::Unproven),
        ("c", Standing::Draining),
        ("d", Standing::Eligible),
        ("new", Standing::Unproven),
    ];
    assert_eq!(
        standings(&after),
        expected.map(|(name, standing)| (name.to_owned(), standing))
    );
}

#[test]
fn a_drained_server_gets_no_key_at_a_start_even_when_draining_takes_time() {
    let settings = Settings {
        drain: Duration::from_secs(60),
        ..Settings::default()
    };
    let servers = vec![server("a", 1), server("b", 2)];
    let mut balancer = LoadBalancer::new(settings, servers, at(0)).expect("a fleet");
    let a = ServerName::new("a").expect("a name");
    let _ = balancer.begin_drained(&BTreeSet::from([a]));
    let entry = &balancer.table().servers()[0];
    assert_eq!(entry.standing, Standing::Draining);
    assert_eq!(entry.admission, Admission::NONE);
}

#[test]
fn a_server_on_its_way_goes_on_from_where_it_was() {
    let settings = Settings {
        drain: Duration::from_secs(60),
        ..Settings::default()
    };
    let before = in_trouble(&settings);
    let mut midway = before.clone();
    let _ = midway.advance(at(40));
    let memories = midway.memories(at(40));
    let part = memories[2].admission;
    assert!(part > Admission::NONE && part < Admission::FULL, "{part:?}");
    let servers = before.roster().into_iter().map(|(server, _)| server);
    let mut after = LoadBalancer::new(settings, servers.collect(), at(0)).expect("a fleet");
    let _ = after.resume(&memories, at(0));
    assert_eq!(after.table().servers()[2].admission, part);
    let _ = after.advance(at(60));
    assert_eq!(after.table().servers()[2].admission, Admission::NONE);
}
