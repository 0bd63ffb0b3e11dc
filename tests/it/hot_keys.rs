//! Hot keys through a running proxy: found, shown, spread.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringway::config::Config;
use ringway::engine::Idle;
use ringway::wire::HotKeysView;
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, eventually};
use crate::support::rng::Rng;

/// What the API would answer now.
fn view(proxy: &Proxy, settings: &str, limit: usize) -> HotKeysView {
    let config = Config::parse(format!("{{\"servers\": [], {settings}}}").as_bytes());
    let settings = config.expect("a good configuration").hot_keys.settings();
    HotKeysView::new(
        &proxy.shared.hot_keys(),
        &settings,
        &proxy.shared.table(),
        limit,
    )
}

#[test]
fn the_hottest_keys_of_all_workers_are_found_in_order() {
    const SETTINGS: &str =
        r#""routing": {"hash_key": ["path"]}, "hot_keys": {"capacity": 64, "half_life": 86400}"#;
    const SEED: u64 = 11;
    println!("seed {SEED}");
    let origin = Origin::named("a");
    let proxy = Proxy::start_with(&[("a", origin.address)], SETTINGS, 3, None);
    let mut rng = Rng::new(SEED);
    let mut exact = vec![0_u32; 400];
    let mut n = 0;
    for _ in 0..12 {
        // A connection falls to one worker.
        let mut client = Client::connect(proxy.address);
        for _ in 0..250 {
            // Each key half as often as the one before, with a long tail.
            let key = match rng.chance(70) {
                true => (rng.next().leading_zeros() as usize).min(20),
                false => 20 + rng.below(380) as usize,
            };
            exact[key] += 1;
            n += 1;
            assert_eq!(client.get(&format!("/{key}")).status, 200);
        }
    }
    eventually("all is published", || {
        view(&proxy, SETTINGS, 4).total == f64::from(n)
    });
    let view = view(&proxy, SETTINGS, 64);
    let hottest: Vec<&str> = view.keys[..4].iter().map(|key| &*key.key).collect();
    assert_eq!(hottest, ["/0", "/1", "/2", "/3"]);
    for key in &view.keys {
        let number: usize = key.key[1..].parse().expect("a key of ours");
        let truth = f64::from(exact[number]);
        assert!(key.count - key.error <= truth && truth <= key.count);
        let share = truth / f64::from(n);
        assert!(key.share.at_least <= share && share <= key.share.at_most);
        assert_eq!((key.server.as_deref(), &key.spread), (Some("a"), &None));
    }
}

#[test]
fn a_hot_key_is_spread_and_others_stay() {
    const SETTINGS: &str = r#""routing": {"hash_key": ["path"], "debug_header": true}, "hot_keys": {"spread": 2, "half_life": 86400}"#;
    let origins: Vec<Origin> = ["a", "b", "c", "d"].map(Origin::named).into();
    let names = ["a", "b", "c", "d"];
    let servers: Vec<_> = names
        .into_iter()
        .zip(origins.iter().map(|origin| origin.address))
        .collect();
    let proxy = Proxy::start(&servers, SETTINGS);
    let mut client = Client::connect(proxy.address);
    let owner = proxy.owner_of("/hot");
    // Until it is known to be hot it goes to its owner.
    for _ in 0..63 {
        assert_eq!(client.get("/hot").text(), owner);
    }
    let mut got = std::collections::BTreeMap::new();
    for i in 0..200 {
        let to = client.get("/hot").text().to_owned();
        *got.entry(to).or_insert(0) += 1;
        let path = format!("/{}", i % 50);
        assert_eq!(client.get(&path).text(), proxy.owner_of(&path));
    }
    assert_eq!(got.values().collect::<Vec<_>>(), [&100, &100], "{got:?}");
    assert!(got.contains_key(&owner));
    eventually("it is published", || {
        view(&proxy, SETTINGS, 1).total == 463.0
    });
    let spread = view(&proxy, SETTINGS, 1).keys[0].spread.clone();
    let spread = spread.expect("it is spread");
    assert_eq!(spread[0], owner);
    assert!(got.contains_key(&spread[1]) && spread.len() == 2);
}

#[tokio::test]
async fn after_traffic_the_api_shows_keys_in_order_and_metrics_only_their_positions() {
    const SETTINGS: &str = r#""routing": {"hash_key": [{"header": "x-user"}]}, "hot_keys": {"capacity": 8, "spread": 2, "spread_above": 1.5, "half_life": 86400}"#;
    const SEED: u64 = 12;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let names = ["a", "b", "c", "d"];
    let origins = names.map(Origin::named);
    let servers: Vec<_> = names
        .into_iter()
        .zip(origins.iter().map(|origin| origin.address))
        .collect();
    let proxy = Proxy::start_with(&servers, SETTINGS, 2, None);
    let mut exact = BTreeMap::new();
    for _ in 0..8 {
        let mut client = Client::connect(proxy.address);
        for i in 0..100 {
            // 50 %, 25 %, and the rest from many.
            let key = match i % 4 {
                0 | 1 => "secret-first".to_owned(),
                2 => "secret-second".to_owned(),
                _ => format!("secret-{}", rng.below(40)),
            };
            client.send(format!(
                "GET / HTTP/1.1\r\nhost: t\r\nx-user: {key}\r\n\r\n"
            ));
            assert_eq!(client.answer().status, 200);
            *exact.entry(key).or_insert(0.0) += 1.0;
        }
    }
    eventually("all is published", || {
        proxy.shared.hot_keys().total() == 800.0
    });
    let api = Api::over(Arc::clone(&proxy.shared), None, None).await;
    let shown = api.get("/api/hot-keys?limit=5").await.json();
    assert_eq!(
        (&shown["total"], &shown["capacity"], &shown["half_life_s"]),
        (&json!(800.0), &json!(8), &json!(86400.0))
    );
    let keys = shown["keys"].as_array().expect("a list");
    assert_eq!(keys.len(), 5);
    assert_eq!(keys[0]["key"], "secret-first");
    assert_eq!(keys[1]["key"], "secret-second");
    let table = proxy.shared.table();
    let number = |value: &Value| value.as_f64().expect("a number");
    for key in keys {
        let text = key["key"].as_str().expect("text");
        let share = exact[text] / 800.0;
        assert!(number(&key["share"]["at_least"]) <= share, "{key}");
        assert!(number(&key["share"]["at_most"]) >= share, "{key}");
        assert!(number(&key["count"]) - number(&key["error"]) <= exact[text]);
        let position = table.position(text.as_bytes());
        assert_eq!(key["position"], position.to_string());
        let owner = table.route(Some(position), &Idle, &[]).expect("a server");
        assert_eq!(
            key["server"],
            table.server(owner.server).server.name.as_str()
        );
    }
    // Of four servers each has a quarter; half of all is more than 1.5 times
    // that, and a quarter is not.
    let position = table.position(b"secret-first");
    let over = table.spread_over(position, 2).into_iter();
    let over: Vec<&str> = over.map(|i| table.server(i).server.name.as_str()).collect();
    assert_eq!(keys[0]["spread"], json!(over));
    assert_eq!(over.len(), 2);
    assert!(keys[1..].iter().all(|key| key["spread"].is_null()));

    let text = api.get("/metrics").await.text();
    assert!(!text.contains("secret"), "{text}");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("ringway_hot_key_share{"))
        .collect();
    let at_least = number(&keys[0]["share"]["at_least"]);
    let first = format!(r#"ringway_hot_key_share{{rank="1",position="{position}"}} {at_least:?}"#);
    assert_eq!(lines[0], first);
    assert!((2..=5).contains(&lines.len()), "{lines:?}");
    assert!(
        text.contains("\nringway_bounded_requests_total 0\n"),
        "{text}"
    );
}

/// Two keys that stand at one position of `table`, and are not one key.
fn twins(table: &ringway::engine::RoutingTable) -> (String, String) {
    let mut seen = BTreeMap::new();
    for i in 0..2_000_000 {
        let key = format!("/{i}");
        if let Some(twin) = seen.insert(table.position(key.as_bytes()), key.clone()) {
            return (twin, key);
        }
    }
    panic!("positions of 32 bits meet after some 80,000");
}

#[test]
fn keys_of_one_position_by_another_products_rule_are_counted_apart() {
    const SETTINGS: &str = r#""routing": {"algorithm": "ketama", "hash_key": ["path"]}, "hot_keys": {"half_life": 86400}"#;
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], SETTINGS);
    let (one, other) = twins(&proxy.shared.table());
    let mut client = Client::connect(proxy.address);
    for path in [&one, &other, &one] {
        assert_eq!(client.get(path).status, 200);
    }
    eventually("it is published", || view(&proxy, SETTINGS, 9).total == 3.0);
    let view = view(&proxy, SETTINGS, 9);
    let found: Vec<_> = view.keys.iter().map(|k| (&k.key, k.count)).collect();
    assert_eq!(found, [(&one, 2.0), (&other, 1.0)]);
    assert_eq!(view.keys[0].position, view.keys[1].position);
}

#[test]
fn only_keys_that_are_counted_can_be_spread() {
    let parse = |hot_keys: &str| {
        let document = format!(r#"{{"servers": [], "hot_keys": {hot_keys}}}"#);
        Config::parse(document.as_bytes()).map_err(|faults| faults.to_string())
    };
    let refused = parse(r#"{"capacity": 0, "spread": 2}"#).expect_err("a contradiction");
    assert!(refused.starts_with("hot_keys.spread: "), "{refused}");
    assert!(refused.contains("give hot_keys.capacity too"), "{refused}");
    for good in [r#"{"capacity": 0}"#, r#"{"capacity": 1, "spread": 2}"#] {
        assert!(parse(good).is_ok(), "{good}");
    }
}

#[test]
fn what_keys_are_counted_by_begins_anew_when_it_changes() {
    const KEY: &str = r#""hash_key": ["path"]"#;
    const HOT: &str = r#""hot_keys": {"half_life": 86400}"#;
    let before = format!(r#""routing": {{{KEY}}}, {HOT}"#);
    let cases = [
        (
            true,
            format!(r#""routing": {{{KEY}, "algorithm": "nginx"}}, {HOT}"#),
        ),
        (
            true,
            format!(r#""routing": {{{KEY}}}, "hot_keys": {{"half_life": 86400, "capacity": 7}}"#),
        ),
        (
            false,
            format!(r#""routing": {{{KEY}}}, {HOT}, "retries": {{"attempts": 1}}"#),
        ),
    ];
    for (anew, after) in cases {
        let origin = Origin::named("a");
        let proxy = Proxy::start(&[("a", origin.address)], &before);
        let mut client = Client::connect(proxy.address);
        for _ in 0..3 {
            assert_eq!(client.get("/old").status, 200);
        }
        let counts = |proxy: &Proxy| {
            let counts = proxy.shared.hot_keys();
            let mut keys: Vec<(String, f64)> = counts
                .keys()
                .map(|key| (String::from_utf8_lossy(&key.key).into(), key.count()))
                .collect();
            keys.sort_by(|a, b| a.0.cmp(&b.0));
            keys
        };
        let old = ("/old".to_owned(), 3.0);
        eventually("it is published", || counts(&proxy) == [old.clone()]);
        let (ip, port) = (origin.address.ip(), origin.address.port());
        let server = format!(r#"{{"name": "a", "address": "{ip}", "port": {port}}}"#);
        let document = format!(r#"{{"servers": [{server}], {after}}}"#);
        let config = Config::parse(document.as_bytes()).expect("a good configuration");
        let applied = proxy.shared.reconfigure(config, |_| true);
        assert!(applied.expect("a good fleet").is_ok());
        // As many as before, so that the sums are no way to tell them apart.
        for _ in 0..3 {
            assert_eq!(client.get("/new").status, 200);
        }
        let new = ("/new".to_owned(), 3.0);
        let wanted = match anew {
            true => vec![new],
            false => vec![new, old],
        };
        eventually(&after, || counts(&proxy) == wanted);
    }
}

#[test]
fn a_hostile_key_is_inert_and_cut() {
    const SETTINGS: &str = r#""routing": {"hash_key": [{"header": "x-user"}]}"#;
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], SETTINGS);
    let mut client = Client::connect(proxy.address);
    let mut request = b"GET / HTTP/1.1\r\nhost: t\r\nx-user: <script>\"\xff".to_vec();
    request.extend([b'x'; 10_240]);
    request.extend(b"\r\n\r\n");
    client.send(request);
    assert_eq!(client.answer().status, 200);
    // Without a key there is nothing to count.
    assert_eq!(client.get("/").status, 200);
    eventually("it is published", || view(&proxy, SETTINGS, 9).total == 1.0);
    let view = view(&proxy, SETTINGS, 9);
    assert_eq!(view.keys.len(), 1);
    let key = &view.keys[0];
    assert!(key.truncated && key.key.starts_with("<script>\"\u{fffd}xxx"));
    assert_eq!(key.key.chars().count(), 128);
}

#[tokio::test]
async fn the_api_takes_a_limit_and_refuses_others() {
    let api = Api::start(crate::support::api::document(&[("a", "127.0.0.1", 80)])).await;
    let reply = api.get("/api/hot-keys?limit=3").await;
    assert_eq!(reply.json()["capacity"], 256);
    for bad in ["0", "1025", "x", "-1"] {
        let reply = api.get(&format!("/api/hot-keys?limit={bad}")).await;
        assert_eq!((reply.status, reply.faults()), (400, vec!["limit".into()]));
    }
}
