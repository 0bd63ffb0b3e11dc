//! The fleet as a whole: health, figures, ring, configuration, liveness.

use serde_json::{Value, json};

use super::{names, three};
use crate::support::api::{Api, document};

#[tokio::test]
async fn the_ring_comes_in_pages_that_make_a_whole() {
    let api = Api::start(three()).await;
    let whole = api.get("/api/ring").await.json();
    assert_eq!(whole["n_points"], 300);
    assert_eq!(whole["next"], Value::Null);
    let points = whole["points"].as_array().expect("a list").clone();
    assert_eq!(points.len(), 300);
    let mut pages = Vec::new();
    let mut target = "/api/ring?limit=7".to_owned();
    loop {
        let page = api.get(&target).await.json();
        assert_eq!(page["fingerprint"], whole["fingerprint"]);
        let points = page["points"].as_array().expect("a list").clone();
        assert!(points.len() <= 7);
        pages.extend(points);
        let Some(next) = page["next"].as_str() else {
            break;
        };
        target = format!("/api/ring?limit=7&after={next}");
    }
    assert_eq!(pages, points);
    let shares: f64 = points
        .iter()
        .map(|point| point["share"].as_f64().expect("a number"))
        .sum();
    assert!((shares - 1.0).abs() < 1e-9);
    let big = json!({ "name": "d", "address": "10.0.0.1", "port": 80, "weight": 200 });
    api.post("/api/servers", &big).await;
    for (target, n) in [("/api/ring", 1000), ("/api/ring?limit=10000", 10_000)] {
        let page = api.get(target).await.json();
        assert_eq!(page["points"].as_array().map(Vec::len), Some(n));
    }
    let end = api.get("/api/ring?after=ffffffffffffffff").await.json();
    assert_eq!((&end["points"], &end["next"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn health_is_503_only_when_the_fleet_is_unhealthy() {
    let api = Api::start(three()).await;
    let health = api.get("/api/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("healthy"))
    );
    for name in ["a", "b", "c"] {
        let target = format!("/api/servers/{name}/state");
        api.put(&target, &json!({ "state": "draining" })).await;
    }
    let health = api.get("/api/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(health.header("content-type"), "application/json");
    assert_eq!(health.json()["status"], "unhealthy");
    assert_eq!(health.json()["n_eligible"], 0);
    let refused = api.post("/api/route", &json!({ "key": "k" })).await;
    assert_eq!(
        (refused.status, &*refused.problem()),
        (503, "none-eligible")
    );
    let empty = Api::start(document(&[])).await;
    assert_eq!(empty.get("/api/health").await.status, 503);
    let refused = empty.post("/api/route", &json!({ "key": "k" })).await;
    assert_eq!((refused.status, &*refused.problem()), (503, "no-servers"));
    assert_eq!(
        empty.get("/api/explain?key=k").await.json()["server"],
        Value::Null
    );
}

#[tokio::test]
async fn the_configuration_in_effect_has_no_secrets_and_can_be_loaded_again() {
    let mut document = three();
    document["api"] = json!({ "token": "a-very-secret-token" });
    let api = Api::start(document).await;
    let token = "authorization: Bearer a-very-secret-token\r\n";
    let reply = api.send("DELETE", "/api/servers/b", token, b"").await;
    assert_eq!(reply.status, 200);
    let reply = api.send("GET", "/api/config", token, b"").await;
    assert!(!reply.text().contains("secret"), "{}", reply.text());
    let mut config = reply.json();
    assert_eq!(config["api"]["token"], "[redacted]");
    assert_eq!(names(&reply), ["a", "c"]);
    assert_eq!(config["health_check"]["interval"], 30);
    config["api"]["token"] = Value::Null;
    let mut expected = (*api.config).clone();
    expected.servers.remove(1);
    expected.api.token = None;
    assert_eq!(ringway::config::Config::read(config), Ok(expected));
    let schema = api.send("GET", "/api/schema", token, b"").await.json();
    assert_eq!(schema, ringway::config::Config::schema());
}

#[tokio::test]
async fn lives_is_ready_and_says_when_it_stops() {
    let api = Api::start(three()).await;
    for (path, body) in [("/livez", "alive\n"), ("/readyz", "ready\n")] {
        let reply = api.get(path).await;
        assert_eq!((reply.status, &*reply.text()), (200, body));
    }
    api.admin.stopping();
    assert_eq!(api.get("/livez").await.status, 200);
    let reply = api.get("/readyz").await;
    assert_eq!((reply.status, &*reply.problem()), (503, "stopping"));
    api.stop.cancel();
    api.task.await.expect("it ends");
    assert!(std::net::TcpStream::connect(api.address).is_err());
}

#[tokio::test]
async fn the_figures_for_prometheus_are_all_there() {
    let mut document = document(&[("a \"quoted\" \\ name", "127.0.0.1", 1001)]);
    document["routing"] = json!({ "virtual_nodes": 50 });
    let api = Api::start(document).await;
    let fleet = api.shared.fleet().load_full();
    for (status, millis) in [(200, 1), (200, 3), (404, 40), (503, 100_000)] {
        let latency = core::time::Duration::from_millis(millis);
        let outcome = ringway::engine::Outcome::Status(status);
        fleet.servers[0].shards[0].record(outcome, latency);
    }
    let outcome = ringway::engine::Outcome::NoAnswer;
    api.shared
        .unrouted(0)
        .record(outcome, core::time::Duration::ZERO);
    api.shared
        .retries()
        .count(ringway::native::retries::Reason::TakenOut);
    let reply = api.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(
        reply
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let text = reply.text();
    let server = r#"server="a \"quoted\" \\ name""#;
    for line in [
        "# TYPE ringway_requests counter".to_owned(),
        "# TYPE ringway_response_time_seconds histogram".to_owned(),
        "ringway_servers 1.0".to_owned(),
        "ringway_servers_eligible 1.0".to_owned(),
        "ringway_fail_open 0.0".to_owned(),
        "ringway_ring_points 50.0".to_owned(),
        "ringway_reports_dropped_total 0".to_owned(),
        "ringway_requests_total{class=\"2xx\"} 2".to_owned(),
        "ringway_requests_total{class=\"none\"} 1".to_owned(),
        "ringway_errors_total 2".to_owned(),
        "ringway_retries_total{reason=\"taken_out\"} 1".to_owned(),
        "ringway_retries_total{reason=\"connect\"} 0".to_owned(),
        "ringway_retry_budget_exhausted_total 0".to_owned(),
        "ringway_response_time_seconds_count 4".to_owned(),
        format!("ringway_server_requests_total{{{server},class=\"4xx\"}} 1"),
        format!("ringway_server_errors_total{{{server}}} 1"),
        format!("ringway_server_health{{{server},health=\"unknown\"}} 1.0"),
        format!("ringway_server_eligible{{{server}}} 1.0"),
        format!("ringway_server_share{{{server},kind=\"actual\"}} 1.0"),
        format!("ringway_server_weight{{{server}}} 1.0"),
        format!("ringway_server_response_time_seconds_bucket{{le=\"0.004096\",{server}}} 2"),
        format!("ringway_server_response_time_seconds_bucket{{le=\"+Inf\",{server}}} 4"),
        "# EOF".to_owned(),
    ] {
        assert!(text.lines().any(|given| given == line), "{line} in\n{text}");
    }
    assert!(text.contains(concat!(
        "ringway_build_info{version=\"",
        env!("CARGO_PKG_VERSION")
    )));
    let metrics = api.get("/api/metrics").await.json();
    assert_eq!(metrics["total"]["since_start"]["requests"], 5);
    assert_eq!(metrics["total"]["since_start"]["error_rate"], 0.4);
    assert_eq!(metrics["retries"]["taken_out"], 1);
    assert_eq!(metrics["retries"]["budget_exhausted"], 0);
    let of_server = &metrics["servers"][0]["since_start"];
    assert_eq!(of_server["by_class"]["2xx"], 2);
    assert_eq!(of_server["requests"], 4);
}

#[tokio::test]
async fn what_a_server_did_stays_in_the_total_when_it_is_removed() {
    let api = Api::start(three()).await;
    let fleet = api.shared.fleet().load_full();
    for status in [200, 500] {
        let outcome = ringway::engine::Outcome::Status(status);
        fleet.servers[0].shards[0].record(outcome, core::time::Duration::ZERO);
    }
    assert_eq!(api.delete("/api/servers/a").await.status, 200);
    let metrics = api.get("/api/metrics").await.json();
    assert_eq!(metrics["total"]["since_start"]["requests"], 2);
    assert_eq!(metrics["total"]["since_start"]["errors"], 1);
    assert_eq!(metrics["servers"].as_array().map(Vec::len), Some(2));
}
