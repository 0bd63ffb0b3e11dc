//! Snapshots: an engine made of one routes as the one it is of, then and later,
//! and the API gives them out, with a tag that is another one just when a fact is.

use std::time::Duration;

use ringway::config::{Config, SnapshotView};
use ringway::engine::{
    AdminState, Command, Event, LoadBalancer, Memory, NoServer, Observation, Outcome, ProbeOutcome,
    ServerName, Standing, Timestamp, Verdict,
};
use ringway::wire::{self, ServerMemory};
use serde_json::{Value, json};

use crate::api::three;
use crate::support::api::Api;
use crate::support::{id_of, judge, name};

const N_KEYS: u32 = 10_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1000 * seconds)
}

/// Seven servers, a to g; time passes as [`in_trouble`] says.
fn document(routing: &Value) -> Value {
    let servers: Vec<Value> = ('a'..='g')
        .zip(1..)
        .map(|(name, n)| {
            let (name, address) = (name.to_string(), format!("10.0.0.{n}"));
            // What twemproxy and nginx hash.
            json!({ "name": name, "address": address, "port": 80, "weight": 1 + n % 3,
                "hash_name": name })
        })
        .collect();
    json!({
        "servers": servers, "routing": routing,
        "health_check": { "headers": { "authorization": "Bearer secret", "x-key": "secret" } },
        "ejection": { "jitter_percent": 0, "max_percent": 100 },
        "api": { "token": "0123456789abcdef" },
    })
}

/// At 50 s: a is unhealthy, b ejected, c drained, d on trial, e comes back, f
/// has joined and not been probed; g is well.
fn in_trouble(config: &Config) -> LoadBalancer {
    let mut servers = config.servers();
    let newcomer = servers.remove(5);
    let mut lb = LoadBalancer::new(config.settings(), servers, at(0)).expect("a fleet");
    for event in lb.advance(at(0)) {
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
            let _ = lb.observe(finished, at(1));
        }
    }
    let eject = |lb: &mut LoadBalancer, server: &str, when: u64| {
        let id = id_of(lb, &name(server));
        for _ in 0..3 {
            let _ = judge(lb, id, Verdict::ConnectError, at(when));
        }
    };
    eject(&mut lb, "d", 10);
    eject(&mut lb, "e", 11);
    eject(&mut lb, "b", 40);
    let _ = lb.advance(at(42));
    let id = id_of(&lb, &name("e"));
    let _ = judge(&mut lb, id, Verdict::Good, at(43));
    let drain = Command::SetState(name("c"), AdminState::Draining);
    let _ = lb.apply(drain, at(44)).expect("c is there");
    let add = Command::AddServer(newcomer);
    let _ = lb.apply(add, at(45)).expect("there is room");
    let _ = lb.advance(at(50));
    lb
}

/// What is known of the servers, and the configuration, of what goes over the wire.
fn read(text: &[u8]) -> (Config, Vec<Memory>) {
    let document: Value = serde_json::from_slice(text).expect("it is JSON");
    let config = Config::read(document["config"].clone()).expect("it is a configuration");
    let known: Vec<ServerMemory> =
        wire::read(document["servers"].clone()).expect("they are memories");
    (config, known.into_iter().map(Memory::from).collect())
}

/// The engine of a snapshot that was written and read, at `now` of its clock.
fn restored(view: &SnapshotView, now: Timestamp) -> LoadBalancer {
    let text = serde_json::to_string(view).expect("it is JSON");
    assert!(!text.contains("secret") && !text.contains("0123456789abcdef"));
    let (config, memories) = read(text.as_bytes());
    let mut lb = LoadBalancer::new(config.settings(), config.servers(), now).expect("a good fleet");
    let _ = lb.resume(&memories, now);
    lb
}

fn routes(lb: &LoadBalancer) -> Vec<Result<(ServerName, bool), NoServer>> {
    let table = lb.table();
    let routes = (0..N_KEYS).map(|key| {
        let route = table.route(Some(table.position(&key.to_le_bytes())), lb, &[])?;
        Ok((
            table.server(route.server).server.name.clone(),
            route.is_trial,
        ))
    });
    routes.collect()
}

fn standings(lb: &LoadBalancer) -> Vec<Standing> {
    lb.table().servers().iter().map(|e| e.standing).collect()
}

fn at_once() -> Vec<Value> {
    let rules = [
        "ring",
        "maglev",
        "rendezvous",
        "local-rendezvous",
        "haproxy",
        "nginx",
        "twemproxy",
        "envoy-maglev",
    ];
    let rule = |rule| json!({ "algorithm": rule });
    rules.into_iter().map(rule).collect()
}

#[test]
fn an_engine_of_a_snapshot_routes_as_the_one_it_is_of() {
    use Standing::{Draining, Ejected, Eligible, OnTrial, Unhealthy, Unproven};
    let slow = ["ring", "maglev"];
    let slow = slow.map(|rule| json!({ "algorithm": rule, "slow_start": 60, "drain": 30 }));
    for routing in at_once().into_iter().chain(slow) {
        let config = Config::read(document(&routing)).expect("it is good");
        let mut lb = in_trouble(&config);
        let all = [
            Unhealthy, Ejected, Draining, OnTrial, Eligible, Unproven, Eligible,
        ];
        assert_eq!(standings(&lb), all, "{routing}");
        // Its clock begins elsewhere: before, and after.
        for now in [at(0), at(1_000_000)] {
            let mut other = restored(&SnapshotView::new(&config.rules(), &lb, at(50)), now);
            assert_eq!(standings(&other), all, "{routing}");
            assert_eq!(other.table().fingerprint(), lb.table().fingerprint());
            assert_eq!(routes(&other), routes(&lb), "{routing}");
            // b is ejected until 70 s.
            let later = |seconds| Timestamp::from_nanos(now.as_nanos() + at(seconds).as_nanos());
            let _ = other.advance(later(19));
            assert_eq!(standings(&other)[1], Ejected);
            let _ = other.advance(later(20));
            assert_eq!(standings(&other)[1], OnTrial);
        }
        let mut other = restored(&SnapshotView::new(&config.rules(), &lb, at(50)), at(0));
        let _ = lb.advance(at(74));
        let _ = other.advance(at(24));
        assert_eq!(standings(&other), standings(&lb));
        // A step of a slow start is 60/64 s; steps may begin up to one later.
        let differing = routes(&lb).into_iter().zip(routes(&other));
        let n_differing = differing.filter(|(a, b)| a != b).count();
        let n_allowed = if routing["slow_start"].is_null() {
            0
        } else {
            150
        };
        assert!(n_differing <= n_allowed, "{routing}: {n_differing}");
        let _ = lb.advance(at(200));
        let _ = other.advance(at(150));
        assert_eq!(routes(&other), routes(&lb), "{routing}");
    }
}

#[test]
fn servers_keep_the_ids_they_were_given_where_the_rule_goes_by_them() {
    for rule in ["jump", "haproxy"] {
        let mut document = document(&json!({ "algorithm": rule }));
        for server in document["servers"].as_array_mut().expect("a list") {
            server["weight"] = json!(1);
        }
        let config = Config::read(document).expect("it is good");
        let mut lb =
            LoadBalancer::new(config.settings(), config.servers(), at(0)).expect("a fleet");
        // The last one: jump lets no other go. Then one whose id is not by name.
        let remove = Command::RemoveServer(name("g"));
        let _ = lb.apply(remove, at(1)).expect("it may go");
        let mut early = config.servers()[6].clone();
        early.name = name("Early");
        let _ = lb
            .apply(Command::AddServer(early), at(2))
            .expect("it may come");
        let other = restored(&SnapshotView::new(&config.rules(), &lb, at(3)), at(0));
        assert_eq!(routes(&other), routes(&lb), "{rule}");
        assert_eq!(other.table().fingerprint(), lb.table().fingerprint());
    }
}

#[test]
fn an_untrusted_server_is_untrusted_there_when_nobody_is_left_who_was_probed() {
    let mut document = document(&json!({ "fail_open": false }));
    document["servers"] = json!([{ "name": "a", "address": "10.0.0.1", "port": 80 }]);
    let config = Config::read(document).expect("it is good");
    let mut lb = LoadBalancer::new(config.settings(), config.servers(), at(0)).expect("a fleet");
    for event in lb.advance(at(0)) {
        if let Event::ProbeDue { probe, .. } = event {
            let (outcome, took) = (ProbeOutcome::Good, Duration::ZERO);
            let finished = Observation::ProbeFinished {
                probe,
                outcome,
                took,
            };
            let _ = lb.observe(finished, at(1));
        }
    }
    let mut b = config.servers()[0].clone();
    b.name = name("b");
    let _ = lb.apply(Command::AddServer(b), at(2)).expect("it may come");
    let _ = lb
        .apply(Command::RemoveServer(name("a")), at(3))
        .expect("it may go");
    assert_eq!(standings(&lb), [Standing::Unproven]);
    let other = restored(&SnapshotView::new(&config.rules(), &lb, at(4)), at(0));
    assert_eq!(standings(&other), [Standing::Unproven]);
    assert_eq!(routes(&other), routes(&lb));
}

#[test]
fn a_balancer_that_is_restored_keeps_what_is_under_way() {
    let config = Config::read(document(&json!({ "load_factor": 1.25 }))).expect("it is good");
    let theirs = in_trouble(&config);
    let mut ours = LoadBalancer::new(config.settings(), config.servers(), at(0)).expect("a fleet");
    let (g, b) = (id_of(&ours, &name("g")), id_of(&ours, &name("b")));
    for server in [g, b] {
        let _ = ours.observe(Observation::RequestStarted { server }, at(1));
    }
    let before_b = ours.term(b);
    let memories = theirs.memories(at(50));
    for _ in 0..2 {
        let _ = ours.resume(&memories, at(100));
        assert_eq!(standings(&ours), standings(&theirs));
    }
    let in_flight = |lb: &LoadBalancer, i: usize| lb.snapshot(at(101)).servers[i].in_flight;
    assert_eq!((in_flight(&ours, 1), in_flight(&ours, 6)), (1, 1));
    // A request from before b was ejected says nothing of b's trial.
    let _ = ours.advance(at(120));
    assert_eq!(standings(&ours)[1], Standing::OnTrial);
    let finished = |server, term| Observation::RequestFinished {
        server,
        term,
        outcome: Outcome::Status(200),
        latency: Duration::from_millis(1),
    };
    let _ = ours.observe(finished(b, before_b), at(121));
    assert_eq!(standings(&ours)[1], Standing::OnTrial);
    assert_eq!(in_flight(&ours, 1), 0);
    // Back to good times: the ejection that was set is no more.
    let well = LoadBalancer::new(config.settings(), config.servers(), at(0)).expect("a fleet");
    let _ = ours.resume(&theirs.memories(at(50)), at(130));
    let _ = ours.resume(&well.memories(at(0)), at(131));
    assert_eq!(standings(&ours), [Standing::Eligible; 7]);
    assert!(
        ours.advance(at(160))
            .as_slice()
            .iter()
            .all(|event| !matches!(event, Event::TrialBegan { .. }))
    );
    assert_eq!(standings(&ours), [Standing::Eligible; 7]);
}

#[tokio::test]
async fn the_api_gives_it_with_a_tag_that_changes_when_a_fact_does() {
    let mut document = three();
    document["api"] = json!({ "token": "0123456789abcdef" });
    let api = Api::start(document).await;
    assert_eq!(api.get("/api/snapshot").await.status, 401);
    let token = "authorization: Bearer 0123456789abcdef\r\n";
    let first = api.send("GET", "/api/snapshot", token, b"").await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("cache-control"), "no-cache");
    assert!(!first.text().contains("0123456789abcdef"));
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() == 18, "{tag}");
    let (config, memories) = read(&first.body);
    let mut other = LoadBalancer::new(config.settings(), config.servers(), at(0)).expect("a fleet");
    let _ = other.resume(&memories, at(0));
    let table = api.shared.table();
    assert_eq!(other.table().fingerprint(), table.fingerprint());
    let fingerprint = format!("{:016x}", table.fingerprint());
    assert_eq!(first.json()["fingerprint"], fingerprint);

    let known = |tag: &str| format!("{token}if-none-match: {tag}\r\n");
    let again = api.send("GET", "/api/snapshot", &known(&tag), b"").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), tag);
    assert_eq!(again.header("cache-control"), "no-cache");

    // Each change makes another tag; the same facts again make the same.
    let mut tags = vec![tag];
    let changes = [
        (
            "PUT",
            "/api/servers/a/state",
            json!({ "state": "draining" }),
        ),
        ("PUT", "/api/servers/b/weight", json!({ "weight": 3 })),
        (
            "POST",
            "/api/servers",
            json!({ "name": "d", "address": "10.0.0.4", "port": 80 }),
        ),
    ];
    for (method, target, body) in &changes {
        let reply = api.with_json(method, target, token, body).await;
        assert!(reply.status < 300, "{reply:?}");
        let last = tags.last().expect("the first").clone();
        let next = api.send("GET", "/api/snapshot", &known(&last), b"").await;
        assert_eq!(next.status, 200, "{target}");
        assert!(!tags.contains(&next.header("etag").to_owned()));
        tags.push(next.header("etag").to_owned());
    }
    let server = &api.shared.fleet().load_full().servers[1];
    server.shards[0].record(Outcome::Status(200), Duration::from_millis(1));
    let metrics = api.send("GET", "/api/metrics", token, b"").await;
    assert_eq!(metrics.json()["total"]["since_start"]["requests"], 1);
    let still = api
        .send("GET", "/api/snapshot", &known(&tags[3]), b"")
        .await;
    assert_eq!(still.status, 304, "figures are no facts");
}
