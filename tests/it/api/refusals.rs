//! What is refused, with which status, and that it changed nothing.

use serde_json::{Value, json};

use super::three;
use crate::support::api::Api;

#[tokio::test]
async fn commands_that_cannot_be_done_are_refused_with_the_reason() {
    let api = Api::start(three()).await;
    let before = api.state();
    let spec = |name: &str, weight: u32| json!({ "name": name, "address": "10.0.0.1", "port": 80, "weight": weight });
    let taken = api.post("/api/servers", &spec("a", 1)).await;
    assert_eq!(
        (taken.status, &*taken.problem()),
        (409, "duplicate-name"),
        "{}",
        taken.text()
    );
    for reply in [
        api.delete("/api/servers/zz").await,
        api.put("/api/servers/zz/weight", &json!({ "weight": 2 }))
            .await,
        api.put("/api/servers/zz/state", &json!({ "state": "active" }))
            .await,
    ] {
        assert_eq!((reply.status, &*reply.problem()), (404, "unknown-server"));
    }
    assert_eq!(api.state(), before);
    // 10,000 points for each unit of weight; 2^20 at most.
    let mut large = three();
    large["routing"] = json!({ "virtual_nodes": 10_000 });
    let api = Api::start(large).await;
    let before = api.state();
    for reply in [
        api.post("/api/servers", &spec("y", 1000)).await,
        api.put("/api/servers/a/weight", &json!({ "weight": 1000 }))
            .await,
    ] {
        assert_eq!((reply.status, &*reply.problem()), (409, "too-many-points"));
    }
    assert_eq!(api.state(), before);
}

#[tokio::test]
async fn every_fault_of_a_body_is_told_at_once() {
    let api = Api::start(three()).await;
    let before = api.state();
    let reply = api
        .post(
            "/api/servers",
            &json!({ "name": "", "address": "http://x", "port": 0, "weight": 0, "colour": "red" }),
        )
        .await;
    assert_eq!((reply.status, &*reply.problem()), (400, "invalid-input"));
    let mut faults = reply.faults();
    faults.sort_unstable();
    assert_eq!(faults, ["address", "colour", "name", "port", "weight"]);
    for (body, path) in [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ("\"a\"", ""),
        ("{\"weight\":1e999}", ""),
        ("{\"weight\":1}x", ""),
        ("\u{feff}{\"weight\":1}", ""),
        ("{\"weight\":-1}", "weight"),
        ("{\"weight\":1.5}", "weight"),
        ("{\"weight\":\"1\"}", "weight"),
        ("{\"weight\":1001}", "weight"),
        ("{\"weight\":18446744073709551616}", "weight"),
        ("{}", "weight"),
    ] {
        let reply = api
            .send(
                "PUT",
                "/api/servers/a/weight",
                "content-type: application/json\r\n",
                body.as_bytes(),
            )
            .await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.problem(), "invalid-input");
        assert_eq!(reply.faults(), [path], "{body}");
    }
    let fields = (0..50_000).map(|i| (format!("x{i}"), Value::Null));
    let many: serde_json::Map<String, Value> = fields.collect();
    let reply = api.post("/api/servers", &many.into()).await;
    assert_eq!((reply.status, reply.faults().len()), (400, 100));
    let deep = "[".repeat(100_000);
    let json = "content-type: application/json\r\n";
    let reply = api.send("POST", "/api/route", json, deep.as_bytes()).await;
    assert_eq!(reply.problem(), "invalid-input");
    assert_eq!(api.state(), before);
}

#[tokio::test]
async fn bodies_are_json_and_said_to_be_and_bounded() {
    let api = Api::start(three()).await;
    let before = api.state();
    let body = br#"{"weight":2}"#;
    for kind in [
        "",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-type: text/plain\r\n",
        "content-type: multipart/form-data; boundary=application/json\r\n",
        "content-type: text/plain; application/json\r\n",
        "content-type: application/jsonp\r\n",
        "content-type: \r\n",
    ] {
        let reply = api.send("PUT", "/api/servers/a/weight", kind, body).await;
        assert_eq!(reply.status, 415, "{kind}");
        assert_eq!(reply.problem(), "wrong-content-type");
        let detail = reply.json()["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            detail.contains("Content-Type: application/json"),
            "{detail}"
        );
    }
    let json = "content-type: application/json\r\n";
    let huge = vec![b' '; (1 << 20) + 1];
    let reply = api.send("PUT", "/api/servers/a/weight", json, &huge).await;
    assert_eq!((reply.status, &*reply.problem()), (413, "too-large"));
    // The same without saying so before.
    let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
    let head = "PUT /api/servers/a/weight HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let request = [head.as_bytes(), &chunk.repeat(17), b"0\r\n\r\n"].concat();
    let reply = api.raw(&request).await.expect("an answer");
    assert_eq!((reply.status, &*reply.problem()), (413, "too-large"));
    let reply = api.send("GET", "/api/servers", json, body).await;
    assert_eq!((reply.status, &*reply.problem()), (400, "bad-request"));
    assert_eq!(api.state(), before);
    let json = "Content-Type: Application/JSON; charset=utf-8\r\n";
    let largest = [&body[..], &vec![b' '; (1 << 20) - body.len()]].concat();
    let reply = api
        .send("PUT", "/api/servers/a/weight", json, &largest)
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn unknown_paths_methods_and_parameters_are_refused() {
    let api = Api::start(three()).await;
    let before = api.state();
    for path in [
        "/api",
        "/api/",
        "/api/server",
        "/api/servers/",
        "/api/servers/a/",
        "/api/servers/a/b/c",
        "/API/servers",
        "//api/servers",
        "/api//servers",
        "/%61pi/servers",
        "/api/servers%2Fa",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/..%2fCargo.toml",
        "/etc/passwd",
        "/nothing?x=1",
        "/livez/",
    ] {
        let reply = api.get(path).await;
        assert_eq!(
            (reply.status, &*reply.problem()),
            (404, "not-found"),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("PUT", "/api/servers", "GET,HEAD,POST"),
        ("DELETE", "/api/servers", "GET,HEAD,POST"),
        ("PATCH", "/api/servers/a", "GET,HEAD,DELETE"),
        ("POST", "/api/servers/a", "GET,HEAD,DELETE"),
        ("GET", "/api/servers/a/weight", "PUT"),
        ("GET", "/api/route", "POST"),
        ("POST", "/api/health", "GET,HEAD"),
        ("OPTIONS", "/api/servers", "GET,HEAD,POST"),
        ("TRACE", "/api/servers", "GET,HEAD,POST"),
        ("POST", "/metrics", "GET,HEAD"),
        ("POST", "/", "GET,HEAD"),
        ("BREW", "/livez", "GET,HEAD"),
    ] {
        let reply = api.send(method, path, "", b"").await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.problem(), "method-not-allowed");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
    }
    for (target, fault) in [
        ("/api/servers?x=1", "x"),
        ("/api/servers?dry_run=true", "dry_run"),
        ("/api/ring?limit=1&limit=2", "limit"),
        ("/api/ring?limit=0", "limit"),
        ("/api/ring?limit=10001", "limit"),
        ("/api/ring?limit=-1", "limit"),
        ("/api/ring?limit=", "limit"),
        ("/api/ring?limit", "limit"),
        ("/api/ring?limit=99999999999999999999", "limit"),
        ("/api/ring?after=1", "after"),
        ("/api/ring?after=00000000000000000", "after"),
        ("/api/ring?after=%2B000000000000000", "after"),
        ("/api/ring?after=000000000000000g", "after"),
        ("/api/ring?Limit=1", "Limit"),
        ("/api/explain", "key"),
        ("/api/explain?key=a&key=b", "key"),
        ("/livez?x", "x"),
    ] {
        let reply = api.get(target).await;
        assert_eq!(
            (reply.status, &*reply.problem()),
            (400, "invalid-input"),
            "{target}"
        );
        assert_eq!(reply.faults(), [fault], "{target}");
    }
    let reply = api.get("/api/ring?limit=0&after=x&y=1&z=2").await;
    assert_eq!(reply.faults(), ["y", "z"]);
    let reply = api.get("/api/ring?limit=0&after=x").await;
    assert_eq!(reply.faults(), ["limit", "after"]);
    assert_eq!(api.state(), before);
}
