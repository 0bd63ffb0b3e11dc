//! The proxy between a scripted client and scripted servers, on real sockets.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Duration;

use ringway::engine::{Observation, Verdict};

use crate::support::client::Client;
use crate::support::origin::{After, Origin, Refusing, ok};
use crate::support::proxy::{Proxy, eventually};

const BY_PATH: &str = r#""routing": {"hash_key": ["path"], "debug_header": true}"#;

/// `BY_PATH` with times short enough to be waited for.
fn with_timeouts(timeouts: &str) -> String {
    format!(r#"{BY_PATH}, "timeouts": {{{timeouts}}}"#)
}

#[test]
fn a_key_goes_to_its_owner_every_time() {
    let (a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    let servers = [("a", a.address), ("b", b.address), ("c", c.address)];
    let proxy = Proxy::start(&servers, BY_PATH);
    let mut client = Client::connect(proxy.address);
    for round in 0..2 {
        for i in 0..60 {
            let path = format!("/{i}");
            let answer = client.get(&format!("{path}?round={round}"));
            assert_eq!(answer.text(), proxy.owner_of(&path), "{path}");
            assert_eq!(answer.all("x-ringway-server"), [answer.text()]);
            assert_eq!(answer.all("x-ringway-attempts"), ["1"]);
        }
    }
    for origin in [&a, &b, &c] {
        assert_eq!(origin.n_connections(), 1, "connections are kept");
    }
}

#[test]
fn the_debug_header_says_why_as_explain_does() {
    let (dead, a, b) = (Refusing::new(), Origin::named("a"), Origin::named("b"));
    let servers = [("dead", dead.address), ("a", a.address), ("b", b.address)];
    let chain =
        r#""routing": {"hash_key": [{"header": "x-user"}, {"query": "id"}], "debug_header": true}"#;
    let proxy = Proxy::start(&servers, chain);
    let mut client = Client::connect(proxy.address);
    let mut n_failed_over = 0;
    for i in 0..40 {
        let answer = client.get(&format!("/?id={i}"));
        let key = i.to_string();
        let position = proxy.shared.table().position(key.as_bytes());
        let owner = proxy.owner_of(&key);
        let field = &answer.all("x-ringway-explain")[0];
        let head =
            format!("key=\"query id\", position=\"{position}\", owner=\"{owner}\", candidates=(");
        assert!(field.starts_with(&head), "{field}");
        let chosen = format!("\"{}\";chosen", answer.text());
        assert!(field.contains(&chosen), "{field}");
        if owner == "dead" {
            let tried = format!("candidates=(\"dead\";tried {chosen} ");
            assert!(field.contains(&tried), "{field}");
            n_failed_over += 1;
        } else {
            assert!(field.contains(&format!("candidates=({chosen} ")), "{field}");
        }
    }
    assert!(n_failed_over > 3, "{n_failed_over}");
    let keyless = client.get("/");
    let expected = format!("key=?0, candidates=(\"{}\";chosen)", keyless.text());
    assert_eq!(keyless.all("x-ringway-explain"), [expected]);
}

#[test]
fn several_workers_share_a_port_and_agree() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let servers = [("a", a.address), ("b", b.address)];
    let proxy = Proxy::start_with(&servers, BY_PATH, 3, None);
    for i in 0..40 {
        let path = format!("/{i}");
        let answer = Client::connect(proxy.address).get(&path);
        assert_eq!(answer.text(), proxy.owner_of(&path), "{path}");
    }
}

#[test]
fn a_server_that_refuses_is_passed_over_whatever_the_method() {
    let (dead, live) = (Refusing::new(), Origin::named("live"));
    let servers = [("dead", dead.address), ("live", live.address)];
    let mut proxy = Proxy::start(&servers, BY_PATH);
    let path = proxy.path_of("dead");
    let mut client = Client::connect(proxy.address);
    let answer = client.get(&path);
    assert_eq!((answer.status, answer.text()), (200, "live"));
    assert_eq!(answer.all("x-ringway-attempts"), ["2"]);
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\n\r\nbody"
    ));
    assert_eq!(client.answer().text(), "live");
    assert_eq!(live.got()[1].body, b"body");
    for _ in 0..2 {
        let (id, verdict) = proxy.judged();
        assert_eq!(verdict, Verdict::ConnectError);
        assert_eq!(id.number(), 0);
    }
}

#[test]
fn when_every_server_refuses_the_client_is_told() {
    let (a, b) = (Refusing::new(), Refusing::new());
    let proxy = Proxy::start(&[("a", a.address), ("b", b.address)], BY_PATH);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 502);
    let none = Proxy::start(&[], BY_PATH);
    let answer = Client::connect(none.address).get("/");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.all("retry-after"), ["1"]);
    // The connection is as good as before.
    assert_eq!(client.get("/").status, 502);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn retries_end_where_configuration_says() {
    let refusing: Vec<Refusing> = (0..4).map(|_| Refusing::new()).collect();
    let names = ["a", "b", "c", "d"];
    let servers: Vec<_> = names
        .into_iter()
        .zip(refusing.iter().map(|r| r.address))
        .collect();
    let settings = format!(r#"{BY_PATH}, "retries": {{"attempts": 1}}"#);
    let mut proxy = Proxy::start(&servers, &settings);
    assert_eq!(Client::connect(proxy.address).get("/").status, 502);
    let mut tried = Vec::new();
    while let Ok(Observation::Judged { server, .. }) = proxy.reports.try_recv() {
        tried.push(server);
    }
    assert_eq!(tried.len(), 2);
    assert_ne!(tried[0], tried[1]);
}

#[test]
fn a_kept_connection_that_the_server_ended_is_replaced_unseen() {
    // Each connection serves one request, and ends when the next has come.
    let origin = Origin::new(|got, stream| {
        let n = SERVED.with_borrow_mut(|served| {
            *served += 1;
            *served
        });
        if n > 1 {
            return After::Close;
        }
        ok(stream, &got.line);
        After::Keep
    });
    thread_local!(static SERVED: std::cell::RefCell<u32> = const { std::cell::RefCell::new(0) });
    let mut proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let mut client = Client::connect(proxy.address);
    for i in 0..5 {
        let answer = client.get(&format!("/{i}"));
        assert_eq!(answer.text(), format!("GET /{i} HTTP/1.1"));
        assert_eq!(
            answer.all("x-ringway-attempts"),
            ["1"],
            "the server is not at fault"
        );
    }
    assert!(
        proxy.reports.try_recv().is_err(),
        "nothing speaks against it"
    );
    // What may have been acted on is not sent again.
    client.send("POST /p HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 502);
    let posts = origin.got();
    let posts = posts.iter().filter(|got| got.line.starts_with("POST"));
    assert_eq!(posts.count(), 1);
}

#[test]
fn a_server_that_breaks_off_is_passed_over_for_idempotent_requests_only() {
    let broken = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le");
        After::Close
    });
    let live = Origin::named("live");
    let servers = [("broken", broken.address), ("live", live.address)];
    let mut proxy = Proxy::start(&servers, BY_PATH);
    let path = proxy.path_of("broken");
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get(&path).text(), "live");
    let (_, verdict) = proxy.judged();
    assert_eq!(verdict, Verdict::Failed);
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 502);
    assert_eq!(live.got().len(), 1);
}

#[test]
fn requests_that_come_in_odd_pieces_are_answered_and_sent_again() {
    // Every other request breaks off: all have to be sent again.
    let origin = Origin::new(|got, stream| {
        if got.connection.is_multiple_of(2) {
            return After::Close;
        }
        let said = format!("{} {}", got.line, got.all("x").join(","));
        ok(stream, &said);
        After::Close
    });
    let calm = Origin::named("calm");
    let servers = [
        ("a", origin.address),
        ("b", origin.address),
        ("c", calm.address),
    ];
    let proxy = Proxy::start(&servers, r#""routing": {"hash_key": ["path"]}"#);
    let path = proxy.path_of("a");
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nX: 1\r\nX: 2\r\n\r\n");
    for cut in [5, 20, request.len() - 2] {
        let mut client = Client::connect(proxy.address);
        client.send(&request[..cut]);
        std::thread::sleep(Duration::from_millis(20));
        client.send(&request[cut..]);
        let text = client.answer().text().to_owned();
        assert!(
            text == "calm" || text == format!("GET {path} HTTP/1.1 1,2"),
            "{text}"
        );
    }
    // Of requests that came at once, the bytes of the second may be missing:
    // then the client is told, and no other request is made up in its place.
    for _ in 0..4 {
        let mut client = Client::connect(proxy.address);
        client.send(format!("{request}{request}"));
        for _ in 0..2 {
            let answer = client.answer();
            let is_whole =
                answer.text() == "calm" || answer.text() == format!("GET {path} HTTP/1.1 1,2");
            assert!(is_whole || answer.status == 502, "{}", answer.text());
        }
    }
    assert!(origin.got().iter().all(|got| got.all("x") == ["1", "2"]));
}

#[test]
fn only_so_many_connections_are_kept() {
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let (closed, closing) = channel();
    let origin = Origin::at_head(move |_, stream| {
        let _ = may_go_on.lock().expect("no panic").recv();
        ok(stream, "x");
        // The proxy sends nothing more on this one: wait for its end.
        let n = std::io::Read::read(stream, &mut [0; 1]);
        let _ = closed.send(n.unwrap_or(0));
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], r#""pool": {"max_idle": 1}"#);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    eventually("all are in flight", || proxy.in_flight() == 3);
    // All at once: which of the clients is answered first is not ours to say.
    for _ in &clients {
        let _ = go_on.send(());
    }
    for client in &mut clients {
        client.head().expect("an answer");
    }
    for _ in 0..2 {
        assert_eq!(closing.recv_timeout(Duration::from_secs(20)), Ok(0));
    }
    let third = closing.recv_timeout(Duration::from_millis(100));
    assert!(third.is_err(), "one is kept");
}

#[test]
fn kept_connections_are_closed_when_their_time_is_over() {
    let (closed, closing) = channel();
    let origin = Origin::at_head(move |_, stream| {
        ok(stream, "x");
        let n = std::io::Read::read(stream, &mut [0; 1]);
        let _ = closed.send(n.unwrap_or(0));
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], r#""pool": {"idle": 0.1}"#);
    Client::connect(proxy.address).get("/");
    assert_eq!(closing.recv_timeout(Duration::from_secs(20)), Ok(0));
}

#[test]
fn noise_ends_nothing_but_its_own_connection() {
    use crate::support::rng::Rng;
    let seed = 0x5eed;
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let mut rng = Rng::new(seed);
    let pieces = [
        "GET / HTTP/1.1\r\n",
        "host: a\r\n",
        "\r\n",
        "POST /x?y HTTP/1.1\r\n",
        "content-length: ",
        "7",
        "transfer-encoding: chunked\r\n",
        "0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "\0",
        "\n",
        "connection: close, te, x\r\n",
        ": ",
        "\u{fffd}",
        "HTTP/1.1",
        "OPTIONS * HTTP/1.1\r\n",
        "5\r\n",
        "expect: 100-continue\r\n",
        "upgrade: h2c\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        " ",
        "\t",
    ];
    for _ in 0..300 {
        let mut client = Client::connect(proxy.address);
        let mut sent = String::new();
        for _ in 0..rng.next() % 12 {
            sent.push_str(pieces[(rng.next() % pieces.len() as u64) as usize]);
        }
        client.send(&sent);
        let _ = client.stream.shutdown(Shutdown::Write);
        while !client.is_ended() {
            if client.head().is_none() {
                break;
            }
        }
    }
    assert_eq!(
        Client::connect(proxy.address).get("/").text(),
        "a",
        "seed {seed:#x}"
    );
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn fields_of_one_connection_are_dropped_and_the_proxys_added() {
    let origin = Origin::new(|_, stream| {
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=5\r\n\
              connection: keep-alive, x-inner\r\nx-inner: 1\r\nproxy-connection: close\r\n\
              upgrade: h2c\r\nx-kept: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\nhi",
        );
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.send(
        "GET /x HTTP/1.1\r\nHost: shop.test:81\r\nConnection: X-Secret, close, host\r\n\
         X-Secret: 1\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: gzip, trailers\r\n\
         Upgrade: websocket\r\nProxy-Authorization: x\r\nX-Forwarded-For: 1.2.3.4\r\n\
         X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nVia: 1.0 first\r\n\
         X-Request-Id: mine\r\nAccept: a\r\nAccept: b\r\n\r\n",
    );
    let answer = client.answer();
    for dropped in ["keep-alive", "x-inner", "proxy-connection", "upgrade"] {
        assert_eq!(answer.all(dropped), [""; 0], "{dropped} came back");
    }
    assert_eq!(answer.all("x-kept"), ["1"]);
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert!(client.is_ended(), "the client asked for it");
    let got = &origin.got()[0];
    for dropped in [
        "connection",
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "proxy-authorization",
    ] {
        assert_eq!(got.all(dropped), [""; 0], "{dropped} was forwarded");
    }
    for (name, values) in [
        ("host", &["shop.test:81"][..]),
        ("te", &["trailers"]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-forwarded-host", &["shop.test:81"]),
        ("x-forwarded-proto", &["http"]),
        ("via", &["1.0 first", "1.1 ringway"]),
        ("x-request-id", &["mine"]),
        ("accept", &["a", "b"]),
    ] {
        assert_eq!(got.all(name), values, "{name}");
    }
}

#[test]
fn a_request_without_an_id_is_given_one() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.get("/");
    client.get("/");
    let got = origin.got();
    let ids: Vec<_> = got.iter().map(|got| got.all("x-request-id")).collect();
    assert_eq!(ids[0][0].len(), 24);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_target_is_the_truth_about_the_host() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.send("GET http://real.test/p?q HTTP/1.1\r\nHost: other.test\r\n\r\n");
    client.answer();
    client.send("OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n");
    client.answer();
    client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client.answer();
    let got = origin.got();
    assert_eq!(got[0].line, "GET /p?q HTTP/1.1");
    assert_eq!(got[0].all("host"), ["real.test"]);
    assert_eq!(got[0].all("x-forwarded-host"), ["real.test"]);
    assert_eq!(got[1].line, "OPTIONS * HTTP/1.1");
    assert_eq!(got[2].line, "GET /old HTTP/1.1");
    assert_eq!(got[2].all("host"), [origin.address.to_string()]);
    assert_eq!(got[2].all("via"), ["1.0 ringway"]);
}

#[test]
fn malformed_requests_are_refused_and_reach_no_server() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], "");
    for (status, request) in [
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a,b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: u@a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a:x\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: [::1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost:\r\n\r\n"),
        (400, "GET foo HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n"),
        (405, "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n"),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\nCONTENT-length: 5\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
        ),
        (400, "GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a\r\nx : a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n"),
        (400, "\x16\x03\x01\x02\0\x01\0\r\n\r\n"),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(request);
        let answer = client.head().map(|answer| answer.status);
        assert_eq!(answer, Some(status), "{request:?}");
    }
    // A body is found to be malformed when the head has been forwarded.
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n");
    assert_eq!(client.answer().status, 400);
    assert_eq!(origin.got().len(), 0);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn heads_have_a_limit() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(
        &[("a", origin.address)],
        r#""limits": {"headers": 20, "header_bytes": 2000}"#,
    );
    let request = |n: usize, value: &str| {
        let fields: String = (1..n).map(|i| format!("x-{i}: {value}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")
    };
    for (request, status) in [
        (request(20, "1"), 200),
        (request(21, "1"), 431),
        (request(2, &"1".repeat(1900)), 200),
        (request(2, &"1".repeat(2000)), 431),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(&request);
        assert_eq!(client.answer().status, status, "{} bytes", request.len());
    }
}

#[test]
fn bodies_stream_both_ways_at_once() {
    // The answer to each piece of the body comes before the next piece is sent.
    let origin = Origin::at_head(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut reader = std::io::BufReader::new(stream.try_clone().expect("a handle"));
        while let Some(size) = crate::support::origin::read_line(&mut reader) {
            let size = usize::from_str_radix(&size, 16).expect("a size");
            if size == 0 {
                break;
            }
            let piece = crate::support::origin::read_line(&mut reader).expect("a piece");
            let _ = stream.write_all(format!("{size:x}\r\n{piece}\r\n").as_bytes());
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    let head = client.head().expect("the head comes before the body ends");
    assert_eq!((head.status, head.all("content-length").len()), (200, 0));
    assert_eq!(client.read_exactly(8), b"3\r\none\r\n");
    client.send("3\r\ntwo\r\n");
    assert_eq!(client.read_exactly(8), b"3\r\ntwo\r\n");
    client.send("0\r\n\r\n");
    assert_eq!(client.read_exactly(5), b"0\r\n\r\n");
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn a_client_that_does_not_read_holds_the_server_back() {
    const SIZE: usize = 64 << 20;
    let (written, so_far) = channel();
    let origin = Origin::new(move |_, stream| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let piece = vec![7; 64 << 10];
        for _ in 0..SIZE / piece.len() {
            if stream.write_all(&piece).is_err() {
                return After::Close;
            }
            let _ = written.send(piece.len());
        }
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut answer = client.head().expect("an answer");
    // Wait until the server is held back: nothing more goes out for a while.
    let mut n = 0;
    while let Ok(more) = so_far.recv_timeout(Duration::from_millis(300)) {
        n += more;
    }
    assert!(
        n < SIZE / 2,
        "{n} bytes went out to a client that reads none"
    );
    assert_eq!(proxy.in_flight(), 1);
    client.body(&mut answer).expect("the whole body");
    assert_eq!(answer.body.len(), SIZE);
    assert!(answer.body.iter().all(|&b| b == 7));
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn answers_without_a_body_are_told_apart() {
    let origin = Origin::new(|got, stream| {
        let answer: &[u8] = match got.line.split(' ').nth(1) {
            Some("/204") => b"HTTP/1.1 204 No Content\r\n\r\n",
            Some("/304") => b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n",
            Some("/empty") => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Some("/103") => {
                b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
            }
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        };
        let _ = stream.write_all(answer);
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    for (path, status, body) in [
        ("/204", 204, ""),
        ("/304", 304, ""),
        ("/empty", 200, ""),
        ("/103", 200, "hi"),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.text()), (status, body), "{path}");
    }
    client.send("HEAD /head HTTP/1.1\r\nhost: a\r\n\r\n");
    let head = client.head().expect("an answer");
    assert_eq!(head.all("content-length"), ["5"]);
    assert_eq!(
        client.get("/204").status,
        204,
        "nothing was left in between"
    );
    assert_eq!(origin.n_connections(), 1);
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_refused() {
    let origin = Origin::new(|_, stream| {
        let _ = stream.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nsecret",
        );
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    assert_eq!(client.answer().status, 502);
    assert_eq!(origin.got()[0].all("upgrade"), [""; 0]);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn expectations_are_met_once_a_server_is_found() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(client.head().expect("a go-ahead").status, 100);
    client.send("hi");
    assert_eq!(client.answer().status, 200);
    assert_eq!(origin.got()[0].body, b"hi");
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let (arrived, arrival) = sync_channel(1);
    let (ended, end) = sync_channel(1);
    let origin = Origin::new(move |_, stream| {
        let _ = arrived.send(());
        // Ends when the proxy gives the request up.
        let n = std::io::Read::read(stream, &mut [0; 1]);
        let _ = ended.send(n.unwrap_or(0));
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let client = Client::connect(proxy.address);
    let mut stream = client.stream.try_clone().expect("a handle");
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    arrival.recv().expect("it arrives");
    assert_eq!(proxy.in_flight(), 1);
    let _ = stream.shutdown(Shutdown::Both);
    drop((client, stream));
    eventually("nothing in flight", || proxy.in_flight() == 0);
    assert_eq!(end.recv_timeout(Duration::from_secs(20)), Ok(0));
}

#[test]
fn a_body_cut_short_is_not_passed_off_as_whole() {
    let origin = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        After::Close
    });
    let mut proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut answer = client.head().expect("a head");
    assert!(client.body(&mut answer).is_none(), "cut short");
    let (_, verdict) = proxy.judged();
    assert_eq!(verdict, Verdict::Failed);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn a_server_that_does_not_answer_costs_its_time_and_no_more() {
    let hanging = Origin::new(|_, stream| {
        let _ = std::io::Read::read(stream, &mut [0; 1]);
        After::Close
    });
    let proxy = Proxy::start(
        &[("a", hanging.address)],
        &with_timeouts(r#""response_header": 0.1"#),
    );
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 504);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(client.answer().status, 504);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn a_server_that_takes_no_connection_costs_its_time_and_no_more() {
    // A full queue of a socket that accepts nothing: connecting hangs.
    let full =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    full.bind(&any.into()).expect("loopback can be bound");
    full.listen(0).expect("it can listen");
    let address = full.local_addr().expect("bound").as_socket().expect("IP");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    let live = Origin::named("live");
    let proxy = Proxy::start(
        &[("full", address), ("live", live.address)],
        &with_timeouts(r#""connect": 0.1"#),
    );
    let path = proxy.path_of("full");
    let answer = Client::connect(proxy.address).get(&path);
    assert_eq!(answer.text(), "live");
    assert_eq!(answer.all("x-ringway-attempts"), ["2"]);
}

#[test]
fn clients_that_dawdle_are_let_go() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(
        &[("a", origin.address)],
        &with_timeouts(r#""client_header": 0.1, "client_idle": 0.2, "stream_idle": 0.1"#),
    );
    let mut silent = Client::connect(proxy.address);
    let mut slow = Client::connect(proxy.address);
    slow.send("GET / HTTP/1.1\r\nho");
    let mut idle = Client::connect(proxy.address);
    idle.get("/");
    let mut again = Client::connect(proxy.address);
    again.get("/");
    again.send("GET / HT");
    let mut stalled = Client::connect(proxy.address);
    stalled.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    assert!(silent.is_ended());
    assert!(slow.is_ended());
    assert!(idle.is_ended());
    assert!(again.is_ended());
    assert_eq!(stalled.answer().status, 408);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn a_server_that_stops_in_its_answer_is_let_go() {
    let origin = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        let _ = std::io::Read::read(stream, &mut [0; 1]);
        After::Close
    });
    let proxy = Proxy::start(
        &[("a", origin.address)],
        &with_timeouts(r#""stream_idle": 0.1"#),
    );
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut answer = client.head().expect("a head");
    assert!(client.body(&mut answer).is_none(), "cut short");
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn a_busy_stream_may_take_longer_than_any_limit() {
    let origin = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n");
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(50));
            let _ = stream.write_all(b"x");
        }
        After::Keep
    });
    let proxy = Proxy::start(
        &[("a", origin.address)],
        &with_timeouts(
            r#""stream_idle": 0.2, "response_header": 0.2, "client_header": 0.2, "client_idle": 0.2"#,
        ),
    );
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").text(), "xxxxxxxxxx");
}

#[test]
fn stopping_lets_requests_end_and_takes_no_more() {
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let (arrived, arrival) = channel();
    let origin = Origin::new(move |_, stream| {
        let _ = arrived.send(());
        let _ = may_go_on.lock().expect("no panic").recv();
        ok(stream, "late");
        After::Keep
    });
    let mut proxy = Proxy::start(&[("a", origin.address)], "");
    let mut idle = Client::connect(proxy.address);
    let mut busy = Client::connect(proxy.address);
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    arrival.recv().expect("it arrives");
    proxy.stop();
    assert!(idle.is_ended(), "idle connections end after the last call");
    eventually("no new connections", || {
        TcpStream::connect(proxy.address).is_err()
    });
    go_on.send(()).expect("it waits");
    let answer = busy.answer();
    assert_eq!(answer.text(), "late");
    assert_eq!(answer.all("connection"), ["close"]);
    assert!(busy.is_ended());
    proxy.join();
}

#[test]
fn a_request_on_its_way_is_answered_although_the_proxy_stops() {
    let origin = Origin::named("a");
    let mut proxy = Proxy::start(&[("a", origin.address)], "");
    let mut kept = Client::connect(proxy.address);
    kept.get("/");
    let mut fresh = Client::connect(proxy.address);
    proxy.stop();
    for client in [&mut kept, &mut fresh] {
        // The worker may hear of it a moment later.
        loop {
            let answer = client.get("/");
            assert_eq!((answer.status, answer.text()), (200, "a"));
            if answer.all("connection") == ["close"] {
                break;
            }
        }
        assert!(client.is_ended());
    }
    proxy.join();
}

#[test]
fn stopping_waits_only_so_long() {
    let hanging = Origin::new(|_, stream| {
        let _ = std::io::Read::read(stream, &mut [0; 1]);
        After::Close
    });
    let mut proxy = Proxy::start(
        &[("a", hanging.address)],
        r#""process": {"shutdown_grace": 0.1}"#,
    );
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is in flight", || proxy.in_flight() == 1);
    proxy.stop();
    proxy.join();
    assert!(client.is_ended());
}

#[test]
fn connections_beyond_the_limit_wait() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], r#""limits": {"connections": 1}"#);
    let mut first = Client::connect(proxy.address);
    assert_eq!(first.get("/").status, 200);
    let mut second = Client::connect(proxy.address);
    second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(first.get("/").status, 200);
    assert_eq!(origin.got().len(), 2, "the second waits");
    drop(first);
    assert_eq!(second.answer().status, 200);
}

#[test]
fn the_limit_on_connections_follows_a_reload() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], r#""limits": {"connections": 1}"#);
    let limit = |n: u64| {
        let mut config = ringway::config::Config::clone(&proxy.shared.config());
        let document = serde_json::json!({"servers": [], "limits": {"connections": n}});
        let other = ringway::config::Config::read(document).expect("a good configuration");
        config.limits = other.limits;
        let done = proxy.shared.reconfigure(config, |_| true);
        assert!(done.expect("a good fleet").is_ok());
    };
    let mut first = Client::connect(proxy.address);
    assert_eq!(first.get("/").status, 200);
    let mut second = Client::connect(proxy.address);
    second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    limit(2);
    assert_eq!(second.answer().status, 200);
    assert_eq!(first.get("/").status, 200);
}

#[test]
fn removed_servers_lose_their_connections_and_others_keep_them() {
    use ringway::engine::{Command, ServerName};
    let (closed, closing) = channel();
    let a = Origin::at_head(move |_, stream| {
        ok(stream, "a");
        let n = std::io::Read::read(stream, &mut [0; 1]);
        let _ = closed.send(n.unwrap_or(0));
        After::Close
    });
    let b = Origin::named("b");
    let proxy = Proxy::start(&[("a", a.address), ("b", b.address)], BY_PATH);
    let (to_a, to_b) = (proxy.path_of("a"), proxy.path_of("b"));
    let mut client = Client::connect(proxy.address);
    client.get(&to_a);
    client.get(&to_b);
    let name = ServerName::new("a").expect("a name");
    proxy
        .shared
        .apply(Command::RemoveServer(name))
        .expect("it is there");
    assert_eq!(client.get(&to_a).text(), "b");
    assert_eq!(closing.recv_timeout(Duration::from_secs(20)), Ok(0));
    assert_eq!(b.n_connections(), 1);
}
