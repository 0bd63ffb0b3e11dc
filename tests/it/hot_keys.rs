//! Hot keys through a running proxy: found, shown, spread.

use ringway::config::Config;
use ringway::wire::HotKeysView;

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
