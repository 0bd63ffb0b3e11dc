//! Probes of scripted servers, on real sockets: which answers are good, and
//! what is said of the others.

use std::io::Write;
use std::net::SocketAddr;

use ringway::config::Config;
use ringway::engine::{Address, Port, ProbeOutcome, Server};
use ringway::native::health::Prober;

use crate::support::origin::{After, Origin, Refusing};

fn probe(address: SocketAddr) -> ProbeOutcome {
    let document = br#"{"servers": [], "health_check": {"timeout": 0.2, "path": "/up?x"}}"#;
    let config = Config::parse(document).expect("a good configuration");
    let server = Server {
        address: Address::new(&address.ip().to_string()).expect("an address"),
        port: Port::new(address.port().into()).expect("a port"),
        ..crate::support::server("probed", 1)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(Prober::new(&config.health_check).probe(&server))
}

/// What is said of a server that gives this answer and leaves.
fn said(answer: &'static str) -> String {
    let origin = Origin::new(move |_, stream| {
        let _ = stream.write_all(answer.as_bytes());
        After::Close
    });
    match probe(origin.address) {
        ProbeOutcome::Good => "good".to_owned(),
        ProbeOutcome::Failed(why) => why,
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
    let ProbeOutcome::Failed(why) = probe(refusing.address) else {
        panic!("a refused connection is bad");
    };
    assert!(why.starts_with("cannot connect: "), "{why}");
    // One byte at a time, for ever.
    let dripping = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        After::Close
    });
    assert_eq!(
        probe(dripping.address),
        ProbeOutcome::Failed("no answer within 0.2 s".to_owned())
    );
}

#[test]
fn a_head_without_end_is_not_read_for_ever() {
    let endless = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(&b"x: y\r\n".repeat(1000)).is_ok() {}
        After::Close
    });
    let ProbeOutcome::Failed(why) = probe(endless.address) else {
        panic!("a head without end is bad");
    };
    assert!(why.starts_with("no answer"), "{why}");
}

#[test]
fn a_probe_says_what_it_is() {
    let origin = Origin::named("up");
    assert_eq!(probe(origin.address), ProbeOutcome::Good);
    let got = &origin.got()[0];
    assert_eq!(got.line, "GET /up?x HTTP/1.1");
    assert_eq!(got.all("host"), [origin.address.to_string()]);
    assert_eq!(got.all("connection"), ["close"]);
    let agent = format!("ringway/{} health-check", env!("CARGO_PKG_VERSION"));
    assert_eq!(got.all("user-agent"), [agent]);
}
