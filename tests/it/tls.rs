//! TLS towards clients: real ones (openssl, curl), with certificates of an
//! authority that each test makes and throws away.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::cli::{ringway, text};
use crate::support::authority::{Authority, Files};
use crate::support::client::Client;
use crate::support::origin::{After, Origin, ok};
use crate::support::program::{Program, api, at, folder, free_port, write};
use crate::support::proxy::{Proxy, eventually};
use crate::support::websocket::echo;

/// A proxy before `origin` with these settings of `listen.tls`.
fn proxy(origin: &Origin, tls: &Value, further: &str) -> Proxy {
    let settings = json!({ "tls": tls });
    let settings =
        format!(r#""listen": {settings}, "health_check": {{"enabled": false}}{further}"#);
    Proxy::start(&[("a", origin.address)], &settings)
}

/// What `openssl s_client` says when it asks for `name`, and whether it is content.
fn openssl(address: SocketAddr, name: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(["-servername", name])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What curl gets from `https://name/path`, or how it failed.
fn curl(address: SocketAddr, name: &str, ca: &Path, args: &[&str]) -> Result<String, i32> {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--noproxy", "*", "--cacert"])
        .arg(ca)
        .args(["--resolve", &format!("{name}:{}:127.0.0.1", address.port())])
        .args(args)
        .arg(format!("https://{name}:{}/", address.port()))
        .output()
        .expect("curl is installed");
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).expect("text")),
        code => Err(code.unwrap_or(-1)),
    }
}

#[test]
fn each_name_gets_its_certificate_and_others_the_first() {
    let folder = folder("tls-names");
    let authority = Authority::new(&folder, "ca");
    let first = authority.vouch("first", &["first.example"]);
    let second = authority.vouch("second", &["second.example", "*.wild.example"]);
    let origin = Origin::named("a");
    let tls = json!({"certificates": [first.named(), second.named()]});
    let proxy = proxy(&origin, &tls, "");
    let ca = authority.file();
    for (asked, got) in [
        ("first.example", "first.example"),
        ("second.example", "second.example"),
        ("SECOND.example", "second.example"),
        ("a.wild.example", "second.example"),
        // One label only, and not none.
        ("b.a.wild.example", "first.example"),
        ("wild.example", "first.example"),
        ("unknown.example", "first.example"),
    ] {
        let args = ["-CAfile", ca.to_str().expect("UTF-8")];
        let checks = ["-verify_return_error", "-verify_hostname", got];
        let (is_content, said) = openssl(proxy.address, asked, &[&args[..], &checks].concat());
        assert!(is_content, "{asked}: {said}");
    }
    let answer = curl(proxy.address, "a.wild.example", &ca, &["--http1.1"]);
    assert_eq!(answer.as_deref(), Ok("a"));
    let got = origin.got();
    assert_eq!(got[0].all("x-forwarded-proto"), ["https"]);
}

#[test]
fn who_comes_again_is_spared_the_proof() {
    let folder = folder("tls-again");
    let authority = Authority::new(&folder, "ca");
    let files = authority.vouch("a", &["a.example"]);
    let origin = Origin::named("a");
    let settings = |tls: Value| json!({"certificates": [files.named()], "client_ca_file": tls});
    let proxy = proxy(&origin, &settings(Value::Null), "");
    let session = folder.join("session");
    let session = session.to_str().expect("UTF-8");
    let comes = |version: &str, args: &[&str]| {
        // A ticket of TLS 1.3 comes after the handshake: an answer is waited for.
        let mut client = Command::new("openssl")
            .args(["s_client", "-connect", &proxy.address.to_string(), version])
            .args(["-servername", "a.example", "-ign_eof"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let mut input = client.stdin.take().expect("a pipe");
        let asked = input.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        asked.expect("it reads");
        let said = client.wait_with_output().expect("it ends").stdout;
        String::from_utf8_lossy(&said).into_owned()
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let said = comes(version, &["-sess_out", session]);
        assert!(said.contains("New, TLSv1"), "{said}");
        let said = comes(version, &["-sess_in", session]);
        assert!(said.contains("Reused, TLSv1"), "{said}");
        // Another certificate, and the same rules.
        authority.vouch("a", &["a.example"]);
        proxy.reload(|_| {});
        let said = comes(version, &["-sess_in", session]);
        assert!(said.contains("Reused, TLSv1"), "{said}");
    }
    let counts = &proxy.shared.tls.handshakes;
    let read =
        |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((read(&counts.full), read(&counts.resumed)), (2, 4));
    // Now a proof is asked for, which an old ticket is none of.
    proxy.reload(|config| {
        config["listen"]["tls"] = settings(json!(authority.file()));
    });
    for version in ["-tls1_2", "-tls1_3"] {
        let said = comes(version, &["-sess_in", session]);
        assert!(!said.contains("HTTP/1.1 200"), "{said}");
    }
}

#[test]
fn old_versions_are_refused() {
    let folder = folder("tls-old");
    let authority = Authority::new(&folder, "ca");
    let files = authority.vouch("a", &["a.example"]);
    let origin = Origin::named("a");
    for (oldest, refused, spoken) in [
        (
            "1.2",
            &["-tls1", "-tls1_1"][..],
            &["-tls1_2", "-tls1_3"][..],
        ),
        ("1.3", &["-tls1_1", "-tls1_2"], &["-tls1_3"]),
    ] {
        let tls = json!({"certificates": [files.named()], "min_version": oldest});
        let proxy = proxy(&origin, &tls, "");
        // openssl itself would not go so low otherwise.
        let low = ["-cipher", "DEFAULT@SECLEVEL=0"];
        for (versions, is_spoken) in [(refused, false), (spoken, true)] {
            for version in versions {
                let args = [&[*version][..], &low].concat();
                let (is_content, said) = openssl(proxy.address, "a.example", &args);
                assert_eq!(is_content, is_spoken, "{oldest} {version}: {said}");
            }
        }
        let counts = &proxy.shared.tls.handshakes;
        eventually("what failed is counted", || {
            counts.failed.load(std::sync::atomic::Ordering::Relaxed) >= refused.len() as u64
        });
    }
}

#[test]
fn clients_are_let_in_by_their_certificates_and_servers_are_told_of_them() {
    let folder = folder("tls-clients");
    let (authority, other) = (
        Authority::new(&folder, "ca"),
        Authority::new(&folder, "other"),
    );
    let files = authority.vouch("a", &["a.example"]);
    let (known, stranger) = (
        authority.vouch("known", &["me"]),
        other.vouch("stranger", &["me"]),
    );
    let origin = Origin::named("a");
    let ca = authority.file();
    let asks = |proxy: &Proxy, certificate: Option<&Files>| {
        let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let mut args = vec!["--http1.1".to_owned()];
        for field in ["client-cert: :forged:", "Client-Cert-Chain: :forged:"] {
            args.extend(["-H".to_owned(), field.to_owned()]);
        }
        if let Some(files) = certificate {
            args.extend(["--cert".to_owned(), path(&files.cert)]);
            args.extend(["--key".to_owned(), path(&files.key)]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        curl(proxy.address, "a.example", &ca, &args)
    };
    let told = || {
        let last = origin.got().pop().expect("a request");
        let values = |name| {
            last.all(name)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        (values("client-cert"), values("client-cert-chain"))
    };
    let der = CertificateDer::from_pem_file(&known.cert).expect("PEM");
    let field = format!(":{}:", BASE64_STANDARD.encode(der));
    let tls = |kind: &str, tells: bool| {
        json!({"certificates": [files.named()], "client_ca_file": ca,
            "client_certificates": kind, "tell_servers": tells})
    };
    let required = proxy(&origin, &tls("required", true), "");
    assert!(asks(&required, None).is_err());
    assert!(asks(&required, Some(&stranger)).is_err());
    assert_eq!(asks(&required, Some(&known)).as_deref(), Ok("a"));
    assert_eq!(told(), (vec![field], vec![]));
    let optional = proxy(&origin, &tls("optional", true), "");
    assert_eq!(asks(&optional, None).as_deref(), Ok("a"));
    assert_eq!(told(), (vec![], vec![]), "a client says nothing of itself");
    assert!(asks(&optional, Some(&stranger)).is_err());
    let silent = proxy(&origin, &tls("optional", false), "");
    assert_eq!(asks(&silent, Some(&known)).as_deref(), Ok("a"));
    let forged = vec![":forged:".to_owned()];
    assert_eq!(
        told(),
        (forged.clone(), forged),
        "it is not the proxy's field"
    );
}

#[test]
fn a_handshake_that_stalls_is_cut() {
    let folder = folder("tls-stalls");
    let authority = Authority::new(&folder, "ca");
    let files = authority.vouch("a", &["a.example"]);
    let origin = Origin::named("a");
    let tls = json!({"certificates": [files.named()]});
    let proxy = proxy(&origin, &tls, r#", "timeouts": {"tls_handshake": 0.3}"#);
    let mut silent = Client::connect(proxy.address);
    let mut half = Client::connect(proxy.address);
    half.send(b"\x16\x03\x01\x02\x00\x01");
    assert!(silent.is_ended() && half.is_ended());
    let counts = &proxy.shared.tls.handshakes;
    assert_eq!(counts.late.load(std::sync::atomic::Ordering::Relaxed), 2);
    // Clear text is none.
    let mut clear = Client::connect(proxy.address);
    clear.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is counted", || {
        counts.failed.load(std::sync::atomic::Ordering::Relaxed) == 1
    });
    // Once agreed on, other limits hold.
    let mut client = authority.client(proxy.address, "a.example", None, &[]);
    std::thread::sleep(Duration::from_millis(1));
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .expect("it is read");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("a whole answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn a_client_that_leaves_is_noticed_and_a_tunnel_goes_over_tls() {
    let folder = folder("tls-leaves");
    let authority = Authority::new(&folder, "ca");
    let files = authority.vouch("a", &["a.example"]);
    let tls = json!({"certificates": [files.named()]});
    // It answers nobody.
    let origin = Origin::new(|_, stream| {
        let _ = stream.read(&mut [0]);
        After::Close
    });
    let proxy = self::proxy(&origin, &tls, "");
    let mut client = authority.client(proxy.address, "a.example", None, &[]);
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .expect("it is read");
    eventually("it is there", || proxy.in_flight() == 1);
    client.conn.send_close_notify();
    client.flush().expect("it is read");
    eventually("it is noticed", || proxy.in_flight() == 0);

    let origin = echo();
    let proxy = self::proxy(&origin, &tls, "");
    let stream = authority.client(proxy.address, "a.example", None, &["http/1.1"]);
    let (mut socket, _) = tungstenite::client("ws://a.example/chat", stream).expect("a tunnel");
    for n in [1, 70_000] {
        let said = Message::text("x".repeat(n));
        socket.send(said.clone()).expect("open");
        assert_eq!(socket.read().expect("an echo"), said);
    }
}

#[test]
fn a_reload_changes_certificates_while_connections_live_on() {
    let folder = folder("tls-reload");
    let (authority, next) = (
        Authority::new(&folder, "ca"),
        Authority::new(&folder, "next"),
    );
    let files = authority.vouch("a", &["a.example"]);
    let origin = Origin::new(|_, stream| {
        ok(stream, "a");
        After::Keep
    });
    let (port, api_port) = (free_port(), free_port());
    let file = folder.join("config.json");
    let document = |watch: bool| {
        json!({"servers": [at("a", origin.address)],
            "listen": {"port": port, "tls": {"certificates": [files.named()]}},
            "process": {"workers": 1, "watch_config": watch},
            "health_check": {"enabled": false}, "api": {"port": api_port}})
    };
    write(&file, &document(false));
    let program = Program::start(&file, port);
    let is_trusted = |authority: &Authority| {
        curl(
            program.proxy,
            "a.example",
            &authority.file(),
            &["--http1.1"],
        )
        .is_ok()
    };
    assert!(is_trusted(&authority) && !is_trusted(&next));
    let mut old = authority.client(program.proxy, "a.example", None, &[]);
    let mut still_answers = || {
        old.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("it lives");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\na") {
            let mut byte = [0];
            old.read_exact(&mut byte).expect("it lives");
            head.push(byte[0]);
        }
    };
    still_answers();
    // The certificate of one authority, and the key of another.
    let key = std::fs::read(&files.key).expect("it is there");
    next.vouch("a", &["a.example"]);
    let new_key = std::fs::read(&files.key).expect("it is there");
    std::fs::write(&files.key, key).expect("a writable folder");
    program.hang_up();
    program.says("configuration not reloaded", 1);
    program.says("listen.tls.certificates[0].key_file: ", 1);
    let (status, said) = api(api_port, "POST", "/api/reload", &Value::Null);
    assert_eq!(status, 422, "{said}");
    assert!(
        said.contains("its key is not that of the certificate"),
        "{said}"
    );
    assert!(is_trusted(&authority), "nothing was changed");
    std::fs::write(&files.key, new_key).expect("a writable folder");
    program.hang_up();
    eventually("the next one is used", || is_trusted(&next));
    assert!(!is_trusted(&authority));
    still_answers();
    let (_, figures) = api(api_port, "GET", "/metrics", &Value::Null);
    let days = figures.lines().find_map(|line| {
        let rest = line.strip_prefix("ringway_tls_certificate_days_left{cert_file=\"")?;
        rest.strip_prefix(files.cert.to_str()?)?
            .strip_prefix("\"} ")?
            .parse::<f64>()
            .ok()
    });
    assert!(days.expect("a figure") > 365.0, "{figures}");
    assert!(
        figures.contains("ringway_tls_handshakes_total{result=\"failed\"}"),
        "{figures}"
    );
    // Watched, the files of certificates are too.
    write(&file, &document(true));
    program.hang_up();
    program.says("settings=\"process.watch_config\"", 1);
    authority.vouch("a", &["a.example"]);
    eventually("it is found", || is_trusted(&authority));
    still_answers();
    assert!(
        !program.log().contains("agreed on TLS"),
        "{}",
        program.log()
    );
}

#[test]
fn what_is_wrong_with_files_is_said_before_anything_runs() {
    let folder = folder("tls-faults");
    let authority = Authority::new(&folder, "ca");
    let (a, b) = (
        authority.vouch("a", &["a.example"]),
        authority.vouch("b", &["b.example"]),
    );
    let empty = folder.join("empty");
    std::fs::write(&empty, "nothing").expect("a writable folder");
    let file = folder.join("config.json");
    let document = json!({"servers": [], "listen": {"tls": {"client_ca_file": empty,
    "certificates": [
        a.named(),
        {"cert_file": a.cert, "key_file": b.key},
        {"cert_file": folder.join("none"), "key_file": a.cert},
    ]}}});
    write(&file, &document);
    let output = ringway(&["check", file.to_str().expect("UTF-8")], b"");
    assert_eq!(output.status.code(), Some(2));
    let blame = text(&output.stderr);
    let place = folder.display();
    for expected in [
        format!(
            "certificates[1].key_file: {place}/b.key cannot be used: its key is not that of the certificate in {place}/a.crt"
        ),
        format!("certificates[2].cert_file: {place}/none cannot be used: "),
        format!(
            "certificates[2].key_file: {place}/a.crt cannot be used: it has no private key in PEM"
        ),
        format!(
            "listen.tls.client_ca_file: {place}/empty cannot be used: it has no certificate in PEM"
        ),
    ] {
        assert!(blame.contains(&expected), "{expected}\n{blame}");
    }
    assert!(!blame.contains("certificates[0]"), "{blame}");
}
