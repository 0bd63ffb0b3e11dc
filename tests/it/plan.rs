//! What a plan says is what then happens, for every kind of change.

use std::collections::BTreeMap;

use ringway::config::Config;
use ringway::engine::{
    AdminState, Algorithm, Basis, Change, Command, Compat, Idle, KeyHash, Libmemcached, Load,
    LoadBalancer, Plan, Position, Server, ServerName, Settings, Share, TableSize, Timestamp,
    Twemproxy,
};
use serde_json::{Value, json};

use crate::support::{self, name, weight};

const NOW: Timestamp = Timestamp::ZERO;

fn specs(n: usize) -> Value {
    (0..n)
        .map(|i| json!({"name": format!("s{i}"), "address": format!("10.0.0.{i}"), "port": 80}))
        .collect()
}

fn balancer(algorithm: &str, n: usize) -> LoadBalancer {
    of_config(json!({"servers": specs(n), "routing": {"algorithm": algorithm}}))
}

fn small(algorithm: &str, n: usize, virtual_nodes: u32) -> LoadBalancer {
    let routing = json!({"algorithm": algorithm, "virtual_nodes": virtual_nodes});
    of_config(json!({"servers": specs(n), "routing": routing}))
}

fn of_config(config: Value) -> LoadBalancer {
    let config = Config::read(config).expect("a good configuration");
    LoadBalancer::new(config.settings(), config.servers(), NOW).expect("a good fleet")
}

fn servers(n: usize) -> Vec<Server> {
    let config = Config::read(json!({"servers": specs(n)})).expect("a good configuration");
    config.servers()
}

/// How many of the keys that are asked for go from each server to each.
type Seen = BTreeMap<(ServerName, ServerName), u32>;

/// Asks both where so many keys go.
fn seen(before: &LoadBalancer, after: &LoadBalancer, n_keys: u32) -> Seen {
    let server = |lb: &LoadBalancer, key: &str| -> ServerName {
        let table = lb.table();
        let route = table.route(Some(table.position(key.as_bytes())), &Idle, &[]);
        let route = route.expect("somebody takes keys");
        table.server(route.server).server.name.clone()
    };
    let mut seen = Seen::new();
    for i in 0..n_keys {
        // Not numbered alone: FNV does not spread texts that end alike.
        let key = format!("/users/{}", Position::of_key(&i.to_be_bytes()));
        *seen
            .entry((server(before, &key), server(after, &key)))
            .or_default() += 1;
    }
    seen
}

/// Plans the changes, makes them, and holds what was planned to what happened:
/// all together, from whom to whom, and what each server has. `allowed` is the
/// most that a part of all keys may differ by.
fn planned(
    before: &LoadBalancer,
    changes: &[Change],
    n_keys: u32,
    allowed: f64,
    about: &str,
) -> Plan {
    let plan = before.plan(changes.to_vec()).expect("it can be done");
    let mut after = before.clone();
    for change in changes {
        // Nobody has been probed, so nobody holds a new server back.
        let command = match change.clone() {
            Change::Add(server) => Command::AddServer(server),
            Change::Remove(name) => Command::RemoveServer(name),
            Change::Weight(name, weight) => Command::SetWeight(name, weight),
            Change::State(name, state) => Command::SetState(name, state),
            other => panic!("{other:?} is no command"),
        };
        let _ = after.apply(command, NOW).expect("it can be done");
    }
    hold(&plan, &seen(before, &after, n_keys), allowed, about);
    plan
}

fn hold(plan: &Plan, seen: &Seen, allowed: f64, about: &str) {
    let n_keys: u32 = seen.values().sum();
    let close = |what: &str, planned: f64, count: u32| {
        let seen = f64::from(count) / f64::from(n_keys);
        let apart = (planned - seen).abs();
        assert!(apart < allowed, "{about}: {what}: {planned}, not {seen}");
    };
    let mut moves: Seen = seen.clone();
    moves.retain(|(from, to), _| from != to);
    close("moved", plan.moved.total.fraction(), moves.values().sum());
    for flow in &plan.moved.flows {
        let pair = (flow.from.clone(), flow.to.clone());
        let count = moves.remove(&pair).unwrap_or(0);
        close(&format!("{pair:?}"), flow.share.fraction(), count);
    }
    for (pair, count) in moves {
        close(&format!("{pair:?}"), 0.0, count);
    }
    let has = |load: &Load, side: fn(&(ServerName, ServerName)) -> &ServerName| {
        for (name, share, _) in &load.shares {
            let of_it = seen.iter().filter(|(pair, _)| side(pair) == name);
            let count = of_it.map(|(_, count)| count).sum();
            close(name.as_str(), share.fraction(), count);
        }
        let sum: Share = load.shares.iter().map(|(_, share, _)| *share).sum();
        assert_eq!(sum, Share::WHOLE, "{about}");
    };
    has(&plan.before, |pair| &pair.0);
    has(&plan.after, |pair| &pair.1);
    let flows: Share = plan.moved.flows.iter().map(|flow| flow.share).sum();
    assert_eq!(flows, plan.moved.total, "{about}");
    adds_up(plan, about);
    let names: Vec<_> = plan.moved.flows.iter().map(|f| (&f.from, &f.to)).collect();
    assert!(names.is_sorted(), "{about}: flows in order of names");
}

/// What each server has after is what it had, less what it gives, and what it
/// takes: to the last position where that is counted, and else up to rounding.
fn adds_up(plan: &Plan, about: &str) {
    let allowed = match plan.moved.basis {
        Basis::Exact => 0,
        Basis::Expected => 1 << 20,
        Basis::Sampled(_) => return,
    };
    let mut servers: BTreeMap<&ServerName, [u128; 2]> = BTreeMap::new();
    for (load, side) in [(&plan.before, 0), (&plan.after, 1)] {
        for (name, share, _) in &load.shares {
            servers.entry(name).or_default()[side] += share.units();
        }
    }
    for flow in &plan.moved.flows {
        servers.entry(&flow.from).or_default()[1] += flow.share.units();
        servers.entry(&flow.to).or_default()[0] += flow.share.units();
    }
    for (name, [before, after]) in servers {
        assert!(before.abs_diff(after) <= allowed, "{about}: {name}");
    }
}

fn drain(of: &str) -> Change {
    Change::State(name(of), AdminState::Draining)
}

#[test]
fn what_is_planned_is_what_happens() {
    let add = |weight| Change::Add(support::server("new", weight));
    let weigh = |of: &str, n| Change::Weight(name(of), weight(n));
    let remove = |of: &str| Change::Remove(name(of));
    let cases = [
        vec![add(2)],
        vec![remove("s3")],
        vec![weigh("s1", 3)],
        vec![drain("s2")],
        vec![
            add(5),
            remove("s3"),
            weigh("s1", 3),
            weigh("s4", 2),
            drain("s2"),
        ],
    ];
    for (algorithm, basis) in [
        ("ring", Basis::Exact),
        ("local-rendezvous", Basis::Expected),
        ("rendezvous", Basis::Expected),
        ("maglev", Basis::Exact),
        ("nginx", Basis::Exact),
        ("ketama", Basis::Exact),
        ("libmemcached", Basis::Exact),
        ("twemproxy", Basis::Exact),
        ("haproxy", Basis::Exact),
        ("envoy-ring", Basis::Exact),
        ("envoy-maglev", Basis::Exact),
    ] {
        let fleet = balancer(algorithm, 6);
        // Whom a drained server's slots go to is drawn for.
        let basis_drained = match algorithm {
            "maglev" | "envoy-maglev" => Basis::Expected,
            _ => basis,
        };
        for changes in &cases {
            let about = format!("{algorithm}: {changes:?}");
            let plan = planned(&fleet, changes, 12_000, 0.016, &about);
            let drains = changes.contains(&drain("s2"));
            let basis = if drains { basis_drained } else { basis };
            assert_eq!(plan.moved.basis, basis, "{about}");
            assert!(plan.moved.total > Share::NONE, "{about}");
        }
        // Of a fleet that has changed already, weights and a drained server in it.
        let mut fleet = fleet;
        for (of, n) in [("s0", 4), ("s3", 2), ("s5", 3)] {
            let command = Command::SetWeight(name(of), weight(n));
            let _ = fleet.apply(command, NOW).expect("it can be done");
        }
        let command = Command::SetState(name("s5"), AdminState::Draining);
        let _ = fleet.apply(command, NOW).expect("it can be done");
        let back = Change::State(name("s5"), AdminState::Active);
        for changes in [
            vec![back.clone(), drain("s1"), weigh("s3", 7)],
            vec![add(1), drain("s3"), remove("s2")],
            vec![remove("s5"), weigh("s0", 1), back_in("s9")],
        ] {
            let about = format!("{algorithm}, drained: {changes:?}");
            let plan = planned(&fleet, &changes, 12_000, 0.016, &about);
            assert_eq!(plan.moved.basis, basis_drained, "{about}");
        }
    }
}

/// Another server that is new.
fn back_in(text: &str) -> Change {
    Change::Add(support::server(text, 2))
}

#[test]
fn shards_are_planned_as_they_go() {
    let fleet = balancer("jump", 7);
    let add = |text: &str| Change::Add(support::server(text, 1));
    for changes in [
        vec![add("a")],
        vec![add("a"), add("z"), add("b")],
        vec![Change::Remove(name("s6")), Change::Remove(name("s5"))],
        vec![drain("s2")],
        vec![drain("s2"), drain("s6"), add("a")],
        vec![drain("s1"), Change::Remove(name("s6"))],
    ] {
        let about = format!("jump: {changes:?}");
        let plan = planned(&fleet, &changes, 60_000, 0.007, &about);
        assert_eq!(plan.moved.basis, Basis::Expected, "{about}");
    }
    let plan = fleet.plan(vec![add("a")]).expect("it can be done");
    assert!((plan.moved.total.fraction() - 0.125).abs() < 1e-15);
}

#[test]
fn draws_are_planned_to_their_last_flow() {
    // Many keys, so that also small flows between servers that stay are told
    // from none.
    for algorithm in ["local-rendezvous", "rendezvous"] {
        let mut fleet = balancer(algorithm, 3);
        let few = ringway::engine::VirtualNodes::new(3).expect("good");
        if algorithm == "local-rendezvous" {
            // Windows as wide as the ring, and wider.
            fleet = small(algorithm, 3, few.number());
        }
        let changes = [
            Change::Weight(name("s0"), weight(4)),
            Change::Weight(name("s1"), weight(2)),
            Change::Add(support::server("s9", 1)),
        ];
        let _ = planned(&fleet, &changes, 150_000, 0.005, algorithm);
        let changes = [Change::Remove(name("s0")), drain("s1")];
        let _ = planned(&fleet, &changes, 150_000, 0.005, algorithm);
    }
}

#[test]
fn rules_that_hash_keys_differently_are_compared_by_keys() {
    let twemproxy = |hash| Algorithm::Compat(Compat::Twemproxy(Twemproxy { hash }));
    let sampled = Basis::Sampled(1 << 16);
    let cases = [
        ("ring", Algorithm::Compat(Compat::Nginx), sampled),
        ("nginx", Algorithm::Compat(Compat::Ketama), sampled),
        ("haproxy", Algorithm::Ring, sampled),
        (
            "maglev",
            Algorithm::Compat(Compat::EnvoyMaglev(TableSize::DEFAULT)),
            sampled,
        ),
        // The same points, but other places of keys: by position nothing moves.
        ("twemproxy", twemproxy(KeyHash::Md5), sampled),
        // Where keys stand at the beginning of the ring only.
        ("twemproxy", twemproxy(KeyHash::Crc32), sampled),
        // The same hash.
        ("ring", Algorithm::LocalRendezvous, Basis::Expected),
        ("ring", Algorithm::Rendezvous, sampled),
        ("twemproxy", twemproxy(KeyHash::Fnv1a64), Basis::Exact),
        (
            "ketama",
            Algorithm::Compat(Compat::Libmemcached(Libmemcached::default())),
            Basis::Exact,
        ),
    ];
    for (algorithm, other, basis) in cases {
        let about = format!("{algorithm} to {other:?}");
        let before = balancer(algorithm, 4);
        let plan = before.plan(vec![Change::Algorithm(other.clone())]);
        let plan = plan.expect("it can be done");
        let settings = Settings {
            algorithm: other,
            ..Settings::default()
        };
        let after = LoadBalancer::new(settings, servers(4), NOW).expect("a good fleet");
        hold(&plan, &seen(&before, &after, 20_000), 0.015, &about);
        assert_eq!(plan.moved.basis, basis, "{about}");
    }
}

#[test]
fn virtual_nodes_are_planned_exactly() {
    for (algorithm, basis) in [
        ("ring", Basis::Exact),
        ("local-rendezvous", Basis::Expected),
    ] {
        let before = small(algorithm, 5, 40);
        for n in [13, 120] {
            let nodes = ringway::engine::VirtualNodes::new(n).expect("good");
            let plan = before
                .plan(vec![Change::VirtualNodes(nodes)])
                .expect("it can be done");
            let after = small(algorithm, 5, nodes.number());
            let about = format!("{algorithm}: {n}");
            hold(&plan, &seen(&before, &after, 20_000), 0.012, &about);
            assert_eq!(plan.moved.basis, basis, "{about}");
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
fn modulo_is_what_counting_remainders_says() {
    for (n, change) in [
        (3, Change::Add(support::server("new", 1))),
        (8, Change::Remove(name("s0"))),
        (8, Change::Remove(name("s7"))),
        (6, Change::Weight(name("s1"), ringway::engine::Weight::ONE)),
    ] {
        let before = balancer("ring", n);
        let plan = before.plan(vec![change]).expect("it can be done");
        let names = |load: &Load| -> Vec<ServerName> {
            load.shares.iter().map(|(name, ..)| name.clone()).collect()
        };
        let (old, new) = (names(&plan.before), names(&plan.after));
        let run = old.len() * new.len();
        let moved = (0..run).filter(|hash| old[hash % old.len()] != new[hash % new.len()]);
        assert_eq!(plan.modulo, moved.count() as f64 / run as f64, "{n}");
    }
    let before = balancer("ring", 1);
    let plan = before.plan(vec![Change::Remove(name("s0"))]);
    assert_eq!(plan.expect("it can be done").modulo, 1.0);
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
