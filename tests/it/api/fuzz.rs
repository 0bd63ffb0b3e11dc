//! Requests that nobody should send, by the thousand. What is refused must
//! change nothing, and nothing may be the API's own fault.
//!
//! The seed is printed; `RINGWAY_FUZZ_SEED` repeats it, and
//! `RINGWAY_FUZZ_SECONDS=600` goes on for ten minutes.

use serde_json::{Value, json};

use crate::support::api::{Api, Reply, document};
use crate::support::echo;
use crate::support::fuzz::{CASES, Run};

impl Run {
    fn text(&mut self) -> String {
        const TEXTS: [&str; 24] = [
            "",
            "a",
            "b",
            "c",
            "name",
            "..",
            "/",
            "größe",
            "a b",
            "\u{0}",
            "\r\n",
            "🦀",
            "%",
            "%2F",
            "{name}",
            "draining",
            "active",
            "true",
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            "::",
            "k",
            "00000000000000ff",
        ];
        match self.rng.below(20) {
            0 => "x".repeat(self.rng.below(400) as usize),
            1 => (0..self.rng.below(20))
                .filter_map(|_| char::from_u32(self.rng.below(0x11_0000) as u32))
                .collect(),
            _ => self.pick(&TEXTS).to_owned(),
        }
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        self.rng.pick(list).copied().unwrap_or_default()
    }

    fn number(&mut self) -> Value {
        match self.rng.below(8) {
            0 => json!(-1),
            1 => json!(0),
            2 => json!(1.5),
            3 => json!(1e300),
            4 => json!(u64::MAX),
            5 => json!(self.rng.next()),
            _ => json!(self.rng.below(70_000)),
        }
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.rng.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.rng.chance(50)),
            2 | 3 => self.number(),
            4 => self.text().into(),
            5 => (0..self.rng.below(4))
                .map(|_| self.value(depth - 1))
                .collect(),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: u32) -> Value {
        let n = self.rng.below(5);
        let fields = (0..n).map(|_| (self.field(), self.value(depth)));
        Value::Object(fields.collect())
    }

    fn field(&mut self) -> String {
        const FIELDS: [&str; 10] = [
            "name", "address", "port", "weight", "backup", "state", "key", "path", "method",
            "headers",
        ];
        if self.rng.chance(90) {
            self.pick(&FIELDS).to_owned()
        } else {
            self.text()
        }
    }

    /// A good body, or one with something else in some of its fields.
    fn body(&mut self, good: Value) -> Vec<u8> {
        let mut body = good;
        if self.rng.chance(10) {
            body = self.value(4);
        }
        while self.rng.chance(30) {
            let (field, value) = (self.field(), self.value(2));
            if let Some(map) = body.as_object_mut() {
                map.insert(field, value);
            }
        }
        let mut bytes = body.to_string().into_bytes();
        while self.rng.chance(15) && !bytes.is_empty() {
            let at = self.rng.below(bytes.len() as u64) as usize;
            match self.rng.below(4) {
                0 => bytes[at] = self.rng.next() as u8,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, self.rng.next() as u8),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        bytes
    }

    /// A part of a request target: no spaces and controls, or there would be no target.
    fn segment(&mut self) -> String {
        let text = self.text();
        let mut segment = String::new();
        for byte in text.bytes() {
            let is_plain = byte.is_ascii_graphic() && !b"#<>\"{}|\\^`".contains(&byte);
            if is_plain && self.rng.chance(80) {
                segment.push(byte.into());
            } else {
                segment += &format!("%{byte:02x}");
            }
        }
        segment
    }

    fn target(&mut self) -> String {
        const PATHS: [&str; 14] = [
            "/api/servers",
            "/api/health",
            "/api/metrics",
            "/api/ring",
            "/api/route",
            "/api/explain",
            "/api/config",
            "/api/schema",
            "/livez",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/",
            "/index.html",
        ];
        let mut target = match self.rng.below(10) {
            0..4 => self.pick(&PATHS).to_owned(),
            4..9 => {
                let tail = self.pick(&["", "/weight", "/state"]);
                let mut name = self.segment();
                if self.rng.chance(70) {
                    name = self.pick(&["a", "b", "c"]).to_owned();
                }
                format!("/api/servers/{name}{tail}")
            }
            _ => format!("/{}/{}", self.segment(), self.segment()),
        };
        if self.rng.chance(15) {
            target.push('?');
            for _ in 0..self.rng.below(4) {
                let names = ["limit", "after", "key", "x"];
                target += &format!("{}={}&", self.pick(&names), self.segment());
            }
        }
        target
    }

    fn headers(&mut self) -> String {
        let mut headers = String::new();
        if self.rng.chance(90) {
            headers += "content-type: application/json\r\n";
        }
        if self.rng.chance(5) {
            let hosts = [
                "evil.example",
                "",
                "localhost:1:2",
                "[::1",
                "127.0.0.1",
                "a b",
            ];
            headers += &format!("host: {}\r\n", self.pick(&hosts));
        }
        if self.rng.chance(5) {
            let origins = ["null", "http://localhost:9090", "http://evil.example", "x"];
            headers += &format!("origin: {}\r\n", self.pick(&origins));
        }
        if self.rng.chance(10) {
            let tags = ["*", "\"\"", "\"0\"", ",,", "W/\"a\"", "\""];
            headers += &format!("if-match: {}\r\n", self.pick(&tags));
        }
        headers
    }
}

/// What every answer must keep to.
fn judge(reply: &Reply, place: &str) {
    let is_fleet = reply.header("content-type") == "application/json";
    if reply.status >= 400 && !(reply.status == 503 && is_fleet) {
        // Heads that are no HTTP are refused further down, without a body.
        if reply.body.is_empty() && [400, 414, 431].contains(&reply.status) {
            return;
        }
        let kind = reply.problem();
        let is_nowhere = kind == "no-servers" || kind == "none-eligible";
        assert!(
            reply.status < 500 || (reply.status == 503 && is_nowhere),
            "{place}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn whatever_is_asked_is_answered_and_refusals_change_nothing() {
    let mut run = Run::new(0x5eed_0001);
    let mut document = document(&[("a", "127.0.0.1", 1001), ("b", "127.0.0.1", 1002)]);
    document["routing"] = json!({ "virtual_nodes": 2 });
    let api = Api::start(document).await;
    let (mut n_done, mut n_refused) = (0, 0);
    while run.goes_on() {
        let methods = [
            "GET", "GET", "POST", "POST", "PUT", "PUT", "DELETE", "HEAD", "PATCH", "x",
        ];
        let mut method = run.pick(&methods);
        let target = run.target();
        // Mostly one that can be sent there.
        if run.rng.chance(70) {
            method = match target.as_str() {
                "/api/route" => "POST",
                "/api/servers" => run.pick(&["GET", "POST"]),
                path if path.ends_with("/weight") || path.ends_with("/state") => "PUT",
                path if path.starts_with("/api/servers/") => run.pick(&["GET", "GET", "DELETE"]),
                _ => "GET",
            };
        }
        let good = match target.as_str() {
            "/api/route" => json!({ "key": run.text(), "path": "/x" }),
            path if path.ends_with("/weight") => json!({ "weight": 1 + run.rng.below(1000) }),
            path if path.ends_with("/state") => {
                json!({ "state": run.pick(&["active", "draining"]) })
            }
            _ => {
                let port = 1 + run.rng.below(65_535);
                let mut name = run.text();
                if run.rng.chance(70) {
                    name = run.pick(&["a", "b", "c"]).to_owned();
                }
                json!({ "name": name, "address": "127.0.0.1", "port": port })
            }
        };
        let body = match method {
            "POST" | "PUT" => run.body(good),
            _ if run.rng.chance(5) => run.body(good),
            _ => Vec::new(),
        };
        let headers = run.headers();
        let before = api.state();
        let place = run.place();
        let request = format!("{method} {target} {headers:?} {}", body.escape_ascii());
        let reply = if method == "HEAD" {
            // Without its body a refusal cannot be judged.
            let reply = api.send(method, &target, &headers, &body).await;
            assert!(
                reply.status < 500 || reply.status == 503,
                "{place}: {request}"
            );
            reply
        } else {
            let reply = api.send(method, &target, &headers, &body).await;
            judge(&reply, &format!("{place}: {request}"));
            reply
        };
        if reply.status >= 400 || method == "GET" || method == "HEAD" {
            assert_eq!(api.state(), before, "{place}: {request}: {reply:?}");
        }
        if reply.status < 400 {
            n_done += 1;
        } else {
            n_refused += 1;
        }
    }
    println!("{n_done} done, {n_refused} refused");
    assert!(
        n_done > CASES / 5 && n_refused > CASES / 5,
        "{n_done} {n_refused}"
    );
    assert_eq!(api.get("/livez").await.status, 200);
}

#[tokio::test]
async fn whatever_is_forwarded_comes_back_or_says_why_not() {
    let mut run = Run::new(0x5eed_0002);
    run.n = CASES / 2;
    let address = echo::start().await;
    let mut document = document(&[("a", "127.0.0.1", address.port())]);
    document["timeouts"] = json!({ "response_header": 0.05 });
    let api = Api::start(document).await;
    let (mut n_back, mut n_refused) = (0, 0);
    while run.goes_on() {
        let mut good = json!({ "key": run.text(), "forward": true });
        if run.rng.chance(80) {
            good["path"] = format!("/{}", run.segment()).into();
        }
        if run.rng.chance(50) {
            let methods = ["GET", "POST", "HEAD", "x", "OPTIONS", "CONNECT", ""];
            good["method"] = run.pick(&methods).into();
        }
        if run.rng.chance(30) {
            let fields = ["x-a", "Host", "Connection", "a b", "", "accept"];
            good["headers"] = json!({ run.pick(&fields): run.text() });
        }
        if run.rng.chance(30) {
            good["body"] = run.text().into();
        }
        let body = run.body(good);
        let json = "content-type: application/json\r\n";
        let reply = api.send("POST", "/api/route", json, &body).await;
        let place = format!("{}: {}", run.place(), body.escape_ascii());
        judge(&reply, &place);
        if reply.status < 400 {
            let view = reply.json();
            let forwarded = view.get("forwarded").cloned().unwrap_or_default();
            let told = forwarded["status"].is_u64() || forwarded["error"].is_string();
            assert!(told || view.get("forwarded").is_none(), "{place}: {view}");
            n_back += 1;
        } else {
            n_refused += 1;
        }
    }
    println!("{n_back} came back, {n_refused} were refused");
    assert!(
        n_back > CASES / 20 && n_refused > CASES / 20,
        "{n_back} {n_refused}"
    );
}

#[tokio::test]
async fn bytes_that_are_no_request_harm_nobody() {
    let mut run = Run::new(0x5eed_0003);
    run.n = CASES - 300;
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let before = api.state();
    // Whose body no few bytes make a good one.
    let bad = b"PUT /api/servers/a/weight HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 23\r\n\r\n{\"weight\":[\"x\", {}, 0]}";
    while run.goes_on() {
        let mut bytes = bad.to_vec();
        for _ in 0..=run.rng.below(4) {
            let at = run.rng.below(bytes.len() as u64) as usize;
            match run.rng.below(3) {
                0 => bytes[at] = run.rng.next() as u8,
                1 => bytes.insert(at, run.rng.next() as u8),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        // Otherwise a length that grew would have the API wait for the rest.
        let reply =
            tokio::time::timeout(std::time::Duration::from_millis(50), api.raw(&bytes)).await;
        if let Ok(Some(reply)) = reply {
            judge(&reply, &run.place());
        }
        assert_eq!(api.state(), before, "{}", run.place());
    }
    assert_eq!(api.get("/livez").await.status, 200);
}
