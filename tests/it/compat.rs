//! The rules that follow other products give those products' answers.
//!
//! What the real products answered is in `tests/data/compat/`, recorded by
//! `tests/oracle/products/`; `make test-long` asks them again about fleets that
//! nobody has seen.

use std::path::PathBuf;

use ringway::config::Config;
use ringway::engine::{Idle, LoadBalancer, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Recorded {
    config: Value,
    /// Of a fleet that was asked about others than those of `keys.json`.
    keys: Option<Vec<String>>,
    /// For each key, its server's place in the configuration: a digit of base 36.
    owners: String,
}

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/compat")
        .join(file)
}

fn balancer(config: Value) -> LoadBalancer {
    let config = Config::read(config).expect("a valid configuration");
    LoadBalancer::new(config.settings(), config.servers(), Timestamp::ZERO).expect("a valid fleet")
}

/// What was recorded, by the file's name.
fn recorded() -> Vec<(String, Recorded)> {
    let entries = std::fs::read_dir(data("")).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name != "keys.json")
        .map(|name| {
            let text = std::fs::read_to_string(data(&name)).expect("a readable file");
            let fleet = serde_json::from_str(&text).expect("a recorded fleet");
            (name, fleet)
        })
        .collect()
}

#[test]
fn every_recorded_answer_of_a_real_product_is_ours() {
    let keys = std::fs::read_to_string(data("keys.json")).expect("the keys are there");
    let keys: Vec<String> = serde_json::from_str(&keys).expect("a list of texts");
    let (mut n_fleets, mut wrong) = (0, Vec::new());
    for (file, fleet) in recorded() {
        let servers = fleet.config["servers"].clone();
        let balancer = balancer(fleet.config);
        let table = balancer.table();
        let keys = fleet.keys.as_ref().unwrap_or(&keys);
        assert_eq!(fleet.owners.len(), keys.len(), "{file}");
        let differ = keys
            .iter()
            .zip(fleet.owners.chars())
            .filter(|(key, owner)| {
                let place = owner.to_digit(36).expect("a digit") as usize;
                let route = table.route(Some(table.position(key.as_bytes())), &Idle, &[]);
                let ours = table
                    .server(route.expect("a server").server)
                    .server
                    .name
                    .as_str();
                servers[place]["name"] != ours
            });
        let n = differ.count();
        if n > 0 {
            wrong.push(format!("{file}: {n} differ"));
        }
        n_fleets += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(n_fleets >= 56, "only {n_fleets} fleets");
}

#[test]
fn keys_on_a_point_and_beside_one_were_asked_about() {
    // Those recorded by `edges.py`; how many are one below a point, on one and
    // one above it, and on the ends of the ring.
    let least = |file: &str| match file {
        "libmemcached-edges.json" => 2,
        "envoy-ring-edges.json" => 20,
        // Half of them are at nodes, and our points are between those.
        "haproxy-edges.json" => 10,
        _ => 30,
    };
    let mut n_fleets = 0;
    for (file, fleet) in recorded() {
        let Some(keys) = fleet.keys else { continue };
        let is_long = file.starts_with("envoy");
        let unit = if is_long { 1 } else { 1 << 32 };
        let balancer = balancer(fleet.config);
        let ring = balancer.table().primary().ring().expect("a ring");
        let at: Vec<u64> = keys
            .iter()
            .map(|key| balancer.table().position(key.as_bytes()).bits())
            .collect();
        let is_point = |bits: u64| {
            let points = ring.points();
            points
                .binary_search_by_key(&bits, |point| point.position().bits())
                .is_ok()
        };
        for beside in [unit, 0, u64::wrapping_neg(unit)] {
            let n = at.iter().filter(|at| is_point(at.wrapping_add(beside)));
            let n = n.count();
            assert!(n >= least(&file), "{file}: {n} of {beside:x}");
        }
        if !is_long && file != "libmemcached-edges.json" {
            assert!(
                at.contains(&0) && at.contains(&u64::wrapping_neg(unit)),
                "{file}"
            );
        }
        n_fleets += 1;
    }
    assert_eq!(n_fleets, 6);
}

#[test]
fn a_million_keys_go_where_libketama_sends_them() {
    // The servers and the check sum of libketama's own test, which writes a
    // line for each key: its hash, the point found and the server.
    let weights = [600, 300, 200, 350, 1000, 800, 950, 100];
    let servers: Vec<Value> = weights
        .iter()
        .zip(1..)
        .map(|(weight, i)| {
            let address = format!("10.0.1.{i}");
            json!({"name": format!("s{i}"), "address": address, "port": 11211, "weight": weight})
        })
        .collect();
    let balancer = balancer(json!({"servers": servers, "routing": {"algorithm": "ketama"}}));
    let table = balancer.table();
    let ring = table.primary().ring().expect("a ring");
    let mut sum = md5::Context::new();
    sum.consume("\n");
    for key in 0..1_000_000 {
        let position = table.position(key.to_string().as_bytes());
        let point = ring.walk(position).next().expect("a point");
        let number = ring.servers()[point.server as usize].name.as_str();
        let (hash, at) = (position.bits() >> 32, point.position().bits() >> 32);
        let server = number.trim_start_matches('s');
        sum.consume(format!("{hash} {at} 10.0.1.{server}:11211\n"));
    }
    assert_eq!(
        format!("{:x}", sum.finalize()),
        "5672b131391f5aa2b280936aec1eea74"
    );
}

#[test]
fn a_product_is_not_given_servers_that_it_could_not_have() {
    for (algorithm, server, reason) in [
        (
            "envoy-ring",
            json!({"name": "a", "address": "cache.example", "port": 1}),
            "servers[0].address: envoy-ring hashes IP addresses, but that of \"a\" is a host name; give its hash_name",
        ),
        (
            "twemproxy",
            json!({"name": "a", "address": "::1", "port": 1, "hash_name": "x".repeat(76)}),
            "servers[0].hash_name: what is hashed for \"a\" has 76 bytes; 75 are allowed",
        ),
        (
            "jump",
            json!({"name": "a", "address": "::1", "port": 1, "weight": 2}),
            "servers[0].weight: \"a\" has a weight, but the shards of jump are all equal; give 1",
        ),
    ] {
        let config = json!({"servers": [server], "routing": {"algorithm": algorithm}});
        let refused = Config::read(config).expect_err("it is refused").to_string();
        assert!(refused.starts_with(reason), "{refused}");
    }
    let config =
        json!({"servers": [], "routing": {"algorithm": "haproxy"}, "compat": {"key_hash": "md5"}});
    let refused = Config::read(config).expect_err("it is refused").to_string();
    assert!(
        refused.starts_with("compat.key_hash: \"md5\" is not allowed; give \"sdbm\""),
        "{refused}"
    );
}
