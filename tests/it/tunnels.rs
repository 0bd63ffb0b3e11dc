//! Connections that change over to another protocol, on real sockets: WebSocket
//! by another implementation at both ends, and raw bytes where it matters which
//! come when.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringway::config::AccessLogFormat;
use ringway::engine::{AdminState, Command, ServerName, Weight};
use serde_json::json;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Error, Message, WebSocket};

use crate::support::api::Api;
use crate::support::client::Client;
use crate::support::logged::text_of;
use crate::support::origin::{After, Got, Origin, Refusing, ok};
use crate::support::proxy::{Proxy, eventually};
use crate::support::websocket::{self, echo, says, switch};

const BY_PATH: &str = r#""routing": {"hash_key": ["path"], "debug_header": true}"#;

const ASK: &str = "GET /ws HTTP/1.1\r\nhost: t\r\nconnection: keep-alive, Upgrade\r\n\
                   upgrade: WebSocket\r\nsec-websocket-key: x\r\n\r\n";

/// A server that changes over and hands its end to the test.
fn handing() -> (Origin, Receiver<TcpStream>) {
    let (hand, handed) = channel();
    let hand: Mutex<Sender<TcpStream>> = Mutex::new(hand);
    let origin = Origin::at_head(move |got, stream| {
        switch(got, stream);
        let stream = stream.try_clone().expect("a handle");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        let _ = hand.lock().expect("no panic").send(stream);
        After::Close
    });
    (origin, handed)
}

fn connect(proxy: &Proxy, path: &str) -> WebSocket<TcpStream> {
    websocket::connect(proxy.address, path)
}

/// A raw tunnel: both ends.
fn tunnel(proxy: &Proxy, handed: &Receiver<TcpStream>) -> (Client, TcpStream) {
    let mut client = Client::connect(proxy.address);
    client.send(ASK);
    let answer = client.head().expect("an answer");
    assert_eq!(answer.status, 101);
    let server = handed.recv_timeout(Duration::from_secs(20));
    (client, server.expect("it got there"))
}

#[test]
fn messages_of_any_kind_pass_and_the_close_is_clean() {
    let origin = echo();
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let mut socket = connect(&proxy, "/chat?room=1");
    assert_eq!(proxy.in_flight(), 1);
    says(&mut socket, "hello");
    socket
        .send(Message::Ping(vec![1, 2, 3].into()))
        .expect("open");
    let pong = socket.read().expect("a pong");
    assert_eq!(pong, Message::Pong(vec![1, 2, 3].into()));
    // Three fragments of a MiB each are one message.
    let piece = |i: u8| vec![i; 1 << 20];
    for i in 0..3 {
        let kind = if i == 0 { Data::Binary } else { Data::Continue };
        let frame = Frame::message(piece(i), OpCode::Data(kind), i == 2);
        socket.send(Message::Frame(frame)).expect("open");
    }
    let expected = [piece(0), piece(1), piece(2)].concat();
    assert_eq!(socket.read().expect("an echo"), Message::binary(expected));
    assert_eq!((proxy.in_flight(), proxy.shared.n_tunnels()), (1, 1));
    socket.close(None).expect("open");
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => break,
            Err(error) => panic!("{error}"),
        }
    }
    drop(socket);
    eventually("nothing in flight", || proxy.in_flight() == 0);
    eventually("no tunnel", || proxy.shared.n_tunnels() == 0);
    let got = &origin.got()[0];
    assert_eq!(got.all("connection"), ["upgrade"]);
    assert_eq!(got.all("upgrade"), ["websocket"]);
    assert_eq!(got.all("sec-websocket-version"), ["13"]);
    assert_eq!(got.all("via"), ["1.1 ringway"]);
}

#[test]
fn a_tunnel_has_its_line_in_the_access_log_when_it_has_ended() {
    let origin = echo();
    let servers = [("a", origin.address)];
    let text = text_of(&servers, BY_PATH, AccessLogFormat::Json, |client| {
        client.send(ASK);
        assert_eq!(client.head().expect("an answer").status, 101);
        let stream = client.stream.try_clone().expect("a handle");
        let mut socket = WebSocket::from_raw_socket(stream, Role::Client, None);
        says(&mut socket, "hello");
        std::thread::sleep(Duration::from_millis(20));
    });
    let line: serde_json::Value = serde_json::from_str(text.trim()).expect("one line of JSON");
    assert_eq!(
        (&line["status"], &line["path"]),
        (&json!(101), &json!("/ws"))
    );
    assert_eq!(
        (&line["server"], &line["attempts"]),
        (&json!("a"), &json!(1))
    );
    // Two bytes of a frame's head, and the word.
    assert_eq!(line["bytes"], 7);
    let (head, total) = (line["head_ms"].as_f64(), line["total_ms"].as_f64());
    let lasted = total.expect("a time") - head.expect("a time");
    assert!(lasted >= 20.0, "{line}");
}

#[test]
fn of_the_answer_the_tunnels_fields_and_the_messages_are_passed_on() {
    let (origin, handed) = handing();
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let mut client = Client::connect(proxy.address);
    client.send(ASK);
    let answer = client.head().expect("an answer");
    assert_eq!(answer.status, 101);
    assert_eq!(answer.all("connection"), ["upgrade"]);
    assert_eq!(answer.all("upgrade"), ["websocket"]);
    assert_eq!(answer.all("x-inner"), ["1"]);
    assert_eq!(answer.all("keep-alive"), [""; 0]);
    assert_eq!(answer.all("content-length"), [""; 0]);
    assert_eq!(answer.all("x-ringway-server"), ["a"]);
    assert_eq!(answer.all("sec-websocket-accept").len(), 1);
    drop(handed);
}

#[test]
fn what_either_end_sends_early_waits_for_the_101_and_gets_through() {
    let (early, seen) = channel();
    let origin = Origin::at_head(move |got, stream| {
        if got.line.contains("/first") {
            ok(stream, "first");
            return After::Keep;
        }
        // Nothing may come before this end has consented.
        let wait = Some(Duration::from_millis(200));
        stream.set_read_timeout(wait).expect("a timeout");
        let before = stream.read(&mut [0; 64]).map_err(|error| error.kind());
        let _ = early.send(before.is_err_and(|kind| kind == ErrorKind::WouldBlock));
        let key = got.all("sec-websocket-key").concat();
        // In one piece with the first bytes of the tunnel.
        let answer = format!(
            "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-key: {key}\r\n\r\nserver first"
        );
        let _ = stream.write_all(answer.as_bytes());
        let wait = Some(Duration::from_secs(20));
        stream.set_read_timeout(wait).expect("a timeout");
        let mut bytes = [0; 64];
        let n = stream.read(&mut bytes).expect("the early bytes");
        let _ = stream.write_all(&bytes[..n]);
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    // With the head, and behind another request too.
    for before in ["", "GET /first HTTP/1.1\r\nhost: t\r\n\r\n"] {
        let mut client = Client::connect(proxy.address);
        client.send(format!("{before}{ASK}GET /early HTTP/1.1\r\n\r\n"));
        if !before.is_empty() {
            assert_eq!(client.answer().text(), "first");
        }
        assert_eq!(client.head().expect("an answer").status, 101);
        assert_eq!(client.read_exactly(12), b"server first");
        assert_eq!(seen.recv(), Ok(true), "bytes went up before the 101");
        assert_eq!(client.read_exactly(23), b"GET /early HTTP/1.1\r\n\r\n");
        assert!(client.is_ended());
    }
    let lines: Vec<String> = origin.got().into_iter().map(|got| got.line).collect();
    let (first, ws) = ("GET /first HTTP/1.1", "GET /ws HTTP/1.1");
    assert_eq!(lines, [ws, first, ws], "no bytes were taken for a request");
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer_and_the_connection_goes_on() {
    let origin = Origin::new(|got, stream| {
        if got.line.contains("/ws") {
            let text = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\nupgrade: x\r\n\r\nno!";
            let _ = stream.write_all(text);
        } else {
            ok(stream, &format!("{}{}", got.line, got.all("upgrade").len()));
        }
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        client.send(ASK);
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (403, "no!"));
        assert_eq!(answer.all("upgrade"), [""; 0]);
        assert_eq!(client.get("/after").text(), "GET /after HTTP/1.10");
    }
    // What came behind it is the next request, no more and no less.
    client.send(format!("{ASK}GET /next HTTP/1.1\r\nhost: t\r\n\r\n"));
    assert_eq!(client.answer().status, 403);
    assert_eq!(client.answer().text(), "GET /next HTTP/1.10");
    assert_eq!(origin.n_connections(), 1, "the server's goes on too");
    assert_eq!((proxy.in_flight(), proxy.shared.n_tunnels()), (0, 0));
}

#[test]
fn only_a_whole_request_for_an_allowed_protocol_is_passed_on() {
    let origin = Origin::new(|got, stream| {
        ok(stream, &got.all("upgrade").join(","));
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let get = "GET /ws HTTP/1.1\r\nhost: t\r\n";
    for (request, expected) in [
        (format!("{get}connection: upgrade\r\nupgrade: websocket\r\n\r\n"), "websocket"),
        (format!("{get}connection: x\r\nconnection: UPGRADE\r\nupgrade: WEBSOCKET\r\n\r\n"), "websocket"),
        (format!("{get}connection: upgrade\r\nupgrade: h2c, websocket\r\n\r\n"), "websocket"),
        (format!("{get}connection: upgrade\r\ncontent-length: 0\r\nupgrade: websocket\r\n\r\n"), "websocket"),
        (format!("{get}connection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n"), ""),
        (format!("{get}connection: upgrade\r\nupgrade: tcp\r\n\r\n"), ""),
        (format!("{get}connection: upgrade\r\nupgrade: websocket2\r\n\r\n"), ""),
        (format!("{get}upgrade: websocket\r\n\r\n"), ""),
        (format!("{get}connection: upgrade\r\n\r\n"), ""),
        (format!("{get}connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nhi"), ""),
        (format!("{get}connection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), ""),
        ("POST /ws HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n".to_owned(), ""),
        ("GET /ws HTTP/1.0\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_owned(), ""),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(&request);
        assert_eq!(client.answer().text(), expected, "{request}");
    }
    let got = origin.got();
    assert!(got.iter().all(|got| got.all("http2-settings").is_empty()));
    let is_asked = |got: &&Got| !got.all("connection").is_empty();
    assert_eq!(got.iter().filter(is_asked).count(), 4);
}

#[test]
fn configuration_says_which_protocols_pass() {
    let origin = Origin::new(|got, stream| {
        ok(stream, &got.all("upgrade").join(","));
        After::Keep
    });
    for (protocols, expected) in [(r#"["Tcp", "irc/1"]"#, "irc/1"), ("[]", "")] {
        let settings = format!(r#""upgrades": {{"protocols": {protocols}}}"#);
        let proxy = Proxy::start(&[("a", origin.address)], &settings);
        let mut client = Client::connect(proxy.address);
        client.send(
            "GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket, IRC/1\r\n\r\n",
        );
        assert_eq!(client.answer().text(), expected, "{protocols}");
    }
}

#[test]
fn a_consent_to_something_else_is_no_answer() {
    for upgrade in ["", "upgrade: h2c\r\n", "upgrade: websocket, h2c\r\n"] {
        let origin = Origin::new(move |_, stream| {
            let head = format!("HTTP/1.1 101 x\r\nconnection: upgrade\r\n{upgrade}\r\nsecret");
            let _ = stream.write_all(head.as_bytes());
            After::Keep
        });
        let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
        let mut client = Client::connect(proxy.address);
        client.send(ASK);
        assert_eq!(client.answer().status, 502, "{upgrade:?}");
        // Nobody asked at all.
        assert_eq!(client.get("/").status, 502, "{upgrade:?}");
        eventually("nothing in flight", || proxy.in_flight() == 0);
        assert_eq!(proxy.shared.n_tunnels(), 0);
    }
}

#[test]
fn until_the_101_a_request_goes_on_to_the_next_server() {
    let refusing = Refusing::new();
    let broken = Origin::at_head(|_, _| After::Close);
    let live = echo();
    let servers = [
        ("refusing", refusing.address),
        ("broken", broken.address),
        ("live", live.address),
    ];
    let proxy = Proxy::start(&servers, BY_PATH);
    for owner in ["refusing", "broken", "live"] {
        let mut socket = connect(&proxy, &proxy.path_of(owner));
        says(&mut socket, owner);
    }
    assert!(!broken.got().is_empty(), "it was asked");
    for got in live.got().iter().chain(&broken.got()) {
        assert_eq!(got.all("upgrade"), ["websocket"]);
        assert_eq!(got.all("connection"), ["upgrade"]);
    }
}

#[test]
fn each_direction_ends_by_itself() {
    let (origin, handed) = handing();
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let (mut client, mut server) = tunnel(&proxy, &handed);
    client.send("last words");
    client.stream.shutdown(Shutdown::Write).expect("connected");
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).expect("an end");
    assert_eq!(heard, b"last words");
    // The other direction is as good as ever.
    for text in ["one", "two"] {
        std::thread::sleep(Duration::from_millis(30));
        server.write_all(text.as_bytes()).expect("connected");
        assert_eq!(client.read_exactly(3), text.as_bytes());
    }
    assert_eq!(proxy.in_flight(), 1);
    drop(server);
    assert!(client.is_ended());
    eventually("nothing in flight", || proxy.in_flight() == 0);

    let (mut client, mut server) = tunnel(&proxy, &handed);
    server.shutdown(Shutdown::Write).expect("connected");
    assert!(client.is_ended());
    client.send("still there");
    let mut heard = [0; 11];
    server.read_exact(&mut heard).expect("the words");
    assert_eq!(&heard, b"still there");
    drop(client);
    assert_eq!(server.read(&mut heard).expect("an end"), 0);
    eventually("no tunnel", || proxy.shared.n_tunnels() == 0);
}

#[test]
fn who_does_not_read_holds_the_other_back() {
    const SIZE: usize = 64 << 20;
    let (origin, handed) = handing();
    let proxy = Proxy::start(&[("a", origin.address)], BY_PATH);
    let (client, server) = tunnel(&proxy, &handed);
    for (mut from, mut to) in [
        (client.stream.try_clone(), server.try_clone()),
        (server.try_clone(), client.stream.try_clone()),
    ]
    .map(|(from, to)| (from.expect("a handle"), to.expect("a handle")))
    {
        let (written, so_far) = channel();
        let sending = std::thread::spawn(move || {
            let piece = vec![7; 64 << 10];
            for _ in 0..SIZE / piece.len() {
                from.write_all(&piece).expect("it is taken in the end");
                let _ = written.send(piece.len());
            }
        });
        let mut n = 0;
        while let Ok(more) = so_far.recv_timeout(Duration::from_millis(300)) {
            n += more;
        }
        assert!(n < SIZE / 2, "{n} bytes were taken though nobody reads");
        let mut bytes = vec![0; SIZE];
        to.read_exact(&mut bytes).expect("all of them");
        assert!(bytes.iter().all(|&b| b == 7));
        sending.join().expect("everything went out");
    }
    drop((client, server));
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn a_tunnel_may_rest_only_so_long() {
    let (origin, handed) = handing();
    let settings = format!(r#"{BY_PATH}, "timeouts": {{"tunnel_idle": 1, "client_idle": 0.1}}"#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    let (mut client, mut server) = tunnel(&proxy, &handed);
    // A word from either now and then is enough.
    for i in 0..12 {
        std::thread::sleep(Duration::from_millis(100));
        let mut word = [0; 1];
        if i % 2 == 0 {
            client.send("x");
            server.read_exact(&mut word).expect("it is open");
        } else {
            server.write_all(b"x").expect("it is open");
            client.read_exactly(1);
        }
    }
    assert_eq!(proxy.shared.n_tunnels(), 1);
    assert!(client.is_ended());
    assert_eq!(server.read(&mut [0; 1]).expect("an end"), 0);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn a_tunnel_of_which_one_end_has_ended_rests_no_longer_than_a_body() {
    let (origin, handed) = handing();
    let settings = format!(r#"{BY_PATH}, "timeouts": {{"stream_idle": 0.2}}"#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    let (mut client, server) = tunnel(&proxy, &handed);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(proxy.shared.n_tunnels(), 1, "while both are there it may");
    drop(server);
    assert!(client.is_ended());
    eventually("no tunnel", || proxy.shared.n_tunnels() == 0);
}

#[tokio::test]
async fn tunnels_outlive_changes_of_the_fleet_and_are_seen() {
    let (a, b) = (echo(), echo());
    let proxy = Proxy::start(&[("a", a.address), ("b", b.address)], BY_PATH);
    let mut to_a = connect(&proxy, &proxy.path_of("a"));
    let mut to_b = connect(&proxy, &proxy.path_of("b"));
    let api = Api::over(Arc::clone(&proxy.shared), None, None).await;
    let in_flight = async || {
        let servers = api.get("/api/servers").await.json();
        let servers = servers["servers"].as_array().expect("a list").clone();
        let figures = servers
            .iter()
            .map(|s| (s["name"].clone(), s["in_flight"].clone()));
        figures.collect::<Vec<_>>()
    };
    assert_eq!(
        in_flight().await,
        [(json!("a"), json!(1)), (json!("b"), json!(1))]
    );
    let text = api.get("/metrics").await.text();
    assert!(
        text.lines().any(|line| line == "ringway_tunnels 2.0"),
        "{text}"
    );
    let name = |text: &str| ServerName::new(text).expect("a name");
    let changes = [
        Command::SetWeight(name("a"), Weight::new(5).expect("a weight")),
        Command::SetState(name("a"), AdminState::Draining),
        Command::RemoveServer(name("a")),
    ];
    for change in changes {
        proxy.shared.apply(change).expect("it can be done");
        says(&mut to_a, "still there");
        says(&mut to_b, "here too");
    }
    assert_eq!(in_flight().await, [(json!("b"), json!(1))]);
    proxy.reload(|document| {
        document["timeouts"]["tunnel_idle"] = json!(7200);
        document["servers"] = json!([]);
    });
    // Longer than workers take to let go of what has left.
    std::thread::sleep(Duration::from_millis(1100));
    says(&mut to_a, "still there");
    says(&mut to_b, "here too");
    drop((to_a, to_b));
    eventually("no tunnel", || proxy.shared.n_tunnels() == 0);
}

#[test]
fn stopping_lets_tunnels_end_and_cuts_them_when_their_time_is_over() {
    let origin = echo();
    let start = |grace: &str| {
        let settings = format!(r#"{BY_PATH}, "process": {{"shutdown_grace": {grace}}}"#);
        Proxy::start(&[("a", origin.address)], &settings)
    };
    let mut proxy = start("20");
    let mut socket = connect(&proxy, "/ws");
    proxy.stop();
    eventually("no new connections", || {
        TcpStream::connect(proxy.address).is_err()
    });
    says(&mut socket, "still there");
    drop(socket);
    proxy.join();

    let mut proxy = start("0.1");
    let mut socket = connect(&proxy, "/ws");
    says(&mut socket, "hello");
    proxy.stop();
    proxy.join();
    assert!(socket.read().is_err(), "it is cut");
}
