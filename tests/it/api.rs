//! The REST API, over real sockets on loopback: every call, every refusal.

/// Every example of `docs/api.md` is asked for and compared.
mod docs;
/// What goes through to a server, and comes back.
mod forward;
/// Thousands of requests that nobody should send.
mod fuzz;
/// Every bound of the listener.
mod limits;
/// The document that describes the API, against the API.
mod openapi;
/// The page's files.
mod page;
/// What is not listened to at all: foreign names, foreign pages, no token.
mod strangers;

use serde_json::{Value, json};

use crate::support::api::{Api, Reply, document};

/// Three servers that nobody connects to.
fn three() -> Value {
    document(&[
        ("a", "127.0.0.1", 1001),
        ("b", "127.0.0.1", 1002),
        ("c", "127.0.0.1", 1003),
    ])
}

fn names(reply: &Reply) -> Vec<String> {
    let servers = reply.json()["servers"].clone();
    let servers = servers.as_array().expect("a list").clone();
    let name = |server: &Value| server["name"].as_str().unwrap_or_default().to_owned();
    servers.iter().map(name).collect()
}

#[tokio::test]
async fn the_originals_examples_work_as_they_stand() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config.json"));
    let text = text.expect("the sample configuration");
    let mut config: Value = serde_json::from_slice(&text).expect("it is JSON");
    // Nobody is at its addresses.
    config["health_check"]["enabled"] = false.into();
    let api = Api::start(config).await;
    // What curl sends for the three command lines of the original's manual.
    let curl = |line: &str, body: &str| {
        let mut head = format!(
            "{line} HTTP/1.1\r\nHost: localhost:9090\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"
        );
        if !body.is_empty() {
            head += "Content-Type: application/json\r\n";
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        format!("{head}Connection: close\r\n\r\n{body}").into_bytes()
    };
    let add = r#"{"name":"server3","address":"192.168.1.12","port":8080,"weight":1}"#;
    let reply = api.raw(&curl("POST /api/servers", add)).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.header("location"), "/api/servers/server3");
    assert_eq!(reply.json()["server"]["name"], "server3");
    let route = r#"{"key":"user123","path":"/api/data"}"#;
    let reply = api.raw(&curl("POST /api/route", route)).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200, "{reply:?}");
    let url = reply.json()["url"].as_str().unwrap_or_default().to_owned();
    assert!(url.ends_with(":8080/api/data"), "{url}");
    let reply = api.raw(&curl("GET /api/metrics", "")).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["total"]["since_start"]["requests"], 0);
}

#[tokio::test]
async fn servers_are_added_shown_changed_and_removed() {
    let api = Api::start(document(&[])).await;
    assert_eq!(names(&api.get("/api/servers").await), [""; 0]);

    let spec = json!({ "name": "a", "address": "10.0.0.1", "port": 80, "weight": 2 });
    let added = api.post("/api/servers", &spec).await;
    assert_eq!(added.status, 201);
    assert_eq!(added.header("location"), "/api/servers/a");
    assert_eq!(added.header("content-type"), "application/json");
    assert_eq!(added.json()["server"]["weight"], 2);
    assert_eq!(added.json()["server"]["state"], "active");
    // Everything moved, from nobody.
    assert_eq!(
        added.json()["moved"],
        json!({ "fraction": 1.0, "flows": [] })
    );

    let spec = json!({ "name": "b", "address": "b.example", "port": 80 });
    let added = api.post("/api/servers", &spec).await;
    let moved = added.json()["moved"].clone();
    assert_eq!(moved["flows"][0]["from"], "a");
    assert_eq!(moved["flows"][0]["to"], "b");
    let fraction = moved["fraction"].as_f64().expect("a number");
    assert!((fraction - 1.0 / 3.0).abs() < 0.1, "{fraction}");
    assert_eq!(names(&api.get("/api/servers").await), ["a", "b"]);

    let shown = api.get("/api/servers/b").await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json()["address"], "b.example");
    assert_eq!(shown.json()["weight"], 1);
    assert_eq!(shown.header("etag"), added.header("etag"));

    let changed = api
        .put("/api/servers/b/weight", &json!({ "weight": 2 }))
        .await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["server"]["weight"], 2);
    assert_eq!(changed.json()["moved"]["flows"][0]["to"], "b");
    assert_ne!(changed.header("etag"), shown.header("etag"));

    let drained = api
        .put("/api/servers/b/state", &json!({ "state": "draining" }))
        .await;
    assert_eq!(drained.status, 200);
    assert_eq!(drained.json()["server"]["standing"], "draining");
    assert_eq!(drained.json()["server"]["eligible"], false);
    assert_eq!(drained.json()["moved"]["fraction"], 0.0);
    assert_ne!(drained.header("etag"), changed.header("etag"));
    let decided = api.post("/api/route", &json!({ "key": "k" })).await;
    assert_eq!(decided.json()["server"], "a");

    let removed = api.delete("/api/servers/b").await;
    assert_eq!(removed.status, 200);
    assert_eq!(removed.json()["server"], Value::Null);
    assert_eq!(removed.json()["moved"]["flows"][0]["from"], "b");
    assert_eq!(names(&api.get("/api/servers").await), ["a"]);
    assert_eq!(api.get("/api/servers/b").await.problem(), "unknown-server");
}

#[tokio::test]
async fn backups_move_keys_on_their_own_ring() {
    let api = Api::start(three()).await;
    for (name, moved) in [("x", 1.0), ("y", 0.5)] {
        let spec = json!({ "name": name, "address": "10.0.0.1", "port": 80, "backup": true });
        let added = api.post("/api/servers", &spec).await.json();
        let fraction = added["moved"]["fraction"].as_f64().expect("a number");
        assert!((fraction - moved).abs() < 0.15, "{name}: {fraction}");
        let flows = added["moved"]["flows"].as_array().expect("a list");
        assert!(flows.iter().all(|flow| flow["from"] == "x"));
    }
}

#[tokio::test]
async fn names_may_have_any_characters_and_stand_encoded_in_paths() {
    let api = Api::start(document(&[])).await;
    for (name, path) in [
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a/b", "a%2Fb"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("100%", "100%25"),
        ("?#&=;:@", "%3F%23%26%3D%3B%3A%40"),
        ("..", ".."),
        ("weight", "weight"),
        ("{name}", "%7Bname%7D"),
        ("\"'<script>", "%22%27%3Cscript%3E"),
        ("🦀", "%F0%9F%A6%80"),
        ("a-b_c.d~e", "a-b_c.d~e"),
    ] {
        let spec = json!({ "name": name, "address": "10.0.0.1", "port": 80 });
        let added = api.post("/api/servers", &spec).await;
        assert_eq!(added.status, 201, "{name}: {}", added.text());
        let location = format!("/api/servers/{path}");
        assert_eq!(added.header("location"), location);
        assert_eq!(api.get(&location).await.json()["name"], name);
        let weight = format!("{location}/weight");
        let changed = api.put(&weight, &json!({ "weight": 3 })).await;
        assert_eq!(changed.json()["server"]["name"], name);
        assert_eq!(api.delete(&location).await.status, 200);
        assert_eq!(api.get(&location).await.problem(), "unknown-server");
    }
    for bad in ["%00", "%0A", "a%FFb", "%E2%82"] {
        let reply = api.get(&format!("/api/servers/{bad}")).await;
        assert!((400..500).contains(&reply.status), "{bad}: {reply:?}");
        reply.problem();
    }
    let long = format!("/api/servers/{}", "x".repeat(256));
    assert_eq!(api.get(&long).await.faults(), ["name"]);
}

#[tokio::test]
async fn a_write_with_a_tag_is_done_only_on_what_was_read() {
    let api = Api::start(three()).await;
    let tag = api.get("/api/servers/a").await.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let weight = |n: u32| json!({ "weight": n });
    let if_match = |tag: &str| format!("if-match: {tag}\r\n");
    let target = "/api/servers/a/weight";
    let done = api
        .with_json("PUT", target, &if_match(&tag), &weight(2))
        .await;
    assert_eq!(done.status, 200);
    let newer = done.header("etag").to_owned();
    let before = api.state();
    for (method, target) in [
        ("PUT", "/api/servers/a/weight"),
        ("DELETE", "/api/servers/a"),
        ("GET", "/api/servers/a"),
    ] {
        for stale in [&*tag, "\"\"", "W/\"x\"", "nonsense", &format!("W/{newer}")] {
            let reply = match method {
                "PUT" => {
                    api.with_json(method, target, &if_match(stale), &weight(9))
                        .await
                }
                _ => api.send(method, target, &if_match(stale), b"").await,
            };
            assert_eq!(reply.status, 412, "{method} {stale}");
            assert_eq!(reply.problem(), "precondition-failed");
            assert_eq!(reply.header("etag"), newer);
        }
    }
    let spec = json!({ "name": "z", "address": "10.0.0.1", "port": 80 });
    let reply = api
        .with_json("POST", "/api/servers", &if_match("*"), &spec)
        .await;
    assert_eq!(reply.status, 412);
    assert_eq!(api.state(), before);
    // The tag is of what is decided and not of what is observed, and comes back with it.
    let list = format!("\"other\", {newer}");
    let reply = api
        .with_json("PUT", target, &if_match(&list), &weight(1))
        .await;
    assert_eq!((reply.status, reply.header("etag")), (200, &*tag));
    let reply = api
        .send("DELETE", "/api/servers/a", &if_match("*"), b"")
        .await;
    assert_eq!(reply.status, 200);
    let reply = api
        .send("DELETE", "/api/servers/a", &if_match("*"), b"")
        .await;
    assert_eq!(reply.problem(), "unknown-server");
}

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
async fn route_and_explain_agree_and_take_any_key() {
    let api = Api::start(three()).await;
    for (key, encoded) in [
        ("", ""),
        ("user123", "user123"),
        ("a b+c&d=e", "a+b%2Bc%26d%3De"),
        ("größe 🦀", "gr%C3%B6%C3%9Fe%20%F0%9F%A6%80"),
        ("\u{0}\n\"", "%00%0a%22"),
        ("100%", "100%25"),
    ] {
        let body = json!({ "key": key, "path": "/x?y=%20" });
        let decided = api.post("/api/route", &body).await.json();
        let target = format!("/api/explain?key={encoded}");
        let explained = api.get(&target).await.json();
        assert_eq!(explained["key"], key);
        assert_eq!(decided["key"], key);
        assert_eq!(decided["position"], explained["position"]);
        assert_eq!(decided["server"], explained["server"]);
        let order = |list: &Value| -> Vec<Value> {
            let list = list.as_array().expect("a list").iter();
            list.map(|entry| entry["server"].clone()).collect()
        };
        assert_eq!(
            decided["candidates"],
            Value::from(order(&explained["candidates"]))
        );
        let port = match decided["server"].as_str() {
            Some("a") => 1001,
            Some("b") => 1002,
            _ => 1003,
        };
        let url = format!("http://127.0.0.1:{port}/x?y=%20");
        assert_eq!(decided["url"], url);
        assert!(decided.get("forwarded").is_none());
    }
    // Bytes that are no text are a key as any other.
    let explained = api.get("/api/explain?key=%ff%00").await.json();
    let text = api.get("/api/explain?key=%EF%BF%BD%00").await.json();
    assert_eq!(explained["key"], text["key"]);
    assert_ne!(explained["position"], text["position"]);
    let large = "k".repeat(500_000);
    let decided = api.post("/api/route", &json!({ "key": large })).await;
    assert_eq!(decided.status, 200);
    for (body, faults) in [
        (json!({}), &["key"][..]),
        (json!({ "key": 1 }), &["key"]),
        (json!({ "key": "k", "path": "x" }), &["path"]),
        (json!({ "key": "k", "path": "/a b" }), &["path"]),
        (json!({ "key": "k", "path": "/\r\nx: y" }), &["path"]),
        (
            json!({ "key": "k", "method": "PUT", "headers": {}, "body": "" }),
            &["method", "headers", "body"],
        ),
    ] {
        let reply = api.post("/api/route", &body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.faults(), faults, "{body}");
    }
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
    let of_server = &metrics["servers"][0]["since_start"];
    assert_eq!(of_server["by_class"]["2xx"], 2);
    assert_eq!(of_server["requests"], 4);
}

#[tokio::test]
async fn heads_are_answered_as_gets_without_a_body() {
    let api = Api::start(three()).await;
    for path in ["/api/servers", "/livez", "/metrics", "/api/nothing"] {
        let whole = api.get(path).await;
        let head = api.send("HEAD", path, "", b"").await;
        assert_eq!(head.status, whole.status, "{path}");
        assert_eq!(head.body, b"", "{path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"));
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_further_requests() {
    let api = Api::start(three()).await;
    let one = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let bytes = api.bytes(format!("{one}{one}{last}").as_bytes()).await;
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
}
