//! Limits on rates, seen by clients on real sockets.

use std::time::Duration;

use ringway::config::{AccessLogFormat, LimitedBy};
use serde_json::json;

use crate::support::api::Api;
use crate::support::client::Client;
use crate::support::logged::text_of;
use crate::support::origin::{After, Origin};
use crate::support::proxy::Proxy;

fn limited(rules: &str) -> String {
    format!(r#""routing": {{"hash_key": [{{"header": "x-user"}}]}}, "rate_limit": {rules}"#)
}

fn get_as(client: &mut Client, user: &str) -> crate::support::client::Answer {
    client.send(format!(
        "GET / HTTP/1.1\r\nhost: t\r\nx-user: {user}\r\n\r\n"
    ));
    client.answer()
}

#[test]
fn a_burst_is_served_and_who_waits_as_told_is_served_again() {
    let origin = Origin::named("a");
    let rules = r#"{"per": "client_ip", "requests_per_second": 0.5, "burst": 3}"#;
    let proxy = Proxy::start(&[("a", origin.address)], &limited(rules));
    let mut client = Client::connect(proxy.address);
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.all("ratelimit"), [""; 0], "only if asked for");
    }
    let refused = client.get("/");
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.all("retry-after")[0].parse().expect("a number");
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(
        refused.text(),
        format!("too many requests: try again in {wait} s\n")
    );
    assert_eq!(refused.all("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(refused.all("ratelimit-policy"), ["\"client_ip\";q=3;w=6"]);
    let item = format!("\"client_ip\";r=0;t={wait}");
    assert_eq!(refused.all("ratelimit"), [item]);
    // Another connection of the same client, and a body that is not wanted.
    let mut other = Client::connect(proxy.address);
    other.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(other.answer().status, 429);
    assert_eq!(origin.got().len(), 3, "no server hears of the refused");
    std::thread::sleep(Duration::from_secs(wait));
    assert_eq!(
        client.get("/").status,
        200,
        "the wait that was told is enough"
    );
    assert_eq!(origin.got().len(), 4);
    let counters = proxy.shared.rate_limit_counters();
    let of_clients = counters.iter().find(|c| c.per == LimitedBy::ClientIp);
    assert_eq!(of_clients.map(|c| c.refused), Some(2));
    assert_eq!(proxy.in_flight(), 0);
}

#[test]
fn each_key_has_its_own_and_refused_requests_make_no_key_hot() {
    let origin = Origin::new(|_, stream| {
        use std::io::Write;
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nratelimit: \"theirs\";r=1;t=1\r\n\r\n",
        );
        After::Keep
    });
    let rules = r#"[{"per": "hash_key", "requests_per_second": 0.01, "burst": 2, "headers": true},
        {"per": "hash_key", "requests_per_second": 0.001, "burst": 20, "headers": true}]"#;
    let proxy = Proxy::start(&[("a", origin.address)], &limited(rules));
    let mut client = Client::connect(proxy.address);
    for (user, status) in [
        ("ann", 200),
        ("ann", 200),
        ("ann", 429),
        ("bob", 200),
        ("ann", 429),
    ] {
        assert_eq!(get_as(&mut client, user).status, status, "{user}");
    }
    for _ in 0..5 {
        let keyless = client.get("/");
        assert_eq!(keyless.status, 200, "no key, no limit");
        assert_eq!(keyless.all("ratelimit"), ["\"theirs\";r=1;t=1"]);
    }
    let answer = get_as(&mut client, "cyd");
    assert_eq!(
        answer.all("ratelimit-policy"),
        ["\"hash_key\";q=2;w=200, \"hash_key-2\";q=20;w=20000"]
    );
    assert_eq!(
        answer.all("ratelimit"),
        [
            "\"theirs\";r=1;t=1",
            "\"hash_key\";r=1;t=100, \"hash_key-2\";r=19;t=1000"
        ]
    );
    crate::support::proxy::eventually("the keys are counted", || {
        let counts = proxy.shared.hot_keys();
        let ann = counts.keys().find(|key| &*key.key == b"ann");
        ann.is_some_and(|key| {
            assert!(key.count() < 2.5, "refused ones are counted: {key:?}");
            true
        })
    });
}

#[test]
fn workers_share_a_limit() {
    let origin = Origin::named("a");
    let rules = r#"{"per": "client_ip", "requests_per_second": 0.001, "burst": 20}"#;
    let proxy = Proxy::start_with(&[("a", origin.address)], &limited(rules), 3, None);
    let statuses = (0..40).map(|_| Client::connect(proxy.address).get("/").status);
    let statuses: Vec<u16> = statuses.collect();
    assert_eq!(statuses[..20], [200; 20]);
    assert_eq!(statuses[20..], [429; 20]);
}

#[test]
fn a_reload_changes_limits_and_who_was_refused_by_one_that_stays_still_is() {
    let origin = Origin::named("a");
    let stays = r#"{"per": "hash_key", "requests_per_second": 0.001, "burst": 1}"#;
    let proxy = Proxy::start(&[("a", origin.address)], &limited(stays));
    let mut client = Client::connect(proxy.address);
    let reload = |rules: &str| {
        proxy.reload(|document| {
            document["rate_limit"] = serde_json::from_str(rules).expect("JSON");
        });
    };
    assert_eq!(get_as(&mut client, "ann").status, 200);
    assert_eq!(get_as(&mut client, "ann").status, 429);
    let other = r#"{"per": "client_ip", "requests_per_second": 0.001, "burst": 1}"#;
    reload(&format!("[{other}, {stays}]"));
    assert_eq!(get_as(&mut client, "ann").status, 429, "it stays");
    assert_eq!(get_as(&mut client, "bob").status, 429, "the new one counts");
    reload(stays);
    assert_eq!(get_as(&mut client, "bob").status, 200);
    assert_eq!(get_as(&mut client, "ann").status, 429);
    reload("[]");
    for _ in 0..5 {
        assert_eq!(get_as(&mut client, "ann").status, 200);
    }
}

#[test]
fn refused_requests_are_in_the_access_log() {
    let origin = Origin::named("a");
    let rules = limited(r#"{"per": "client_ip", "requests_per_second": 0.001, "burst": 1}"#);
    let servers = [("a", origin.address)];
    let text = text_of(&servers, &rules, AccessLogFormat::Json, |client| {
        client.get("/1");
        client.get("/2");
    });
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let found: Vec<_> = lines
        .iter()
        .map(|line| (&line["path"], &line["status"]))
        .collect();
    assert_eq!(
        found,
        [(&json!("/1"), &json!(200)), (&json!("/2"), &json!(429))]
    );
    assert_eq!(lines[1]["attempts"], 0);
}

#[tokio::test]
async fn prometheus_counts_what_was_refused() {
    let api = Api::start(json!({
        "servers": [],
        "rate_limit": {"per": "hash_key", "requests_per_second": 0.001, "burst": 1},
    }))
    .await;
    let limits = std::sync::Arc::clone(&api.shared.fleet().load().rate_limits);
    let client = std::net::IpAddr::from([192, 0, 2, 1]);
    assert!(limits.admit(client, Some(b"ann")).is_ok());
    assert!(limits.admit(client, Some(b"ann")).is_err());
    let text = api.get("/metrics").await.text();
    for line in [
        "ringway_rate_limited_total{per=\"client_ip\"} 0",
        "ringway_rate_limited_total{per=\"hash_key\"} 1",
        "ringway_rate_limit_forgotten_total{per=\"hash_key\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in {text}");
    }
}
