//! What happens to the fleet, as live streams tell it and as it is recorded,
//! over real sockets and by the real program.

mod ticks;
mod websocket;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ringway::engine::Command;
use ringway::native::driver;
use ringway::native::telemetry::feed::Kind;
use ringway::native::telemetry::record::Recorder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::api::{Api, document};
use crate::support::client::Client;
use crate::support::program::{Program, at, folder, free_port, write};
use crate::support::{name, weight};

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reader of a live stream.
struct Follower {
    stream: TcpStream,
    bytes: Vec<u8>,
    text: String,
}

/// An event as it came.
#[derive(Debug)]
struct Told {
    id: String,
    name: String,
    data: Value,
}

impl Told {
    fn seq(&self) -> u64 {
        self.data["seq"].as_u64().expect("a number")
    }
}

impl Follower {
    /// Asks for the stream; `extra` are further header fields.
    async fn ask(address: SocketAddr, extra: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let head = format!(
            "GET /api/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{extra}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        Self {
            stream,
            bytes: Vec::new(),
            text: String::new(),
        }
    }

    /// Asks, and finds that it is let in.
    async fn start(address: SocketAddr, extra: &str) -> Self {
        let mut follower = Self::ask(address, extra).await;
        let head = follower.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let retry = follower.block().await.expect("a block");
        assert_eq!(retry, "retry: 2000");
        follower
    }

    async fn head(&mut self) -> String {
        let end = self.find(b"\r\n\r\n").await.expect("a head");
        let head: Vec<u8> = self.bytes.drain(..end + 4).collect();
        String::from_utf8(head).expect("text")
    }

    /// Where `pattern` stands; `None` when the connection ends without it.
    async fn find(&mut self, pattern: &[u8]) -> Option<usize> {
        loop {
            let mut windows = self.bytes.windows(pattern.len());
            if let Some(at) = windows.position(|window| window == pattern) {
                return Some(at);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 << 10];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        match read.expect("something comes, or the end") {
            Ok(n @ 1..) => self.bytes.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
        Some(())
    }

    /// A chunk of the body; `Some("")` is its good end, `None` a bad one.
    async fn chunk(&mut self) -> Option<String> {
        let end = self.find(b"\r\n").await?;
        let size: Vec<u8> = self.bytes.drain(..end + 2).collect();
        let size = std::str::from_utf8(&size[..end]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        while self.bytes.len() < size + 2 {
            self.more().await?;
        }
        let chunk: Vec<u8> = self.bytes.drain(..size + 2).collect();
        Some(String::from_utf8(chunk[..size].to_vec()).expect("text"))
    }

    /// What stands before an empty line; `None` at the end, whatever it is.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let chunk = self.chunk().await?;
            if chunk.is_empty() {
                return None;
            }
            self.text += &chunk;
        }
    }

    async fn next(&mut self) -> Option<Told> {
        let block = self.block().await?;
        let mut fields = block.lines().map(|line| line.split_once(": "));
        let mut field = |name: &str| {
            let (found, value) = fields.next().flatten().expect("a field");
            assert_eq!(found, name, "{block}");
            value.to_owned()
        };
        let (id, name, data) = (field("id"), field("event"), field("data"));
        let data: Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(data["event"], name.as_str());
        let seq = data["seq"].as_u64().expect("a number").to_string();
        assert_eq!(id.rsplit('.').next(), Some(seq.as_str()));
        Some(Told { id, name, data })
    }

    /// The next event of this name.
    async fn await_named(&mut self, name: &str) -> Told {
        loop {
            let told = self.next().await.expect("the stream goes on");
            if told.name == name {
                return told;
            }
        }
    }
}

/// A healthy server that dies when the handle is aborted.
async fn mortal() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    (address, task)
}

fn quick_checks() -> Value {
    // Twice half a second without an answer is more than a busy machine makes.
    json!({"interval": 0.5, "timeout": 0.5, "fast_interval": 0.05, "fall": 2, "rise": 1})
}

fn set_weight(api: &Api, server: &str, n: u64) {
    let command = Command::SetWeight(name(server), weight(n));
    api.shared.apply(command).expect("it is there");
}

#[tokio::test]
async fn a_stream_begins_with_the_state_and_tells_what_happens_at_once() {
    let (address, server) = mortal().await;
    let mut document = document(&[("mortal", "127.0.0.1", address.port())]);
    document["health_check"] = quick_checks();
    document["api"] = json!({"token": "0123456789abcdef"});
    let mut api = Api::start(document).await;
    let reports = api.reports.take().expect("nobody else drives it");
    let stop = CancellationToken::new();
    tokio::spawn(driver::run(Arc::clone(&api.shared), reports, stop.clone()));

    // Nobody without the token, as for every GET of the API.
    let mut stranger = Follower::ask(api.address, "").await;
    assert!(stranger.head().await.starts_with("HTTP/1.1 401"));
    let token = "authorization: Bearer 0123456789abcdef\r\n";
    let mut follower = Follower::start(api.address, token).await;
    let state = follower.next().await.expect("a state");
    assert_eq!(state.name, "snapshot");
    assert_eq!(state.data["format"], "ringway-events");
    assert_eq!(state.data["version"], 2);
    assert_eq!(state.data["generation"], 1);
    assert_eq!(state.data["since_s"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        state.data["routing"]["fingerprint"],
        state.data["fingerprint"]
    );
    assert_eq!(state.data["config"]["api"]["token"], "[redacted]");
    assert_eq!(state.data["config"]["servers"][0]["name"], "mortal");
    assert_eq!(state.data["servers"][0]["name"], "mortal");

    let first = follower.await_named("tick").await;
    assert_eq!(first.data["servers"], json!(["mortal"]));
    for column in ["in_flight", "requests", "errors", "p50_ms", "p99_ms"] {
        assert_eq!(
            first.data[column].as_array().map(Vec::len),
            Some(1),
            "{column}"
        );
    }
    follower.await_named("tick").await;
    server.abort();
    let died = timeout(Duration::from_secs(2), async {
        let died = follower.await_named("health-changed").await;
        assert_eq!(died.data["server"], "mortal");
        assert_eq!(died.data["health"], "unhealthy");
        died
    });
    let died = died.await.expect("within two seconds");
    assert!(
        died.data["why"]
            .as_str()
            .is_some_and(|why| why.contains("connect"))
    );
    assert_eq!(follower.await_named("fail-open").await.data["on"], true);
    let tick = follower.await_named("tick").await;
    let changed = &tick.data["changed"];
    assert_eq!(changed["server"], json!([0]));
    assert_eq!(changed["standing"], json!(["unhealthy"]));
    assert_eq!(changed["probe_why"], json!([0]));
    assert_eq!(changed["reasons"], json!([died.data["why"]]));
    stop.cancel();
}

#[tokio::test]
async fn who_comes_back_misses_nothing_and_gets_nothing_twice() {
    let api = Api::start(document(&[
        ("a", "127.0.0.1", 1001),
        ("b", "127.0.0.1", 1002),
    ]))
    .await;
    let mut follower = Follower::start(api.address, "").await;
    assert_eq!(
        follower.await_named("snapshot").await.data["servers"][0]["weight"],
        1
    );
    set_weight(&api, "a", 2);
    let last = follower.await_named("weight-changed").await;
    assert_eq!(last.data["weight"], 2);
    // A third of the ring was a's beside b's half, more or less.
    let moved = last.data["moved"].as_f64().expect("a part");
    assert!((0.05..0.4).contains(&moved), "{moved}");
    drop(follower);

    for n in 3..40 {
        set_weight(&api, "a", n);
    }
    let id = format!("last-event-id: {}\r\n", last.id);
    let mut follower = Follower::start(api.address, &id).await;
    for n in 3..40 {
        let told = follower.next().await.expect("a line");
        assert_eq!(told.name, "weight-changed");
        assert_eq!(told.data["weight"], n);
        assert_eq!(told.seq(), last.seq() + n - 2);
    }
    // Of another process, or gone from the ring: the state anew.
    let seq = api.shared.feed.last();
    for _ in 0..2000 {
        api.shared.feed.push(Kind::News, |seq| ("x", seq));
    }
    for id in ["0123456789abcdef.1", &last.id, "x", ""] {
        let id = format!("last-event-id: {id}\r\n");
        let mut follower = Follower::start(api.address, &id).await;
        let state = follower.next().await.expect("a line");
        assert_eq!(state.name, "snapshot", "{id}");
        assert_eq!(state.data["servers"][0]["weight"], 39);
        assert_eq!(state.seq(), seq + 2000);
        set_weight(&api, "b", 1);
    }
}

#[tokio::test]
async fn a_reader_that_cannot_keep_up_is_cut_off_and_others_are_not() {
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let mut slow = Follower::start(api.address, "").await;
    let mut quick = Follower::start(api.address, "").await;
    let first = quick.await_named("snapshot").await.seq();
    let n_lines = 400_u64;
    let reading = tokio::spawn(async move {
        for seq in first + 1..=first + n_lines {
            assert_eq!(quick.next().await.expect("a line").seq(), seq);
        }
        quick
    });
    // Far more than sockets and the ring hold together.
    for _ in 0..n_lines {
        let shape = |seq| json!({"event": "x", "seq": seq, "long": "x".repeat(100_000)});
        api.shared.feed.push(Kind::News, |seq| ("x", shape(seq)));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut quick = reading.await.expect("it reads all");
    let n_read = async {
        let mut n = 0;
        while slow.next().await.is_some() {
            n += 1;
        }
        n
    };
    assert!(n_read.await < n_lines);
    // Not as a stream that is over.
    assert!(!slow.bytes.ends_with(b"0\r\n\r\n"));
    assert_eq!(api.shared.counts.streams_cut.load(Relaxed), 1);
    set_weight(&api, "a", 2);
    quick.await_named("weight-changed").await;
    assert_eq!(api.shared.counts.streams.load(Relaxed), 1);
}

#[tokio::test]
async fn there_are_only_so_many_streams_and_all_end_at_shutdown() {
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let mut followers = Vec::new();
    for _ in 0..32 {
        followers.push(Follower::start(api.address, "").await);
    }
    let reply = api.get("/api/events?format=sse").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.problem(), "too-many-streams");
    assert_eq!(reply.header("retry-after"), "5");
    // The rest of the API is there, the log of the last minutes too.
    assert_eq!(api.get("/api/servers").await.status, 200);
    assert_eq!(api.get("/api/events").await.status, 200);
    followers.pop();
    let mut again = Follower::ask(api.address, "").await;
    let mut head = again.head().await;
    while head.starts_with("HTTP/1.1 503") {
        // That one has left is not known at once.
        tokio::time::sleep(Duration::from_millis(10)).await;
        set_weight(&api, "a", 2);
        set_weight(&api, "a", 1);
        again = Follower::ask(api.address, "").await;
        head = again.head().await;
    }
    api.stop.cancel();
    for follower in &mut followers {
        while let Some(chunk) = follower.chunk().await {
            if chunk.is_empty() {
                break;
            }
        }
        assert!(
            follower.more().await.is_none(),
            "its end is a good one, and the last"
        );
    }
    timeout(PATIENCE, api.task)
        .await
        .expect("it ends")
        .expect("in order");
}

/// Servers by name: health, whether ejected, admin state.
type States = BTreeMap<String, (String, bool, String)>;

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn states(servers: &Value) -> States {
    let servers = servers.as_array().expect("a list").iter();
    let state = |server: &Value| {
        let (health, state) = (text(&server["health"]), text(&server["state"]));
        let ejected = server["ejected"].as_bool().expect("a truth");
        (text(&server["name"]), (health, ejected, state))
    };
    servers.map(state).collect()
}

/// What a recording comes to, line by line.
fn replay(lines: &str) -> States {
    let mut now = States::new();
    for (i, line) in lines.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("a whole line");
        let event = text(&line["event"]);
        if event == "snapshot" {
            now = states(&line["servers"]);
            continue;
        }
        assert_ne!(i, 0, "it begins with a state");
        let Some(server) = line["server"].as_str() else {
            continue;
        };
        if event == "server-added" {
            assert_eq!(line["spec"]["name"], server);
            let fresh = ("unknown".to_owned(), false, "active".to_owned());
            now.insert(server.to_owned(), fresh);
        }
        let known = now.get_mut(server).expect("a server that joined");
        match event.as_str() {
            "server-removed" => _ = now.remove(server),
            "health-changed" => known.0 = text(&line["health"]),
            "health-forgotten" => known.0 = "unknown".to_owned(),
            "ejected" => known.1 = true,
            "trial-began" => known.1 = false,
            "state-changed" => known.2 = text(&line["state"]),
            _ => {}
        }
    }
    now
}

#[tokio::test]
async fn the_log_of_the_last_minutes_replays_to_the_present() {
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let added = json!({"name": "b", "address": "127.0.0.1", "port": 1002});
    assert_eq!(api.post("/api/servers", &added).await.status, 201);
    let draining = json!({"state": "draining"});
    api.put("/api/servers/a/state", &draining).await;
    let reply = api.get("/api/events?format=jsonl").await;
    assert_eq!(reply.header("content-type"), "application/jsonl");
    let expected = states(&api.get("/api/servers").await.json()["servers"]);
    assert_eq!(replay(&reply.text()), expected);
    assert_eq!(reply.text().lines().count(), 3, "{}", reply.text());
    let reply = api.get("/api/events?format=xml").await;
    assert_eq!(
        (reply.status, reply.faults()),
        (400, vec!["format".to_owned()])
    );
}

fn ask(address: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let mut client = Client::connect(address);
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = client.answer();
    assert!(answer.status < 300, "{method} {path}: {answer:?}");
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn a_recording_replays_to_the_states_that_the_program_ended_in() {
    let folder = folder("events-recording");
    let ((dies, death), (lives, _task)) = (mortal().await, mortal().await);
    let (file, record) = (folder.join("config.json"), folder.join("record.jsonl"));
    let (port, api_port) = (free_port(), free_port());
    let document = json!({
        "servers": [at("dies", dies), at("leaves", lives), at("stays", lives), at("drained", lives)],
        "listen": {"port": port},
        "health_check": quick_checks(),
        "routing": {"slow_start": 30},
        "api": {"port": api_port},
    });
    write(&file, &document);
    let args = ["--record".as_ref(), record.as_os_str()];
    let mut program = Program::start_with(&file, port, &args);
    let api = SocketAddr::from(([127, 0, 0, 1], api_port));
    let done = tokio::task::spawn_blocking(move || {
        let healthy = |n: usize| {
            let all = || ask(api, "GET", "/api/servers", &Value::Null)["servers"].to_string();
            crate::support::proxy::eventually("health", || {
                all().matches("\"health\":\"healthy\"").count() == n
            });
        };
        healthy(4);
        death.abort();
        healthy(3);
        ask(api, "DELETE", "/api/servers/leaves", &Value::Null);
        let draining = json!({"state": "draining"});
        ask(api, "PUT", "/api/servers/drained/state", &draining);
        ask(api, "POST", "/api/servers", &at("joins", lives));
        healthy(3);
        states(&ask(api, "GET", "/api/servers", &Value::Null)["servers"])
    });
    let expected = done.await.expect("no panic");
    assert_eq!(expected["dies"].0, "unhealthy");
    assert_eq!(expected["drained"].2, "draining");
    // At least one line of figures.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    program.signal("-TERM");
    assert!(program.process.wait().expect("it ends").success());
    let lines = std::fs::read_to_string(&record).expect("a recording");
    assert_eq!(replay(&lines), expected);
    assert!(lines.contains("\"event\":\"tick\""), "{lines}");
    let lines = lines.lines().map(serde_json::from_str::<Value>);
    let died = lines.flatten().find(|line| line["health"] == "unhealthy");
    // About a quarter of the ring was its own.
    let moved = died.expect("it died")["moved"].as_f64().expect("a part");
    assert!((0.1..0.4).contains(&moved), "{moved}");
}

#[tokio::test]
async fn a_full_recording_is_set_aside_and_goes_on_without_a_gap() {
    let folder = folder("events-full");
    let file = folder.join("record.jsonl");
    let api = Api::start(document(&[("a", "127.0.0.1", 1001)])).await;
    let recorder = Recorder::new(Arc::clone(&api.shared), file.clone(), 40_000);
    let recorder = recorder.expect("a writable folder");
    let stop = CancellationToken::new();
    let running = tokio::spawn(recorder.run(stop.clone()));
    for n in 0..600 {
        set_weight(&api, "a", 1 + n % 7);
        if n % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.cancel();
    running.await.expect("it ends");
    let read = |path: &Path| -> Vec<Value> {
        let text = std::fs::read_to_string(path).expect("a recording");
        assert!(text.len() < 120_000, "{}", text.len());
        let line = |line| serde_json::from_str(line).expect("a whole line");
        text.lines().map(line).collect()
    };
    let (aside, now) = (read(&folder.join("record.jsonl.1")), read(&file));
    for part in [&aside, &now] {
        assert_eq!(part[0]["event"], "snapshot");
        for (i, line) in part.iter().enumerate() {
            let expected = part[0]["seq"].as_u64().expect("a number") + i as u64;
            assert_eq!(line["seq"], expected);
        }
    }
    assert_eq!(aside.last().expect("lines")["seq"], now[0]["seq"]);
    assert_eq!(now.last().expect("lines")["seq"], api.shared.feed.last());
}
