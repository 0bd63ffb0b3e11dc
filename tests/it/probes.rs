//! Probes of scripted servers, on real sockets: which answers are good, and
//! what is said of the others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use ringway::config::Config;
use ringway::engine::{Address, Port, ProbeOutcome, Server};
use ringway::native::health::{Prober, check_files};
use serde_json::{Value, json};

use crate::support::origin::{After, Got, Origin, Refusing};

mod grpc;
mod tls;

/// The configuration with these settings of `health_check`.
fn config(mut settings: Value) -> Config {
    let check = settings.as_object_mut().expect("an object");
    check.entry("timeout").or_insert(json!(0.2));
    check.entry("interval").or_insert(json!(10));
    let document = json!({"servers": [], "health_check": settings});
    Config::read(document).expect("a good configuration")
}

/// How a probe with these settings ends at the server of this address.
fn probe_with(settings: Value, address: SocketAddr) -> Result<(), String> {
    let server = Server {
        address: Address::new(&address.ip().to_string()).expect("an address"),
        port: Port::new(address.port().into()).expect("a port"),
        ..crate::support::server("probed", 1)
    };
    let prober = Prober::new(&config(settings).health_check);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    match runtime.block_on(prober.probe(&server)) {
        ProbeOutcome::Good => Ok(()),
        ProbeOutcome::Failed(why) => Err(why),
    }
}

fn probe(address: SocketAddr) -> Result<(), String> {
    probe_with(json!({"path": "/up?x"}), address)
}

/// A server that gives this answer and leaves.
fn answering(answer: impl Into<Vec<u8>>) -> Origin {
    let answer = answer.into();
    Origin::new(move |_, stream| {
        let _ = stream.write_all(&answer);
        After::Close
    })
}

/// What is said of a server that gives this answer and leaves.
fn said(answer: &'static str) -> String {
    match probe(answering(answer).address) {
        Ok(()) => "good".to_owned(),
        Err(why) => why,
    }
}

#[test]
fn answers_are_judged_by_their_status_alone() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nup", "good"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "good"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", "good"),
        ("HTTP/1.0 200 OK\r\n\r\n", "good"),
        (
            "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
            "status 302",
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "status 404",
        ),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "status 503"),
    ] {
        assert_eq!(said(answer), expected, "{answer:?}");
    }
    for broken in ["", "HTTP/1.1 200 OK\r\ncont", "220 smtp.example ready\r\n"] {
        let why = said(broken);
        assert!(why.starts_with("no answer: "), "{broken:?}: {why}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_or_does_not_answer_is_bad() {
    let refusing = Refusing::new();
    let why = probe(refusing.address).expect_err("a refused connection is bad");
    assert!(why.starts_with("cannot connect: "), "{why}");
    // One byte at a time, for ever.
    let dripping = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(std::time::Duration::from_millis(10));
        }
        After::Close
    });
    let late = Err("no answer within 0.2 s".to_owned());
    assert_eq!(probe(dripping.address), late);
}

#[test]
fn a_head_without_end_is_not_read_for_ever() {
    let endless = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(&b"x: y\r\n".repeat(1000)).is_ok() {}
        After::Close
    });
    let why = probe(endless.address).expect_err("a head without end is bad");
    assert!(why.starts_with("no answer"), "{why}");
}

#[test]
fn a_probe_says_what_it_is() {
    let origin = Origin::named("up");
    assert_eq!(probe(origin.address), Ok(()));
    let got = &origin.got()[0];
    assert_eq!(got.line, "GET /up?x HTTP/1.1");
    assert_eq!(got.all("host"), [origin.address.to_string()]);
    assert_eq!(got.all("connection"), ["close"]);
    let agent = format!("ringway/{} health-check", env!("CARGO_PKG_VERSION"));
    assert_eq!(got.all("user-agent"), [agent]);
}

#[test]
fn method_host_and_header_fields_are_as_configured() {
    let origin = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
        After::Keep
    });
    let settings = json!({
        "method": "HEAD", "path": "/ready", "host": "shop.example:8443",
        "headers": {"X-Probe": "a b", "user-agent": "prober", "authorization": "Bearer xyz"},
    });
    // The body that HEAD announces never comes.
    assert_eq!(probe_with(settings.clone(), origin.address), Ok(()));
    let got = &origin.got()[0];
    assert_eq!(got.line, "HEAD /ready HTTP/1.1");
    assert_eq!(got.all("host"), ["shop.example:8443"]);
    assert_eq!(got.all("x-probe"), ["a b"]);
    assert_eq!(got.all("user-agent"), ["prober"]);
    assert_eq!(got.all("authorization"), ["Bearer xyz"]);
    assert!(got.all("content-length").is_empty() && got.body.is_empty());
    let shown = serde_json::to_string(&config(settings)).expect("JSON");
    assert!(!shown.contains("xyz") && shown.contains("a b"), "{shown}");
}

#[test]
fn another_port_is_asked_at() {
    let (asked, other) = (Origin::named("up"), Refusing::new());
    let settings = json!({"port": asked.address.port()});
    assert_eq!(probe_with(settings, other.address), Ok(()));
    let host = asked.address.to_string();
    assert_eq!(asked.got()[0].all("host"), [host]);
}

#[test]
fn only_expected_statuses_are_good_and_no_redirect_is_followed() {
    let target = Origin::named("elsewhere");
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        target.address
    );
    let origin = answering(redirect);
    let expecting = |statuses: Value| {
        let settings = json!({"expect_status": statuses});
        probe_with(settings, origin.address)
    };
    for statuses in [json!([302]), json!(["300-399"]), json!([200, "301-302"])] {
        assert_eq!(expecting(statuses.clone()), Ok(()), "{statuses}");
    }
    for statuses in [json!(["200-299"]), json!([301, 303]), json!(["303-599"])] {
        let bad = Err("status 302".to_owned());
        assert_eq!(expecting(statuses.clone()), bad, "{statuses}");
    }
    assert!(target.got().is_empty(), "redirects are not followed");
}

#[test]
fn the_body_must_have_the_text_within_64_kib() {
    let expecting = |text: &str, answer: Vec<u8>| {
        let settings = json!({"expect_body": text, "timeout": 2});
        probe_with(settings, answering(answer).address)
    };
    let whole = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    assert_eq!(expecting("größe", whole("{\"größe\": 1}")), Ok(()));
    let why = expecting("up", whole("down")).expect_err("it is not there");
    assert_eq!(why, "its body of 4 bytes has not the text");
    // In two chunks, the text across both.
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nxre\r\n3\r\nady\r\n";
    assert_eq!(expecting("ready", chunked.to_vec()), Ok(()));
    let why = expecting("steady", chunked.to_vec()).expect_err("it broke off");
    assert!(why.starts_with("the body broke off: "), "{why}");
    // At the edge, and one byte behind it.
    let padded = |n: usize| whole(&format!("{}up{}", "x".repeat(n), "x".repeat(99_999)));
    assert_eq!(expecting("up", padded(65_534)), Ok(()));
    let why = expecting("up", padded(65_535)).expect_err("it comes too late");
    assert_eq!(why, "the first 65536 bytes of its body have not the text");
    // The status comes first.
    let failed = b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nup".to_vec();
    assert_eq!(expecting("up", failed), Err("status 500".to_owned()));
}

#[test]
fn a_body_without_end_is_not_read_for_ever() {
    let endless = Origin::new(|_: &Got, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
        After::Close
    });
    let settings = json!({"expect_body": "up", "timeout": 5});
    let why = probe_with(settings, endless.address).expect_err("it has no such text");
    assert!(why.starts_with("the first 65536 bytes"), "{why}");
    let dripping = Origin::new(|_: &Got, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(std::time::Duration::from_millis(10));
        }
        After::Close
    });
    let late = Err("no answer within 0.2 s".to_owned());
    let settings = json!({"expect_body": "up"});
    assert_eq!(probe_with(settings, dripping.address), late);
}

#[test]
fn connecting_is_enough_for_tcp_and_nothing_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let reading = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut read = Vec::new();
        stream.read_to_end(&mut read).expect("it is closed");
        read
    });
    assert_eq!(probe_with(json!({"kind": "tcp"}), address), Ok(()));
    assert_eq!(reading.join().expect("no panic"), b"");
    let refusing = Refusing::new();
    let why = probe_with(json!({"kind": "tcp"}), refusing.address).expect_err("refused");
    assert!(why.starts_with("cannot connect: "), "{why}");
}

#[test]
fn files_are_looked_at_only_where_they_are_needed() {
    let tls = json!({"ca_file": "nowhere/ca.pem"});
    for kind in ["https", "grpc"] {
        let needed = config(json!({"kind": kind, "tls": tls}));
        let faults = check_files(&needed).expect_err("there is no such file");
        let [fault] = faults.as_slice() else {
            panic!("{faults}");
        };
        assert_eq!(fault.path, "health_check.tls.ca_file");
        assert!(fault.message.contains("nowhere/ca.pem"), "{faults}");
        let off = config(json!({"kind": kind, "tls": tls, "enabled": false}));
        assert_eq!(check_files(&off), Ok(()));
    }
    for settings in [json!({}), json!({"kind": "tcp"}), json!({"kind": "grpc"})] {
        assert_eq!(check_files(&config(settings)), Ok(()));
    }
    // A file that goes later makes probes fail, and they say why.
    let origin = Origin::named("up");
    let why = probe_with(json!({"kind": "https", "tls": tls}), origin.address);
    assert!(why.expect_err("no file").contains("nowhere/ca.pem"));
}
