//! The engine compiled for wasm32, tested from within: what the native tests
//! find there must be found here, bit for bit. Run by `make test-wasm`, in Node.
#![cfg(target_arch = "wasm32")]

use std::sync::Arc;

use ringway::config::Config;
use ringway::engine::{Idle, LoadBalancer, Position, ServerIndex, Timestamp};
use serde_json::Value;
use wasm_bindgen_test::wasm_bindgen_test;

const ROUTES: &str = include_str!("../data/golden/routes.json");
const ALGORITHMS: &str = include_str!("../data/golden/algorithms.json");
const SAMPLE: &str = include_str!("../../config.json");

fn balancer(config: Value) -> LoadBalancer {
    let config = Config::read(config).expect("a valid configuration");
    LoadBalancer::new(config.settings(), config.servers(), Timestamp::ZERO).expect("a valid fleet")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

#[wasm_bindgen_test]
fn the_hash_is_xxh3() {
    // From the reference implementation, seed 0.
    assert_eq!(Position::of_key(b"").bits(), 0x2d06_8005_38d3_94c2);
    assert_eq!(Position::of_key(b"abc").bits(), 0x78af_5f94_892f_3950);
}

#[wasm_bindgen_test]
fn the_sample_configuration_is_read() {
    let config = Config::parse(SAMPLE.as_bytes()).expect("it is valid");
    assert_eq!(config.servers.len(), 2);
    assert_eq!(config.api.port.number(), 9090);
}

#[wasm_bindgen_test]
fn golden_routes_are_answered_as_written() {
    let golden: Value = serde_json::from_str(ROUTES).expect("valid vectors");
    let mut n_routes = 0;
    for fleet in list(&golden["fleets"]) {
        let about = &fleet["about"];
        let balancer = balancer(fleet["config"].clone());
        let table = balancer.table();
        assert_eq!(
            format!("{:016x}", table.fingerprint()),
            fleet["fingerprint"],
            "{about}"
        );
        let ring = table.primary().ring().expect("a ring");
        assert_eq!(ring.points().len() as u64, fleet["n_points"], "{about}");
        for (share, expected) in ring.shares().iter().zip(list(&fleet["shares"])) {
            assert_eq!(
                format!("{:017x}", share.units()),
                expected["units"],
                "{about}"
            );
        }
        let name = |server: ServerIndex| table.server(server).server.name.as_str();
        for route in list(&fleet["routes"]) {
            // Keys that are bytes are replayed natively and through the package.
            let Some(key) = route["key"].as_str() else {
                continue;
            };
            let position = table.position(key.as_bytes());
            assert_eq!(position.to_string(), route["position"], "{about}: {key}");
            let candidates = table.explain(position, &Idle, &[]);
            let names: Vec<&str> = candidates.iter().take(8).map(|c| name(c.server)).collect();
            assert_eq!(Value::from(names), route["candidates"], "{about}: {key}");
            let found = table.route(Some(position), &Idle, &[]);
            let owner = found.ok().map(|route| name(route.server));
            assert_eq!(owner, route["owner"].as_str(), "{about}: {key}");
            n_routes += 1;
        }
    }
    assert!(n_routes > 100, "{n_routes}");
}

#[wasm_bindgen_test]
fn golden_routes_by_other_rules_are_answered_as_written() {
    let golden: Value = serde_json::from_str(ALGORITHMS).expect("valid vectors");
    let mut n_routes = 0;
    let mut tables = Vec::new();
    for fleet in list(&golden["fleets"]) {
        let about = &fleet["about"];
        let table = Arc::clone(balancer(fleet["config"].clone()).table());
        let fingerprint = format!("{:016x}", table.fingerprint());
        assert_eq!(fingerprint, fleet["fingerprint"], "{about}");
        let shares = table.primary().shares();
        for (share, expected) in shares.iter().zip(list(&fleet["shares"])) {
            let units = format!("{:017x}", share.units());
            assert_eq!(units, expected["units"], "{about}");
        }
        let servers = list(&fleet["config"]["servers"]);
        let name = |server: ServerIndex| table.server(server).server.name.as_str();
        for (key, word) in list(&golden["keys"]).iter().zip(list(&fleet["candidates"])) {
            // Keys that are bytes are replayed natively and through the package.
            let Some(key) = key["key"].as_str() else {
                continue;
            };
            let digits = word.as_str().expect("a word").chars();
            let expected = digits.map(|digit| {
                let place = digit.to_digit(36).expect("a digit") as usize;
                servers[place]["name"].as_str().expect("a name")
            });
            let expected: Vec<&str> = expected.collect();
            let position = table.position(key.as_bytes());
            let candidates = table.explain(position, &Idle, &[]);
            let names: Vec<&str> = candidates.iter().take(8).map(|c| name(c.server)).collect();
            assert_eq!(names, expected, "{about}: {key}");
            let found = table.route(Some(position), &Idle, &[]);
            let owner = found.ok().map(|route| name(route.server));
            assert_eq!(owner, expected.first().copied(), "{about}: {key}");
            n_routes += 1;
        }
        tables.push(table);
    }
    assert!(n_routes > 10_000, "{n_routes}");
    for change in list(&golden["changes"]) {
        let table = |end: &str| &tables[change[end].as_u64().expect("an index") as usize];
        let moved = table("after").moved_since(table("before"));
        let total = format!("{:017x}", moved.total.units());
        assert_eq!(total, change["total"], "{change}");
        for (flow, expected) in moved.flows.iter().zip(list(&change["flows"])) {
            let units = format!("{:017x}", flow.share.units());
            assert_eq!(flow.from.as_str(), expected["from"], "{change}");
            assert_eq!(flow.to.as_str(), expected["to"], "{change}");
            assert_eq!(units, expected["units"], "{change}");
        }
    }
}

#[wasm_bindgen_test]
fn a_day_of_probes_ends_with_the_servers_it_began_with() {
    let mut balancer = balancer(serde_json::from_str(SAMPLE).expect("valid JSON"));
    let mut n_probes = 0;
    let mut now = Timestamp::ZERO;
    while now < Timestamp::from_millis(86_400_000) {
        n_probes += balancer.advance(now).as_slice().len();
        let next = balancer.next_deadline().expect("probes go on");
        assert!(next > now, "the next deadline is later");
        now = next;
    }
    // Two servers, every 30 s, give or take the jitter.
    assert!((5_200..6_400).contains(&n_probes), "{n_probes}");
    assert_eq!(balancer.table().servers().len(), 2);
}
