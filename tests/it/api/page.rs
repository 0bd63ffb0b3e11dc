use super::three;
use crate::support::api::{Api, Reply};

fn check_policy(reply: &Reply) {
    let policy = reply.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(rule), "{rule} is not in {policy}");
    }
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn the_pages_files_are_served_with_their_types_and_tags() {
    let api = Api::start(three()).await;
    for (path, kind) in [
        ("/index.html", "text/html; charset=utf-8"),
        ("/css/base.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ] {
        let reply = api.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), kind);
        assert_eq!(reply.header("cache-control"), "no-cache");
        check_policy(&reply);
        let file = format!("{}/www{path}", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(reply.body, std::fs::read(file).expect("the file"), "{path}");
        let tag = format!("if-none-match: {}\r\n", reply.header("etag"));
        let same = api.send("GET", path, &tag, b"").await;
        assert_eq!((same.status, same.body.len()), (304, 0));
        assert_eq!(same.header("etag"), reply.header("etag"));
        let other = api.send("GET", path, "if-none-match: \"x\"\r\n", b"").await;
        assert_eq!((other.status, other.body), (200, reply.body));
        let query = api.get(&format!("{path}?v=1")).await;
        assert_eq!(query.status, 200);
        let written = api.send("POST", path, "", b"").await;
        assert_eq!(written.status, 404);
    }
}

#[tokio::test]
async fn the_page_is_there_or_says_how_to_build_it() {
    let api = Api::start(three()).await;
    let reply = api.get("/").await;
    if reply.status == 200 {
        assert!(reply.text().contains("<script type=\"module\""));
        check_policy(&reply);
    } else {
        assert_eq!((reply.status, &*reply.problem()), (404, "not-found"));
        assert!(reply.text().contains("make run"), "{}", reply.text());
    }
}

#[tokio::test]
async fn the_pages_stand_ins_for_an_api_are_not_served_in_its_place() {
    let api = Api::start(three()).await;
    for path in ["/%61pi/servers", "/api%2Fservers", "/./api/servers"] {
        let reply = api.get(path).await;
        assert_eq!(
            (reply.status, &*reply.problem()),
            (404, "not-found"),
            "{path}"
        );
    }
}
