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

#[test]
fn the_end_of_time_is_survived() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let events = lb.advance(Timestamp::MAX);
    assert_eq!(events.as_slice().len(), 2, "one probe for each server");
    assert_eq!(lb.next_deadline(), None);
    assert_eq!(lb.advance(Timestamp::MAX), Events::default());
}
