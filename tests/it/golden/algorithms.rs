//! `algorithms.json`: the rules of our own beside the ring.
//!
//! Answers are dense: every fleet is asked about every key, and a key's
//! candidates are one word, a digit of base 36 for each server's place in the
//! configuration.

use std::fmt::Write as _;
use std::sync::Arc;

use ringway::config::Config;
use ringway::engine::{Basis, Idle, LoadBalancer, Position, RoutingTable, ServerIndex, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CANDIDATES, Change, Key, OwnedShare, bytes_of, check, line, units};

#[derive(Deserialize, Serialize)]
struct Algorithms {
    format: String,
    keys: Vec<PlacedKey>,
    fleets: Vec<Fleet>,
    changes: Vec<Change>,
}

#[derive(Deserialize, Serialize)]
struct PlacedKey {
    #[serde(flatten)]
    key: Key,
    #[serde(default)]
    position: String,
}

#[derive(Deserialize, Serialize)]
struct Fleet {
    about: String,
    config: Value,
    #[serde(default)]
    fingerprint: String,
    #[serde(default)]
    shares: Vec<OwnedShare>,
    #[serde(default)]
    candidates: Vec<String>,
}

#[test]
fn every_golden_route_by_another_rule_is_answered_as_written() {
    check("tests/data/golden/algorithms.json", |text| {
        let mut golden: Algorithms = serde_json::from_str(text).expect("valid vectors");
        let keys: Vec<Vec<u8>> = golden.keys.iter().map(|key| bytes(&key.key)).collect();
        for (key, bytes) in golden.keys.iter_mut().zip(&keys) {
            key.position = Position::of_key(bytes).to_string();
        }
        let fleets = golden.fleets.iter_mut();
        let tables: Vec<Arc<RoutingTable>> = fleets.map(|fleet| answer(fleet, &keys)).collect();
        for change in &mut golden.changes {
            let moved = tables[change.after].moved_since(&tables[change.before]);
            change.answer(&moved);
            change.expected = moved.basis == Basis::Expected;
            assert_eq!(
                moved.basis.n_sampled(),
                None,
                "rules of one kind are compared"
            );
        }
        written(&golden)
    });
}

fn bytes(key: &Key) -> Vec<u8> {
    match key {
        Key::Key(text) => text.clone().into_bytes(),
        Key::KeyHex(hex) => bytes_of(hex),
    }
}

fn answer(fleet: &mut Fleet, keys: &[Vec<u8>]) -> Arc<RoutingTable> {
    let config = Config::read(fleet.config.clone()).expect("a valid configuration");
    let balancer = LoadBalancer::new(config.settings(), config.servers(), Timestamp::ZERO);
    let table = Arc::clone(balancer.expect("a valid fleet").table());
    fleet.fingerprint = format!("{:016x}", table.fingerprint());
    let primary = table.primary();
    let shares = primary.shares().into_iter().zip(primary.servers());
    fleet.shares = shares
        .map(|(share, server)| OwnedShare {
            server: server.name.to_string(),
            units: units(share.units()),
        })
        .collect();
    let servers = fleet.config["servers"].as_array().expect("servers");
    let digit = |index: ServerIndex| {
        let name = table.server(index).server.name.as_str();
        let place = servers.iter().position(|server| server["name"] == name);
        char::from_digit(place.expect("it is there") as u32, 36).expect("few servers")
    };
    let order = |key: &Vec<u8>| {
        let position = table.position(key);
        let candidates: Vec<ServerIndex> = table
            .explain(position, &Idle, &[])
            .iter()
            .map(|candidate| candidate.server)
            .collect();
        // Whoever was tried, the next candidate is where the key goes; backups
        // wait until no primary is eligible.
        let n_usable = match primary.servers().len() {
            0 => candidates.len(),
            n => n,
        };
        for n_tried in 0..=n_usable {
            let route = table.route(Some(position), &Idle, &candidates[..n_tried]);
            let expected = candidates[..n_usable].get(n_tried).copied();
            assert_eq!(route.ok().map(|route| route.server), expected);
        }
        candidates.into_iter().take(CANDIDATES).map(digit).collect()
    };
    fleet.candidates = keys.iter().map(order).collect();
    table
}

/// The document: a key, a change, or the candidates of sixteen keys on a line.
fn written(golden: &Algorithms) -> String {
    let mut out = format!("{{\"format\":{},\n\"keys\":[\n ", line(&golden.format));
    let keys: Vec<String> = golden.keys.iter().map(line).collect();
    let _ = write!(out, "{}],\n\"fleets\":[\n", keys.join(",\n "));
    let fleets: Vec<String> = golden.fleets.iter().map(written_fleet).collect();
    let _ = write!(out, "{}],\n\"changes\":[\n ", fleets.join(",\n"));
    let changes: Vec<String> = golden.changes.iter().map(line).collect();
    let _ = writeln!(out, "{}]}}", changes.join(",\n "));
    out
}

fn written_fleet(fleet: &Fleet) -> String {
    let rows = fleet.candidates.chunks(16).map(|row| {
        let row = line(&row);
        row.trim_matches(['[', ']']).to_owned()
    });
    let rows: Vec<String> = rows.collect();
    [
        format!("{{\"about\":{},", line(&fleet.about)),
        format!(" \"config\":{},", line(&fleet.config)),
        format!(" \"fingerprint\":{},", line(&fleet.fingerprint)),
        format!(" \"shares\":{},", line(&fleet.shares)),
        format!(" \"candidates\":[\n  {}]}}", rows.join(",\n  ")),
    ]
    .join("\n")
}
