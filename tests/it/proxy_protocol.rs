//! The PROXY protocol, in and out, on real sockets: who is believed, what comes
//! of bytes that are no header, and what servers are told.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ringway::config::{AccessLogFormat, Config};
use ringway::engine::ProbeOutcome;
use ringway::native::health::Prober;
use serde_json::{Value, json};

use crate::support::authority::Authority;
use crate::support::client::{Answer, Client};
use crate::support::logged::text_of;
use crate::support::origin::{Origin, ok, read_head};
use crate::support::program::folder;
use crate::support::proxy::{Proxy, eventually};
use crate::support::rng::Rng;

/// Tests' clients stand at 127.0.0.1, which is trusted here.
fn expecting(which: &str) -> String {
    format!(
        r#""listen": {{"proxy_protocol": "{which}"}},
           "forwarding": {{"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}},
           "routing": {{"hash_key": ["client_ip"]}},
           "timeouts": {{"client_header": 0.2}}"#
    )
}

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: t\r\n\r\n";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

/// A header of version 2 with this command, family, addresses and what is behind.
fn v2(command: u8, family: u8, rest: &[&[u8]]) -> Vec<u8> {
    let rest = rest.concat();
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    let fixed = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length].concat();
    [fixed, rest].concat()
}

const IPV4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

/// What comes of these bytes and a request behind them.
fn answer(proxy: &Proxy, header: &[u8]) -> Option<Answer> {
    let mut client = Client::connect(proxy.address);
    client.send([header, REQUEST.as_bytes()].concat());
    let mut answer = client.head()?;
    client.body(&mut answer)?;
    Some(answer)
}

fn n_refused(proxy: &Proxy) -> u64 {
    proxy.shared.counts.proxy_headers_refused.load(Relaxed)
}

#[test]
fn a_header_says_who_the_client_is_for_all_its_requests() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let servers = [("a", a.address), ("b", b.address)];
    let proxy = Proxy::start(&servers, &expecting("required"));
    let mut ipv6 = [0; 36];
    ipv6[..16].copy_from_slice(
        &"2001:db8::1"
            .parse::<std::net::Ipv6Addr>()
            .expect("good")
            .octets(),
    );
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n";
    let tls = [0x20, 0, 5, 1, 0, 0, 0, 0];
    for (header, ip, scheme) in [
        (V1.to_vec(), "192.0.2.1", "http"),
        (mapped.to_vec(), "192.0.2.1", "http"),
        (v2(0x21, 0x11, &[IPV4]), "192.0.2.1", "http"),
        (v2(0x21, 0x11, &[IPV4, &tls]), "192.0.2.1", "https"),
        (
            v2(0x21, 0x11, &[IPV4, b"\x04\0\x03abc"]),
            "192.0.2.1",
            "http",
        ),
        (v2(0x21, 0x21, &[&ipv6]), "2001:db8::1", "http"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1", "http"),
        (v2(0x20, 0, &[]), "127.0.0.1", "http"),
    ] {
        // In one piece with the request, and byte by byte.
        for is_dripped in [false, true] {
            let mut client = Client::connect(proxy.address);
            if is_dripped {
                for byte in &header {
                    client.send([*byte]);
                }
            } else {
                client.send(&header);
            }
            for _ in 0..2 {
                client.send(REQUEST);
                assert_eq!(client.answer().text(), proxy.owner_of(ip), "{header:?}");
                let origin = if proxy.owner_of(ip) == "a" { &a } else { &b };
                let got = origin.got().pop().expect("a request");
                assert_eq!(got.all("x-forwarded-for"), [ip]);
                assert_eq!(got.all("x-forwarded-proto"), [scheme]);
            }
        }
    }
    assert_eq!(n_refused(&proxy), 0);
}

#[test]
fn what_is_no_header_ends_the_connection_unanswered() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], &expecting("required"));
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let mut n = 0;
    for header in [
        &b""[..],
        b"PROXY TCP4 192.0.2.1 198.51.100.1 99999 443\r\n",
        b"PROXY TCP4 192.0.2.1\r\n",
        b"proxy TCP4 192.0.2.1 198.51.100.1 1 443\r\n",
        long.as_bytes(),
        &v2(0x21, 0x11, &[&IPV4[..4]]),
        &v2(0x31, 0x11, &[IPV4]),
        // Its checksum is another's.
        &v2(0x21, 0x11, &[IPV4, b"\x03\0\x04abcd"]),
        // One that is longer than any should be.
        &v2(0x21, 0x11, &[IPV4, &[0; 5000]]),
        b"\x16\x03\x01\x02\0\x01",
    ] {
        assert!(answer(&proxy, header).is_none(), "{header:?}");
        n += 1;
        eventually("it is counted", || n_refused(&proxy) == n);
    }
    assert_eq!(origin.got().len(), 0);
    // One that does not come in time, or not whole.
    for part in [&b""[..], b"PROXY TCP4 ", b"\r\n\r\n\0"] {
        let mut client = Client::connect(proxy.address);
        client.send(part);
        assert!(client.is_ended(), "{part:?}");
        n += 1;
        eventually("it is counted", || n_refused(&proxy) == n);
    }
    assert_eq!(answer(&proxy, V1).map(|answer| answer.status), Some(200));
}

#[test]
fn a_header_of_somebody_who_is_not_trusted_is_none() {
    let origin = Origin::named("a");
    let servers = [("a", origin.address)];
    let settings = |which: &str| expecting(which).replace("\"127.0.0.1\", ", "");
    for header in [V1, &v2(0x21, 0x11, &[IPV4])] {
        // It is read as the request that it is not.
        let trusted = Proxy::start(&servers, &settings("trusted"));
        assert_eq!(
            answer(&trusted, header).map(|answer| answer.status),
            Some(400)
        );
        assert_eq!(n_refused(&trusted), 0);
        let off = Proxy::start(&servers, &expecting("off"));
        assert_eq!(answer(&off, header).map(|answer| answer.status), Some(400));
        let required = Proxy::start(&servers, &settings("required"));
        assert!(answer(&required, header).is_none());
        assert!(answer(&required, b"").is_none());
        eventually("both are counted", || n_refused(&required) == 2);
    }
    assert_eq!(origin.got().len(), 0);
    // Ordinary clients are served where only proxies send one, who have to.
    let trusted = Proxy::start(&servers, &settings("trusted"));
    assert_eq!(answer(&trusted, b"").map(|answer| answer.status), Some(200));
    assert_eq!(origin.got()[0].all("x-forwarded-for"), ["127.0.0.1"]);
    let trusting = Proxy::start(&servers, &expecting("trusted"));
    assert!(answer(&trusting, b"").is_none());
    assert_eq!(answer(&trusting, V1).map(|answer| answer.status), Some(200));
    assert_eq!(origin.got()[1].all("x-forwarded-for"), ["192.0.2.1"]);
    // A reload decides for the connections that come after it.
    trusting.reload(|document| document["listen"]["proxy_protocol"] = json!("off"));
    assert_eq!(
        answer(&trusting, b"").map(|answer| answer.status),
        Some(200)
    );
}

#[test]
fn who_a_header_names_is_believed_about_others_only_if_it_is_trusted() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], &expecting("required"));
    for (proxied, told) in [
        ("10.0.0.7", "203.0.113.9, 10.0.0.7"),
        ("192.0.2.1", "192.0.2.1"),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(format!("PROXY TCP4 {proxied} 10.0.0.1 1 443\r\n"));
        client.send("GET / HTTP/1.1\r\nhost: t\r\nx-forwarded-for: 203.0.113.9\r\n\r\n");
        assert_eq!(client.answer().status, 200);
        let got = origin.got().pop().expect("a request");
        assert_eq!(got.all("x-forwarded-for"), [told]);
    }
}

#[test]
fn the_log_has_both_the_client_and_the_proxy() {
    let origin = Origin::named("a");
    let servers = [("a", origin.address)];
    let settings = expecting("required");
    let text = text_of(&servers, &settings, AccessLogFormat::Json, |client| {
        client.send([V1, REQUEST.as_bytes()].concat());
        client.answer();
    });
    let line: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(line["client_ip"], "192.0.2.1");
    assert_eq!(line["proxy_ip"], "127.0.0.1");
}

#[test]
fn a_header_comes_before_tls() {
    let folder = folder("proxy-protocol-tls");
    let authority = Authority::new(&folder, "ca");
    let files = authority.vouch("a", &["a.example"]);
    let origin = Origin::named("a");
    let settings = json!({"proxy_protocol": "required", "tls": {"certificates": [files.named()]}});
    let settings =
        format!(r#""listen": {settings}, "forwarding": {{"trusted_proxies": ["127.0.0.1"]}}"#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    let curl = |args: &[&str]| {
        let port = proxy.address.port();
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "--noproxy", "*", "--cacert"])
            .arg(authority.file())
            .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
            .args(args)
            .arg(format!("https://a.example:{port}/"))
            .output()
            .expect("curl is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(curl(&["--haproxy-protocol"]), "a");
    assert_eq!(origin.got()[0].all("x-forwarded-proto"), ["https"]);
    assert_eq!(curl(&[]), "", "no header");
    assert_eq!(n_refused(&proxy), 1);
}

/// Bytes that begin as headers do and go on at random never do harm, and no
/// request behind them is answered unless they are one.
#[test]
fn random_bytes_are_refused_or_read_and_never_anything_else() {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], &expecting("required"));
    const SEED: u64 = 11;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let good: [Vec<u8>; 3] = [
        V1.to_vec(),
        v2(0x21, 0x11, &[IPV4, b"\x02\0\x01a\x05\0\x02id"]),
        v2(0x20, 0, &[b"\x04\0\x01x"]),
    ];
    for round in 0..300 {
        let mut header = good[rng.below(3) as usize].clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(header.len() as u64) as usize;
            match rng.below(3) {
                0 => header[at] ^= 1 << rng.below(8),
                1 => header.truncate(at.max(1)),
                _ => header.insert(at, rng.below(256) as u8),
            }
        }
        let mut client = Client::connect(proxy.address);
        client.send([&header, REQUEST.as_bytes()].concat());
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = client.stream.read_to_end(&mut said);
        // Whatever it says, HTTP is all that it says.
        let is_http = said.is_empty() || said.starts_with(b"HTTP/1.1 ");
        assert!(is_http, "round {round}: {header:?} {said:?}");
    }
    assert_eq!(answer(&proxy, V1).map(|answer| answer.status), Some(200));
    eventually("none is left", || {
        proxy.shared.counts.connections.load(Relaxed) == 0
    });
}

/// A server that reads a header of the PROXY protocol from each connection, and
/// answers each request with what the header says.
fn telling() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let Some(told) = header_of(&mut reader) else {
                    return;
                };
                while read_head(&mut reader, 0).is_some() {
                    ok(&mut stream, &told);
                }
            });
        }
    });
    address
}

/// A header as text: `SOURCE DESTINATION`, or `nobody`.
fn header_of(reader: &mut impl BufRead) -> Option<String> {
    let start = reader.fill_buf().ok()?;
    if start.starts_with(b"PROXY ") {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let words: Vec<&str> = line.split_whitespace().collect();
        return Some(match words[..] {
            ["PROXY", "UNKNOWN"] => "nobody".to_owned(),
            ["PROXY", "TCP4", from, to, port, at] => format!("{from}:{port} {to}:{at}"),
            ["PROXY", "TCP6", from, to, port, at] => format!("[{from}]:{port} [{to}]:{at}"),
            _ => panic!("{line:?}"),
        });
    }
    let mut fixed = [0; 16];
    reader.read_exact(&mut fixed).ok()?;
    assert!(fixed.starts_with(b"\r\n\r\n\0\r\nQUIT\n"), "{fixed:?}");
    let mut rest = vec![0; usize::from(u16::from_be_bytes([fixed[14], fixed[15]]))];
    reader.read_exact(&mut rest).ok()?;
    Some(match (fixed[12], fixed[13], rest.len()) {
        (0x20, 0, 0) => "nobody".to_owned(),
        (0x21, 0x11, 12) => {
            let at = |ip: usize, port: usize| {
                let ip: [u8; 4] = rest[ip..ip + 4].try_into().expect("four bytes");
                let port = u16::from_be_bytes([rest[port], rest[port + 1]]);
                SocketAddr::from((ip, port))
            };
            format!("{} {}", at(0, 8), at(4, 10))
        }
        other => panic!("{other:?}"),
    })
}

/// A proxy that tells its server, which stands at `address`, by this version.
fn teller(address: SocketAddr, version: &str, settings: &str) -> Proxy {
    let server = format!(
        r#"{{"name": "a", "address": "127.0.0.1", "port": {}, "proxy_protocol": "{version}"}}"#,
        address.port()
    );
    Proxy::of(&[server], settings, 1, None)
}

#[test]
fn servers_are_told_for_whom_each_connection_is() {
    let server = telling();
    for version in ["v1", "v2"] {
        let trusting = r#""forwarding": {"trusted_proxies": ["127.0.0.1"]}"#;
        let proxy = teller(server, version, trusting);
        let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(proxy.address)).collect();
        for _ in 0..3 {
            for client in &mut clients {
                let own = client.stream.local_addr().expect("it is connected");
                assert_eq!(client.get("/").text(), format!("{own} {}", proxy.address));
            }
        }
        // Behind another proxy, on one connection of that.
        let client = &mut clients[0];
        for ip in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
            client.send(format!(
                "GET / HTTP/1.1\r\nhost: t\r\nx-forwarded-for: {ip}\r\n\r\n"
            ));
            let expected = format!("{ip}:0 {}", proxy.address);
            assert_eq!(client.answer().text(), expected);
        }
    }
    let through = format!(
        "{}, {}",
        r#""listen": {"proxy_protocol": "required"}"#,
        r#""forwarding": {"trusted_proxies": ["127.0.0.1"]}"#
    );
    let proxy = teller(server, "v1", &through);
    let told = answer(&proxy, V1).expect("an answer");
    assert_eq!(told.text(), "192.0.2.1:56324 198.51.100.1:443", "passed on");
}

#[test]
fn only_so_many_clients_connections_to_a_told_server_are_kept() {
    let n_connections = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let counted = Arc::clone(&n_connections);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            counted.fetch_add(1, Relaxed);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let _ = header_of(&mut reader);
                while read_head(&mut reader, 0).is_some() {
                    ok(&mut stream, "");
                }
            });
        }
    });
    let proxy = teller(address, "v2", r#""pool": {"max_idle": 2}"#);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(proxy.address)).collect();
    let mut ask = |order: &[usize]| {
        for &i in order {
            assert_eq!(clients[i].get("/").status, 200);
        }
        n_connections.load(Relaxed)
    };
    assert_eq!(ask(&[0, 1, 0, 1, 1, 0]), 2, "each has its own");
    assert_eq!(ask(&[2]), 3);
    assert_eq!(ask(&[0, 2]), 3, "who has not asked for longest has lost it");
    assert_eq!(ask(&[1]), 4);
}

#[test]
fn probes_say_that_nobody_has_connected() {
    let port = telling().port();
    let probe = |server: &Value, check: &Value| {
        let document = json!({"servers": [server], "health_check": check});
        let config = Config::read(document).expect("a good configuration");
        let prober = Prober::new(&config.health_check);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(prober.probe(&config.servers()[0]))
    };
    let by = |version: Option<&str>| json!({"name": "a", "address": "127.0.0.1", "port": port, "proxy_protocol": version});
    let ok = json!({"timeout": 1, "expect_body": "nobody"});
    for version in ["v1", "v2"] {
        assert_eq!(probe(&by(Some(version)), &ok), ProbeOutcome::Good);
    }
    let without = probe(&by(None), &ok);
    assert_ne!(without, ProbeOutcome::Good, "the server reads a header");
}
