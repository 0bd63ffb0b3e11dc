use core::time::Duration;
use std::sync::Arc;

use crate::engine::{
    Address, AdminState, Algorithm, Command, Compat, EnvoyRing, Event, Haproxy, HaproxyHash,
    HaproxyHashKey, Health, Idle, KeyHash, Libmemcached, LoadBalancer, Observation, Plan, Port,
    Position, ProbeOutcome, RingSize, Server, ServerName, Settings, Share, Standing, TableSize,
    Timestamp, Twemproxy, Verdict, Weight,
};

const START: Timestamp = Timestamp::from_millis(1_000_000);

fn name(text: &str) -> ServerName {
    ServerName::new(text).expect("a good name")
}

fn server(text: &str, host: u8) -> Server {
    Server {
        name: name(text),
        address: Address::new(&format!("10.0.0.{host}")).expect("a good address"),
        port: Port::new(8080).expect("a good port"),
        weight: Weight::ONE,
        backup: false,
        id: None,
        hash_name: None,
        max_in_flight: None,
        link: None,
    }
}

fn fleet() -> Vec<Server> {
    let servers = [("a", 1), ("b", 2), ("c", 3), ("d", 4)];
    servers.map(|(text, host)| server(text, host)).to_vec()
}

fn algorithms() -> Vec<Algorithm> {
    let compat = [
        Compat::Nginx,
        Compat::Ketama,
        Compat::Libmemcached(Libmemcached {
            hash: KeyHash::Md5,
            is_weighted: true,
            is_spy: false,
        }),
        Compat::Twemproxy(Twemproxy {
            hash: KeyHash::Fnv1a64,
        }),
        Compat::EnvoyRing(EnvoyRing {
            min: RingSize::known(1024),
            max: RingSize::known(RingSize::MAX),
        }),
        Compat::EnvoyMaglev(TableSize::DEFAULT),
        Compat::Haproxy(Haproxy {
            hash_key: HaproxyHashKey::Id,
            hash: HaproxyHash::Unnamed,
            avalanche: None,
        }),
    ];
    let ours = [
        Algorithm::Ring,
        Algorithm::LocalRendezvous,
        Algorithm::Rendezvous,
        Algorithm::Maglev(TableSize::DEFAULT),
        Algorithm::Jump,
    ];
    ours.into_iter()
        .chain(compat.into_iter().map(Algorithm::Compat))
        .collect()
}

fn settings(algorithm: Algorithm) -> Settings {
    Settings {
        algorithm,
        ..Settings::default()
    }
}

fn balancer() -> LoadBalancer {
    LoadBalancer::new(Settings::default(), fleet(), START).expect("a good fleet")
}

/// The balancer after it, and what it announced.
fn after(
    lb: &LoadBalancer,
    settings: Settings,
    servers: Vec<Server>,
) -> (LoadBalancer, Vec<Event>) {
    let (next, events) = lb
        .reconfigured(settings, servers, START)
        .expect("it can be done");
    (next, events.into_iter().collect())
}

/// Where many keys go at rest, in order of preference.
fn routes(lb: &LoadBalancer) -> Vec<Vec<usize>> {
    let table = lb.table();
    let candidates = (0..500_u64).map(|i| {
        let position = table.position(format!("key-{i}").as_bytes());
        let found = table.explain(position, &Idle, &[]);
        found.iter().map(|c| c.server.as_usize()).collect()
    });
    candidates.collect()
}

fn find(lb: &LoadBalancer, text: &str) -> crate::engine::ServerSnapshot {
    let servers = lb.snapshot(START).servers;
    let mut found = servers.into_iter().filter(|s| s.server.name == name(text));
    found.next().expect("a server of that name")
}

/// Answers every probe that is due: good but for `bad`.
fn probe_all(lb: &mut LoadBalancer, bad: &str, now: Timestamp) {
    for event in lb.advance(now) {
        let Event::ProbeDue { probe, server } = event else {
            continue;
        };
        let outcome = if server.name == name(bad) {
            ProbeOutcome::Failed("503".to_owned())
        } else {
            ProbeOutcome::Good
        };
        let took = Duration::from_millis(1);
        let _ = lb.observe(
            Observation::ProbeFinished {
                probe,
                outcome,
                took,
            },
            now,
        );
    }
}

#[test]
fn the_same_again_changes_nothing() {
    for algorithm in algorithms() {
        let settings = settings(algorithm);
        let lb = LoadBalancer::new(settings.clone(), fleet(), START).expect("a good fleet");
        let (next, events) = after(&lb, settings, fleet());
        assert_eq!(events, []);
        assert_eq!(next.table().version(), lb.table().version());
        assert!(Arc::ptr_eq(next.table().primary(), lb.table().primary()));
        assert_eq!(Plan::between(&lb, &next).moved.total, Share::NONE);
    }
}

#[test]
fn it_routes_as_one_that_were_started_so() {
    let mut wanted = fleet();
    wanted.remove(1);
    wanted.insert(0, server("e", 9));
    wanted.swap(1, 3);
    wanted.push(Server {
        backup: true,
        ..server("f", 11)
    });
    for algorithm in algorithms() {
        let about = algorithm.name();
        let before = LoadBalancer::new(Settings::default(), fleet(), START).expect("a good fleet");
        let (next, _) = after(&before, settings(algorithm.clone()), wanted.clone());
        let fresh = LoadBalancer::new(settings(algorithm.clone()), wanted.clone(), START);
        let fresh = fresh.expect("a good fleet");
        let (next_table, fresh_table) = (next.table(), fresh.table());
        assert_eq!(
            next_table.fingerprint(),
            fresh_table.fingerprint(),
            "{about}"
        );
        assert_eq!(routes(&next), routes(&fresh), "{about}");
        // And from there on: the order of those that stay is the file's.
        let add = Command::AddServer(server("g", 12));
        let (mut next, mut fresh) = (next, fresh);
        let _ = next.apply(add.clone(), START).expect("it can be done");
        let _ = fresh.apply(add, START).expect("it can be done");
        assert_eq!(routes(&next), routes(&fresh), "{about}");
    }
}

#[test]
fn what_is_known_of_servers_that_stay_survives() {
    let mut lb = balancer();
    probe_all(&mut lb, "a", START);
    let id = find(&lb, "b").id;
    for _ in 0..3 {
        let verdict = Verdict::ConnectError;
        let term = lb.term(id);
        let _ = lb.observe(
            Observation::Judged {
                server: id,
                term,
                verdict,
            },
            START,
        );
    }
    let _ = lb.observe(Observation::RequestStarted { server: id }, START);
    let drain = Command::SetState(name("c"), AdminState::Draining);
    let _ = lb.apply(drain, START).expect("it can be done");
    let version = lb.table().version();
    let heavier = |mut servers: Vec<Server>| {
        servers
            .iter_mut()
            .for_each(|s| s.weight = Weight::new(3).expect("good"));
        servers
    };
    let (next, events) = after(&lb, Settings::default(), heavier(fleet()));
    assert_eq!(next.table().version(), version + 1, "one table for all");
    let changed = Event::Reconfigured {
        added: 0,
        removed: 0,
        changed: 4,
    };
    assert_eq!((events.len(), &events[0]), (5, &changed));
    for text in ["a", "b", "c", "d"] {
        let (before, after) = (find(&lb, text), find(&next, text));
        assert_eq!(before.id, after.id);
        assert_eq!(before.health, after.health);
        assert_eq!(before.ejected_until, after.ejected_until);
        assert_eq!(before.state, after.state);
        assert_eq!(before.standing, after.standing);
        assert_eq!(before.in_flight, after.in_flight);
    }
    assert_eq!(find(&next, "a").health, Health::Unhealthy);
    assert!(find(&next, "b").ejected_until.is_some());
    assert_eq!(find(&next, "b").in_flight, 1);
    assert_eq!(lb.table().version(), version, "the old one is as it was");
}

#[test]
fn another_address_is_another_server_that_the_operator_still_drains() {
    let mut lb = balancer();
    probe_all(&mut lb, "nobody", START);
    let drain = Command::SetState(name("a"), AdminState::Draining);
    let _ = lb.apply(drain, START).expect("it can be done");
    let mut wanted = fleet();
    wanted[0].address = Address::new("10.0.0.77").expect("good");
    wanted[1].port = Port::new(81).expect("good");
    let (next, events) = after(&lb, Settings::default(), wanted);
    for text in ["a", "b"] {
        assert_ne!(find(&next, text).id, find(&lb, text).id);
        assert_eq!(find(&next, text).health, Health::Unknown);
    }
    assert_eq!(find(&next, "a").state, AdminState::Draining);
    assert_eq!(find(&next, "b").standing, Standing::Unproven);
    assert_eq!(find(&next, "c").id, find(&lb, "c").id);
    assert!(Arc::ptr_eq(next.table().primary(), lb.table().primary()));
    let drained = Event::StateChanged {
        name: name("a"),
        state: AdminState::Draining,
    };
    assert!(events.contains(&drained), "{events:?}");
}

#[test]
fn a_refused_configuration_leaves_everything_as_it_was() {
    let lb = balancer();
    let mut twice = fleet();
    twice.push(server("a", 9));
    let mut same_id = fleet();
    for server in &mut same_id[..2] {
        server.id = crate::engine::ServerNumber::new(7).ok();
    }
    let heavy = |s: &Server| Server {
        weight: Weight::new(1000).expect("good"),
        ..s.clone()
    };
    let many = Settings {
        virtual_nodes: crate::engine::VirtualNodes::new(10_000).expect("good"),
        ..Settings::default()
    };
    let large: Vec<Server> = fleet().iter().map(heavy).collect();
    for (settings, servers) in [
        (Settings::default(), twice),
        (Settings::default(), same_id),
        (many, large),
    ] {
        assert!(lb.reconfigured(settings, servers, START).is_err());
    }
    assert_eq!(lb.table().version(), balancer().table().version());
}

#[test]
fn verdicts_of_probes_end_with_probing_and_a_shorter_interval_begins_at_once() {
    let mut lb = balancer();
    probe_all(&mut lb, "a", START);
    let mut off = Settings::default();
    off.health_check.enabled = false;
    let (mut idle, events) = after(&lb, off.clone(), fleet());
    assert_eq!(idle.next_deadline(), None);
    assert_eq!(find(&idle, "a").standing, Standing::Eligible);
    let forgotten = |event: &&Event| matches!(event, Event::HealthForgotten { .. });
    assert_eq!(events.iter().filter(forgotten).count(), 4);
    // Added while nobody is probed: in use, and still when probing begins.
    let add = Command::AddServer(server("e", 9));
    let _ = idle.apply(add, START).expect("it can be done");
    let mut wanted = fleet();
    wanted.push(server("e", 9));
    let (mut on, _) = after(&idle, Settings::default(), wanted);
    assert_eq!(on.next_deadline(), Some(START));
    let probes = on.advance(START);
    assert_eq!(probes.as_slice().len(), 5);
    let Some(Event::ProbeDue { probe, .. }) = probes.into_iter().next() else {
        panic!("a probe is due");
    };
    let outcome = ProbeOutcome::Good;
    let took = Duration::ZERO;
    let _ = on.observe(
        Observation::ProbeFinished {
            probe,
            outcome,
            took,
        },
        START,
    );
    assert!(
        on.table()
            .servers()
            .iter()
            .all(|s| s.standing == Standing::Eligible)
    );

    let mut soon = Settings::default();
    soon.health_check.interval = Duration::from_secs(2);
    soon.health_check.jitter_percent = 0;
    let (sooner, _) = after(&lb, soon, fleet());
    let deadline = sooner.next_deadline().expect("probes go on");
    assert!(
        deadline <= START.after(Duration::from_secs(2)),
        "{deadline:?}"
    );
    assert!(lb.next_deadline().expect("probes go on") > START.after(Duration::from_secs(20)));
}

#[test]
fn keys_between_untouched_servers_stay() {
    let lb = balancer();
    let mut wanted = fleet();
    wanted[3].weight = Weight::new(2).expect("good");
    wanted.remove(0);
    let (next, _) = after(&lb, Settings::default(), wanted);
    for i in 0..2000_u64 {
        let position = Position::from_bits(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let owner = |lb: &LoadBalancer| {
            let table = lb.table();
            let route = table.route(Some(position), &Idle, &[]).expect("a server");
            table.server(route.server).server.name.clone()
        };
        let (old, new) = (owner(&lb), owner(&next));
        assert!(
            old == new || old == name("a") || new == name("d"),
            "{old} {new}"
        );
    }
}
