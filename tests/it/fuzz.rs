//! Input that nobody should give, by the thousand: configurations and requests
//! whose keys must be found. Nothing may panic, hang or go without an answer.
//! (The API's is in `api/fuzz.rs`.)

use std::net::TcpStream;

use ringway::config::Config;
use ringway::engine::{LoadBalancer, Timestamp};

use crate::support::client::Client;
use crate::support::fuzz::Run;
use crate::support::origin::Refusing;
use crate::support::proxy::Proxy;

const CONFIG: &[u8] = include_bytes!("../data/config/good/everything.json");

#[test]
fn a_mangled_configuration_is_refused_in_words_or_makes_a_balancer() {
    let pieces = [
        "0",
        "-1",
        "1e999",
        "1e308",
        "0.1",
        "18446744073709551616",
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\"\u{0}\"",
        "[[[[",
        "{\"join\":[\"path\"]}",
        "{\"header\":\"\"}",
        "\u{feff}",
        "\"servers\":",
        "\\ud800",
        ",",
        ":",
        "10000000000",
    ];
    let mut run = Run::new(1);
    let (mut n_good, mut n_bad) = (0, 0);
    while run.goes_on() {
        let text = run.mangled(CONFIG, &pieces);
        match Config::parse(&text) {
            Ok(config) => {
                n_good += 1;
                let made = LoadBalancer::new(config.settings(), config.servers(), Timestamp::ZERO);
                assert!(made.is_ok(), "{}: {made:?}", run.place());
            }
            Err(faults) => {
                n_bad += 1;
                let said = faults
                    .as_slice()
                    .iter()
                    .all(|fault| !fault.message.is_empty());
                assert!(said, "{}: {faults:?}", run.place());
            }
        }
    }
    assert!(n_good > 0 && n_bad > 0, "{n_good} good, {n_bad} bad");
}

#[test]
fn a_mangled_request_gets_an_answer_or_its_connection_closed() {
    let request = "GET /a/b?id=7&x=%00&id= HTTP/1.1\r\nhost: test\r\ncookie: a=1; session=\"s\"; b\r\n\
         x-user: 1\r\nx-user: 2\r\nx-tenant: t\r\nconnection: close\r\n\r\n";
    let pieces = [
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "\t",
        ":",
        "=",
        ";",
        "&",
        "?",
        "#",
        "%",
        "\u{fffd}",
        "//",
        "http://x/",
        "*",
        "HTTP/1.0",
        "POST",
        "CONNECT",
        "cookie: ;;=;session=\r\n",
        "x-user:\r\n",
        "content-length: 0\r\n",
        "transfer-encoding: chunked\r\n",
        "host: b\r\n",
    ];
    let server = Refusing::new();
    let settings = r#""routing": {"hash_key": [
        {"join": [{"header": "x-tenant"}, {"query": "id"}, {"cookie": "session"}]},
        {"header": "x-user"}, {"query": "x"}, {"cookie": "a"}, "uri"
    ]}, "timeouts": {"client_header": 0.3, "client_idle": 0.3}"#;
    let proxy = Proxy::start(&[("a", server.address)], settings);
    let mut run = Run::new(2);
    let mut n_routed = 0;
    while run.goes_on() {
        let text = run.mangled(request.as_bytes(), &pieces);
        let mut client = Client::connect(proxy.address);
        client.send(&text);
        // No more will come, so nothing is waited for.
        let _ = TcpStream::shutdown(&client.stream, std::net::Shutdown::Write);
        if let Some(answer) = client.head() {
            assert!(
                matches!(answer.status, 400..=501 | 502 | 505),
                "{}: {} for {text:?}",
                run.place(),
                answer.status
            );
            n_routed += u32::from(answer.status == 502);
        }
    }
    assert!(n_routed > 0, "no request was routed");
    assert_eq!(Client::connect(proxy.address).get("/").status, 502);
}
