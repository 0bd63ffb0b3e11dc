use serde_json::json;

use super::three;
use crate::support::api::Api;

#[tokio::test]
async fn only_requests_for_a_name_of_the_api_are_answered() {
    let mut document = three();
    document["api"] = json!({ "allowed_hosts": ["ringway.example"] });
    let api = Api::start(document).await;
    let before = api.state();
    for host in [
        "localhost",
        "localhost:9090",
        "127.0.0.1:1",
        "[::1]:9090",
        "RINGWAY.example:9090",
    ] {
        let extra = format!("host: {host}\r\n");
        for path in ["/api/servers", "/livez", "/openapi.json"] {
            let reply = api.send("GET", path, &extra, b"").await;
            assert_eq!(reply.status, 200, "{host} {path}");
        }
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "192.168.1.1",
        "",
        "localhost@evil.example",
        "a b",
    ] {
        let extra = format!("host: {host}\r\n");
        for (method, path) in [
            ("GET", "/api/servers"),
            ("DELETE", "/api/servers/a"),
            ("GET", "/"),
            ("GET", "/livez"),
            ("GET", "/metrics"),
        ] {
            let reply = api.send(method, path, &extra, b"").await;
            assert_eq!(reply.status, 421, "{host} {path}: {reply:?}");
            assert_eq!(reply.problem(), "foreign-host");
        }
    }
    let two = "host: localhost\r\nhost: evil.example\r\n";
    assert_eq!(
        api.send("GET", "/livez", two, b"").await.problem(),
        "bad-request"
    );
    let none = b"GET /livez HTTP/1.0\r\n\r\n";
    let reply = api.raw(none).await.expect("an answer");
    assert_eq!(reply.problem(), "bad-request");
    // In absolute form the other name counts as well.
    let reply = api.send("GET", "http://evil.example/livez", "", b"").await;
    assert_eq!(reply.status, 421);
    let reply = api.send("GET", "http://localhost/livez", "", b"").await;
    assert_eq!(reply.status, 200);
    assert_eq!(api.state(), before);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_whatever_they_ask() {
    let api = Api::start(three()).await;
    let before = api.state();
    for origin in [
        "http://evil.example",
        "null",
        "http://localhost:3000",
        "http://127.0.0.1:9090",
        "",
    ] {
        let extra = format!("origin: {origin}\r\n");
        for (method, path) in [
            ("GET", "/api/servers"),
            ("GET", "/"),
            ("DELETE", "/api/servers/a"),
            ("OPTIONS", "/api/servers"),
        ] {
            let reply = api.send(method, path, &extra, b"").await;
            assert_eq!(reply.status, 403, "{origin} {method} {path}");
            assert_eq!(reply.problem(), "foreign-origin");
            assert_eq!(reply.header("access-control-allow-origin"), "");
        }
    }
    let extra = "origin: http://localhost:9090\r\norigin: http://evil.example\r\n";
    let reply = api.send("GET", "/api/servers", extra, b"").await;
    assert_eq!(reply.status, 403);
    assert_eq!(api.state(), before);
    let own = "origin: http://localhost:9090\r\n";
    let weight = json!({ "weight": 2 });
    let reply = api
        .with_json("PUT", "/api/servers/a/weight", own, &weight)
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn with_a_token_nobody_gets_in_without_it() {
    let file = std::env::temp_dir().join(format!("ringway-token-{}", std::process::id()));
    std::fs::write(&file, "0123456789abcdef\n").expect("a writable folder");
    let mut from_config = three();
    from_config["api"] = json!({ "token": "0123456789abcdef" });
    let mut from_file = three();
    from_file["api"] = json!({ "token_file": file });
    for document in [from_config, from_file] {
        let api = Api::start(document).await;
        let before = api.state();
        for extra in [
            "",
            "authorization: Bearer 0123456789abcdeX\r\n",
            "authorization: Basic 0123456789abcdef\r\n",
            "authorization: 0123456789abcdef\r\n",
            "cookie: token=0123456789abcdef\r\n",
        ] {
            for (method, path) in [
                ("GET", "/api/servers"),
                ("DELETE", "/api/servers/a"),
                ("GET", "/api/config"),
                ("GET", "/api/nothing"),
                ("PATCH", "/api/servers"),
                ("GET", "/metrics"),
            ] {
                let reply = api.send(method, path, extra, b"").await;
                assert_eq!(reply.status, 401, "{extra} {method} {path}");
                assert_eq!(reply.problem(), "unauthorized");
                assert!(reply.header("www-authenticate").starts_with("Bearer "));
            }
        }
        assert_eq!(api.state(), before);
        for path in ["/livez", "/readyz", "/openapi.json"] {
            assert_eq!(api.get(path).await.status, 200, "{path}");
        }
        assert_ne!(api.get("/").await.status, 401);
        let good = "authorization: Bearer 0123456789abcdef\r\n";
        for path in ["/api/servers", "/metrics"] {
            let reply = api.send("GET", path, good, b"").await;
            assert_eq!(reply.status, 200, "{path}");
        }
    }
    std::fs::remove_file(&file).expect("it was there");
}

#[test]
fn a_token_file_without_a_good_token_is_said_at_start() {
    use ringway::config::Config;
    use ringway::native::{admin::Admin, shared::Shared};

    let file = std::env::temp_dir().join(format!("ringway-bad-token-{}", std::process::id()));
    let try_start = || {
        let mut document = three();
        document["api"] = json!({ "token_file": file });
        let config = Config::read(document).expect("a good configuration");
        let (shared, _) = Shared::new(&config, 1).expect("a good fleet");
        Admin::new(shared, None).map_err(|error| error.to_string())
    };
    let missing = try_start().expect_err("there is no file");
    assert!(missing.contains("cannot be read"), "{missing}");
    for bad in [
        "",
        "short",
        "with spaces in the middle",
        "\u{e9}".repeat(16).as_str(),
    ] {
        std::fs::write(&file, bad).expect("a writable folder");
        let error = try_start().expect_err("it holds no token");
        assert!(error.contains("at least 16 printable ASCII"), "{error}");
        assert!(bad.is_empty() || !error.contains(bad), "{error}");
    }
    std::fs::remove_file(&file).expect("it was there");
}

#[tokio::test]
async fn servers_that_only_this_machine_can_reach_are_not_added() {
    let mut document = three();
    document["api"] = json!({ "allow_targets": ["169.254.7.0/24"] });
    let api = Api::start(document).await;
    let before = api.state();
    let own = api.address.port();
    for (address, port) in [
        ("169.254.169.254", 80),
        ("::ffff:169.254.169.254", 80),
        ("fe80::1", 80),
        ("0.0.0.0", 80),
        ("255.255.255.255", 80),
        ("224.0.0.1", 80),
        ("localhost", 8080),
        ("127.0.0.1", 9090),
        ("127.0.0.1", own),
    ] {
        let spec = json!({ "name": "x", "address": address, "port": port });
        let reply = api.post("/api/servers", &spec).await;
        assert_eq!(reply.status, 403, "{address}");
        assert_eq!(reply.problem(), "target-not-allowed");
        assert_eq!(reply.faults(), ["address"]);
    }
    assert_eq!(api.state(), before);
    let spec = json!({ "name": "x", "address": "169.254.7.1", "port": 80 });
    assert_eq!(api.post("/api/servers", &spec).await.status, 201);
}

#[tokio::test]
async fn answers_say_how_they_may_be_used() {
    let api = Api::start(three()).await;
    for path in ["/", "/api/servers", "/nothing", "/metrics", "/livez"] {
        let reply = api.get(path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(
            reply.header("cross-origin-resource-policy"),
            "same-origin",
            "{path}"
        );
        assert!(!reply.header("cache-control").is_empty(), "{path}");
    }
}
