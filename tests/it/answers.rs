//! What servers send for an answer, well-formed or not: what the client gets,
//! and what becomes of the server's connection. With both codecs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::sync_channel;

use crate::support::client::Client;
use crate::support::origin::{After, Origin, ok};
use crate::support::proxy::{Proxy, eventually};

const CODECS: [&str; 2] = ["own", "hyper"];

fn proxy(origin: &Origin, codec: &str) -> Proxy {
    let settings = format!(r#""process": {{"http1_codec": "{codec}"}}"#);
    Proxy::start(&[("a", origin.address)], &settings)
}

/// A server that answers `/` with `answer` and everything else with a 200, over
/// connections that it keeps.
fn saying(answer: &'static [u8]) -> Origin {
    Origin::new(move |got, stream| {
        match got.line.contains(" / ") {
            true => drop(stream.write_all(answer)),
            false => ok(stream, "next"),
        }
        After::Keep
    })
}

#[test]
fn an_answer_that_could_be_misread_is_none() {
    // What hyper makes of it, where that is another answer.
    for (answer, hyper) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"[..], Some(200)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi", Some(200)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nhi", Some(200)),
        (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", Some(200)),
        (b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Some(200)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nhi", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nhi", None),
        (b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nhi", None),
        (b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 2\r\n\r\nhi", None),
        (b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nhi", None),
        (b"HTTP/1.1 2x0 OK\r\ncontent-length: 2\r\n\r\nhi", None),
        (b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
    ] {
        for codec in CODECS {
            let origin = saying(answer);
            let proxy = proxy(&origin, codec);
            let mut client = Client::connect(proxy.address);
            let expected = hyper.filter(|_| codec == "hyper").unwrap_or(502);
            client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
            let mut got = client.head().expect("an answer");
            if expected == 502 {
                client.body(&mut got).expect("a whole body");
            }
            let got = got.status;
            assert_eq!(got, expected, "{codec}: {}", answer.escape_ascii());
            if expected != 502 {
                continue;
            }
            // The client's connection goes on, over another one to the server.
            let next = client.get("/next");
            assert_eq!((next.status, next.text()), (200, "next"), "{codec}");
            assert_eq!(origin.n_connections(), 2);
        }
    }
}

#[test]
fn what_comes_behind_an_answer_reaches_nobody() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for codec in CODECS {
        for head in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n",
        ] {
            for is_later in [false, true] {
                let (sent, was_sent) = sync_channel(1);
                let (seen, was_seen) = sync_channel(1);
                let was_seen = std::sync::Mutex::new(was_seen);
                let origin = Origin::new(move |got, stream| {
                    if !got.line.contains(" / ") {
                        ok(stream, "next");
                        return After::Keep;
                    }
                    let _ = stream.write_all(head.as_bytes());
                    if is_later {
                        let _ = was_seen.lock().expect("one thread").recv();
                    }
                    let _ = stream.write_all(EVIL.as_bytes());
                    let _ = sent.send(());
                    After::Keep
                });
                let proxy = proxy(&origin, codec);
                let mut client = Client::connect(proxy.address);
                let first = client.get("/");
                assert!(!first.text().contains("evil"), "{codec} {head}");
                seen.send(()).expect("a server");
                was_sent.recv().expect("a server");
                let next = client.get("/next");
                assert_eq!((next.status, next.text()), (200, "next"), "{codec} {head}");
                assert_eq!(origin.n_connections(), 2, "{codec} {head}");
            }
        }
    }
}

#[test]
fn an_idle_connection_that_its_server_has_ended_is_not_used() {
    for codec in CODECS {
        let (left, has_left) = sync_channel(1);
        let origin = Origin::new(move |got, stream| {
            ok(stream, "fine");
            if got.line.contains(" /last ") {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                let _ = left.send(());
                return After::Close;
            }
            After::Keep
        });
        let proxy = proxy(&origin, codec);
        let mut client = Client::connect(proxy.address);
        for _ in 0..20 {
            assert_eq!(client.get("/").status, 200);
            assert_eq!(client.get("/last").status, 200);
            has_left.recv().expect("a server");
            // Nothing may be sent twice, so it must not be sent in vain.
            client.send("POST /p HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nhi");
            assert_eq!(client.answer().status, 200, "{codec}");
        }
        let got = origin.got();
        assert_eq!(
            got.iter().filter(|got| got.line.contains(" /p ")).count(),
            20
        );
    }
}

#[test]
fn an_answer_may_overtake_its_requests_body() {
    const SIZE: usize = 3 << 20;
    for codec in CODECS {
        let (answered, was_answered) = sync_channel(1);
        let origin = Origin::at_head(move |got, stream| {
            ok(stream, "early");
            if got.line.starts_with("POST") {
                let _ = answered.send(());
                let mut body = vec![0; SIZE];
                let all = stream.read_exact(&mut body);
                assert!(all.is_ok() && body.iter().all(|&b| b == b'x'), "{all:?}");
            }
            After::Keep
        });
        let proxy = proxy(&origin, codec);
        let mut client = Client::connect(proxy.address);
        let head = format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {SIZE}\r\n\r\n");
        client.send(head);
        client.send(vec![b'x'; 1000]);
        was_answered.recv().expect("a server");
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (200, "early"), "{codec}");
        // The rest is taken all the same, so that the connection goes on.
        client.send(vec![b'x'; SIZE - 1000]);
        assert_eq!(client.get("/next").text(), "early", "{codec}");
        eventually("nothing is in flight", || proxy.in_flight() == 0);
    }
}

#[test]
fn a_server_that_answers_and_takes_no_more_is_heard() {
    for codec in CODECS {
        let origin = Origin::at_head(|_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 413 Too Much\r\ncontent-length: 2\r\n\r\nno");
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut rest = Vec::new();
            let _ = stream.take(1 << 20).read_to_end(&mut rest);
            After::Close
        });
        let proxy = proxy(&origin, codec);
        let mut client = Client::connect(proxy.address);
        client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3000000\r\n\r\nbegin");
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (413, "no"), "{codec}");
    }
}

/// Sends `parts` with whatever pause the network makes of it.
fn drip(stream: &mut TcpStream, bytes: &[u8], n: usize) {
    for part in bytes.chunks(n) {
        let _ = stream.write_all(part);
    }
}

#[test]
fn bodies_pass_whole_whatever_their_length_and_framing() {
    for codec in CODECS {
        let origin = Origin::new(|got, stream| {
            let body = &got.body;
            let chunked = got.line.contains("/chunked");
            let head = match chunked {
                true => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
                false => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()),
            };
            let _ = stream.write_all(head.as_bytes());
            if !chunked {
                drip(stream, body, 50_000);
                return After::Keep;
            }
            for chunk in body.chunks(70_001) {
                let _ = stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes());
                drip(stream, chunk, 40_000);
                let _ = stream.write_all(b"\r\n");
            }
            let _ = stream.write_all(b"0\r\nx-sum: 1\r\nhost: evil\r\n\r\n");
            After::Keep
        });
        let proxy = proxy(&origin, codec);
        let mut client = Client::connect(proxy.address);
        for size in [0, 1, 4096, 4097, 16_384, 16_385, 131_072, 1_000_003] {
            let body: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
            for path in ["/length", "/chunked"] {
                client.send(format!(
                    "POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {size}\r\n\r\n"
                ));
                client.send(&body);
                let answer = client.answer();
                assert!(answer.body == body, "{codec} {path} {size}");
                client.send(format!(
                    "PUT {path} HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
                ));
                for chunk in body.chunks(30_011) {
                    client.send(format!("{:x}\r\n", chunk.len()));
                    client.send(chunk);
                    client.send("\r\n");
                }
                client.send("0\r\n\r\n");
                let answer = client.answer();
                assert!(answer.body == body, "{codec} chunked to {path} {size}");
            }
        }
        if codec == "own" {
            assert_eq!(origin.n_connections(), 1);
        }
    }
}
