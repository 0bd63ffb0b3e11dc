//! Traces: what servers are told of them, and what a collector gets, over real
//! sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use ringway::native::telemetry::otlp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::client::Client;
use crate::support::origin::{After, Got, Origin, Refusing};
use crate::support::program::{Program, at, folder, free_port, write};
use crate::support::proxy::{Proxy, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Sends what a proxy queues, until it is told to end.
struct Exporter {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Exporter {
    fn start(proxy: &Proxy) -> Self {
        let (shared, stop) = (Arc::clone(&proxy.shared), CancellationToken::new());
        let queue = shared.traces().expect("nobody else sends them");
        let running = otlp::run(shared, queue, stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(running);
        });
        Self { stop, thread }
    }

    /// Has it send what is left.
    fn end(self) {
        self.stop.cancel();
        self.thread.join().expect("no panic");
    }
}

/// By path, and traced to `collector` with these settings.
fn traced(collector: SocketAddr, settings: &str) -> String {
    format!(
        r#""routing": {{"hash_key": ["path"]}},
           "tracing": {{"otlp": "http://{collector}/v1/traces"{settings}}}"#
    )
}

/// A span as a collector reads it.
#[derive(Clone, Debug)]
struct Span {
    shape: Value,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn text(&self, member: &str) -> &str {
        self.shape[member].as_str().unwrap_or_default()
    }

    fn attribute(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }
}

/// All spans that a collector got, in order.
fn spans(collector: &Origin) -> Vec<Span> {
    let mut spans = Vec::new();
    for got in collector.got() {
        assert_eq!(got.line, "POST /v1/traces HTTP/1.1");
        assert_eq!(got.all("content-type"), ["application/json"]);
        let body: Value = serde_json::from_slice(&got.body).expect("JSON");
        let resource = &body["resourceSpans"][0];
        let service = &resource["resource"]["attributes"][0];
        assert_eq!(
            *service,
            json!({"key": "service.name", "value": {"stringValue": "edge"}})
        );
        let scope = &resource["scopeSpans"][0];
        assert_eq!(scope["scope"]["name"], "ringway");
        for shape in scope["spans"].as_array().expect("spans") {
            let attributes = shape["attributes"].as_array().expect("attributes").iter();
            let attribute = |attribute: &Value| {
                let name = attribute["key"].as_str().expect("a name").to_owned();
                let value = attribute["value"].as_object().expect("a value").clone();
                let (kind, value) = value.into_iter().next().expect("one");
                assert!(
                    ["stringValue", "intValue"].contains(&kind.as_str()),
                    "{kind}"
                );
                // Numbers are texts in this encoding, too.
                assert!(value.is_string());
                (name, value)
            };
            spans.push(Span {
                attributes: attributes.map(attribute).collect(),
                shape: shape.clone(),
            });
        }
    }
    spans
}

fn one<'a>(got: &'a Got, name: &str) -> &'a str {
    let all = got.all(name);
    assert_eq!(all.len(), 1, "{name}: {all:?}");
    all[0]
}

/// Trace, span and flags of a value of `traceparent`.
fn parts(value: &str) -> [String; 3] {
    let parts: Vec<&str> = value.split('-').collect();
    let ["00", trace, span, flags] = parts[..] else {
        panic!("{value}");
    };
    assert_eq!(
        (trace.len(), span.len(), flags.len()),
        (32, 16, 2),
        "{value}"
    );
    [trace, span, flags].map(str::to_owned)
}

#[test]
fn without_a_collector_the_fields_pass_as_they_came() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    for fields in [
        format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=b,c=d\r\n"),
        "traceparent: nonsense\r\ntracestate: a=b\r\ntracestate: c\r\n".to_owned(),
        "traceparent: 1\r\ntraceparent: 2\r\n".to_owned(),
        String::new(),
    ] {
        client.send(format!("GET / HTTP/1.1\r\nhost: h\r\n{fields}\r\n"));
        assert_eq!(client.answer().status, 200);
        let got = origin.got().pop().expect("a request");
        let passed: String = ["traceparent", "tracestate"]
            .iter()
            .flat_map(|name| {
                got.all(name)
                    .into_iter()
                    .map(move |v| format!("{name}: {v}\r\n"))
            })
            .collect();
        assert_eq!(passed, fields);
    }
}

#[test]
fn a_request_is_a_span_with_one_below_it_for_each_attempt() {
    let collector = Origin::named("");
    let (dead, alive) = (Refusing::new(), Origin::named("alive"));
    let servers = [("alive", alive.address), ("dead", dead.address)];
    let settings = traced(collector.address, r#", "service_name": "edge""#);
    let proxy = Proxy::start(&servers, &settings);
    let exporter = Exporter::start(&proxy);
    let path = proxy.path_of("dead");
    let mut client = Client::connect(proxy.address);
    client.send(format!(
        "GET {path}?q=1 HTTP/1.1\r\nhost: shop.example:81\r\nuser-agent: test/1\r\n\
         traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=b,c=d\r\n\r\n"
    ));
    assert_eq!(client.answer().text(), "alive");
    let got = alive.got().pop().expect("a request");
    assert_eq!(one(&got, "tracestate"), "a=b,c=d");
    let [trace, told, flags] = parts(one(&got, "traceparent"));
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"));
    assert_ne!(told, PARENT);
    exporter.end();

    let spans = spans(&collector);
    let [server, first, second] = &spans[..] else {
        panic!("{spans:?}");
    };
    for span in &spans {
        assert_eq!(span.text("traceId"), TRACE);
        assert_eq!(span.text("traceState"), "a=b,c=d");
        assert_eq!(span.text("name"), "GET");
        assert_eq!(span.attribute("http.request.method"), "GET");
        let time = |member| span.text(member).parse::<u64>().expect("nanoseconds");
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
        // Some time in this century.
        assert!(time("startTimeUnixNano") > 1_600_000_000_000_000_000);
    }
    assert_eq!(server.shape["kind"], 2);
    assert_eq!(server.text("parentSpanId"), PARENT);
    assert_eq!(server.shape["status"], json!({}));
    for (name, value) in [
        ("http.response.status_code", "200"),
        ("server.address", "shop.example"),
        ("server.port", "81"),
        ("url.scheme", "http"),
        ("url.path", path.as_str()),
        ("url.query", "q=1"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "test/1"),
        ("ringway.server", "alive"),
        ("ringway.attempts", "2"),
    ] {
        assert_eq!(server.attribute(name), value, "{name}");
    }
    assert_eq!(*server.attribute("error.type"), Value::Null);
    for (attempt, name, at) in [
        (first, "dead", dead.address),
        (second, "alive", alive.address),
    ] {
        assert_eq!(attempt.shape["kind"], 3);
        assert_eq!(attempt.text("parentSpanId"), server.text("spanId"));
        assert_eq!(attempt.attribute("ringway.server"), name);
        assert_eq!(attempt.attribute("server.address"), "127.0.0.1");
        assert_eq!(attempt.attribute("server.port"), &at.port().to_string());
    }
    assert_eq!(first.shape["status"], json!({"code": 2}));
    assert_eq!(first.attribute("error.type"), "connect_failed");
    assert_eq!(second.shape["status"], json!({}));
    assert_eq!(second.attribute("http.request.resend_count"), "1");
    assert_eq!(second.attribute("http.response.status_code"), "200");
    assert_eq!(second.text("spanId"), told);
    assert_eq!(proxy.shared.counts.traces_sent.load(Relaxed), 1);
}

#[test]
fn a_trace_begins_here_where_none_that_is_good_comes_in() {
    let collector = Origin::named("");
    let origin = Origin::new(|got, stream| {
        let status = if got.line.contains("/broken") {
            503
        } else {
            200
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        std::io::Write::write_all(stream, head.as_bytes()).expect("it reads");
        After::Keep
    });
    let settings = traced(collector.address, r#", "service_name": "edge""#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    let exporter = Exporter::start(&proxy);
    let mut client = Client::connect(proxy.address);
    let good = format!("00-{TRACE}-{PARENT}-01");
    for (target, fields) in [
        ("/1", "tracestate: a=b\r\n".to_owned()),
        (
            "/2",
            format!(
                "traceparent: {}\r\ntracestate: a=b\r\n",
                good.to_uppercase()
            ),
        ),
        (
            "/3",
            format!("traceparent: {good}\r\ntraceparent: {good}\r\n"),
        ),
        ("/broken", String::new()),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nhost: h\r\n{fields}\r\n"));
        client.answer();
        let got = origin.got().pop().expect("a request");
        assert!(got.all("tracestate").is_empty(), "{target}");
        let [trace, span, flags] = parts(one(&got, "traceparent"));
        assert_ne!(trace, TRACE);
        assert_ne!(span, PARENT);
        assert_eq!(flags, "01");
    }
    // One that is refused has a span, too, and no attempts.
    client.send("BREW /pot HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    exporter.end();
    let spans = spans(&collector);
    let roots: Vec<&Span> = spans
        .iter()
        .filter(|span| span.shape["kind"] == 2)
        .collect();
    assert_eq!(roots.len(), 5);
    let mut ids: Vec<&str> = roots.iter().map(|span| span.text("traceId")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert!(
        roots
            .iter()
            .all(|span| span.shape.get("parentSpanId").is_none())
    );
    let broken = roots
        .iter()
        .find(|span| span.attribute("url.path") == "/broken");
    let broken = broken.expect("a span");
    assert_eq!(broken.shape["status"], json!({"code": 2}));
    assert_eq!(broken.attribute("error.type"), "503");
    let refused = roots
        .iter()
        .find(|span| span.attribute("url.path") == "/pot");
    let refused = refused.expect("a span");
    assert_eq!(refused.text("name"), "HTTP");
    assert_eq!(refused.attribute("http.request.method"), "_OTHER");
    assert_eq!(refused.attribute("http.request.method_original"), "BREW");
    assert_eq!(refused.attribute("http.response.status_code"), "400");
    assert_eq!(refused.shape["status"], json!({}));
}

#[test]
fn what_is_not_sampled_is_not_sent_and_says_so() {
    let collector = Origin::named("");
    let origin = Origin::named("a");
    let settings = traced(
        collector.address,
        r#", "sample": 0, "service_name": "edge""#,
    );
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    let exporter = Exporter::start(&proxy);
    let mut client = Client::connect(proxy.address);
    let not_sampled = format!("00-{TRACE}-{PARENT}-00");
    client.send(format!(
        "GET / HTTP/1.1\r\nhost: h\r\ntraceparent: {not_sampled}\r\ntracestate: a=b\r\n\r\n"
    ));
    client.answer();
    client.get("/");
    // Its sender decides, whatever is configured here.
    client.send(format!(
        "GET / HTTP/1.1\r\nhost: h\r\ntraceparent: 00-{TRACE}-{PARENT}-03\r\n\r\n"
    ));
    client.answer();
    let got = origin.got();
    assert_eq!(one(&got[0], "traceparent"), not_sampled);
    assert_eq!(one(&got[0], "tracestate"), "a=b");
    let [trace, _, flags] = parts(one(&got[1], "traceparent"));
    assert_ne!(trace, TRACE);
    assert_eq!(flags, "00");
    let [trace, _, flags] = parts(one(&got[2], "traceparent"));
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "03"));
    exporter.end();
    assert_eq!(spans(&collector).len(), 2);
}

#[test]
fn a_collector_that_is_not_there_costs_requests_nothing_and_is_counted() {
    let (dead, origin) = (Refusing::new(), Origin::named("a"));
    let proxy = Proxy::start(&[("a", origin.address)], &traced(dead.address, ""));
    let mut client = Client::connect(proxy.address);
    let n = otlp::QUEUE_MAX as u64 + 10;
    for _ in 0..n {
        assert_eq!(client.get("/").status, 200);
    }
    let counts = &proxy.shared.counts;
    eventually("they are counted", || {
        counts.traces_dropped.load(Relaxed) >= 10
    });
    Exporter::start(&proxy).end();
    let (failed, sent) = (&counts.traces_failed, &counts.traces_sent);
    // The first batch fails, and the rest is not waited for at the end.
    assert!(failed.load(Relaxed) > 0);
    assert_eq!(sent.load(Relaxed), 0);
    assert_eq!(counts.traces_dropped.load(Relaxed), 10);
}

#[test]
fn the_program_sends_its_last_traces_before_it_ends() {
    let (collector, origin) = (Origin::named(""), Origin::named("a"));
    let folder = folder("tracing");
    let (port, file) = (free_port(), folder.join("config.json"));
    let document = |tracing: Value| {
        json!({
            "servers": [at("a", origin.address)],
            "listen": {"port": port},
            "health_check": {"enabled": false},
            "tracing": tracing,
            "api": {"port": free_port()},
        })
    };
    let mut untraced = document(json!({"service_name": "edge"}));
    write(&file, &untraced);
    let mut program = Program::start(&file, port);
    let mut client = Client::connect(program.proxy);
    client.get("/before");
    // Switched on by a reload.
    untraced["tracing"]["otlp"] = format!("http://{}", collector.address).into();
    write(&file, &untraced);
    program.hang_up();
    program.says("configuration reloaded", 1);
    client.get("/after");
    program.signal("-TERM");
    assert!(program.process.wait().expect("it ends").success());
    let spans = spans(&collector);
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert_eq!(spans[0].attribute("url.path"), "/after");
}
