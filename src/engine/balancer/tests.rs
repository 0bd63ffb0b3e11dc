//! The control half by example: what a command or an observation changes, and
//! what is announced. What holds in every history is in
//! `tests/it/simulation.rs`.

use std::collections::BTreeSet;

use super::*;
use crate::engine::{
    Address, Health, Idle, LayoutError, Outcome, Port, Position, ProbeId, ProbeOutcome, Verdict,
};
use crate::engine::{ServerSnapshot, VirtualNodes};

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
        id: None,
        hash_name: None,
        max_in_flight: None,
        link: None,
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

fn most() -> Weight {
    Weight::new(1000).expect("a good weight")
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
    let term = lb.term(server);
    let judged = Observation::Judged {
        server,
        term,
        verdict,
    };
    lb.observe(judged, now)
}

/// Probes whoever is due at `now`.
fn due(lb: &mut LoadBalancer, now: Timestamp) -> Vec<ProbeId> {
    let events = lb.advance(now);
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::ProbeDue { probe, .. } => Some(probe),
            _ => None,
        })
        .collect()
}

/// Reports a probe's result.
fn answer(lb: &mut LoadBalancer, probe: ProbeId, is_good: bool, now: Timestamp) -> Events {
    let outcome = if is_good {
        ProbeOutcome::Good
    } else {
        ProbeOutcome::Failed("503".into())
    };
    let took = Duration::from_millis(5);
    let finished = Observation::ProbeFinished {
        probe,
        outcome,
        took,
    };
    lb.observe(finished, now)
}

/// Plays `results` (`+` good, `-` failed), each from a server's next probe
/// when that is due; returns when the last one came.
fn probe_through(lb: &mut LoadBalancer, text: &str, results: &str) -> Timestamp {
    let server = id(lb, text);
    let mut now = START;
    for result in results.chars() {
        loop {
            now = lb.next_deadline().expect("probes go on").max(now);
            let probes = due(lb, now);
            if let Some(&probe) = probes.iter().find(|probe| probe.server == server) {
                let _ = answer(lb, probe, result == '+', now);
                break;
            }
        }
    }
    now
}

fn standings(lb: &LoadBalancer) -> Vec<Standing> {
    let servers = lb.table().servers();
    servers.iter().map(|entry| entry.standing).collect()
}

/// Everybody who gets some key, in order of names; empty when nobody does.
fn takers(lb: &LoadBalancer) -> Vec<String> {
    let table = lb.table();
    let names: BTreeSet<String> = (0..500_u32)
        .filter_map(|key| {
            let position = Position::of_key(&key.to_le_bytes());
            let route = table.route(Some(position), &Idle, &[]).ok()?;
            Some(table.server(route.server).server.name.to_string())
        })
        .collect();
    names.into_iter().collect()
}

fn drain(lb: &mut LoadBalancer, text: &str) -> Events {
    let command = Command::SetState(name(text), AdminState::Draining);
    lb.apply(command, START).expect("the server is there")
}

/// Three connect errors in a row.
fn eject(lb: &mut LoadBalancer, text: &str, now: Timestamp) -> Events {
    let mut last = Events::default();
    for _ in 0..3 {
        last = judged(lb, text, Verdict::ConnectError, now);
    }
    last
}

// Health: what probes say.

#[test]
fn every_server_is_probed_at_once_and_then_each_interval() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    assert_eq!(lb.next_deadline(), Some(START));
    let probes = due(&mut lb, START);
    assert_eq!(
        probes,
        [0, 1].map(|server| ProbeId {
            server: ServerId(server),
            round: 1
        })
    );
    for probe in probes {
        let _ = answer(&mut lb, probe, true, START.after(secs(2)));
    }
    // The interval counts from the start of a probe, not from its end.
    assert_eq!(lb.next_deadline(), Some(START.after(secs(30))));
    assert_eq!(due(&mut lb, START.after(secs(29))), []);
    assert_eq!(due(&mut lb, START.after(secs(30))).len(), 2);
}

#[test]
fn the_first_probe_decides_and_is_announced() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let probes = due(&mut lb, START);
    let events = answer(&mut lb, probes[0], false, START);
    assert_eq!(
        events.as_slice(),
        [Event::HealthChanged {
            name: name("a"),
            health: Health::Unhealthy,
            why: ProbeOutcome::Failed("503".into()),
        }]
    );
    assert_eq!(takers(&lb), ["b"]);
    let record = snapshot(&lb, "a").last_probe.expect("a probe has finished");
    assert_eq!(record.at, START);
    assert_eq!(record.took, Duration::from_millis(5));
}

#[test]
fn a_healthy_server_falls_after_three_failures_and_rises_after_two_good_probes() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    probe_through(&mut lb, "a", "+--+--");
    assert_eq!(snapshot(&lb, "a").health, Health::Healthy);
    probe_through(&mut lb, "a", "-");
    assert_eq!(snapshot(&lb, "a").health, Health::Unhealthy);
    probe_through(&mut lb, "a", "+-+");
    assert_eq!(snapshot(&lb, "a").health, Health::Unhealthy);
    probe_through(&mut lb, "a", "+");
    assert_eq!(snapshot(&lb, "a").health, Health::Healthy);
}

#[test]
fn a_server_in_transition_is_probed_faster() {
    let mut lb = balancer(Settings::default(), &["a"]);
    let decided = probe_through(&mut lb, "a", "+");
    let failed = probe_through(&mut lb, "a", "-");
    assert_eq!(failed.since(decided), secs(30));
    let failed_again = probe_through(&mut lb, "a", "-");
    assert_eq!(failed_again.since(failed), secs(1));
    let fallen = probe_through(&mut lb, "a", "-");
    assert_eq!(fallen.since(failed_again), secs(1));
    let still_down = probe_through(&mut lb, "a", "-");
    assert_eq!(still_down.since(fallen), secs(30), "the verdict is settled");
}

#[test]
fn a_superseded_late_or_repeated_answer_is_ignored() {
    let mut lb = balancer(Settings::default(), &["a"]);
    let first = due(&mut lb, START)[0];
    let second = due(&mut lb, START.after(secs(30)))[0];
    assert_eq!(second.round, first.round + 1);
    let now = START.after(secs(31));
    assert_eq!(answer(&mut lb, first, false, now), Events::default());
    assert_eq!(snapshot(&lb, "a").health, Health::Unknown);
    assert_eq!(answer(&mut lb, second, true, now).as_slice().len(), 1);
    assert_eq!(answer(&mut lb, second, false, now), Events::default());
    let nobody = ProbeId {
        server: ServerId(77),
        round: 1,
    };
    assert_eq!(answer(&mut lb, nobody, false, now), Events::default());
    assert_eq!(snapshot(&lb, "a").health, Health::Healthy);
}

#[test]
fn an_answer_for_a_removed_server_is_not_taken_for_its_successor() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let probe = due(&mut lb, START)[0];
    let _ = lb.apply(Command::RemoveServer(name("a")), START);
    let _ = lb.apply(Command::AddServer(server("a")), START);
    assert_eq!(answer(&mut lb, probe, false, START), Events::default());
    assert_eq!(snapshot(&lb, "a").health, Health::Unknown);
}

#[test]
fn servers_of_the_start_get_keys_before_any_result_and_later_ones_wait_for_theirs() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    assert_eq!(takers(&lb), ["a", "b"]);
    let probes = due(&mut lb, START);
    let _ = answer(&mut lb, probes[0], true, START);
    assert_eq!(
        takers(&lb),
        ["a", "b"],
        "b keeps its keys until it is judged"
    );
    let _ = lb.apply(Command::AddServer(server("c")), START);
    assert_eq!(
        standings(&lb),
        [Standing::Eligible, Standing::Eligible, Standing::Unproven]
    );
    assert_eq!(takers(&lb), ["a", "b"]);
    let probe = due(&mut lb, START)[0];
    let _ = answer(&mut lb, probe, true, START);
    assert_eq!(takers(&lb), ["a", "b", "c"]);
}

#[test]
fn an_unproven_server_is_used_when_no_other_can_be() {
    let mut lb = balancer(Settings::default(), &["a"]);
    let probe = due(&mut lb, START)[0];
    let _ = answer(&mut lb, probe, true, START);
    let _ = lb.apply(Command::AddServer(server("b")), START);
    let _ = drain(&mut lb, "a");
    assert_eq!(takers(&lb), ["b"]);
    assert!(!lb.table().is_fail_open(), "b may be good");
}

#[test]
fn without_probes_everybody_is_trusted() {
    let mut settings = Settings::default();
    settings.health_check.enabled = false;
    let mut lb = balancer(settings, &["a"]);
    assert_eq!(lb.next_deadline(), None);
    let _ = lb.apply(Command::AddServer(server("b")), START);
    assert_eq!(lb.next_deadline(), None);
    assert_eq!(takers(&lb), ["a", "b"]);
}

#[test]
fn probes_are_spread_by_names_and_the_same_each_time() {
    let starts = || {
        let mut settings = Settings::default();
        settings.health_check.jitter_percent = 10;
        let servers = ["a", "b", "c", "d"].map(server).to_vec();
        let mut lb = LoadBalancer::new(settings, servers, START).expect("a small fleet");
        let mut starts: Vec<Vec<Timestamp>> = vec![Vec::new(); 4];
        while let Some(now) = lb.next_deadline().filter(|&at| at < START.after(secs(600))) {
            for probe in due(&mut lb, now) {
                starts[probe.server.number() as usize].push(now);
                let _ = answer(&mut lb, probe, true, now);
            }
        }
        starts
    };
    let first = starts();
    assert_eq!(first, starts(), "whenever it is played");
    for (i, server) in first.iter().enumerate() {
        let waits: Vec<Duration> = server.windows(2).map(|w| w[1].since(w[0])).collect();
        assert!(waits.len() >= 17, "{waits:?}");
        let range = secs(27)..=secs(33);
        assert!(waits.iter().all(|wait| range.contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        let others = first.iter().enumerate().filter(|(j, _)| *j != i);
        assert!(others.into_iter().all(|(_, other)| other[1] != server[1]));
    }
}

// Ejection: what traffic says.

#[test]
fn three_connect_errors_in_a_row_eject_and_one_trial_decides_on_return() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let _ = due(&mut lb, START);
    let back = START.after(secs(30));
    assert_eq!(
        eject(&mut lb, "a", START).as_slice(),
        [Event::Ejected {
            name: name("a"),
            until: back,
            verdict: Verdict::ConnectError,
        }]
    );
    assert_eq!(takers(&lb), ["b"]);
    assert_eq!(standings(&lb)[0], Standing::Ejected);
    let began = [Event::TrialBegan { name: name("a") }];
    let events = lb.advance(back).into_iter();
    assert!(events.filter(|e| began.contains(e)).count() == 1);
    assert_eq!(standings(&lb)[0], Standing::OnTrial);
    assert_eq!(until(&lb, "a"), None);
    assert!(snapshot(&lb, "a").is_on_trial);
    // One failure is enough, and the second ejection is twice as long.
    let events = judged(&mut lb, "a", Verdict::Failed, back);
    assert_eq!(until(&lb, "a"), Some(back.after(secs(60))));
    assert_eq!(events.as_slice().len(), 1);
    assert!(!snapshot(&lb, "a").is_on_trial);
    // Back again, and proven by one good answer: failures count from nought.
    let back = back.after(secs(60));
    let _ = lb.advance(back);
    let events = judged(&mut lb, "a", Verdict::Good, back);
    assert_eq!(events.as_slice(), [Event::Readmitted { name: name("a") }]);
    assert_eq!(standings(&lb)[0], Standing::Eligible);
    let _ = judged(&mut lb, "a", Verdict::Failed, back);
    assert_eq!(until(&lb, "a"), None);
}

#[test]
fn requests_sent_before_an_ejection_say_nothing_of_the_trial() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let server = id(&lb, "a");
    let before = lb.term(server);
    let finished = |term, outcome| Observation::RequestFinished {
        server,
        term,
        outcome,
        latency: secs(40),
    };
    for _ in 0..3 {
        let _ = lb.observe(Observation::RequestStarted { server }, START);
    }
    let _ = eject(&mut lb, "a", START);
    let back = START.after(secs(30));
    let _ = lb.advance(back);
    // All three were there before; the third has not even ended.
    for outcome in [Outcome::Status(200), Outcome::NoAnswer] {
        let events = lb.observe(finished(before, outcome), back);
        assert_eq!(events, Events::default());
    }
    assert_eq!(snapshot(&lb, "a").in_flight, 1);
    let trial = |lb: &LoadBalancer| {
        let route = lb.table().route(None, lb, &[]).expect("a server");
        route.is_trial.then_some(route.term)
    };
    let term = trial(&lb).expect("no request of this term is there");
    assert!(term > before);
    let _ = lb.observe(Observation::RequestStarted { server }, back);
    assert_eq!(trial(&lb), None, "one at a time");
    // The last of the old ones ends, and still there is no place.
    let _ = lb.observe(finished(before, Outcome::Status(200)), back);
    assert_eq!(trial(&lb), None);
    let events = lb.observe(finished(term, Outcome::Status(200)), back);
    assert_eq!(events.as_slice(), [Event::Readmitted { name: name("a") }]);
}

#[test]
fn who_is_on_trial_counts_as_out_and_may_be_ejected_again() {
    let mut settings = Settings::default();
    settings.health_check.enabled = false;
    let mut lb = balancer(settings, &["a", "b", "c", "d"]);
    let _ = eject(&mut lb, "a", START);
    let _ = eject(&mut lb, "b", START);
    let back = START.after(secs(40));
    let _ = lb.advance(back);
    let (out, eligible) = (Standing::OnTrial, Standing::Eligible);
    assert_eq!(standings(&lb), [out, out, eligible, eligible]);
    let _ = eject(&mut lb, "c", back);
    assert_eq!(until(&lb, "c"), None, "half of them are out");
    let _ = judged(&mut lb, "a", Verdict::Failed, back);
    assert!(until(&lb, "a").is_some());
    // Nobody else is left: a failure then changes nothing, and nobody is refused.
    for text in ["c", "d"] {
        let _ = drain(&mut lb, text);
    }
    assert_eq!(
        judged(&mut lb, "b", Verdict::Failed, back),
        Events::default()
    );
    assert_eq!(takers(&lb), ["b"]);
    let _ = judged(&mut lb, "b", Verdict::Good, back);
    assert_eq!(standings(&lb)[1], Standing::Eligible);
}

#[test]
fn five_failed_answers_in_a_row_eject_and_a_good_one_between_forgives() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    for verdict in [Verdict::Failed; 4] {
        let _ = judged(&mut lb, "a", verdict, START);
    }
    let _ = judged(&mut lb, "a", Verdict::Good, START);
    for verdict in [Verdict::Failed; 4] {
        let _ = judged(&mut lb, "a", verdict, START);
    }
    assert_eq!(until(&lb, "a"), None);
    let _ = judged(&mut lb, "a", Verdict::Failed, START);
    assert!(until(&lb, "a").is_some());
}

#[test]
fn at_most_half_of_the_servers_are_ejected() {
    let mut lb = balancer(Settings::default(), &["a", "b", "c", "d", "e"]);
    for text in ["a", "b", "c", "d", "e"] {
        let _ = eject(&mut lb, text, START);
    }
    assert_eq!(takers(&lb), ["c", "d", "e"]);
}

#[test]
fn the_last_eligible_server_is_never_ejected() {
    let mut settings = Settings::default();
    settings.ejection.max_percent = 100;
    let mut lb = balancer(settings.clone(), &["a", "b", "c"]);
    for text in ["a", "b", "c"] {
        let _ = eject(&mut lb, text, START);
    }
    assert_eq!(takers(&lb), ["c"]);
    // Others that could not take its place do not count: drained, unhealthy.
    let mut lb = balancer(settings, &["a", "b", "c"]);
    let _ = drain(&mut lb, "b");
    let probes = due(&mut lb, START);
    let _ = answer(&mut lb, probes[2], false, START);
    let _ = eject(&mut lb, "a", START);
    assert_eq!(until(&lb, "a"), None);
    // Refused, not forgotten: when somebody else can take over, it goes.
    let _ = lb.apply(Command::SetState(name("b"), AdminState::Active), START);
    let _ = judged(&mut lb, "a", Verdict::ConnectError, START);
    assert_eq!(takers(&lb), ["b"]);
}

#[test]
fn a_server_can_be_healthy_and_ejected_and_both_show() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let probes = due(&mut lb, START);
    let _ = answer(&mut lb, probes[0], true, START);
    let _ = eject(&mut lb, "a", START);
    let seen = snapshot(&lb, "a");
    assert_eq!(seen.health, Health::Healthy);
    assert!(seen.ejected_until.is_some());
    assert_eq!(seen.standing, Standing::Ejected);
}

// Commands.

#[test]
fn a_draining_server_gets_no_keys_and_is_still_probed() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    assert_eq!(
        drain(&mut lb, "a").as_slice(),
        [Event::StateChanged {
            name: name("a"),
            state: AdminState::Draining,
        }]
    );
    assert_eq!(drain(&mut lb, "a"), Events::default(), "nothing changed");
    assert_eq!(takers(&lb), ["b"]);
    assert_eq!(due(&mut lb, START).len(), 2);
    let _ = lb.apply(Command::SetState(name("a"), AdminState::Active), START);
    assert_eq!(takers(&lb), ["a", "b"]);
}

#[test]
fn backups_get_keys_just_while_no_primary_is_eligible() {
    let mut lb = balancer(Settings::default(), &["a"]);
    let mut spare = server("spare");
    spare.backup = true;
    let _ = lb.apply(Command::AddServer(spare), START);
    assert_eq!(takers(&lb), ["a"]);
    let _ = drain(&mut lb, "a");
    assert_eq!(takers(&lb), ["spare"]);
    assert!(!lb.table().is_fail_open());
    let _ = lb.apply(Command::SetState(name("a"), AdminState::Active), START);
    let _ = eject(&mut lb, "a", START);
    assert_eq!(
        takers(&lb),
        ["spare"],
        "a backup can stand in for the last primary"
    );
}

#[test]
fn when_nobody_is_eligible_all_are_used_and_it_is_announced() {
    let mut lb = balancer(Settings::default(), &["a", "b", "c"]);
    let _ = drain(&mut lb, "c");
    let probes = due(&mut lb, START);
    let _ = answer(&mut lb, probes[0], false, START);
    let events = answer(&mut lb, probes[1], false, START);
    assert_eq!(events.as_slice().last(), Some(&Event::FailOpen(true)));
    assert!(lb.table().is_fail_open());
    assert_eq!(
        takers(&lb),
        ["a", "b"],
        "but not the one an operator drained"
    );
    let _ = lb.apply(Command::AddServer(server("d")), START);
    assert!(
        !lb.table().is_fail_open(),
        "an unproven server is better than none"
    );
    assert_eq!(takers(&lb), ["d"]);
}

#[test]
fn when_nobody_is_eligible_and_failing_open_is_off_there_is_no_server() {
    let settings = Settings {
        fail_open: false,
        ..Settings::default()
    };
    let mut lb = balancer(settings, &["a"]);
    let probes = due(&mut lb, START);
    let events = answer(&mut lb, probes[0], false, START);
    assert_eq!(events.as_slice().len(), 1, "health, and no failing open");
    assert_eq!(takers(&lb), [""; 0]);
}

#[test]
fn a_new_weight_keeps_health_ejection_and_counts() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let probes = due(&mut lb, START);
    let _ = answer(&mut lb, probes[0], false, START);
    let _ = eject(&mut lb, "b", START);
    let before = snapshot(&lb, "a");
    let heavier = Weight::new(7).expect("a good weight");
    let events = lb.apply(Command::SetWeight(name("a"), heavier), START);
    assert_eq!(
        events.expect("the server is there").as_slice(),
        [Event::WeightChanged {
            name: name("a"),
            weight: heavier
        }]
    );
    let after = snapshot(&lb, "a");
    assert_eq!((after.id, after.health), (before.id, Health::Unhealthy));
    assert_eq!(after.last_probe, before.last_probe);
    assert!(after.share_actual > before.share_actual);
    assert_eq!(after.share_expected, 7.0 / 8.0);
    let same = lb.apply(Command::SetWeight(name("a"), heavier), START);
    assert_eq!(same, Ok(Events::default()));
}

#[test]
fn removing_a_server_cancels_its_deadlines_and_forgets_its_requests() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let _ = due(&mut lb, START);
    let _ = eject(&mut lb, "a", START);
    let gone = id(&lb, "a");
    let _ = lb.observe(Observation::RequestStarted { server: gone }, START);
    for text in ["a", "b"] {
        let events = lb.apply(Command::RemoveServer(name(text)), START);
        assert_eq!(
            events.expect("the server is there").as_slice(),
            [Event::ServerRemoved { name: name(text) }]
        );
    }
    assert_eq!(lb.next_deadline(), None);
    let finished = Observation::RequestFinished {
        server: gone,
        term: Term::default(),
        outcome: Outcome::Status(200),
        latency: Duration::from_millis(1),
    };
    assert_eq!(lb.observe(finished, START), Events::default());
    let snapshot = lb.snapshot(START);
    assert!(snapshot.servers.is_empty());
    assert_eq!(snapshot.total.requests(), 1, "it happened all the same");
}

#[test]
fn a_refused_command_changes_nothing_and_says_why() {
    let mut lb = balancer(Settings::default(), &["a"]);
    let before = (lb.table().version(), lb.next_deadline());
    let refused = |lb: &mut LoadBalancer, command| {
        let error = lb.apply(command, START).expect_err("a refusal");
        error.to_string()
    };
    assert_eq!(
        refused(&mut lb, Command::AddServer(server("a"))),
        "there is already a server named \"a\"; names are unique"
    );
    for command in [
        Command::RemoveServer(name("x")),
        Command::SetWeight(name("x"), most()),
        Command::SetState(name("x"), AdminState::Draining),
    ] {
        assert_eq!(refused(&mut lb, command), "there is no server named \"x\"");
    }
    assert_eq!((lb.table().version(), lb.next_deadline()), before);
    assert_eq!(lb.snapshot(START).servers.len(), 1);
}

#[test]
fn a_ring_that_would_grow_too_large_is_refused_and_stays() {
    let settings = Settings {
        virtual_nodes: VirtualNodes::new(10_000).expect("a good number"),
        ..Settings::default()
    };
    let mut lb = balancer(settings.clone(), &["a"]);
    let mut huge = server("b");
    huge.weight = Weight::new(104).expect("a good weight");
    let huge_backup = Server {
        backup: true,
        ..huge.clone()
    };
    let ring = Arc::clone(lb.table().primary());
    for command in [
        Command::AddServer(huge.clone()),
        Command::AddServer(huge_backup.clone()),
        Command::SetWeight(name("a"), most()),
    ] {
        let refused = lb.apply(command, START);
        assert!(matches!(
            refused,
            Err(CommandError::Layout(LayoutError::TooManyPoints(_)))
        ));
    }
    assert!(Arc::ptr_eq(&ring, lb.table().primary()));
    for huge in [huge, huge_backup] {
        let refused = LoadBalancer::new(settings.clone(), vec![server("a"), huge], START);
        assert!(matches!(
            refused,
            Err(CommandError::Layout(LayoutError::TooManyPoints(_)))
        ));
    }
}

#[test]
fn two_servers_of_one_name_are_refused_at_the_start() {
    let servers = vec![server("a"), server("b"), server("a")];
    let refused = LoadBalancer::new(Settings::default(), servers, START);
    assert_eq!(refused.err(), Some(CommandError::DuplicateName(name("a"))));
}

// Requests.

#[test]
fn requests_are_in_flight_until_they_finish_and_never_less_than_none() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let server = id(&lb, "a");
    let finished = Observation::RequestFinished {
        server,
        term: Term::default(),
        outcome: Outcome::Status(200),
        latency: Duration::from_millis(2),
    };
    let _ = lb.observe(Observation::RequestStarted { server }, START);
    let _ = lb.observe(Observation::RequestStarted { server }, START);
    assert_eq!(snapshot(&lb, "a").in_flight, 2);
    for _ in 0..3 {
        let _ = lb.observe(finished.clone(), START);
    }
    assert_eq!(snapshot(&lb, "a").in_flight, 0);
    assert_eq!(snapshot(&lb, "a").total.requests(), 3);
    assert_eq!(snapshot(&lb, "b").total.requests(), 0);
    assert_eq!(lb.snapshot(START).last_minute.requests(), 3);
    assert_eq!(lb.snapshot(START.after(secs(61))).last_minute.requests(), 0);
}

#[test]
fn a_table_that_was_handed_out_stays_as_it_was() {
    let mut lb = balancer(Settings::default(), &["a", "b"]);
    let table = Arc::clone(lb.table());
    let _ = lb.apply(Command::RemoveServer(name("a")), START);
    assert_eq!(table.servers().len(), 2);
    assert_eq!(lb.table().servers().len(), 1);
    assert!(lb.table().version() > table.version());
}

// Time.

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
