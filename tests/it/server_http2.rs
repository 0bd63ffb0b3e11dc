//! HTTP/2 to servers: requests side by side, and what becomes of them when a
//! server takes no more, resets, goes away or falls silent.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http::HeaderMap;
use ringway::engine::{Health, Verdict};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::http2::{Call, DATA, Frames, GOAWAY, Http2Origin, RST_STREAM};
use crate::support::origin::Origin;
use crate::support::program::folder;
use crate::support::proxy::{Proxy, eventually};

/// The entry of a server that speaks HTTP/2.
fn entry(name: &str, address: SocketAddr, tls: Value) -> String {
    let (ip, port) = (address.ip().to_string(), address.port());
    json!({"name": name, "address": ip, "port": port, "protocol": "h2", "tls": tls}).to_string()
}

fn proxy(address: SocketAddr, settings: &str) -> Proxy {
    Proxy::of(&[entry("a", address, Value::Null)], settings, 1, None)
}

/// Answers with the path.
async fn path(mut call: Call) {
    let path = call.head.uri.path().to_owned();
    call.text(path);
}

/// A server that answers nobody until `n` requests have come.
fn all_at_once(builder: Builder, n: usize) -> Http2Origin {
    let (n_here, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    Http2Origin::with(builder, None, move |call| {
        let (n_here, all) = (Arc::clone(&n_here), Arc::clone(&all));
        async move {
            let last = all.notified();
            if n_here.fetch_add(1, SeqCst) + 1 >= n {
                all.notify_waiters();
            } else {
                last.await;
            }
            path(call).await;
        }
    })
}

fn asking(proxy: &Proxy, n: usize) -> Vec<Client> {
    let clients = (0..n).map(|i| {
        let mut client = Client::connect(proxy.address);
        client.send(format!(
            "GET /{i}?q HTTP/1.1\r\nhost: shop.example:81\r\nte: trailers\r\nconnection: te, x-own\r\n\
             x-own: 1\r\nkeep-alive: 5\r\n\r\n"
        ));
        client
    });
    clients.collect()
}

#[test]
fn a_hundred_requests_go_side_by_side_over_one_connection() {
    let origin = all_at_once(Builder::new(), 100);
    let proxy = proxy(origin.address, "");
    for (i, mut client) in asking(&proxy, 100).into_iter().enumerate() {
        assert_eq!(client.answer().text(), format!("/{i}"));
    }
    assert_eq!(origin.n_connections(), 1);
    for head in origin.heads() {
        assert_eq!(
            head.uri.authority().expect("one").as_str(),
            "shop.example:81"
        );
        assert_eq!(head.uri.scheme_str(), Some("http"));
        assert_eq!(head.uri.query(), Some("q"));
        assert_eq!(head.headers["te"], "trailers");
        for gone in ["host", "connection", "keep-alive", "x-own"] {
            assert!(!head.headers.contains_key(gone), "{gone}");
        }
    }
}

#[test]
fn a_full_connection_gets_company_up_to_the_limit_and_then_requests_wait() {
    let origin = all_at_once(Builder::new(), 6);
    let settings = r#""pool": {"max_streams": 2}"#;
    let by_two = proxy(origin.address, settings);
    for mut client in asking(&by_two, 6) {
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(origin.n_connections(), 3);
    // More at a time than the server takes, over the only connection there may be.
    let mut builder = Builder::new();
    builder.max_concurrent_streams(2);
    let origin = all_at_once(builder, 2);
    let settings = r#""pool": {"max_connections": 1}"#;
    let waiting = proxy(origin.address, settings);
    for (i, mut client) in asking(&waiting, 20).into_iter().enumerate() {
        assert_eq!(client.answer().text(), format!("/{i}"));
    }
    assert_eq!(origin.n_connections(), 1);
    // As long as connecting may take, and no longer.
    let silent = Http2Origin::new(|call| async move {
        let _call = call;
        std::future::pending::<()>().await;
    });
    let settings = r#""pool": {"max_connections": 1, "max_streams": 1}, "timeouts": {"connect": 0.2},
        "retries": {"attempts": 0}"#;
    let full = proxy(silent.address, settings);
    let first = asking(&full, 1);
    eventually("it is there", || silent.heads().len() == 1);
    assert_eq!(Client::connect(full.address).get("/").status, 504);
    drop(first);
}

#[test]
fn what_the_server_has_refused_goes_again_whatever_the_method() {
    let origin = Http2Origin::new(|mut call: Call| async move {
        if call.number == 0 {
            return call.respond.send_reset(Reason::REFUSED_STREAM);
        }
        let (body, _) = call.whole().await;
        call.text(body);
    });
    let proxy = proxy(origin.address, r#""retries": {"attempts": 0}"#);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhello");
    assert_eq!(client.answer().text(), "hello");
    assert_eq!(origin.heads().len(), 2);
    let counts = proxy.shared.connection_counts()[0].1;
    assert_eq!((counts.resets, counts.opened), (1, 1));
    // One that goes on refusing is passed over.
    let refusing = Http2Origin::new(|mut call: Call| async move {
        call.respond.send_reset(Reason::REFUSED_STREAM);
    });
    let spare = Http2Origin::new(|mut call: Call| async move { call.text("spare") });
    let servers = [
        entry("a", refusing.address, Value::Null),
        entry("b", spare.address, Value::Null),
    ];
    let proxy = Proxy::of(&servers, r#""routing": {"hash_key": ["path"]}"#, 1, None);
    let mut client = Client::connect(proxy.address);
    let target = proxy.path_of("a");
    client.send(format!(
        "POST {target} HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n"
    ));
    assert_eq!(client.answer().text(), "spare");
    assert_eq!(refusing.heads().len(), 2);
    // What it resets otherwise it may have acted on.
    let broken = Http2Origin::new(|mut call: Call| async move {
        call.respond.send_reset(Reason::INTERNAL_ERROR);
    });
    let proxy = self::proxy(broken.address, "");
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 502);
    assert_eq!(broken.heads().len(), 1);
}

#[test]
fn a_server_that_goes_away_finishes_what_it_has_and_gets_the_rest_anew() {
    // By a library: what is under way ends well, and what follows goes elsewhere.
    let origin = Http2Origin::new(|mut call: Call| async move {
        if call.number == 0 {
            call.go_away();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        call.text("whole");
    });
    let proxy = proxy(origin.address, r#""retries": {"attempts": 0}"#);
    let mut client = Client::connect(proxy.address);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "whole");
    }
    assert_eq!(origin.n_connections(), 2);
    // In frames: of two requests under way the server has seen the first alone.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let server = thread::spawn(move || {
        let mut first = Frames::accept(listener.accept().expect("a connection").0);
        let streams = [(); 2].map(|()| first.next_request().expect("a request"));
        let last = streams[0].to_be_bytes();
        first.send(GOAWAY, 0, 0, &[last, [0; 4]].concat());
        first.send_ok(streams[0]);
        let mut second = Frames::accept(listener.accept().expect("a connection").0);
        let stream = second.next_request().expect("the other request");
        second.send_ok(stream);
        // To its end: who closes on what was not read breaks off what it has said.
        while second.next().is_some() {}
    });
    let proxy = self::proxy(address, r#""retries": {"attempts": 0}"#);
    let mut clients = [(); 2].map(|()| {
        let mut client = Client::connect(proxy.address);
        client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx");
        client
    });
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    drop(proxy);
    server.join().expect("it went as it should");
}

#[test]
fn a_connection_that_breaks_takes_its_own_requests_with_it_and_no_others() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        // The first breaks after a request, and again in an answer.
        let mut first = Frames::accept(listener.accept().expect("a connection").0);
        first.next_request();
        drop(first);
        let mut second = Frames::accept(listener.accept().expect("a connection").0);
        while let Some(stream) = second.next_request() {
            second.send(1, 4, stream, &[0x88]);
            second.send(DATA, 0, stream, b"par");
            // Once the client has the head.
            thread::sleep(Duration::from_millis(100));
            second.send(RST_STREAM, 0, stream, &[0, 0, 0, 2]);
        }
    });
    let mut proxy = proxy(address, r#""retries": {"attempts": 0}"#);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 502);
    let _ = proxy.judged();
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address);
        client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
        let mut answer = client.head().expect("a head");
        assert_eq!(answer.status, 200);
        assert_eq!(client.body(&mut answer), None, "it has broken off");
    }
    assert_eq!(proxy.shared.connection_counts()[0].1.opened, 2);
}

#[test]
fn bodies_go_both_ways_at_once_however_long() {
    let origin = Http2Origin::new(|mut call: Call| async move {
        let mut stream = call.answer(&[("content-type", "application/grpc")]);
        while let Some(mut piece) = call.piece().await {
            while !piece.is_empty() {
                stream.reserve_capacity(piece.len());
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else {
                    return;
                };
                let now = piece.split_to(room.min(piece.len()));
                let _ = stream.send_data(now, false);
            }
        }
        let _ = stream.send_data(Bytes::new(), true);
    });
    // A call that goes on for longer than heads of answers may take.
    let timeouts = r#""timeouts": {"response_header": 0.2}, "retries": {"attempts": 0}"#;
    let proxy = proxy(origin.address, timeouts);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(client.head().expect("an answer").status, 200);
    for _ in 0..4 {
        client.send("4\r\nping\r\n");
        assert_eq!(client.read_exactly(9), b"4\r\nping\r\n");
        thread::sleep(Duration::from_millis(100));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read_exactly(5), b"0\r\n\r\n");
    let long: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    let mut writing = client.stream.try_clone().expect("a second handle");
    let sent = long.clone();
    let writer = thread::spawn(move || {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
            sent.len()
        );
        std::io::Write::write_all(&mut writing, &[head.as_bytes(), &sent].concat())
    });
    let answer = client.answer();
    writer.join().expect("no panic").expect("all was written");
    assert!(answer.body == long, "{} bytes", answer.body.len());
}

#[test]
fn a_client_that_does_not_read_holds_its_own_stream_back_alone() {
    let n_sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_sent);
    let origin = Http2Origin::new(move |mut call: Call| {
        let count = Arc::clone(&count);
        async move {
            if call.head.uri.path() != "/endless" {
                return call.text("short");
            }
            let mut stream = call.answer(&[]);
            loop {
                stream.reserve_capacity(65_536);
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else {
                    return;
                };
                let _ = stream.send_data(vec![0; room].into(), false);
                count.fetch_add(room, SeqCst);
            }
        }
    });
    let proxy = proxy(origin.address, "");
    let mut stalled = Client::connect(proxy.address);
    stalled.send("GET /endless HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(stalled.head().expect("an answer").status, 200);
    let mut last = 0;
    eventually("the server is held back", || {
        thread::sleep(Duration::from_millis(100));
        std::mem::replace(&mut last, n_sent.load(SeqCst)) == last && last > 0
    });
    // Buffers of two sockets and one window.
    assert!(last < 24 << 20, "{last} bytes");
    for _ in 0..3 {
        assert_eq!(Client::connect(proxy.address).get("/").text(), "short");
    }
    assert_eq!(origin.n_connections(), 1);
    drop(stalled);
    eventually("its stream is given up", || proxy.in_flight() == 0);
}

#[test]
fn trailers_pass_both_ways_and_those_of_grpc_speak_for_or_against_the_server() {
    let origin = Http2Origin::new(|mut call: Call| async move {
        let (_, got) = call.whole().await;
        assert_eq!(
            got.get("x-sum").map(|value| value.as_bytes()),
            Some(&b"7"[..])
        );
        assert!(!got.contains_key("host"), "{got:?}");
        let fields = [
            ("content-type", "application/grpc"),
            ("trailer", "grpc-status"),
        ];
        let mut stream = call.answer(&fields);
        let _ = stream.send_data("x".into(), false);
        let mut trailers = HeaderMap::new();
        let status = call.head.uri.path().trim_start_matches('/').to_owned();
        trailers.insert("grpc-status", status.parse().expect("a number"));
        let _ = stream.send_trailers(trailers);
    });
    let mut proxy = proxy(origin.address, "");
    let call = |status: u8| {
        let mut client = Client::connect(proxy.address);
        client.send(format!(
            "POST /{status} HTTP/1.1\r\nhost: t\r\nte: trailers\r\nconnection: close\r\n\
             trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-sum: 7\r\n\
             host: evil\r\n\r\n"
        ));
        let mut text = String::new();
        let _ = client.stream.read_to_string(&mut text);
        assert!(
            text.contains(&format!("\r\ngrpc-status: {status}\r\n")),
            "{text}"
        );
    };
    // Not found, and cancelled, are no fault of the server: nothing is said of it.
    call(0);
    call(5);
    call(1);
    call(14);
    assert_eq!(proxy.judged().1, Verdict::Failed);
}

#[test]
fn nobody_changes_over_to_another_protocol_over_http2() {
    let origin = Http2Origin::new(path);
    let proxy = proxy(origin.address, "");
    let mut client = Client::connect(proxy.address);
    client.send("GET /ws HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(client.answer().status, 501);
    assert_eq!(client.get("/other").text(), "/other");
    assert_eq!(origin.heads().len(), 1);
}

#[test]
fn it_is_agreed_upon_over_tls_or_not_spoken() {
    let folder = folder("server-http2-tls");
    let authority = Authority::new(&folder, "authority");
    let files = authority.vouch("server", &["127.0.0.1"]);
    let config = |protocol: &str| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from_pem_file(&files.cert).expect("PEM")];
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("PEM");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("good versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a pair");
        config.alpn_protocols = (!protocol.is_empty())
            .then(|| protocol.into())
            .into_iter()
            .collect();
        config
    };
    let tls = json!({"ca_file": authority.file()});
    let health_check = r#""health_check": {"path": "/up", "expect_body": "/up"}"#;
    for (protocol, status, health) in [
        ("h2", 200, Health::Healthy),
        ("http/1.1", 502, Health::Unhealthy),
        ("", 502, Health::Unhealthy),
    ] {
        let origin = Http2Origin::with(Builder::new(), Some(config(protocol)), path);
        let server = entry("a", origin.address, tls.clone());
        let mut proxy = Proxy::of(&[server], health_check, 1, None);
        let answer = Client::connect(proxy.address).get("/");
        assert_eq!(answer.status, status, "{protocol}");
        if status == 200 {
            assert_eq!(origin.heads()[0].uri.scheme_str(), Some("https"));
        } else {
            assert!(proxy.shared.tls_trouble("a").is_some(), "{protocol}");
            assert_eq!(origin.heads().len(), 0, "{protocol}");
        }
        proxy.judge();
        // Probes speak to it as requests do.
        eventually("it is judged", || {
            proxy.shared.snapshot().servers[0].health == health
        });
    }
}

#[test]
fn a_server_that_has_fallen_silent_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let n_pings = Arc::new(Mutex::new(0));
    let count = Arc::clone(&n_pings);
    thread::spawn(move || {
        let mut frames = Frames::accept(listener.accept().expect("a connection").0);
        while let Some((kind, _)) = frames.next() {
            *count.lock().expect("no panic under it") += usize::from(kind == 6);
        }
    });
    let settings = r#""pool": {"ping": 0.3}, "retries": {"attempts": 0}"#;
    let proxy = proxy(address, settings);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(client.answer().status, 502);
    assert_eq!(*n_pings.lock().expect("no panic under it"), 1);
}

#[test]
fn connections_end_when_their_time_is_over_or_their_server_leaves() {
    let (origin, other) = (Http2Origin::new(path), Origin::named("other"));
    let proxy = proxy(origin.address, r#""pool": {"idle": 0.2}"#);
    assert_eq!(Client::connect(proxy.address).get("/a").text(), "/a");
    let n_open = || proxy.shared.connection_counts()[0].1.open;
    eventually("it is closed", || n_open() == 0);
    assert_eq!(Client::connect(proxy.address).get("/b").text(), "/b");
    let runtime = Arc::clone(&proxy.shared.fleet().load().servers[0]);
    proxy.reload(|config| {
        config["servers"] = json!([{"name": "b", "address": "127.0.0.1",
            "port": other.address.port()}]);
    });
    assert_eq!(Client::connect(proxy.address).get("/").text(), "other");
    eventually("it is closed", || runtime.connections.counts().open == 0);
}
