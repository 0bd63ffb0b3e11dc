//! Too much of everything: clients and servers that are slow, large, many or
//! endless. What is over a limit is cut or refused, honest requests are answered
//! beside it, and afterwards everything is as before.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ringway::native::clock;
use serde_json::json;

use crate::support::client::Client;
use crate::support::origin::{After, Origin, ok};
use crate::support::program::{Program, api, at, folder, free_port, write};
use crate::support::proxy::{Proxy, eventually};

/// How long an honest request may take beside an attack; it takes milliseconds,
/// and a proxy that an attack holds up takes for ever.
const BESIDE: Duration = Duration::from_secs(5);

fn honest(proxy: &Proxy) {
    let began = clock::now();
    let answer = Client::connect(proxy.address).get("/honest");
    let took = clock::now().since(began);
    assert_eq!(answer.status, 200);
    assert!(took < BESIDE, "an honest request took {took:?}");
}

fn n_connections(proxy: &Proxy) -> u64 {
    proxy.shared.counts.connections.load(SeqCst)
}

fn all_gone(proxy: &Proxy) {
    eventually("every connection is gone", || n_connections(proxy) == 0);
    assert_eq!(proxy.in_flight(), 0);
}

/// Whether the other side ends this connection; what it said before that.
fn ended(client: &mut Client) -> String {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = client.stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

fn many(proxy: &Proxy, n: usize, bytes: &str) -> Vec<Client> {
    let connect = |_| {
        let mut client = Client::connect(proxy.address);
        client.send(bytes);
        client
    };
    (0..n).map(connect).collect()
}

#[test]
fn bodies_over_the_limit_are_refused_before_a_server_sees_them_or_as_soon_as_they_are() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(
        &[("a", origin.address)],
        r#""limits": {"request_body": 10}"#,
    );
    let post = |rest: &str| {
        let mut client = Client::connect(proxy.address);
        client.send(format!("POST / HTTP/1.1\r\nhost: test\r\n{rest}"));
        client.answer()
    };
    let answer = post("content-length: 10\r\n\r\n0123456789");
    assert_eq!((answer.status, origin.got().len()), (200, 1));
    for rest in [
        "content-length: 11\r\n\r\n",
        "content-length: 11\r\nexpect: 100-continue\r\n\r\n",
        "content-length: 99999999999\r\n\r\n",
    ] {
        let answer = post(rest);
        assert_eq!(answer.status, 413, "{rest}");
        assert_eq!(answer.all("connection"), ["close"]);
    }
    let chunked = "transfer-encoding: chunked\r\n\r\n6\r\n012345\r\n";
    assert_eq!(
        post(&format!("{chunked}4\r\n6789\r\n0\r\n\r\n")).status,
        200
    );
    let answer = post(&format!("{chunked}5\r\n67890\r\n"));
    assert_eq!(answer.status, 413, "while it comes");
    assert_eq!(
        answer.text(),
        "content too large: the body is more than is taken here\n"
    );
    // An idempotent one is not tried at another server either.
    let mut client = Client::connect(proxy.address);
    client.send(format!(
        "PUT / HTTP/1.1\r\nhost: test\r\n{chunked}5\r\n67890\r\n"
    ));
    assert_eq!(client.answer().status, 413);
    assert_eq!(origin.got().len(), 2, "whole requests that came there");
    assert!(
        proxy
            .shared
            .snapshot()
            .servers
            .iter()
            .all(|s| s.total.errors == 0)
    );
}

const PACE: &str = r#""limits": {"min_rate": 20000, "min_rate_window": 0.3}"#;

#[test]
fn a_body_that_trickles_is_cut_and_one_that_is_fast_enough_or_awaits_its_server_is_not() {
    let is_read = Arc::new((Mutex::new(false), Condvar::new()));
    let reads = Arc::clone(&is_read);
    let origin = Origin::at_head(move |got, stream| {
        let (is_read, moved) = &*reads;
        if got.line.contains("/late") {
            // Longer than the window: the client is not at fault.
            let lock = is_read.lock().expect("nobody panics under it");
            let _ = moved.wait_timeout(lock, Duration::from_millis(700));
        }
        let length = got.all("content-length");
        let mut left: usize = length.first().map_or(0, |n| n.parse().expect("a number"));
        let mut buffer = vec![0; 65_536];
        while left > 0 {
            let most = left.min(buffer.len());
            match stream.read(&mut buffer[..most]) {
                Ok(n) if n > 0 => left -= n,
                _ => return After::Close,
            }
        }
        ok(stream, "read");
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], PACE);
    // A byte each 50 ms never lets it rest, and never is enough.
    let mut trickle = Client::connect(proxy.address);
    trickle.send("POST /slow HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n");
    let is_cut = Arc::new(AtomicBool::new(false));
    let (mut writer, stop) = (
        trickle.stream.try_clone().expect("a second handle"),
        Arc::clone(&is_cut),
    );
    let began = clock::now();
    let writing = std::thread::spawn(move || {
        while !stop.load(SeqCst) && writer.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    honest(&proxy);
    let answer = trickle.answer();
    let took = clock::now().since(began);
    is_cut.store(true, SeqCst);
    writing.join().expect("it stops");
    assert_eq!(answer.status, 408);
    assert!(took >= Duration::from_millis(300), "{took:?}");
    // More than the window long, at about twice the rate.
    let mut steady = Client::connect(proxy.address);
    steady.send("POST /fast HTTP/1.1\r\nhost: test\r\ncontent-length: 40000\r\n\r\n");
    for _ in 0..20 {
        steady.send([b'x'; 2000]);
        std::thread::sleep(Duration::from_millis(40));
    }
    assert_eq!(steady.answer().status, 200);
    let mut early = Client::connect(proxy.address);
    let body = vec![b'x'; 8_000_000];
    early.send("POST /late HTTP/1.1\r\nhost: test\r\ncontent-length: 8000000\r\n\r\n");
    early.send(&body);
    assert_eq!(early.answer().status, 200, "its server took its time");
    drop((trickle, steady, early));
    all_gone(&proxy);
}

#[test]
fn a_reader_that_does_not_read_is_cut_and_one_that_is_fast_enough_is_not() {
    const LENGTH: usize = 30_000_000;
    let origin = Origin::new(|got, stream| {
        if !got.line.contains("/large") {
            ok(stream, "small");
            return After::Keep;
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&vec![b'x'; LENGTH]);
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], PACE);
    let mut idle = many(&proxy, 10, "GET /large HTTP/1.1\r\nhost: test\r\n\r\n");
    honest(&proxy);
    eventually("they are cut", || proxy.in_flight() == 0);
    for client in &mut idle {
        assert!(ended(client).len() < LENGTH, "it was cut");
    }
    // Always behind, and never too slow: 64 KiB each 20 ms.
    let mut slow = Client::connect(proxy.address);
    slow.send("GET /large HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    for _ in 0..50 {
        slow.read_exactly(65_536);
        std::thread::sleep(Duration::from_millis(20));
    }
    let rest = ended(&mut slow).len();
    assert!(rest + 50 * 65_536 > LENGTH, "all of it has come");
    drop((idle, slow));
    all_gone(&proxy);
}

#[test]
fn a_flood_of_connections_makes_room_among_those_at_rest_and_is_refused_beyond() {
    let held = Arc::new((Mutex::new(false), Condvar::new()));
    let release = Arc::clone(&held);
    let origin = Origin::new(move |got, stream| {
        if got.line.contains("/held") {
            let (is_open, opened) = &*release;
            let shut = is_open.lock().expect("nobody panics under it");
            let waited = opened.wait_timeout_while(shut, Duration::from_secs(15), |open| !*open);
            drop(waited);
        }
        ok(stream, "a");
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], r#""limits": {"connections": 8}"#);
    let mut resting: Vec<Client> = (0..8).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut resting {
        assert_eq!(client.get("/").status, 200);
    }
    // Eight rest: each new one ends the one that has rested longest.
    honest(&proxy);
    assert!(resting[0].is_ended());
    assert!(proxy.shared.counts.connections_ended.load(SeqCst) > 0);
    drop(resting);
    all_gone(&proxy);
    // Eight are busy: nobody makes room, and nobody hangs.
    let mut busy = many(&proxy, 8, "GET /held HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("they are there", || proxy.in_flight() == 8);
    let flood = many(&proxy, 100, "GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    let mut refused = Client::connect(proxy.address);
    refused.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    drop(flood);
    eventually("they are refused", || {
        proxy.shared.counts.connections_refused.load(SeqCst) >= 50
    });
    let mut refused_too = Client::connect(proxy.address);
    let answer = refused_too.get("/");
    assert_eq!((answer.status, answer.all("retry-after")), (503, vec!["1"]));
    assert!(refused_too.is_ended());
    let (is_open, opened) = &*held;
    *is_open.lock().expect("nobody panics under it") = true;
    opened.notify_all();
    for client in &mut busy {
        assert_eq!(client.answer().status, 200);
    }
    honest(&proxy);
    drop((busy, refused, refused_too));
    all_gone(&proxy);
}

#[test]
fn slow_heads_long_heads_and_endless_ones_end_while_honest_requests_are_answered() {
    let origin = Origin::named("a");
    let settings = r#""timeouts": {"client_header": 0.5}"#;
    let proxy = Proxy::start(&[("a", origin.address)], settings);
    // Slow: a field now and then, never the last.
    let mut slow = many(&proxy, 50, "GET / HTTP/1.1\r\nhost: test\r\n");
    for _ in 0..3 {
        for client in &mut slow {
            client.send("x-a: b\r\n");
        }
        honest(&proxy);
        std::thread::sleep(Duration::from_millis(150));
    }
    for client in &mut slow {
        ended(client);
    }
    // Pipelined without reading an answer.
    let pipeline = "GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(2000);
    let floods = many(&proxy, 4, &pipeline);
    honest(&proxy);
    // Fields without an end, and an address without an end.
    let mut fields = Client::connect(proxy.address);
    fields.send("GET / HTTP/1.1\r\nhost: test\r\n");
    fields.send("x-a: b\r\n".repeat(10_000));
    assert!(ended(&mut fields).starts_with("HTTP/1.1 431"));
    let mut long = Client::connect(proxy.address);
    long.send(format!(
        "GET /{} HTTP/1.1\r\nhost: test\r\n\r\n",
        "a".repeat(100_000)
    ));
    let said = ended(&mut long);
    assert!(
        said.starts_with("HTTP/1.1 414") || said.starts_with("HTTP/1.1 431"),
        "{said}"
    );
    // A chunk's extension without an end.
    let mut extension = Client::connect(proxy.address);
    extension.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n1;");
    for _ in 0..100 {
        extension.send("a".repeat(10_000));
    }
    let said = ended(&mut extension);
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 400"),
        "{said}"
    );
    honest(&proxy);
    drop((slow, floods, fields, long, extension));
    all_gone(&proxy);
}

#[test]
fn servers_that_answer_without_end_are_cut_and_cost_one_answer_each() {
    let origin = Origin::new(|got, stream| {
        let path = got.line.split(' ').nth(1).unwrap_or_default();
        let endless: &[u8] = match path {
            "/fields" => b"x-filler: 0123456789012345678901234567890123456789\r\n",
            "/line" => b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "/interim" => b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
            "/drip" => b"x",
            _ => {
                ok(stream, "a");
                return After::Keep;
            }
        };
        if matches!(path, "/fields" | "/drip") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-first: ");
        }
        // To the end of the connection, as the proxy sees to.
        while stream.write_all(endless).is_ok() {
            match path {
                "/drip" => std::thread::sleep(Duration::from_millis(30)),
                "/interim" => std::thread::sleep(Duration::from_millis(2)),
                _ => {}
            }
        }
        After::Close
    });
    let settings = r#""timeouts": {"response_header": 0.5}, "ejection": {"consecutive_5xx": 0}"#;
    let proxy = Proxy::start(&[("a", origin.address)], settings);
    for path in ["/fields", "/line", "/interim", "/drip"] {
        let mut asking = Client::connect(proxy.address);
        asking.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        honest(&proxy);
        let status = asking.head().map(|answer| answer.status);
        assert!(matches!(status, Some(502 | 504)), "{path}: {status:?}");
    }
    honest(&proxy);
    all_gone(&proxy);
}

/// Seconds of processor time that a process has used.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |i: usize| fields[i].parse::<f64>().expect("a number");
    // User and system time, in hundredths.
    (ticks(12) + ticks(13)) / 100.0
}

#[test]
fn without_descriptors_nobody_hangs_no_server_is_blamed_and_all_comes_back() {
    let held = Arc::new((Mutex::new(false), Condvar::new()));
    let release = Arc::clone(&held);
    let origin = Origin::new(move |got, stream| {
        if got.line.contains("/held") {
            let (is_open, opened) = &*release;
            let shut = is_open.lock().expect("nobody panics under it");
            let waited = opened.wait_timeout_while(shut, Duration::from_secs(30), |open| !*open);
            drop(waited);
        }
        ok(stream, "a");
        After::Keep
    });
    let (proxy, port) = (free_port(), free_port());
    let file = folder("descriptors").join("config.json");
    let document = json!({
        "servers": [at("a", origin.address)],
        "listen": {"port": proxy}, "api": {"port": port},
        "process": {"workers": 1},
        "health_check": {"interval": 0.3, "timeout": 0.3, "fall": 1},
    });
    write(&file, &document);
    let mut command = std::process::Command::new("sh");
    let script = "ulimit -n 64; exec \"$0\" serve --config \"$1\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_ringway")])
        .arg(&file);
    let mut program = Program::run(command.stdin(std::process::Stdio::null()), proxy);
    assert!(
        program.log().contains("descriptors may run out"),
        "{}",
        program.log()
    );
    // About two descriptors each: no more than there are.
    let mut busy: Vec<Client> = Vec::new();
    let mut n_refused = 0;
    while n_refused < 3 {
        assert!(busy.len() < 64, "more than there are descriptors");
        let mut client = Client::connect(program.proxy);
        client.send("GET /held HTTP/1.1\r\nhost: test\r\n\r\n");
        client
            .stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .expect("a timeout");
        let mut first = [0; 12];
        match client.stream.peek(&mut first) {
            Ok(n) if n > 0 => {
                assert_eq!(&first[..n.min(12)], b"HTTP/1.1 503");
                n_refused += 1;
            }
            // Reset, or turned away before it was read.
            Ok(_) => n_refused += 1,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => busy.push(client),
            Err(_) => n_refused += 1,
        }
    }
    // Further ones than can be accepted, which must not keep it busy.
    let flood: Vec<Option<TcpStream>> = (0..40)
        .map(|_| TcpStream::connect(program.proxy).ok())
        .collect();
    let before = used(program.process.id());
    std::thread::sleep(Duration::from_secs(1));
    let busy_for = used(program.process.id()) - before;
    assert!(
        busy_for < 0.5,
        "{busy_for} s of processor time in one second"
    );
    drop(flood);
    let (is_open, opened) = &*held;
    *is_open.lock().expect("nobody panics under it") = true;
    opened.notify_all();
    drop(busy);
    eventually("it serves again", || {
        let mut client = Client::connect(program.proxy);
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
        client.head().is_some_and(|answer| answer.status == 200)
    });
    let (status, servers) = api(port, "GET", "/api/servers", &json!(null));
    let servers: serde_json::Value = serde_json::from_str(&servers).expect("JSON");
    let server = &servers["servers"][0];
    assert_eq!(status, 200);
    assert_eq!(server["ejected"], json!(false), "{server}");
    assert_eq!(server["health"], json!("healthy"), "{server}");
    assert_eq!(server["errors"], json!(0), "{server}");
    let (_, figures) = api(port, "GET", "/metrics", &json!(null));
    let failed = figures
        .lines()
        .find_map(|line| line.strip_prefix("ringway_accept_failed_total "));
    let refused = figures
        .lines()
        .find_map(|line| line.strip_prefix("ringway_client_connections_refused_total "));
    let number = |text: Option<&str>| text.expect("it is there").parse::<u64>().expect("a number");
    assert!(
        number(failed) > 0 || number(refused) > 0,
        "{failed:?} {refused:?}"
    );
    program.end();
}
