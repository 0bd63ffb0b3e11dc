//! Rules without keys: who is picked, what weights and health do to that, and
//! how a running proxy, its API and the program go by them.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use ringway::engine::{
    AdminState, Algorithm, Command, Event, Idle, Keyless, LoadBalancer, LoadFactor, Loads,
    NoServer, Observation, Outcome, Picker, Reason, RoutingTable, Server, ServerIndex, Settings,
    Standing, Timestamp, Verdict,
};
use ringway::native::clock;
use serde_json::json;

use crate::cli::{ringway, text};
use crate::support::api::Api;
use crate::support::client::Client;
use crate::support::origin::{After, Origin, ok};
use crate::support::proxy::Proxy;
use crate::support::rng::Rng;
use crate::support::{id_of, judge, name, server, trouble};

const ALL: [Keyless; 4] = [
    Keyless::LeastConnections,
    Keyless::ResponseTime,
    Keyless::RoundRobin,
    Keyless::Random,
];

/// Requests in flight and means of times to answer, by index.
struct Counts(Vec<u32>, Vec<u64>);

impl Loads for Counts {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.0[server.as_usize()]
    }

    fn latency(&self, server: ServerIndex) -> u64 {
        self.1[server.as_usize()]
    }
}

fn settings(rule: Keyless) -> Settings {
    Settings {
        algorithm: Algorithm::Keyless(rule),
        ..Settings::default()
    }
}

/// Servers `a`, `b` and so on of these weights.
fn balancer(rule: Keyless, weights: &[u64]) -> LoadBalancer {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let servers = names.iter().zip(weights);
    let servers = servers.map(|(text, &n)| server(text, n)).collect();
    LoadBalancer::new(settings(rule), servers, Timestamp::ZERO).expect("a good fleet")
}

fn picked(table: &RoutingTable, picker: &mut Picker, loads: &impl Loads) -> usize {
    let route = table.pick(picker, loads, &[]).expect("a server");
    route.server.as_usize()
}

/// The names that `n` picks of an idle fleet fall on, in a row.
fn in_a_row(table: &RoutingTable, picker: &mut Picker, n: usize) -> String {
    let name = |_| {
        let server = table.pick(picker, &Idle, &[]).expect("a server").server;
        table.server(server).server.name.to_string()
    };
    (0..n).map(name).collect()
}

#[test]
fn round_robin_is_as_smooth_as_nginxs() {
    // The sequence of nginx's own change log for weights of 5, 1 and 1.
    let lb = balancer(Keyless::RoundRobin, &[5, 1, 1]);
    let mut picker = Picker::new(1);
    assert_eq!(in_a_row(lb.table(), &mut picker, 14), "aabacaaaabacaa");
    let lb = balancer(Keyless::RoundRobin, &[1, 1, 1]);
    assert_eq!(in_a_row(lb.table(), &mut Picker::new(2), 7), "abcabca");
}

#[test]
fn turns_go_on_when_servers_come_and_go() {
    let mut lb = balancer(Keyless::RoundRobin, &[1, 1, 1]);
    let mut picker = Picker::new(1);
    assert_eq!(in_a_row(lb.table(), &mut picker, 2), "ab");
    let add = Command::AddServer(server("d", 1));
    let _ = lb.apply(add, Timestamp::ZERO).expect("a new name");
    // c has waited longest.
    assert_eq!(in_a_row(lb.table(), &mut picker, 1), "c");
    let gone = Command::RemoveServer(name("a"));
    let _ = lb.apply(gone, Timestamp::ZERO).expect("it is there");
    let mut round: Vec<char> = in_a_row(lb.table(), &mut picker, 3).chars().collect();
    round.sort_unstable();
    assert_eq!(round, ['b', 'c', 'd']);
    // A server that was tried has no turn.
    let tried = [0, 1].map(|i| lb.table().members(false)[i]);
    let route = lb.table().pick(&mut picker, &Idle, &tried);
    let found = route.expect("d is left").server;
    assert_eq!(lb.table().server(found).server.name, name("d"));
}

#[test]
fn chance_follows_weights() {
    const SEED: u64 = 11;
    println!("seed {SEED}");
    let weights = [1, 2, 3, 5, 8, 13, 40, 100];
    let all: u64 = weights.iter().sum();
    // An idle fleet's first draw decides by least-connections, too.
    for rule in [Keyless::Random, Keyless::LeastConnections] {
        let lb = balancer(rule, &weights);
        let mut picker = Picker::new(SEED);
        let mut counts = [0_u32; 8];
        let n = 200_000;
        for _ in 0..n {
            counts[picked(lb.table(), &mut picker, &Idle)] += 1;
        }
        let chi_square: f64 = weights
            .iter()
            .zip(counts)
            .map(|(&weight, count)| {
                let expected = f64::from(n) * weight as f64 / all as f64;
                let off = f64::from(count) - expected;
                off * off / expected
            })
            .sum();
        // Seven degrees of freedom: more than this in one of a thousand cases.
        assert!(chi_square < 24.3, "{rule:?}: {chi_square} {counts:?}");
    }
}

/// Each request takes as long as `n` others; how many are in flight where.
fn steady(lb: &LoadBalancer, n: usize, means: &[u64]) -> Vec<u32> {
    let table = lb.table();
    let mut picker = Picker::new(5);
    let mut loads = Counts(vec![0; means.len()], means.to_vec());
    let mut running = std::collections::VecDeque::new();
    let mut sums = vec![0; means.len()];
    for i in 0..20 * n {
        let server = picked(table, &mut picker, &loads);
        running.push_back(server);
        loads.0[server] += 1;
        if running.len() > n {
            loads.0[running.pop_front().expect("one runs")] -= 1;
        }
        if i >= 10 * n {
            let so_far = sums.iter_mut().zip(&loads.0);
            so_far.for_each(|(sum, &in_flight)| *sum += in_flight);
        }
    }
    sums
}

#[test]
fn under_load_weights_are_what_is_in_flight() {
    let weights = [1, 2, 3, 4];
    for rule in [Keyless::LeastConnections, Keyless::ResponseTime] {
        let sums = steady(&balancer(rule, &weights), 400, &[1 << 30; 4]);
        let all: u32 = sums.iter().sum();
        for (sum, weight) in sums.iter().zip(weights) {
            let off = f64::from(*sum) / f64::from(all) * 10.0 / weight as f64 - 1.0;
            assert!(off.abs() < 0.05, "{rule:?}: {sums:?}");
        }
    }
    // One that takes ten times as long has a tenth in flight.
    let lb = balancer(Keyless::ResponseTime, &[1; 4]);
    let sums = steady(&lb, 400, &[1 << 30, 1 << 30, 1 << 30, 10 << 30]);
    let part = f64::from(sums[3]) / f64::from(sums[0]);
    assert!((0.05..0.15).contains(&part), "{sums:?}");
}

#[test]
fn a_server_that_nobody_knows_is_tried_by_one_request() {
    let lb = balancer(Keyless::ResponseTime, &[1, 1]);
    let mut picker = Picker::new(3);
    let known = 1 << 40;
    for _ in 0..100 {
        let idle = Counts(vec![50, 0], vec![known, 0]);
        assert_eq!(picked(lb.table(), &mut picker, &idle), 1);
        let busy = Counts(vec![50, 1], vec![known, 0]);
        assert_eq!(picked(lb.table(), &mut picker, &busy), 0);
    }
}

/// A fleet in some trouble: ejected, drained over some time, coming back.
fn troubled(rng: &mut Rng, rule: Keyless) -> LoadBalancer {
    let settings = Settings {
        slow_start: Duration::from_secs(20),
        drain: Duration::from_secs(20),
        fail_open: rng.chance(50),
        ..settings(rule)
    };
    let n = rng.below(9);
    let servers: Vec<Server> = (0..n)
        .map(|i| Server {
            backup: rng.chance(25),
            ..server(&format!("s{i}"), 1 + rng.below(5))
        })
        .collect();
    let mut lb = LoadBalancer::new(settings, servers, Timestamp::ZERO).expect("a good fleet");
    let n_rounds = rng.below(8).min(n);
    trouble(&mut lb, rng, n_rounds);
    let until = Timestamp::from_millis(rng.below(60_000));
    while let Some(at) = lb.next_deadline().filter(|&at| at <= until) {
        advance(&mut lb, at);
    }
    lb
}

/// Lets time pass; who is on trial then answers well.
fn advance(lb: &mut LoadBalancer, now: Timestamp) {
    for event in lb.advance(now) {
        if let Event::TrialBegan { name } = event {
            let server = id_of(lb, &name);
            let _ = judge(lb, server, Verdict::Good, now);
        }
    }
}

#[test]
fn only_usable_servers_that_were_not_tried_are_picked() {
    const SEED: u64 = 7;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let (mut n_picked, mut n_none) = (0, 0);
    for case in 0..400 {
        let rule = ALL[case % 4];
        let lb = troubled(&mut rng, rule);
        let table = lb.table();
        let mut picker = Picker::new(rng.next());
        let explained = table.explain(table.position(b""), &Idle, &[]);
        let usable: Vec<ServerIndex> = explained
            .iter()
            .filter(|candidate| candidate.reason == Reason::Usable)
            .map(|candidate| candidate.server)
            .collect();
        for &server in &usable {
            let entry = table.server(server);
            let is_eligible = entry.standing == Standing::Eligible;
            // Those that leave still take their part, unless nobody else is well.
            let is_leaving = entry.standing == Standing::Draining;
            let may = is_eligible || is_leaving || table.is_fail_open();
            assert!(may || entry.standing == Standing::Unproven, "case {case}");
        }
        let n = table.servers().len();
        let loads = Counts(
            (0..n).map(|_| rng.below(4) as u32).collect(),
            (0..n).map(|_| rng.below(3) << 30).collect(),
        );
        let mut tried = Vec::new();
        loop {
            match table.pick(&mut picker, &loads, &tried) {
                Ok(route) => {
                    assert!(usable.contains(&route.server), "case {case}");
                    assert!(!tried.contains(&route.server), "case {case}");
                    assert_eq!(route.fail_open, table.is_fail_open());
                    tried.push(route.server);
                    n_picked += 1;
                }
                Err(why) => {
                    let expected = match (n, usable.len()) {
                        (0, _) => NoServer::Empty,
                        (_, 0) => NoServer::NoneEligible,
                        _ => NoServer::AllTried,
                    };
                    assert_eq!(why, expected, "case {case}");
                    assert_eq!(tried.len(), usable.len(), "case {case}");
                    n_none += u32::from(usable.is_empty());
                    break;
                }
            }
        }
    }
    assert!(n_picked > 500 && n_none > 10, "{n_picked} {n_none}");
}

#[test]
fn a_returning_server_gets_its_part_bit_by_bit_and_a_drained_one_loses_it() {
    for rule in ALL {
        let settings = Settings {
            slow_start: Duration::from_secs(100),
            drain: Duration::from_secs(100),
            ..settings(rule)
        };
        let servers = ["a", "b", "c", "d"].map(|text| server(text, 1));
        let mut lb =
            LoadBalancer::new(settings, servers.to_vec(), Timestamp::ZERO).expect("a good fleet");
        let gone = lb.table().servers()[1].id;
        for _ in 0..5 {
            let _ = judge(&mut lb, gone, Verdict::Failed, Timestamp::ZERO);
        }
        let mut parts = Vec::new();
        let mut picker = Picker::new(9);
        let mut part = |lb: &LoadBalancer| {
            let n = 3_000;
            // Some are in flight everywhere, or the rules that go by that have
            // nothing to go by.
            let means = vec![1 << 30; 4];
            let mut loads = Counts(vec![0; 4], means);
            let mut running = std::collections::VecDeque::new();
            let mut n_b = 0;
            for _ in 0..n {
                let server = picked(lb.table(), &mut picker, &loads);
                n_b += u32::from(server == 1);
                running.push_back(server);
                loads.0[server] += 1;
                if running.len() > 200 {
                    loads.0[running.pop_front().expect("one runs")] -= 1;
                }
            }
            f64::from(n_b) / f64::from(n)
        };
        parts.push(part(&lb));
        let mut back = None;
        while let Some(at) = lb.next_deadline().filter(|at| at.as_millis() < 140_000) {
            advance(&mut lb, at);
            let admission = lb.table().servers()[1].admission.fraction();
            let is_in = lb.table().servers()[1].standing == Standing::Eligible;
            if back.is_none() && is_in {
                back = Some(admission);
                parts.push(part(&lb));
            }
        }
        assert!((0.09..0.11).contains(&back.expect("it came back")));
        parts.push(part(&lb));
        let drained = Command::SetState(name("b"), AdminState::Draining);
        let now = Timestamp::from_millis(140_000);
        let _ = lb.apply(drained, now).expect("it is there");
        while let Some(at) = lb.next_deadline().filter(|at| at.as_millis() < 230_000) {
            advance(&mut lb, at);
        }
        parts.push(part(&lb));
        while let Some(at) = lb.next_deadline().filter(|at| at.as_millis() < 245_000) {
            advance(&mut lb, at);
        }
        parts.push(part(&lb));
        // Gone; a tenth of its weight: 0.1 / 3.1; all; a tenth; gone.
        for (part, expected) in parts.iter().zip([0.0, 0.032, 0.25, 0.032, 0.0]) {
            let off = (part - expected).abs();
            assert!(off <= expected * 0.35, "{rule:?}: {parts:?}");
        }
        assert_eq!(parts.len(), 5);
    }
}

#[test]
fn the_balancer_measures_what_response_time_goes_by_and_nothing_else() {
    for (rule, is_measured) in [(Keyless::ResponseTime, true), (Keyless::Random, false)] {
        let mut lb = balancer(rule, &[1, 1]);
        let index = lb.table().members(false)[1];
        let server = lb.table().server(index).id;
        let started = Observation::RequestStarted { server };
        let _ = lb.observe(started, Timestamp::ZERO);
        let finished = Observation::RequestFinished {
            server,
            term: lb.term(server),
            outcome: Outcome::Status(200),
            latency: Duration::from_millis(70),
        };
        let _ = lb.observe(finished, Timestamp::from_millis(70));
        let mean = ringway::engine::PeakEwma::duration(lb.latency(index));
        let expected = Duration::from_millis(if is_measured { 70 } else { 0 });
        assert_eq!(mean, expected);
        // Ten seconds without an answer: 1/e of it.
        let _ = lb.advance(Timestamp::from_millis(10_070));
        let later = ringway::engine::PeakEwma::duration(lb.latency(index));
        assert!(later.abs_diff(expected.mul_f64(0.367_879)) < Duration::from_micros(10));
    }
}

#[test]
fn other_rules_pick_the_server_with_the_fewest_in_flight() {
    let servers = ["a", "b", "c"].map(|text| server(text, 1)).to_vec();
    let lb = LoadBalancer::new(Settings::default(), servers, Timestamp::ZERO).expect("a fleet");
    let loads = Counts(vec![2, 1, 2], vec![0; 3]);
    assert_eq!(picked(lb.table(), &mut Picker::new(1), &loads), 1);
    // And a key is no reason to fail where the rule has none.
    let lb = balancer(Keyless::RoundRobin, &[1, 1, 1]);
    let position = lb.table().position(b"key");
    let route = lb.table().route(Some(position), &loads, &[]);
    assert_eq!(route.map(|route| route.server.as_usize()), Ok(1));
    // Even bounded loads, which the configuration refuses, do no harm.
    let settings = Settings {
        load_factor: LoadFactor::new(1.25).ok(),
        ..settings(Keyless::Random)
    };
    let lb = LoadBalancer::new(settings, vec![server("a", 1)], Timestamp::ZERO).expect("a fleet");
    let busy = Counts(vec![1000], vec![0]);
    let route = lb.table().route(Some(position), &busy, &[]);
    assert_eq!(route.map(|route| route.bound), Ok(None));
}

/// The 99th percentile of what requests take, when one of five servers, which
/// serve one request after the other, takes ten times as long as the others.
fn p99_with_a_slow_server(algorithm: &str) -> Duration {
    const CLIENTS: usize = 16;
    let origins: Vec<Origin> = (0..5)
        .map(|i| {
            let takes = Duration::from_millis(if i == 0 { 40 } else { 4 });
            let busy = Mutex::new(());
            Origin::new(move |_, stream| {
                let turn = busy.lock().expect("no test panics under it");
                thread::sleep(takes);
                drop(turn);
                ok(stream, "done");
                After::Keep
            })
        })
        .collect();
    let names = ["a", "b", "c", "d", "e"].into_iter();
    let servers: Vec<_> = names.zip(origins.iter().map(|o| o.address)).collect();
    let settings = format!(
        r#""routing": {{"algorithm": "{algorithm}"}}, "health_check": {{"enabled": false}}"#
    );
    let proxy = Proxy::start(&servers, &settings);
    let began = clock::now();
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let client = || {
            let mut client = Client::connect(proxy.address);
            let mut times = Vec::new();
            while clock::now().since(began) < Duration::from_millis(700) {
                let sent = clock::now();
                assert_eq!(client.get("/").status, 200);
                times.push(clock::now().since(sent));
            }
            times
        };
        let running: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let times = running.into_iter().map(|thread| thread.join());
        times.flat_map(|times| times.expect("no failure")).collect()
    });
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

#[test]
fn a_slow_server_harms_fewer_requests_than_with_round_robin() {
    let round_robin = p99_with_a_slow_server("round-robin");
    let least_connections = p99_with_a_slow_server("least-connections");
    let response_time = p99_with_a_slow_server("response-time");
    println!("{round_robin:?} {least_connections:?} {response_time:?}");
    // All queue up at the slow one; a few do; hardly one does.
    assert!(least_connections < round_robin.mul_f64(0.7));
    assert!(response_time < round_robin.mul_f64(0.4));
}

#[test]
fn a_proxy_without_keys_asks_for_none_and_goes_round() {
    let origins = [Origin::named("a"), Origin::named("b"), Origin::named("c")];
    let names = ["a", "b", "c"].into_iter();
    let servers: Vec<_> = names.zip(origins.iter().map(|o| o.address)).collect();
    let settings = r#""routing": {"algorithm": "round-robin", "debug_header": true,
        "hash_key": ["path"]}, "health_check": {"enabled": false}"#;
    let proxy = Proxy::start(&servers, settings);
    let mut client = Client::connect(proxy.address);
    let answers: Vec<_> = (0..6).map(|_| client.get("/same")).collect();
    let round: Vec<&str> = answers.iter().map(|answer| answer.text()).collect();
    assert_eq!(round, ["a", "b", "c", "a", "b", "c"]);
    let explained = answers[1].all("x-ringway-explain");
    assert_eq!(explained, ["key=?0, candidates=(\"b\";chosen)"]);
    assert_eq!(proxy.shared.hot_keys().keys().count(), 0);
}

#[test]
fn a_server_that_cannot_be_reached_is_passed_over_by_each_rule() {
    for rule in ALL {
        let origins = [Origin::named("a"), Origin::named("b")];
        let refusing = crate::support::origin::Refusing::new();
        let servers = [
            ("a", origins[0].address),
            ("b", origins[1].address),
            ("c", refusing.address),
        ];
        let settings = format!(
            r#""routing": {{"algorithm": "{}"}}, "health_check": {{"enabled": false}}"#,
            rule.name()
        );
        let proxy = Proxy::start(&servers, &settings);
        let mut client = Client::connect(proxy.address);
        for _ in 0..20 {
            assert_eq!(client.get("/").status, 200, "{rule:?}");
        }
    }
}

#[test]
fn limits_go_by_keys_all_the_same() {
    let origin = Origin::named("a");
    let settings = r#""routing": {"algorithm": "random", "hash_key": ["path"]},
        "rate_limit": {"per": "hash_key", "requests_per_second": 0.001, "burst": 1},
        "health_check": {"enabled": false}"#;
    let proxy = Proxy::start(&[("a", origin.address)], settings);
    let mut client = Client::connect(proxy.address);
    let statuses = ["/1", "/1", "/2"].map(|path| client.get(path).status);
    assert_eq!(statuses, [200, 429, 200]);
}

#[tokio::test]
async fn the_api_says_that_no_key_decides() {
    let document = |algorithm: &str| {
        json!({
            "servers": [
                {"name": "a", "address": "127.0.0.1", "port": 4001},
                {"name": "b", "address": "127.0.0.1", "port": 4002, "weight": 3},
                {"name": "c", "address": "127.0.0.1", "port": 4003, "backup": true},
            ],
            "routing": {"algorithm": algorithm},
            "health_check": {"enabled": false},
        })
    };
    let api = Api::start(document("round-robin")).await;
    let explained = api.get("/api/explain?key=x").await.json();
    assert_eq!(explained["algorithm"], "round-robin");
    for field in ["position", "turn", "owner", "server"] {
        assert!(explained[field].is_null(), "{field}: {explained}");
    }
    assert_eq!(
        explained["candidates"],
        json!([
            {"server": "a", "reason": "usable", "in_flight": 0},
            {"server": "b", "reason": "usable", "in_flight": 0},
            {"server": "c", "reason": "backup"},
        ])
    );
    // A request needs no key to be explained, either.
    let request = api.post("/api/explain", &json!({})).await;
    assert_eq!(request.json()["candidates"], explained["candidates"]);
    let mut routed = Vec::new();
    for _ in 0..4 {
        let route = api.post("/api/route", &json!({"key": "same"})).await.json();
        assert!(route["position"].is_null());
        routed.push(route["server"].as_str().unwrap_or_default().to_owned());
    }
    routed.sort_unstable();
    assert_eq!(routed, ["a", "b", "b", "b"]);
    let ring = api.get("/api/ring").await.json();
    assert_eq!(
        (&ring["n_points"], &ring["points"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(ring["servers"][1]["share"]["actual"], 0.75);
    // What moves is a question without an answer.
    let changes = json!({"changes": [{"remove": "a"}]});
    let before = api.state();
    for refused in [
        api.post("/api/plan", &changes).await,
        api.delete("/api/servers/a?dry_run=true").await,
        api.delete("/api/servers/a?max_moved=5%25").await,
    ] {
        assert_eq!((refused.status, &*refused.problem()), (409, "no-keys"));
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("round-robin has no keys"), "{detail}");
    }
    assert_eq!(api.state(), before);
    let removed = api.delete("/api/servers/a").await.json();
    assert_eq!(removed["moved"], json!({"fraction": 0.0, "flows": []}));
    // From a rule with keys to one without it is no question, either.
    let api = Api::start(document("ring")).await;
    let changes = json!({"changes": [{"algorithm": "random"}]});
    assert_eq!(api.post("/api/plan", &changes).await.problem(), "no-keys");
}

#[tokio::test]
async fn a_reload_goes_from_keys_to_none_and_back_unless_that_moves_too_much() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("keyless-reload");
    std::fs::create_dir_all(&folder).expect("a writable folder");
    let file = folder.join("config.json");
    let write = |algorithm: &str| {
        let document = json!({
            "servers": [{"name": "a", "address": "127.0.0.1", "port": 4001}],
            "routing": {"algorithm": algorithm},
            "health_check": {"enabled": false},
        });
        std::fs::write(&file, document.to_string()).expect("a writable folder");
        document
    };
    let api = Api::start_over(write("ring"), Some(&file)).await;
    write("response-time");
    let planned = api.send("POST", "/api/reload?dry_run=true", "", b"").await;
    assert_eq!(planned.problem(), "no-keys");
    let refused = api
        .send("POST", "/api/reload?max_moved=5%25", "", b"")
        .await;
    assert_eq!(refused.problem(), "moves-too-much");
    let done = api.send("POST", "/api/reload", "", b"").await.json();
    // Every key had a server.
    assert_eq!(done["moved"]["fraction"], 1.0);
    assert_eq!(api.shared.table().keyless(), Some(Keyless::ResponseTime));
    write("random");
    let done = api
        .send("POST", "/api/reload?max_moved=0", "", b"")
        .await
        .json();
    assert_eq!(done["moved"]["fraction"], 0.0);
    write("maglev");
    let done = api.send("POST", "/api/reload", "", b"").await.json();
    assert_eq!(done["moved"]["fraction"], 1.0);
    assert_eq!(api.shared.table().keyless(), None);
}

#[test]
fn the_program_says_plainly_that_no_key_decides() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("keyless-cli");
    std::fs::create_dir_all(&folder).expect("a writable folder");
    let file = folder.join("config.json");
    let document = json!({
        "servers": [
            {"name": "a", "address": "127.0.0.1", "port": 4001},
            {"name": "b", "address": "127.0.0.1", "port": 4002, "weight": 3},
        ],
        "routing": {"algorithm": "least-connections"},
    });
    std::fs::write(&file, document.to_string()).expect("a writable folder");
    let file = file.to_str().expect("a plain path");
    assert!(ringway(&["check", file], b"").status.success());
    let routed = ringway(&["route", "--config", file, "user-1"], b"");
    assert_eq!(routed.status.code(), Some(1));
    assert_eq!(
        text(&routed.stderr),
        "ringway: least-connections has no keys: any request may go to any server; \
         `ringway ring` says what part of them each gets\n"
    );
    let explained = ringway(&["explain", "--config", file], b"");
    assert_eq!(
        text(&explained.stdout),
        "least-connections has no keys: any request may go to any server that is usable\n   \
         1. a  usable\n   2. b  usable\n"
    );
    let shares = ringway(&["ring", "--config", file], b"");
    let shares = text(&shares.stdout).to_owned();
    assert!(shares.contains("75.00%"), "{shares}");
    assert!(shares.contains("least-connections has no keys"), "{shares}");
    for (before, after) in [(file, "config.json"), ("config.json", file)] {
        let planned = ringway(&["plan", "--config", before, "--to", after], b"");
        assert_eq!(planned.status.code(), Some(1));
        assert_eq!(
            text(&planned.stderr),
            "ringway: least-connections has no keys, so that none can move: any request may go \
             to any server\n"
        );
    }
}
