//! The same over WebSockets, whose other end is a client of another make.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ringway::native::telemetry::feed::Kind;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use super::{PATIENCE, set_weight};
use crate::support::api::{Api, document};

type Socket = WebSocket<TcpStream>;

/// Asks to change over; a refusal is its status.
fn ask(address: SocketAddr, path: &str, fields: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{address}{path}")
        .into_client_request()
        .expect("a good address");
    for (name, value) in fields {
        let value = value.parse().expect("a good value");
        request.headers_mut().insert(*name, value);
    }
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(Error::Http(answer))) => {
            Err(answer.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

/// The next line.
fn next(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.read().expect("it goes on") {
            assert!(!text.ends_with('\n'));
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

/// How it ends.
fn end(socket: &mut Socket) -> (CloseCode, String) {
    loop {
        match socket.read().expect("it says why") {
            Message::Close(frame) => {
                let frame = frame.expect("a reason");
                return (frame.code, frame.reason.to_string());
            }
            _ => continue,
        }
    }
}

async fn aside<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(run).await.expect("no panic")
}

#[tokio::test]
async fn it_tells_the_same_lines_and_goes_on_where_a_client_was() {
    let mut document = document(&[("a", "127.0.0.1", 1001)]);
    document["api"] = json!({"token": "0123456789abcdef"});
    let api = Api::start(document).await;
    let address = api.address;
    const TOKEN: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");
    for (fields, status) in [
        (vec![], 401),
        (vec![TOKEN, ("origin", "http://evil.example")], 403),
        (vec![TOKEN, ("sec-websocket-version", "12")], 400),
        (vec![TOKEN, ("host", "evil.example")], 421),
    ] {
        let refused = aside(move || ask(address, "/api/events", &fields).err()).await;
        assert_eq!(refused, Some(status));
    }
    let own = format!("http://{address}");
    let mut socket =
        aside(move || ask(address, "/api/events", &[TOKEN, ("origin", &own)]).expect("let in"))
            .await;
    let (state, mut socket) = aside(move || (next(&mut socket), socket)).await;
    assert_eq!(state["event"], "snapshot");
    set_weight(&api, "a", 2);
    let (told, socket) = aside(move || (next(&mut socket), socket)).await;
    assert_eq!(
        (&told["event"], &told["weight"]),
        (&json!("weight-changed"), &json!(2))
    );
    drop(socket);
    set_weight(&api, "a", 3);
    let id = format!(
        "/api/events?after={}.{}",
        state["boot"].as_str().expect("a name"),
        told["seq"]
    );
    let told = aside(move || next(&mut ask(address, &id, &[TOKEN]).expect("let in"))).await;
    assert_eq!(told["weight"], 3);
}

#[tokio::test]
async fn it_only_tells_and_ends_with_the_proxy() {
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let address = api.address;
    let said = aside(move || {
        let mut socket = ask(address, "/api/events", &[]).expect("let in");
        socket.send(Message::text("hello")).expect("it is open");
        end(&mut socket)
    });
    let (code, reason) = said.await;
    assert_eq!(code, CloseCode::Unsupported, "{reason}");
    // One that closes is answered, and its place is free again.
    let mut stays = aside(move || {
        let mut leaves = ask(address, "/api/events", &[]).expect("let in");
        leaves.send(Message::Ping("x".into())).expect("it is open");
        while !matches!(leaves.read().expect("an answer"), Message::Pong(data) if data == "x") {}
        leaves.close(None).expect("it is open");
        while leaves.read().is_ok() {}
        ask(address, "/api/events", &[]).expect("let in")
    })
    .await;
    timeout(PATIENCE, async {
        while api.shared.counts.streams.load(Relaxed) != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("one is left");
    api.stop.cancel();
    let (code, reason) = aside(move || end(&mut stays)).await;
    assert_eq!(code, CloseCode::Away, "{reason}");
    timeout(PATIENCE, api.task)
        .await
        .expect("it ends")
        .expect("in order");
}

#[tokio::test]
async fn a_client_that_cannot_keep_up_is_told_so() {
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let address = api.address;
    let mut slow = aside(move || ask(address, "/api/events", &[]).expect("let in")).await;
    // Far more than sockets and the ring hold together.
    for _ in 0..300 {
        let shape = |seq| json!({"event": "x", "seq": seq, "long": "x".repeat(100_000)});
        api.shared.feed.push(Kind::News, |seq| ("x", shape(seq)));
        tokio::task::yield_now().await;
    }
    let (code, reason) = aside(move || end(&mut slow)).await;
    assert_eq!(code, CloseCode::Again, "{reason}");
    assert_eq!(api.shared.counts.streams_cut.load(Relaxed), 1);
}

#[tokio::test]
async fn there_is_room_for_so_many_streams_of_both_kinds() {
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let address = api.address;
    let sockets = aside(move || {
        let ask = |_| ask(address, "/api/events", &[]).expect("let in");
        (0..32).map(ask).collect::<Vec<_>>()
    })
    .await;
    let refused = aside(move || ask(address, "/api/events", &[]).err()).await;
    assert_eq!(refused, Some(503));
    assert_eq!(api.get("/api/events?format=sse").await.status, 503);
    drop(sockets);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_let_go() {
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let mut silent = tokio::net::TcpStream::connect(api.address)
        .await
        .expect("it listens");
    let head = "GET /api/events HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";
    silent.write_all(head.as_bytes()).await.expect("it reads");
    // The clock of the test goes on by itself whenever all wait.
    let mut all = Vec::new();
    silent.read_to_end(&mut all).await.expect("it ends");
    assert!(all.starts_with(b"HTTP/1.1 101 "), "{all:?}");
    let reason = b"you answer no ping";
    assert!(all.ends_with(reason), "{:?}", String::from_utf8_lossy(&all));
    assert_eq!(api.shared.counts.streams.load(Relaxed), 0);
}
