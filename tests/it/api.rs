//! The REST API, over real sockets on loopback: every call, every refusal.

/// Every example of `docs/api.md` is asked for and compared.
mod docs;
/// Thousands of requests that nobody should send.
mod fuzz;
/// The document that describes the API, against the API.
mod openapi;

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
