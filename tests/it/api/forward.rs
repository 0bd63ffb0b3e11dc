use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::api::{Api, document};
use crate::support::echo;

async fn one() -> Api {
    let address = echo::start().await;
    let mut document = document(&[("a", "127.0.0.1", address.port())]);
    document["timeouts"] = json!({ "connect": 2, "response_header": 0.3 });
    Api::start(document).await
}

async fn forward(api: &Api, body: Value) -> Value {
    let mut body = body;
    body["key"] = "k".into();
    body["forward"] = true.into();
    let reply = api.post("/api/route", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["server"], "a");
    reply.json()["forwarded"].clone()
}

#[tokio::test]
async fn a_forwarded_request_arrives_as_given_and_its_answer_comes_back() {
    let api = one().await;
    let back = forward(
        &api,
        json!({ "path": "/x?y=1", "method": "POST", "headers": { "X-User": "7" }, "body": "größe" }),
    )
    .await;
    assert_eq!(back["status"], 200);
    assert_eq!(back["error"], Value::Null);
    assert_eq!(back["truncated"], false);
    assert_eq!(back["body_encoding"], "text");
    let body = back["body"].as_str().expect("a text");
    assert!(body.starts_with("POST /x?y=1\n"), "{body}");
    assert!(body.ends_with("\n\ngröße"), "{body}");
    assert!(body.contains("x-user: 7\n"), "{body}");
    assert!(body.contains("host: 127.0.0.1:"), "{body}");
    let cookies = back["headers"].as_array().expect("a list").iter();
    let cookies = cookies.filter(|field| field["name"] == "set-cookie");
    assert_eq!(cookies.count(), 2);
    for phase in ["connect", "head", "total"] {
        assert!(back["took_ms"][phase].as_f64().is_some_and(|ms| ms >= 0.0));
    }
    let back = forward(&api, json!({ "headers": { "Host": "shop.example" } })).await;
    let body = back["body"].as_str().expect("a text");
    assert!(body.starts_with("GET /\n"), "{body}");
    assert!(body.contains("host: shop.example\n"), "{body}");
    // What an operator tries counts for nothing.
    let metrics = api.get("/api/metrics").await.json();
    assert_eq!(metrics["total"]["since_start"]["requests"], 0);
}

#[tokio::test]
async fn bodies_come_back_as_text_or_base64_and_bounded() {
    let api = one().await;
    let back = forward(&api, json!({ "path": "/bytes" })).await;
    assert_eq!(back["body_encoding"], "base64");
    let body = back["body"].as_str().expect("a text");
    let bytes = base64::engine::general_purpose::STANDARD.decode(body);
    assert_eq!(bytes.as_deref(), Ok(&[0xff, 0, 0xfe][..]));
    let back = forward(&api, json!({ "path": "/large" })).await;
    assert_eq!(back["truncated"], true);
    assert_eq!(back["error"], Value::Null);
    assert_eq!(back["body"].as_str().map(str::len), Some(1 << 20));
    let back = forward(&api, json!({ "path": "/x", "method": "HEAD" })).await;
    assert_eq!((&back["status"], &back["body"]), (&json!(200), &json!("")));
}

#[tokio::test]
async fn a_server_that_fails_is_told_in_the_answer() {
    let api = one().await;
    let back = forward(&api, json!({ "path": "/mute" })).await;
    assert_eq!(
        (&back["status"], &back["body"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(back["error"], "no answer within 0.3 s");
    assert_eq!(back["took_ms"]["head"], Value::Null);
    let back = forward(&api, json!({ "path": "/cut" })).await;
    assert_eq!(
        (&back["status"], &back["body"]),
        (&json!(200), &json!("only this"))
    );
    assert_eq!(back["truncated"], true);
    let error = back["error"].as_str().expect("a text");
    assert!(error.starts_with("the body broke off"), "{error}");
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let api = Api::start(document(&[("a", "127.0.0.1", port)])).await;
    let back = forward(&api, json!({})).await;
    let error = back["error"].as_str().expect("a text");
    assert!(
        error.starts_with(&format!("no connection to 127.0.0.1:{port}: ")),
        "{error}"
    );
    assert_eq!(back["took_ms"]["connect"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let api = one().await;
    for (body, fault) in [
        (json!({ "method": "CONNECT" }), "method"),
        (json!({ "method": "" }), "method"),
        (json!({ "method": "GET /" }), "method"),
        (json!({ "headers": { "a b": "x" } }), "headers.a b"),
        (json!({ "headers": { "": "x" } }), "headers."),
        (json!({ "headers": { "x": "a\r\nb: c" } }), "headers.x"),
        (
            json!({ "headers": { "Content-Length": "1" } }),
            "headers.Content-Length",
        ),
        (
            json!({ "headers": { "transfer-encoding": "chunked" } }),
            "headers.transfer-encoding",
        ),
        (json!({ "headers": { "x": 1 } }), "headers.x"),
        (json!({ "path": "/a#b" }), "path"),
    ] {
        let mut spec = body.clone();
        spec["key"] = "k".into();
        spec["forward"] = true.into();
        let reply = api.post("/api/route", &spec).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.faults(), [fault], "{body}");
    }
    let many = |n: u32| {
        let fields = (0..n).map(|i| (format!("x{i}"), Value::from("")));
        let headers: serde_json::Map<String, Value> = fields.collect();
        json!({ "key": "k", "forward": true, "headers": headers })
    };
    assert_eq!(api.post("/api/route", &many(100)).await.status, 200);
    for n in [101, 60_000] {
        let reply = api.post("/api/route", &many(n)).await;
        assert_eq!(
            (reply.status, reply.faults()),
            (400, vec!["headers".to_owned()])
        );
    }
}
