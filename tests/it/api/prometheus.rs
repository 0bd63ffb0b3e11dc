//! `GET /metrics`, read by a parser that takes nothing but what OpenMetrics 1.0
//! allows (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::collections::{BTreeMap, BTreeSet};

use ringway::engine::Outcome;
use serde_json::json;

use super::three;
use crate::support::api::Api;

/// Labels by name.
type Labels = BTreeMap<String, String>;

/// A family of metrics.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    unit: String,
    help: String,
    /// Suffix of the name, labels and value, in order.
    samples: Vec<(String, Labels, f64)>,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let is_first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    bytes.next().is_some_and(is_first) && bytes.all(|b| is_first(b) || b.is_ascii_digit())
}

/// Labels in braces, and the rest.
fn labels(text: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return (labels, text);
    };
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name), "{text}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("an end") {
                (at, '"') => break at,
                (_, '\\') => match chars.next().expect("an escape").1 {
                    'n' => value.push('\n'),
                    c @ ('"' | '\\') => value.push(c),
                    c => panic!("\\{c} in {text}"),
                },
                (_, '\n') => panic!("{text}"),
                (_, c) => value.push(c),
            }
        };
        let before = labels.insert(name.to_owned(), value);
        assert_eq!(before, None, "{name} twice in {text}");
        rest = &after[end + 1..];
        match rest.as_bytes()[0] {
            b',' => rest = &rest[1..],
            b'}' => return (labels, &rest[1..]),
            _ => panic!("{text}"),
        }
    }
}

/// All families, by name. Panics at whatever is not allowed.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let body = text.strip_suffix("# EOF\n").expect("the end");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (what, rest) = rest.split_once(' ').expect("a keyword");
            let (name, value) = rest.split_once(' ').expect("a name");
            if name != current {
                assert!(is_name(name), "{line}");
                assert!(!families.contains_key(name), "{name} in two places");
                current = name.to_owned();
                families.insert(current.clone(), Family::default());
            }
            let family = families.get_mut(name).expect("it is there");
            assert!(family.samples.is_empty(), "{line} after samples");
            let field = match what {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT" => &mut family.unit,
                _ => panic!("{line}"),
            };
            assert_eq!(field, "", "twice: {line}");
            *field = value.to_owned();
            continue;
        }
        let end = line.find(['{', ' ']).expect("a name and a value");
        let suffix = line[..end].strip_prefix(&*current);
        let suffix = suffix.unwrap_or_else(|| panic!("{line} is not of {current}"));
        let (labels, value) = labels(&line[end..]);
        let value = value.strip_prefix(' ').expect("a space");
        assert!(!value.contains(' '), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let family = families.get_mut(&current).expect("it is there");
        family.samples.push((suffix.to_owned(), labels, value));
    }
    for (name, family) in &families {
        check(name, family);
    }
    families
}

fn check(name: &str, family: &Family) {
    assert_ne!(family.help, "", "{name}");
    assert!(family.unit.is_empty() || name.ends_with(&format!("_{}", family.unit)));
    let suffixes: &[&str] = match family.kind.as_str() {
        "gauge" => &[""],
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_sum", "_count"],
        "info" => &["_info"],
        kind => panic!("{name} is a {kind}"),
    };
    let mut seen = BTreeSet::new();
    for (suffix, labels, value) in &family.samples {
        assert!(suffixes.contains(&suffix.as_str()), "{name}{suffix}");
        let series = (suffix.clone(), labels.clone());
        assert!(seen.insert(series), "{name}{suffix} {labels:?} twice");
        assert!(family.kind == "gauge" || *value >= 0.0, "{name}: {value}");
        assert!(!value.is_nan(), "{name}");
    }
    if family.kind != "histogram" {
        return;
    }
    let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for (suffix, labels, value) in &family.samples {
        let mut labels = labels.clone();
        match suffix.as_str() {
            "_bucket" => {
                let bound = labels.remove("le").expect("a bound");
                let bound = bound.parse().expect("a number");
                buckets.entry(labels).or_default().push((bound, *value));
            }
            "_count" => _ = counts.insert(labels, *value),
            _ => {}
        }
    }
    assert_eq!(buckets.len(), counts.len(), "{name}");
    for (labels, buckets) in buckets {
        let (bounds, values): (Vec<f64>, Vec<f64>) = buckets.into_iter().unzip();
        assert!(
            bounds.is_sorted() && values.is_sorted(),
            "{name} {labels:?}"
        );
        assert_eq!(bounds.last(), Some(&f64::INFINITY), "{name}");
        assert_eq!(values.last(), counts.get(&labels), "{name} {labels:?}");
    }
}

#[tokio::test]
async fn the_figures_are_well_formed_whatever_servers_are_called() {
    let api = Api::start(three()).await;
    let odd = json!({"name": "a\"b\\c ☃", "address": "127.0.0.1", "port": 1009});
    assert_eq!(api.post("/api/servers", &odd).await.status, 201);
    let fleet = api.shared.fleet().load_full();
    for server in &fleet.servers {
        for (status, micros) in [(200, 10), (200, 3_000), (404, 700_000), (299, 80_000_000)] {
            let latency = core::time::Duration::from_micros(micros);
            server.shards[0].record(Outcome::Status(status), latency);
        }
        server.shards[0].record(Outcome::ConnectError, Default::default());
    }
    let families = parse(&api.get("/metrics").await.text());
    let samples = |name: &str| {
        let family = families.get(name);
        &family.unwrap_or_else(|| panic!("{name}")).samples
    };
    // One for each of what the documentation promises.
    for name in [
        "ringway_in_flight",
        "ringway_client_connections",
        "ringway_client_connections_accepted",
        "ringway_keys_moved",
        "ringway_start_time_seconds",
        "ringway_event_streams",
        "ringway_event_streams_cut",
        "ringway_access_log_dropped",
        "ringway_access_log_failed",
        "ringway_record_failed",
        "ringway_traces_sent",
        "ringway_traces_dropped",
        "ringway_traces_failed",
        "ringway_fail_open",
        "ringway_ring_points",
        "ringway_bounded_overflowed",
        "ringway_build",
    ] {
        assert_eq!(samples(name).len(), 1, "{name}");
    }
    assert_eq!(samples("ringway_server_admission").len(), 4);
    let responses: BTreeMap<(String, String), f64> = samples("ringway_server_responses")
        .iter()
        .map(|(_, labels, value)| ((labels["server"].clone(), labels["code"].clone()), *value))
        .collect();
    assert_eq!(responses.len(), 4 * 4);
    for server in ["a", "b", "c", "a\"b\\c ☃"] {
        for (code, n) in [("200", 2.0), ("404", 1.0), ("2xx", 1.0), ("none", 1.0)] {
            let found = responses.get(&(server.to_owned(), code.to_owned()));
            assert_eq!(found, Some(&n), "{server} {code}");
        }
    }
    // Whoever adds up either gets the same.
    let total = |name: &str| -> f64 { samples(name).iter().map(|(.., n)| n).sum() };
    assert_eq!(
        total("ringway_server_responses"),
        total("ringway_server_requests")
    );
    let times = samples("ringway_server_response_time_seconds");
    let of_odd = |labels: &Labels| labels["server"] == "a\"b\\c ☃";
    let buckets = times
        .iter()
        .filter(|(suffix, labels, _)| suffix == "_bucket" && of_odd(labels));
    // Bounds are powers of two of a microsecond, so none lies on both sides.
    let counts: Vec<f64> = buckets.map(|(.., n)| *n).collect();
    assert_eq!(counts.len(), 18);
    assert_eq!(
        (counts[0], counts[2], counts[3], counts[17]),
        (1.0, 1.0, 2.0, 4.0)
    );
}

#[tokio::test]
async fn keys_that_changes_move_are_added_up() {
    let api = Api::start(three()).await;
    let moved = || async {
        let families = parse(&api.get("/metrics").await.text());
        families["ringway_keys_moved"].samples[0].2
    };
    assert_eq!(moved().await, 0.0);
    let reply = api
        .put("/api/servers/a/weight", &json!({"weight": 3}))
        .await;
    let by_weight = reply.json()["moved"]["fraction"].as_f64().expect("a part");
    assert!((moved().await - by_weight).abs() < 1e-12);
    let share = api.get("/api/servers/b").await.json()["share"]["actual"].as_f64();
    let share = share.expect("a part");
    let before = moved().await;
    api.put("/api/servers/b/state", &json!({"state": "draining"}))
        .await;
    assert!(
        (moved().await - before - share).abs() < 1e-4,
        "its keys go elsewhere"
    );
    // It has none left that could move.
    let before = moved().await;
    api.delete("/api/servers/b").await;
    assert!((moved().await - before).abs() < 1e-12);
}
