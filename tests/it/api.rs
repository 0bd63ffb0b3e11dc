//! The REST API, over real sockets on loopback: every call, every refusal.

/// Every example of `docs/api.md` is asked for and compared.
mod docs;
/// Health, figures, ring, configuration, liveness.
mod fleet;
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
/// The figures for Prometheus.
mod prometheus;
/// What is refused, and how.
mod refusals;
/// Adding, showing, changing and removing servers.
mod servers;
/// What is not listened to at all: foreign names, foreign pages, no token.
mod strangers;

use serde_json::{Value, json};

use crate::support::api::{Api, Reply, document};

/// Three servers that nobody connects to.
pub(crate) fn three() -> Value {
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
async fn a_request_is_explained_by_what_of_it_is_its_key() {
    let chain = json!([{ "join": [{ "header": "x-tenant" }, "path"] }, { "cookie": "s" }]);
    let mut config = three();
    config["routing"] = json!({ "hash_key": chain });
    let api = Api::start(config).await;
    let joined = json!({ "path": "/a?b", "headers": { "X-Tenant": "t1", "cookie": "s=9" } });
    let explained = api.post("/api/explain", &joined).await.json();
    let parts = json!([
        { "source": "header x-tenant", "value": "t1" },
        { "source": "path", "value": "/a" }
    ]);
    let expected = json!({ "source": "join", "parts": parts, "absent": [] });
    assert_eq!(explained["key_from"], expected);
    assert_eq!(explained["key"], "\u{2}\0\0\0t1\u{2}\0\0\0/a");
    let cookie = json!({ "headers": { "cookie": "a=b; s=9" } });
    let explained = api.post("/api/explain", &cookie).await.json();
    let absent = json!(["join"]);
    assert_eq!(explained["key_from"]["absent"], absent);
    assert_eq!(explained["key"], "9");
    let by_key = api.get("/api/explain?key=9").await.json();
    assert_eq!(explained["candidates"], by_key["candidates"]);
    for (wrong, said) in [
        (json!({}), "none of: join, cookie s"),
        (json!({ "client_ip": "here" }), "is no IP address"),
        (
            json!({ "headers": { "a b": "c" } }),
            "cannot be a header field",
        ),
        (json!({ "method": "GET" }), "method"),
    ] {
        let refused = api.post("/api/explain", &wrong).await;
        assert!((400..500).contains(&refused.status), "{wrong}");
        assert!(
            refused.json().to_string().contains(said),
            "{wrong}: {}",
            refused.json()
        );
    }
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
