//! Slow start and draining over time: keys come back and leave bit by bit,
//! each once, whatever the rule by which they are routed.

use std::time::Duration;

use ringway::engine::{
    AdminState, Algorithm, Command, Compat, Event, Idle, LoadBalancer, Observation, ProbeId,
    ProbeOutcome, Server, ServerName, Settings, TableSize, Timestamp, Verdict,
};

use crate::support::{judge, name, server};

fn at_ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// The servers of 2,000 keys, by name.
fn owners(lb: &LoadBalancer) -> Vec<ServerName> {
    let table = lb.table();
    (0..2_000_u32)
        .map(|i| {
            let position = table.position(&i.to_le_bytes());
            let route = table.route(Some(position), &Idle, &[]).expect("a server");
            table.server(route.server).server.name.clone()
        })
        .collect()
}

#[test]
fn a_returning_server_gets_its_keys_bit_by_bit_and_each_key_moves_once() {
    for algorithm in [
        Algorithm::Ring,
        Algorithm::LocalRendezvous,
        Algorithm::Maglev(TableSize::DEFAULT),
        Algorithm::Rendezvous,
        Algorithm::Compat(Compat::Nginx),
    ] {
        let settings = Settings {
            algorithm,
            slow_start: Duration::from_secs(20),
            drain: Duration::from_secs(10),
            ..Settings::default()
        };
        let servers = ["a", "b", "c", "d"].map(|text| Server {
            // What nginx hashes.
            hash_name: Some(name(text)),
            max_in_flight: None,
            link: None,
            ..server(text, 1)
        });
        let servers = servers.to_vec();
        let mut lb = LoadBalancer::new(settings, servers, at_ms(0)).expect("a good fleet");
        let home = owners(&lb);
        let id = lb.table().servers()[1].id;
        for _ in 0..5 {
            let _ = judge(&mut lb, id, Verdict::Failed, at_ms(0));
        }
        let away = owners(&lb);
        assert!(!away.contains(&name("b")));
        // It comes back after some 30 s, by steps until 20 s later.
        let mut before = away.clone();
        let mut counts = Vec::new();
        let mut events = Vec::new();
        while let Some(at) = lb.next_deadline().filter(|&at| at < at_ms(80_000)) {
            let came = lb.advance(at).into_iter().collect::<Vec<_>>();
            if came.contains(&Event::TrialBegan { name: name("b") }) {
                events.extend(judge(&mut lb, id, Verdict::Good, at));
            }
            events.extend(came);
            let now = owners(&lb);
            for ((now, before), home) in now.iter().zip(&before).zip(&home) {
                assert!(now == before || now == home && *home == name("b"));
            }
            counts.push(now.iter().filter(|owner| **owner == name("b")).count());
            before = now;
        }
        assert_eq!(before, home);
        let n_home = home.iter().filter(|owner| **owner == name("b")).count();
        let first = *counts.iter().find(|&&n| n > 0).expect("it came back");
        assert!(first < n_home / 5, "{first} of {n_home} at once");
        counts.dedup();
        assert!(counts.len() > 40, "{counts:?}");
        let told = |wanted: fn(&Event) -> bool| events.iter().filter(|e| wanted(e)).count();
        assert_eq!(told(|e| matches!(e, Event::SlowStarted { .. })), 1);
        assert_eq!(told(|e| matches!(e, Event::SlowStartEnded { .. })), 1);

        // Drained, it gives them away the same way, and is said to be empty.
        let drained = Command::SetState(name("b"), AdminState::Draining);
        let _ = lb.apply(drained, at_ms(80_000)).expect("it is there");
        assert_eq!(owners(&lb), home, "none at once");
        let _ = lb.advance(at_ms(85_000));
        let half = owners(&lb);
        let n_half = half.iter().filter(|owner| **owner == name("b")).count();
        assert!(
            (n_home / 3..2 * n_home / 3).contains(&n_half),
            "{n_half} of {n_home}"
        );
        let events = lb.advance(at_ms(90_000));
        let is_said = |e: &Event| matches!(e, Event::Drained { name } if name.as_str() == "b");
        assert!(events.as_slice().iter().any(is_said));
        assert_eq!(owners(&lb), away);
    }
}

#[test]
fn nobody_starts_slowly_when_the_process_does() {
    let settings = Settings {
        slow_start: Duration::from_secs(20),
        ..Settings::default()
    };
    let servers = ["a", "b"].map(|name| server(name, 1)).to_vec();
    let mut lb = LoadBalancer::new(settings, servers, at_ms(0)).expect("a good fleet");
    let home = owners(&lb);
    let _ = lb.advance(at_ms(0));
    let took = Duration::ZERO;
    for entry in lb.table().servers().to_vec() {
        let probe = ProbeId {
            server: entry.id,
            round: 1,
        };
        let outcome = ProbeOutcome::Good;
        let events = lb.observe(
            Observation::ProbeFinished {
                probe,
                outcome,
                took,
            },
            at_ms(5),
        );
        let is_slow = |e: &Event| matches!(e, Event::SlowStarted { .. });
        assert!(!events.as_slice().iter().any(is_slow));
    }
    assert_eq!(owners(&lb), home);
}
