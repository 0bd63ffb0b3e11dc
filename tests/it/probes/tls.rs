//! Probes over TLS, by a certificate authority that the test makes and throws
//! away.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ringway::native::health::check_files;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::{config, probe_with};
use crate::support::origin::{Origin, Refusing};

/// An authority, and the file that has its certificate.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) file: PathBuf,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let file = std::env::temp_dir().join(format!("ringway-{}-{name}.pem", std::process::id()));
        std::fs::write(&file, issuer.pem()).expect("a writable folder");
        Self { issuer, file }
    }

    /// What a server of this name speaks TLS with.
    pub(super) fn server(&self, name: &str, protocol: &[u8]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a good name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("good versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a good certificate");
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// What a server got in one connection: the name that was asked for, and the
/// request.
type Asked = Arc<Mutex<Vec<(Option<String>, String)>>>;

/// A server that answers each request over TLS with 200.
fn serving(config: Arc<ServerConfig>) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let asked = Asked::default();
    let record = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, record) = (Arc::clone(&config), Arc::clone(&record));
            let stream = stream.expect("a connection");
            thread::spawn(move || serve(stream, config, &record));
        }
    });
    (address, asked)
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, asked: &Asked) {
    let connection = ServerConnection::new(config).expect("a good configuration");
    let mut stream = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        // A prober that does not trust us leaves.
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        request.push(byte[0]);
    }
    let name = stream.conn.server_name().map(str::to_owned);
    let request = String::from_utf8(request).expect("ASCII");
    asked.lock().expect("no panic").push((name, request));
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nup");
    let _ = stream.flush();
}

#[test]
fn a_server_must_prove_who_it_is() {
    let authority = Authority::new("https");
    let (address, asked) = serving(authority.server("shop.example", b"http/1.1"));
    let probe = |host: Option<&str>, tls: serde_json::Value| {
        let settings = json!({"kind": "https", "timeout": 5, "host": host, "tls": tls,
            "expect_body": "up"});
        probe_with(settings, address)
    };
    let trusting = json!({"ca_file": authority.file});
    let named = Some("shop.example:8443");
    assert_eq!(probe(named, trusting.clone()), Ok(()));
    let got = asked.lock().expect("no panic")[0].clone();
    assert_eq!(got.0.as_deref(), Some("shop.example"));
    assert!(got.1.starts_with("GET /health HTTP/1.1\r\n"), "{}", got.1);
    assert!(got.1.contains("host: shop.example:8443\r\n"), "{}", got.1);
    let other = Authority::new("other");
    // Another name, the address, another authority, whom the system trusts.
    for (host, tls) in [
        (Some("other.example"), trusting.clone()),
        (None, trusting),
        (named, json!({"ca_file": other.file})),
        (named, json!({"verify": true})),
    ] {
        let why = probe(host, tls.clone()).expect_err("it is not trusted");
        assert!(
            why.starts_with("no TLS: ") && why.contains("certificate"),
            "{host:?} {tls}: {why}"
        );
    }
    assert_eq!(asked.lock().expect("no panic").len(), 1, "nobody was asked");
    assert_eq!(probe(None, json!({"verify": false})), Ok(()));
}

#[test]
fn a_certificate_may_be_for_the_servers_address() {
    let authority = Authority::new("address");
    let (address, asked) = serving(authority.server("127.0.0.1", b"http/1.1"));
    let settings = json!({"kind": "https", "timeout": 5, "tls": {"ca_file": authority.file}});
    assert_eq!(probe_with(settings, address), Ok(()));
    // Addresses are no names to ask for.
    assert_eq!(asked.lock().expect("no panic")[0].0, None);
}

#[test]
fn who_speaks_no_tls_is_bad() {
    let tls = json!({"verify": false});
    let plain = Origin::named("up");
    let refusing = Refusing::new();
    for (address, start) in [
        (plain.address, "no TLS: "),
        (refusing.address, "cannot connect: "),
    ] {
        let settings = json!({"kind": "https", "timeout": 0.5, "tls": tls});
        let why = probe_with(settings, address).expect_err("it speaks no TLS");
        assert!(
            why.starts_with(start) || why.starts_with("no answer"),
            "{why}"
        );
    }
    // One that takes connections and is silent.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = silent.local_addr().expect("it is bound");
    let settings = json!({"kind": "https", "tls": tls});
    let late = Err("no answer within 0.2 s".to_owned());
    assert_eq!(probe_with(settings, address), late);
}

#[test]
fn a_file_without_certificates_is_refused() {
    let authority = Authority::new("file");
    let good = config(json!({"kind": "https", "tls": {"ca_file": authority.file}}));
    assert_eq!(check_files(&good), Ok(()));
    std::fs::write(&authority.file, "no certificate").expect("a writable file");
    let faults = check_files(&good).expect_err("it has none");
    assert!(
        faults.to_string().contains("no certificate in PEM"),
        "{faults}"
    );
}
