//! TLS towards servers, by certificate authorities that the tests make and throw
//! away.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use ringway::engine::Health;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::support::authority::{Authority, Files};
use crate::support::client::Client;
use crate::support::origin::{Origin, read_head};
use crate::support::program::{Program, api, folder, free_port, write};
use crate::support::proxy::{Proxy, eventually};

/// One connection, as the server saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The name that was asked for.
    name: Option<String>,
    /// Whether a session was taken up again.
    is_resumed: bool,
    /// Whether the other side has shown a certificate.
    has_certificate: bool,
    n_requests: usize,
}

/// A server that answers each request over TLS with `up`, and echoes what comes
/// after a change to another protocol.
struct TlsOrigin {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl TlsOrigin {
    fn new(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let (config, seen) = (Arc::new(config), Arc::<Mutex<Vec<Seen>>>::default());
        let record = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, record) = (Arc::clone(&config), Arc::clone(&record));
                let stream = stream.expect("a connection");
                thread::spawn(move || serve(stream, config, &record));
            }
        });
        Self { address, seen }
    }

    /// The connections that brought a request.
    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic under it").clone()
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, seen: &Mutex<Vec<Seen>>) {
    let connection = ServerConnection::new(config).expect("a good configuration");
    let mut stream = StreamOwned::new(connection, stream);
    let mut number = None;
    loop {
        // Byte by byte, so that nothing of what follows is taken.
        let got = read_head(&mut BufReader::with_capacity(1, &mut stream), 0);
        // A proxy that does not trust us leaves.
        let Some(got) = got else {
            return;
        };
        let mut seen = seen.lock().expect("no panic under it");
        let i = *number.get_or_insert_with(|| {
            seen.push(Seen {
                name: stream.conn.server_name().map(str::to_owned),
                is_resumed: stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
                has_certificate: stream.conn.peer_certificates().is_some(),
                n_requests: 0,
            });
            seen.len() - 1
        });
        seen[i].n_requests += 1;
        drop(seen);
        if !got.all("upgrade").is_empty() {
            let _ = stream.write_all(
                b"HTTP/1.1 101 Over\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            );
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut bytes) {
                let _ = stream.write_all(&bytes[..n]);
            }
            return;
        }
        let ends = got.line.contains("/last");
        let close = if ends { "connection: close\r\n" } else { "" };
        let answer = format!("HTTP/1.1 200 OK\r\n{close}content-length: 2\r\n\r\nup");
        if stream.write_all(answer.as_bytes()).is_err() || ends {
            stream.conn.send_close_notify();
            let _ = stream.flush();
            return;
        }
    }
}

/// A server's way of TLS; with `clients`, only for those that these vouch for.
fn config(
    files: &Files,
    clients: Option<&Path>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("good versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_file(file).expect("PEM");
            roots.add(root).expect("an authority");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let chain = vec![CertificateDer::from_pem_file(&files.cert).expect("PEM")];
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("PEM");
    builder.with_single_cert(chain, key).expect("a pair")
}

/// A proxy in front of one server that is spoken to by `tls`.
fn proxy(origin: SocketAddr, tls: &Value, settings: &str) -> Proxy {
    let server = json!({"name": "a", "address": origin.ip().to_string(), "port": origin.port(),
        "tls": tls});
    Proxy::of(&[server.to_string()], settings, 1, None)
}

fn trouble(proxy: &Proxy) -> String {
    proxy.shared.tls_trouble("a").unwrap_or_default()
}

#[test]
fn a_server_must_prove_who_it_is_and_nothing_is_said_to_another() {
    let folder = folder("server-tls-who");
    let authority = Authority::new(&folder, "authority");
    let other = Authority::new(&folder, "other");
    let files = authority.vouch("shop", &["shop.example", "127.0.0.1"]);
    let origin = TlsOrigin::new(config(&files, None, rustls::DEFAULT_VERSIONS));
    let trusting = json!({"ca_file": authority.file(), "server_name": "shop.example"});
    let by_name = proxy(origin.address, &trusting, "");
    let mut client = Client::connect(by_name.address);
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "up");
    }
    let [seen] = &origin.seen()[..] else {
        panic!("one connection is kept: {:?}", origin.seen());
    };
    assert_eq!(seen.name.as_deref(), Some("shop.example"));
    assert_eq!((seen.n_requests, seen.has_certificate), (2, false));
    // Else it must be for the address, which is no name to ask for.
    let by_address = proxy(origin.address, &json!({"ca_file": authority.file()}), "");
    assert_eq!(Client::connect(by_address.address).get("/").text(), "up");
    assert_eq!(origin.seen()[1].name, None);
    // Another name, another authority, whom the system trusts; one that speaks no
    // TLS is no way out.
    let plain = Origin::named("plain");
    for (tls, address, why) in [
        (
            json!({"ca_file": authority.file(), "server_name": "mail.example"}),
            origin.address,
            "not valid for name",
        ),
        (
            json!({"ca_file": other.file()}),
            origin.address,
            "UnknownIssuer",
        ),
        (json!(true), origin.address, "UnknownIssuer"),
        (json!({"verify": false}), plain.address, ""),
    ] {
        let proxy = proxy(address, &tls, "");
        let mut client = Client::connect(proxy.address);
        assert_eq!(client.get("/").status, 502, "{tls}");
        assert!(trouble(&proxy).contains(why), "{tls}: {}", trouble(&proxy));
        let counts = proxy.shared.connection_counts()[0].1;
        assert_eq!((counts.tls_failed, counts.open, counts.opened), (1, 0, 1));
    }
    assert_eq!(origin.seen().len(), 2, "nothing was said");
    assert_eq!(plain.got().len(), 0, "nor in clear text");
    let unchecked = proxy(origin.address, &json!({"verify": false}), "");
    assert_eq!(Client::connect(unchecked.address).get("/").text(), "up");
    assert_eq!(trouble(&unchecked), "");
}

#[test]
fn a_certificate_is_shown_to_servers_that_ask_for_one() {
    let folder = folder("server-tls-client");
    let authority = Authority::new(&folder, "authority");
    let files = authority.vouch("server", &["127.0.0.1"]);
    let own = authority.vouch("proxy", &["proxy.example"]);
    let stranger = Authority::new(&folder, "strangers").vouch("stranger", &["x.example"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let asking = config(&files, Some(&authority.file()), &[version]);
        let origin = TlsOrigin::new(asking);
        let with = |files: Option<&Files>| {
            let mut tls = json!({"ca_file": authority.file()});
            if let Some(Files { cert, key }) = files {
                (tls["cert_file"], tls["key_file"]) = (json!(cert), json!(key));
            }
            proxy(origin.address, &tls, "")
        };
        let good = with(Some(&own));
        assert_eq!(Client::connect(good.address).get("/").text(), "up");
        assert!(origin.seen()[0].has_certificate);
        for bad in [with(None), with(Some(&stranger))] {
            let mut client = Client::connect(bad.address);
            // No server saw it, so that it is one that could not be connected to,
            // whatever the method.
            client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx");
            assert_eq!(client.answer().status, 502);
            assert!(trouble(&bad).contains("fatal alert"), "{}", trouble(&bad));
        }
        assert_eq!(origin.seen().len(), 1);
    }
}

#[test]
fn sessions_are_taken_up_again_and_old_versions_refused() {
    let folder = folder("server-tls-session");
    let authority = Authority::new(&folder, "authority");
    let files = authority.vouch("server", &["127.0.0.1"]);
    let origin = TlsOrigin::new(config(&files, None, rustls::DEFAULT_VERSIONS));
    let tls = json!({"ca_file": authority.file()});
    let each_anew = proxy(origin.address, &tls, r#""pool": {"max_idle": 0}"#);
    let mut client = Client::connect(each_anew.address);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "up");
    }
    let resumed: Vec<bool> = origin.seen().iter().map(|seen| seen.is_resumed).collect();
    assert_eq!(resumed, [false, true, true]);
    let old = TlsOrigin::new(config(&files, None, &[&rustls::version::TLS12]));
    for (min, status) in [("1.2", 200), ("1.3", 502)] {
        let tls = json!({"ca_file": authority.file(), "min_version": min});
        let proxy = proxy(old.address, &tls, "");
        assert_eq!(Client::connect(proxy.address).get("/").status, status);
    }
}

#[test]
fn connecting_has_its_time_and_agreeing_is_part_of_it() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = silent.local_addr().expect("it is bound");
    let timeouts = r#""timeouts": {"connect": 0.2}, "retries": {"attempts": 0}"#;
    let proxy = proxy(address, &json!({"verify": false}), timeouts);
    assert_eq!(Client::connect(proxy.address).get("/").status, 504);
    eventually("the connection is given up", || {
        proxy.shared.connection_counts()[0].1.open == 0
    });
}

#[test]
fn connections_change_over_to_another_protocol_over_tls_too() {
    let folder = folder("server-tls-tunnel");
    let authority = Authority::new(&folder, "authority");
    let files = authority.vouch("server", &["127.0.0.1"]);
    let origin = TlsOrigin::new(config(&files, None, rustls::DEFAULT_VERSIONS));
    let proxy = proxy(origin.address, &json!({"ca_file": authority.file()}), "");
    let mut client = Client::connect(proxy.address);
    client.send("GET /ws HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(client.head().expect("an answer").status, 101);
    let long = vec![b'x'; 300_000];
    client.send(b"hello");
    assert_eq!(client.read_exactly(5), b"hello");
    let mut writing = client.stream.try_clone().expect("a second handle");
    let sent = long.clone();
    let writer = thread::spawn(move || writing.write_all(&sent));
    assert!(client.read_exactly(long.len()) == long);
    writer.join().expect("no panic").expect("all was written");
}

#[test]
fn probes_speak_to_a_server_as_requests_do() {
    let folder = folder("server-tls-probe");
    let authority = Authority::new(&folder, "authority");
    let other = Authority::new(&folder, "other");
    let files = authority.vouch("server", &["shop.example"]);
    let origin = TlsOrigin::new(config(&files, None, rustls::DEFAULT_VERSIONS));
    for kind in ["http", "https"] {
        let check = format!(r#""health_check": {{"kind": "{kind}"}}"#);
        for (authority, health) in [(&authority, Health::Healthy), (&other, Health::Unhealthy)] {
            let tls = json!({"ca_file": authority.file(), "server_name": "shop.example"});
            let mut proxy = proxy(origin.address, &tls, &check);
            proxy.judge();
            eventually("it is judged", || {
                proxy.shared.snapshot().servers[0].health == health
            });
        }
    }
}

#[test]
fn files_are_read_again_by_a_reload_and_kept_connections_stay() {
    let folder = folder("server-tls-reload");
    let authority = Authority::new(&folder, "authority");
    let other = Authority::new(&folder, "other");
    let files = authority.vouch("server", &["127.0.0.1"]);
    let origin = TlsOrigin::new(config(&files, None, rustls::DEFAULT_VERSIONS));
    let (port, api_port) = (free_port(), free_port());
    let ca = folder.join("trusted.pem");
    let trust = |text: &[u8]| std::fs::write(&ca, text).expect("a writable folder");
    let (first, second) = (
        std::fs::read(authority.file()).expect("it is there"),
        std::fs::read(other.file()).expect("it is there"),
    );
    trust(&first);
    let file = folder.join("config.json");
    let (ip, at) = ("127.0.0.1", origin.address.port());
    write(
        &file,
        &json!({
            "servers": [
                {"name": "a", "address": ip, "port": at, "tls": {"ca_file": ca}},
                {"name": "b", "address": ip, "port": at, "tls": {"verify": false}, "backup": true},
            ],
            "listen": {"port": port},
            "process": {"workers": 1},
            "retries": {"attempts": 0},
            "ejection": {"consecutive_connect_errors": 0},
            "health_check": {"enabled": false},
            "api": {"port": api_port},
        }),
    );
    let program = Program::start(&file, port);
    program.says("tls.verify is false", 1);
    let mut client = Client::connect(program.proxy);
    assert_eq!(client.get("/").text(), "up");
    trust(&second);
    program.hang_up();
    program.says("configuration reloaded", 1);
    assert_eq!(client.get("/last").text(), "up");
    assert_eq!(origin.seen().len(), 1, "the connection was kept");
    assert_eq!(
        client.get("/").status,
        502,
        "the other does not vouch for it"
    );
    program.says("no TLS with a server", 1);
    let (_, servers) = api(api_port, "GET", "/api/servers/a", &Value::Null);
    assert!(servers.contains("UnknownIssuer"), "{servers}");
    let (_, figures) = api(api_port, "GET", "/metrics", &Value::Null);
    let has = |line: &str| figures.lines().any(|found| found == line);
    assert!(
        has("ringway_server_tls_failures_total{server=\"a\"} 1"),
        "{figures}"
    );
    assert!(
        has("ringway_server_connections_opened_total{server=\"a\"} 2"),
        "{figures}"
    );
    assert!(
        has("ringway_server_connections{server=\"a\"} 0.0"),
        "{figures}"
    );
    trust(b"no certificate");
    program.hang_up();
    program.says("servers[0].tls.ca_file", 1);
    trust(&first);
    program.hang_up();
    program.says("configuration reloaded", 2);
    assert_eq!(client.get("/").text(), "up");
    // The same is asked of servers that are added.
    let missing = folder.join("missing.pem");
    let spec = json!({"name": "c", "address": ip, "port": at, "tls": {"ca_file": missing}});
    let (status, text) = api(api_port, "POST", "/api/servers", &spec);
    assert_eq!(status, 400, "{text}");
    assert!(
        text.contains("tls.ca_file") && text.contains("missing.pem"),
        "{text}"
    );
}
