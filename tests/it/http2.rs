//! HTTP/2 with clients: real ones (curl, nghttp, h2load), one that uses the
//! protocol to its limits, and raw frames where it matters which come when.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request, Response};
use serde_json::json;

use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::frames::{
    END_HEADERS, END_STREAM, Frames, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, fields, frame,
    get,
};
use crate::support::origin::{After, Origin, ok};
use crate::support::program::folder;
use crate::support::proxy::{Proxy, eventually};

/// Floods: others are served meanwhile.
mod floods;

const UNPROBED: &str = r#""health_check": {"enabled": false}"#;

/// What a command prints that is to succeed.
fn printed(command: &str, args: &[&str]) -> String {
    let output = Command::new(command).args(args).output();
    let output = output.unwrap_or_else(|_| panic!("{command} is installed"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command}: {said}");
    said
}

/// Runs a client on one connection.
fn client<F: Future>(
    address: SocketAddr,
    speak: impl FnOnce(SendRequest<Bytes>) -> F,
) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await;
        let stream = stream.expect("the proxy takes connections");
        let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        let patience = Duration::from_secs(20);
        let spoken = tokio::time::timeout(patience, speak(sender)).await;
        spoken.expect("it is in time")
    })
}

fn request(method: &str, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

/// Sends a request without a body.
async fn ask(sender: &SendRequest<Bytes>, request: http::request::Builder) -> Response<RecvStream> {
    let mut sender = sender.clone().ready().await.expect("it is open");
    let request = request.body(()).expect("a request");
    let (response, _) = sender.send_request(request, true).expect("it is open");
    response.await.expect("an answer")
}

/// Waits until `is_so`; whoever speaks by [`client`] has only so much time.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// All of a body, and the trailers.
async fn read(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        all.extend_from_slice(&data);
    }
    Ok((all, body.trailers().await?))
}

#[test]
fn real_clients_speak_it_with_and_without_tls() {
    let folder = folder("http2-clients");
    let authority = Authority::new(&folder, "ca");
    let files = authority.vouch("a", &["a.example"]);
    let origin = Origin::named("a");
    let clear = Proxy::start(&[("a", origin.address)], UNPROBED);
    let tls = json!({"tls": {"certificates": [files.named()]}});
    let tls = Proxy::start(
        &[("a", origin.address)],
        &format!(r#"{UNPROBED}, "listen": {tls}"#),
    );
    let url = format!("http://{}/", clear.address);
    let said = [
        "-sS",
        "--max-time",
        "20",
        "--noproxy",
        "*",
        "-w",
        " %{http_version}",
    ];
    let prior = [&said[..], &["--http2-prior-knowledge", &url]].concat();
    assert_eq!(printed("curl", &prior), "a 2");
    let port = tls.address.port();
    let resolve = format!("a.example:{port}:127.0.0.1");
    let (ca, secure) = (authority.file(), format!("https://a.example:{port}/"));
    let agreed = [
        "--cacert",
        ca.to_str().expect("UTF-8"),
        "--resolve",
        &resolve,
        &secure,
    ];
    assert_eq!(printed("curl", &[&said[..], &agreed].concat()), "a 2");
    let old = [&said[..], &["--http1.1"], &agreed[..]].concat();
    assert_eq!(printed("curl", &old), "a 1.1");
    let got = origin.got();
    let told: Vec<_> = got.iter().map(|got| got.all("via")[0]).collect();
    assert_eq!(told, ["2.0 ringway", "2.0 ringway", "1.1 ringway"]);
    assert_eq!(got[1].all("x-forwarded-proto"), ["https"]);
    let said = printed(
        "nghttp",
        &["-ns", &url, &format!("{url}2"), &format!("{url}3")],
    );
    assert_eq!(said.matches(" 200 ").count(), 3, "{said}");
    let secure = format!("https://127.0.0.1:{port}/");
    for url in [&url, &secure] {
        let said = printed("h2load", &["-n", "2000", "-c", "4", "-m", "20", url]);
        let clean = "2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(said.contains(clean), "{said}");
    }
}

#[test]
fn a_request_goes_on_as_http1_has_it() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], UNPROBED);
    client(proxy.address, async |sender| {
        let asked = request("GET", "http://a.example:81/x?y")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("cookie", "c=3; d=4")
            .header("host", "a.example:81")
            .header("te", "trailers")
            .header("x-forwarded-for", "6.6.6.6");
        assert_eq!(ask(&sender, asked).await.status(), 200);
        // A body of a length that nobody knows, with trailers.
        let (response, mut body) = {
            let mut sender = sender.clone().ready().await.expect("it is open");
            let asked = request("PUT", "http://a.example/")
                .header("trailer", "x-sum")
                .body(())
                .expect("a request");
            sender.send_request(asked, false).expect("it is open")
        };
        body.send_data(Bytes::from_static(b"hello "), false)
            .expect("open");
        body.send_data(Bytes::from_static(b"there"), false)
            .expect("open");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().expect("a value"));
        body.send_trailers(trailers).expect("open");
        assert_eq!(response.await.expect("an answer").status(), 200);
        // And one of a known length.
        let mut sender = sender.ready().await.expect("it is open");
        let asked = request("POST", "http://a.example/").header("content-length", "2");
        let asked = asked.body(()).expect("a request");
        let (response, mut body) = sender.send_request(asked, false).expect("it is open");
        body.send_data(Bytes::from_static(b"hi"), true)
            .expect("open");
        assert_eq!(response.await.expect("an answer").status(), 200);
    });
    let got = origin.got();
    assert_eq!(got[0].line, "GET /x?y HTTP/1.1");
    assert_eq!(got[0].all("host"), ["a.example:81"]);
    assert_eq!(got[0].all("cookie"), ["a=1; b=2; c=3; d=4"]);
    assert_eq!(got[0].all("te"), ["trailers"]);
    assert_eq!(got[0].all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(got[1].all("transfer-encoding"), ["chunked"]);
    assert_eq!(got[1].body, b"hello there");
    assert_eq!(got[1].trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(got[2].all("content-length"), ["2"]);
    assert!(got[2].all("transfer-encoding").is_empty());
    assert_eq!(got[2].body, b"hi");
}

#[test]
fn what_may_not_be_forwarded_is_refused_by_itself_and_others_go_on() {
    let origin = Origin::named("a");
    let settings = format!(r#"{UNPROBED}, "limits": {{"headers": 20, "header_bytes": 4096}}"#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    client(proxy.address, async |sender| {
        let uri = "http://a.example/";
        let mut many = request("GET", uri);
        for i in 0..21 {
            many = many.header(format!("x-{i}"), "y");
        }
        let large = request("GET", uri).header("x-large", "x".repeat(6000));
        for (asked, status) in [
            (request("GET", uri).header("host", "b.example"), 400),
            (
                request("GET", uri)
                    .header("host", "a.example")
                    .header("host", "a.example"),
                400,
            ),
            (request("OPTIONS", uri).header("max-forwards", "x"), 400),
            (many, 431),
            (large, 431),
        ] {
            let response = ask(&sender, asked).await;
            assert_eq!(response.status(), status);
        }
        let mut sender_now = sender.clone().ready().await.expect("it is open");
        let connect = Request::builder()
            .method(Method::CONNECT)
            .uri("a.example:80");
        let connect = connect.body(()).expect("a request");
        let (response, _) = sender_now.send_request(connect, false).expect("it is open");
        assert_eq!(response.await.expect("an answer").status(), 405);
        let response = ask(&sender, request("GET", uri)).await;
        assert_eq!(response.status(), 200, "the connection goes on");
    });
    assert_eq!(origin.got().len(), 1);
    // No host at all; a field that h2 itself would not send; a wrong length.
    let mut frames = Frames::connect(proxy.address, &[]);
    let hostless = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/")]);
    frames.send(HEADERS, END_STREAM | END_HEADERS, 1, &hostless);
    eventually("an answer", || {
        let seen = frames.seen();
        // 400 is in the table of RFC 7541, appendix A.
        seen.iter()
            .any(|f| f.kind == HEADERS && f.stream == 1 && f.payload[0] == 0x8c)
    });
    for (stream, field) in [
        (3, ("connection", "close")),
        (5, ("transfer-encoding", "chunked")),
        (7, ("content-length", "3")),
        (9, ("te", "gzip")),
    ] {
        let list = [get("/"), fields(&[field])].concat();
        frames.send(HEADERS, END_STREAM | END_HEADERS, stream, &list);
        eventually(field.0, || {
            let seen = frames.seen();
            seen.iter()
                .any(|f| f.kind == RST_STREAM && f.stream == stream)
        });
    }
    assert_eq!(origin.got().len(), 1);
}

#[test]
fn requests_do_not_wait_for_one_another() {
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let origin = Origin::new(move |got, stream| {
        if got.line.contains("/slow") {
            gone.lock()
                .expect("no panic")
                .recv()
                .expect("the test is there");
        }
        if got.line.contains("/trailers") {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
            let _ = stream.write_all(head);
            let _ = stream.write_all(b"2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n");
        } else if got.line.starts_with("HEAD") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
        } else {
            ok(stream, "a");
        }
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], UNPROBED);
    client(proxy.address, async |sender| {
        let slow = tokio::spawn({
            let sender = sender.clone();
            async move { ask(&sender, request("GET", "http://a.example/slow")).await }
        });
        until(|| proxy.in_flight() == 1).await;
        for _ in 0..50 {
            let response = ask(&sender, request("GET", "http://a.example/")).await;
            let (body, _) = read(response.into_body()).await.expect("a body");
            assert_eq!(body, b"a");
        }
        let response = ask(&sender, request("GET", "http://a.example/trailers")).await;
        assert!(response.headers().contains_key("date"));
        assert!(!response.headers().contains_key("transfer-encoding"));
        let (body, trailers) = read(response.into_body()).await.expect("a body");
        assert_eq!(body, b"ok");
        assert_eq!(trailers.expect("trailers")["x-sum"], "7");
        let response = ask(&sender, request("HEAD", "http://a.example/")).await;
        assert_eq!(response.headers()["content-length"], "7");
        assert!(response.into_body().is_end_stream());
        assert!(!slow.is_finished());
        go.send(()).expect("it waits");
        assert_eq!(slow.await.expect("no panic").status(), 200);
    });
    let counts = &proxy.shared.counts;
    let read =
        |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
    eventually("they are counted", || read(&counts.http2_requests) == 53);
    eventually("it has left", || read(&counts.http2_connections) == 0);
}

#[test]
fn large_bodies_pass_both_ways_through_small_windows() {
    let origin = Origin::new(|got, stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            got.body.len()
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&got.body);
        After::Keep
    });
    let settings =
        format!(r#"{UNPROBED}, "http2": {{"stream_window": 65535, "connection_window": 65535}}"#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    client(proxy.address, async |sender| {
        let mut sender = sender.ready().await.expect("it is open");
        let asked = request("PUT", "http://a.example/")
            .body(())
            .expect("a request");
        let (response, mut body) = sender.send_request(asked, false).expect("it is open");
        let mut rest = Bytes::from(sent.clone());
        while !rest.is_empty() {
            body.reserve_capacity(rest.len());
            let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
            let room = room.expect("it is open").expect("it is open");
            let part = rest.split_to(room.min(rest.len()));
            body.send_data(part, rest.is_empty()).expect("open");
        }
        let response = response.await.expect("an answer");
        let (got, _) = read(response.into_body()).await.expect("a body");
        assert!(got == sent, "{} bytes", got.len());
    });
}

#[test]
fn a_client_that_gives_a_request_up_takes_it_from_its_server() {
    // What came of each body until the proxy left.
    let came: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let record = Arc::clone(&came);
    let origin = Origin::at_head(move |_, stream| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        record.lock().expect("no panic").push(rest);
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], UNPROBED);
    client(proxy.address, async |sender| {
        for (n, method) in ["GET", "POST"].into_iter().enumerate() {
            let mut sender = sender.clone().ready().await.expect("it is open");
            let asked = request(method, "http://a.example/")
                .body(())
                .expect("a request");
            let (_response, mut body) = sender.send_request(asked, false).expect("it is open");
            body.send_data(Bytes::from_static(b"half"), false)
                .expect("open");
            until(|| origin.got().len() > n).await;
            body.send_reset(Reason::CANCEL);
            until(|| proxy.in_flight() == 0).await;
        }
    });
    eventually("both were left", || {
        came.lock().expect("no panic").len() == 2
    });
    for rest in &*came.lock().expect("no panic") {
        assert!(!rest.ends_with(b"0\r\n\r\n"), "it passes for a whole one");
    }
}

#[test]
fn an_answer_that_breaks_off_is_no_whole_one() {
    let origin = Origin::new(|_, stream| {
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        After::Close
    });
    let proxy = Proxy::start(&[("a", origin.address)], UNPROBED);
    client(proxy.address, async |sender| {
        let response = ask(&sender, request("GET", "http://a.example/")).await;
        assert_eq!(response.status(), 200);
        let error = read(response.into_body()).await.expect_err("it broke off");
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    });
}

#[test]
fn what_fails_at_one_server_is_sent_to_the_next() {
    let bad = Origin::new(|_, _| After::Close);
    let good = Origin::named("good");
    let servers = [("bad", bad.address), ("good", good.address)];
    let settings = format!(r#"{UNPROBED}, "routing": {{"hash_key": ["path"]}}"#);
    let proxy = Proxy::start(&servers, &settings);
    let uri = format!("http://a.example{}", proxy.path_of("bad"));
    client(proxy.address, async |sender| {
        let asked = request("GET", &uri).header("x-mark", "1");
        let response = ask(&sender, asked).await;
        assert_eq!(response.status(), 200);
        // It may have been with the server: not sent twice.
        let response = ask(&sender, request("POST", &uri)).await;
        assert_eq!(response.status(), 502);
    });
    assert_eq!(bad.got().len(), 2);
    let got = good.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].all("x-mark"), ["1"]);
    assert_eq!(got[0].all("host"), ["a.example"]);
}

#[test]
fn a_client_waits_with_its_body_until_it_may_send_it() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], UNPROBED);
    let mut frames = Frames::connect(proxy.address, &[]);
    let list = [
        get("/"),
        fields(&[("expect", "100-continue"), ("content-length", "2")]),
    ]
    .concat();
    frames.send(HEADERS, END_HEADERS, 1, &list);
    let heads = |frames: &Frames| {
        let seen = frames.seen().into_iter();
        seen.filter(|frame| frame.kind == HEADERS).count()
    };
    eventually("it may go on", || heads(&frames) == 1);
    frames.send(0, END_STREAM, 1, b"hi");
    eventually("an answer", || heads(&frames) == 2);
    assert_eq!(origin.got()[0].body, b"hi");
}

#[test]
fn connections_end_in_order_and_when_nothing_is_heard() {
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let origin = Origin::new(move |_, stream| {
        gone.lock()
            .expect("no panic")
            .recv()
            .expect("the test is there");
        ok(stream, "a");
        After::Keep
    });
    let start =
        |settings: &str| Proxy::start(&[("a", origin.address)], &format!("{UNPROBED}, {settings}"));
    // Nothing is asked for.
    let proxy = start(r#""timeouts": {"client_idle": 0.2}"#);
    let idle = Frames::connect(proxy.address, &[]);
    eventually("the idle one is ended", || idle.is_ended());
    assert_eq!(idle.goaway(), Some(0));
    // The preface does not come.
    let proxy = start(r#""timeouts": {"client_header": 0.2}"#);
    let mut half = Frames::open(proxy.address);
    half.write(&PREFACE[..10]);
    eventually("the half one is ended", || half.is_ended());
    assert_eq!(half.seen().len(), 0);
    // An answer is waited for, and the client is not there any more.
    let proxy = start(r#""http2": {"ping": 0.2}"#);
    let mut silent = Frames::connect(proxy.address, &[]);
    silent.ask(1, "/");
    eventually("it is asked", || {
        silent.seen().iter().any(|f| f.kind == PING)
    });
    eventually("the silent one is ended", || silent.is_ended());
    eventually("and its request", || proxy.in_flight() == 0);
    go.send(()).expect("it waits");
    // One that answers may wait for longer than that.
    let mut patient = Frames::connect(proxy.address, &[]);
    patient.ask(1, "/");
    let n_pings = |frames: &Frames| {
        let seen = frames.seen().into_iter();
        seen.filter(|f| f.kind == PING && f.flags == 0)
            .collect::<Vec<_>>()
    };
    for n in 1..=3 {
        eventually("it is asked", || n_pings(&patient).len() >= n);
        let ping = n_pings(&patient).pop().expect("a ping");
        patient.send(PING, 1, 0, &ping.payload);
    }
    assert!(!patient.is_ended());
    go.send(()).expect("it waits");
    eventually("its answer", || {
        patient.seen().iter().any(|f| f.kind == HEADERS)
    });
    // The proxy stops: what is under way is answered.
    let mut proxy = start(r#""process": {"shutdown_grace": 20}"#);
    client(proxy.address, async |sender| {
        let waiting = tokio::spawn({
            let sender = sender.clone();
            async move { ask(&sender, request("GET", "http://a.example/")).await }
        });
        until(|| proxy.in_flight() > 0).await;
        proxy.stop();
        // It hears of that, and asks for no more.
        let hears = async {
            while sender.clone().ready().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        hears.await;
        go.send(()).expect("it waits");
        let response = waiting.await.expect("no panic");
        let (body, _) = read(response.into_body()).await.expect("all of it");
        assert_eq!(body, b"a");
    });
    proxy.join();
}

#[test]
fn either_version_is_told_by_the_first_bytes_however_they_come() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], UNPROBED);
    let mut slow = Frames::open(proxy.address);
    for byte in PREFACE {
        slow.write(&[*byte]);
        std::thread::sleep(Duration::from_micros(300));
    }
    slow.send(SETTINGS, 0, 0, &[]);
    slow.ask(1, "/");
    eventually("an answer", || {
        slow.seen().iter().any(|f| f.kind == HEADERS)
    });
    // In one piece with what follows.
    let mut quick = Frames::open(proxy.address);
    let ask = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/"));
    quick.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &ask].concat());
    eventually("an answer", || {
        quick.seen().iter().any(|f| f.kind == HEADERS)
    });
    // What only begins alike is HTTP/1.1, good or bad.
    let mut other = Client::connect(proxy.address);
    other.send("P");
    std::thread::sleep(Duration::from_millis(5));
    other.send("RI / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(other.answer().status, 200);
    assert_eq!(other.get("/").status, 200);
    let mut bad = Client::connect(proxy.address);
    bad.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert!((400..=505).contains(&bad.answer().status));
    assert_eq!(origin.got().len(), 4);
    // Where it is not spoken, that is said to be no HTTP/1.1.
    let settings = format!(r#"{UNPROBED}, "http2": {{"enabled": false}}"#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    let mut off = Client::connect(proxy.address);
    off.send(PREFACE);
    assert!(off.head().is_none_or(|answer| answer.status >= 400));
}
