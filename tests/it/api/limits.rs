//! Every bound of the listener, at the bound. Time is paused: it jumps ahead
//! whenever everybody waits.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::three;
use crate::support::api::{Api, document, parse};
use crate::support::echo;

/// Connections that are served at a time.
const CONNECTIONS: usize = 256;

const ASK: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

async fn connect(api: &Api) -> TcpStream {
    TcpStream::connect(api.address).await.expect("it listens")
}

/// Whether an answer to [`ASK`] comes within a moment.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 1024];
    let read = timeout(Duration::from_millis(200), stream.read(&mut bytes)).await;
    matches!(read, Ok(Ok(n)) if bytes[..n].starts_with(b"HTTP/1.1 200"))
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let api = Api::start(three()).await;
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = connect(&api).await;
        stream.write_all(ASK).await.expect("it listens");
        assert!(is_answered(&mut stream).await);
        streams.push(stream);
    }
    let mut late = connect(&api).await;
    late.write_all(ASK).await.expect("the system accepts it");
    assert!(!is_answered(&mut late).await);
    drop(streams.pop());
    assert!(is_answered(&mut late).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_too_slow_is_cut_off() {
    let api = Api::start(three()).await;
    let before = api.state();
    // Half a head, and nothing at all.
    for sent in [&b"GET /livez HTTP/1.1\r\nhost: local"[..], b""] {
        let started = Instant::now();
        let mut stream = connect(&api).await;
        stream.write_all(sent).await.expect("it listens");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let took = started.elapsed().as_secs();
        assert!((30..40).contains(&took), "{took} s");
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    // An idle connection after a request.
    let mut stream = connect(&api).await;
    stream.write_all(ASK).await.expect("it listens");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    // Half a body.
    let mut stream = connect(&api).await;
    let half = b"PUT /api/servers/a/weight HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\ncontent-length: 12\r\n\r\n{\"weig";
    stream.write_all(half).await.expect("it listens");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let reply = parse(&answer).expect("an answer");
    assert_eq!((reply.status, &*reply.problem()), (408, "timeout"));
    assert_eq!(api.state(), before);
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_nothing_is_cut_off() {
    let mut document = three();
    document["routing"] = json!({ "virtual_nodes": 4000 });
    let api = Api::start(document).await;
    let mut stream = connect(&api).await;
    let ask = b"GET /api/ring?limit=10000 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(&ask.repeat(50)).await.expect("it listens");
    // About 1.6 MB for each: more than the system keeps for a reader.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let whole = answer
        .windows(15)
        .filter(|window| *window == b"HTTP/1.1 200 OK");
    let n = whole.count();
    assert!((1..50).contains(&n), "{n} answers");
    assert_eq!(api.get("/livez").await.status, 200);
}

#[tokio::test]
async fn heads_have_bounds() {
    let api = Api::start(three()).await;
    let fields = |n: usize| "x: y\r\n".repeat(n);
    // Host and Connection are two more.
    let reply = api.send("GET", "/livez", &fields(98), b"").await;
    assert_eq!(reply.status, 200);
    let reply = api.send("GET", "/livez", &fields(99), b"").await;
    assert_eq!(reply.status, 431);
    let long = |n: usize| format!("x: {}\r\n", "y".repeat(n));
    let reply = api.send("GET", "/livez", &long(30 << 10), b"").await;
    assert_eq!(reply.status, 200);
    // What has come in one piece may be a little longer.
    let reply = api.send("GET", "/livez", &long(80 << 10), b"").await;
    assert_eq!(reply.status, 431);
}

#[tokio::test]
async fn whoever_is_refused_while_sending_learns_why() {
    let api = Api::start(three()).await;
    let mut stream = connect(&api).await;
    let head = "POST /api/route HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\ncontent-length: 20000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it listens");
    // All is sent before anything is read.
    let written = stream.write_all(&vec![b' '; 20_000_000]).await;
    assert!(written.is_ok(), "{written:?}");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let reply = parse(&answer).expect("an answer");
    assert_eq!((reply.status, &*reply.problem()), (413, "too-large"));
}

#[tokio::test]
async fn on_stop_what_is_under_way_ends_and_nothing_new_begins() {
    let address = echo::start().await;
    let mut document = document(&[("a", "127.0.0.1", address.port())]);
    document["timeouts"] = json!({ "response_header": 0.3 });
    let api = Api::start(document).await;
    let mut idle = connect(&api).await;
    idle.write_all(ASK).await.expect("it listens");
    assert!(is_answered(&mut idle).await);
    let ask = json!({ "key": "k", "path": "/mute", "forward": true });
    let (reply, ()) = tokio::join!(api.post("/api/route", &ask), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        api.stop.cancel();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(api.address).await.is_err());
        // Told to go, since it does nothing.
        let mut rest = Vec::new();
        assert!(idle.read_to_end(&mut rest).await.is_ok());
        drop(idle);
    });
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["forwarded"]["error"], "no answer within 0.3 s");
    timeout(Duration::from_secs(5), api.task)
        .await
        .expect("it ends at once")
        .expect("and in order");
}
