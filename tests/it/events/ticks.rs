//! The figures of each second: when there are any, what they say, how long they are.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ringway::engine::Outcome;
use ringway::native::driver;
use serde_json::{Value, json};

use super::{Follower, set_weight};
use crate::support::api::{Api, document};

/// An API with a driver, whose clock is the test's.
async fn driven(document: Value) -> Api {
    let mut api = Api::start(document).await;
    let reports = api.reports.take().expect("nobody else drives it");
    tokio::spawn(driver::run(
        Arc::clone(&api.shared),
        reports,
        api.stop.clone(),
    ));
    api
}

async fn lines(api: &Api, query: &str) -> Vec<Value> {
    let reply = api.get(&format!("/api/events{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let line = |line| serde_json::from_str(line).expect("a whole line");
    reply.text().lines().map(line).collect()
}

#[tokio::test]
async fn figures_are_made_only_while_somebody_follows() {
    let api = driven(document(&[("a", "127.0.0.1", 1001)])).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    // The state at start, and nothing else.
    assert_eq!(api.shared.feed.last(), 1);
    let mut follower = Follower::start(api.address, "").await;
    follower.await_named("tick").await;
    drop(follower);
    while api.shared.counts.streams.load(Relaxed) > 0 {
        set_weight(&api, "a", 2);
        set_weight(&api, "a", 1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let last = api.shared.feed.last();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(api.shared.feed.last(), last);
    // Who asks for lines is taken to ask again.
    let boot = api.shared.feed.boot().to_owned();
    assert!(
        lines(&api, &format!("?after={boot}.{last}"))
            .await
            .is_empty()
    );
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let news = lines(&api, &format!("?after={boot}.{last}")).await;
    assert_eq!(news[0]["event"], "tick");
    assert_eq!(news[0]["seq"], last + 1);
    // Of another process: the state.
    let news = lines(&api, "?after=0123456789abcdef.1").await;
    assert_eq!((news.len(), &news[0]["event"]), (1, &json!("snapshot")));
}

#[tokio::test]
async fn figures_of_a_thousand_servers_are_short_and_name_them_once() {
    let names: Vec<String> = (0..1000)
        .map(|i| format!("cache-7f9c6d5b8-{i:04}"))
        .collect();
    let servers: Vec<_> = (names.iter())
        .map(|name| (&**name, "127.0.0.1", 1001))
        .collect();
    let api = driven(document(&servers)).await;
    for (i, server) in api.shared.fleet().load().servers.iter().enumerate() {
        for n in 0..30 {
            let took = Duration::from_micros(1000 * n + i as u64);
            server.shards[0].record(Outcome::Status(if n < 3 { 503 } else { 200 }), took);
        }
    }
    let mut follower = Follower::start(api.address, "").await;
    let first = follower.await_named("tick").await.data;
    assert_eq!(first["servers"].as_array().map(Vec::len), Some(1000));
    let second = follower.await_named("tick").await.data;
    assert_eq!(second["servers"], Value::Null);
    assert_eq!(second["changed"], Value::Null);
    assert_eq!(second["requests"][7], 30);
    assert_eq!(second["errors"][7], 3);
    let length = second.to_string().len();
    assert!(length < 40_000, "{length}");
    // One that comes later knows the names from the state.
    let mut other = Follower::start(api.address, "").await;
    let state = other.await_named("snapshot").await.data;
    assert_eq!(state["servers"].as_array().map(Vec::len), Some(1000));
    assert_eq!(state["since_s"].as_array().map(Vec::len), Some(1000));
    let draining = json!({"state": "draining"});
    api.put("/api/servers/cache-7f9c6d5b8-0300/state", &draining)
        .await;
    api.send("DELETE", "/api/servers/cache-7f9c6d5b8-0999", "", b"")
        .await;
    other.await_named("server-removed").await;
    let tick = other.await_named("tick").await.data;
    let (servers, changed) = (&tick["servers"], &tick["changed"]);
    assert_eq!(servers.as_array().map(Vec::len), Some(999));
    assert_eq!(servers[300], "cache-7f9c6d5b8-0300");
    assert_eq!(changed["standing"][300], "draining");
    let tick_length = tick.to_string().len();
    assert!(tick_length < 120_000, "{tick_length}");
    let since = changed["since_s"][300].as_f64().expect("a time");
    assert!(since < changed["since_s"][301].as_f64().expect("a time"));
}
