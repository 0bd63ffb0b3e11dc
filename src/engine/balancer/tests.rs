//! The control half by example: what a command or an observation changes, and
//! what is announced. What holds in every history is in
//! `tests/it/simulation.rs`.

use super::*;
use crate::engine::{Address, Port};

const START: Timestamp = Timestamp::from_millis(1_000_000);

fn name(text: &str) -> ServerName {
    ServerName::new(text).expect("a good name")
}

fn server(text: &str) -> Server {
    Server {
        name: name(text),
        address: Address::new("127.0.0.1").expect("a good address"),
        port: Port::new(8080).expect("a good port"),
        weight: Weight::ONE,
        backup: false,
    }
}

/// A balancer at [`START`] over these servers, without jitter.
fn balancer(settings: Settings, names: &[&str]) -> LoadBalancer {
    let mut settings = settings;
    settings.health_check.jitter_percent = 0;
    settings.ejection.jitter_percent = 0;
    let servers = names.iter().map(|text| server(text)).collect();
    LoadBalancer::new(settings, servers, START).expect("a good fleet")
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn id(lb: &LoadBalancer, text: &str) -> ServerId {
    let servers = lb.table().servers();
    let entry = servers
        .iter()
        .find(|entry| entry.server.name == name(text))
        .expect("a server of that name");
    entry.id
}

fn snapshot(lb: &LoadBalancer, text: &str) -> ServerSnapshot {
    let servers = lb.snapshot(START).servers;
    servers
        .into_iter()
        .find(|server| server.server.name == name(text))
        .expect("a server of that name")
}

fn until(lb: &LoadBalancer, text: &str) -> Option<Timestamp> {
    snapshot(lb, text).ejected_until
}

/// Reports a judged request on a server.
fn judged(lb: &mut LoadBalancer, text: &str, verdict: Verdict, now: Timestamp) -> Events {
    let server = id(lb, text);
    lb.observe(Observation::Judged { server, verdict }, now)
}

/// Three connect errors in a row.
fn eject(lb: &mut LoadBalancer, text: &str, now: Timestamp) -> Events {
    let mut last = Events::default();
    for _ in 0..3 {
        last = judged(lb, text, Verdict::ConnectError, now);
    }
    last
}

#[test]
fn the_end_of_time_is_survived() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let events = lb.advance(Timestamp::MAX);
    assert_eq!(events.as_slice().len(), 2, "one probe for each server");
    assert_eq!(lb.next_deadline(), None);
    assert_eq!(lb.advance(Timestamp::MAX), Events::default());
}

#[test]
fn a_clock_set_back_takes_the_deadlines_with_it() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let _ = lb.advance(START);
    let _ = eject(&mut lb, "a", START);
    assert_eq!(until(&lb, "a"), Some(START.after(secs(30))));
    let earlier = START.before(secs(600));
    assert_eq!(lb.advance(earlier), Events::default());
    assert_eq!(until(&lb, "a"), Some(earlier.after(secs(30))));
    assert_eq!(lb.next_deadline(), Some(earlier.after(secs(30))));
    // A little disorder among reports is no setting back.
    let _ = lb.advance(earlier.before(secs(1)));
    assert_eq!(lb.next_deadline(), Some(earlier.after(secs(30))));
}
