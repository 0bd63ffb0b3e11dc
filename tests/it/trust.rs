//! Whom the proxy believes about its clients, and what servers are told of
//! them, on real sockets. The tests' clients stand at 127.0.0.1.

use ringway::config::AccessLogFormat;
use serde_json::Value;

use crate::support::client::{Answer, Client};
use crate::support::logged::text_of;
use crate::support::origin::{After, Got, Origin, ok};
use crate::support::proxy::Proxy;

const TRUSTING: &str = r#""forwarding": {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]}"#;
const BY_CLIENT: &str = r#""routing": {"hash_key": ["client_ip"], "debug_header": true}"#;

fn get(client: &mut Client, fields: &str) -> Answer {
    client.send(format!(
        "GET / HTTP/1.1\r\nhost: shop.example\r\n{fields}\r\n"
    ));
    client.answer()
}

/// What a server behind a proxy with these settings got of a request with these
/// fields: its values of a field, for each of `names`.
fn told(settings: &str, fields: &str, names: &[&str]) -> Vec<String> {
    let origin = Origin::named("a");
    let proxy = Proxy::start(&[("a", origin.address)], settings);
    assert_eq!(get(&mut Client::connect(proxy.address), fields).status, 200);
    let got = &origin.got()[0];
    names.iter().map(|name| got.all(name).join(" | ")).collect()
}

#[test]
fn the_client_behind_a_trusted_proxy_is_the_key_of_each_request() {
    let (a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    let servers = [("a", a.address), ("b", b.address), ("c", c.address)];
    let trusting = Proxy::start(&servers, &format!("{TRUSTING}, {BY_CLIENT}"));
    let wary = Proxy::start(&servers, BY_CLIENT);
    // All on one connection, as a proxy that keeps it sends them.
    let mut client = Client::connect(trusting.address);
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..30 {
        let ip = format!("192.0.2.{i}");
        for field in [
            format!("x-forwarded-for: 6.6.6.6, {ip}, 10.0.0.9\r\n"),
            format!("x-forwarded-for: {ip}:4711\r\nforwarded: for=6.6.6.6\r\n"),
            format!("forwarded: for=6.6.6.6, for=\"{ip}:4711\"\r\n"),
        ] {
            let answer = get(&mut client, &field);
            assert_eq!(answer.text(), trusting.owner_of(&ip), "{field}");
            seen.insert(answer.text().to_owned());
            let explained = answer.all("x-ringway-explain")[0];
            assert!(explained.starts_with("key=\"client_ip\", "), "{explained}");
            // Who is not trusted is the client, whatever it says.
            let answer = get(&mut Client::connect(wary.address), &field);
            assert_eq!(answer.text(), wary.owner_of("127.0.0.1"), "{field}");
        }
    }
    assert_eq!(seen.len(), 3);
    let itself = get(&mut client, "");
    assert_eq!(itself.text(), trusting.owner_of("127.0.0.1"));
}

#[test]
fn servers_are_told_who_asks_and_through_whom() {
    const NAMES: [&str; 5] = [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "host",
    ];
    let sent = "x-forwarded-for: 6.6.6.6, 192.0.2.1\r\nx-forwarded-proto: https\r\n\
                x-forwarded-host: www.example\r\nforwarded: for=6.6.6.6;proto=ws\r\n";
    for (settings, expected) in [
        (
            String::new(),
            ["127.0.0.1", "http", "shop.example", "", "shop.example"],
        ),
        (
            TRUSTING.to_owned(),
            [
                "6.6.6.6, 192.0.2.1, 127.0.0.1",
                "https",
                "www.example",
                "",
                "shop.example",
            ],
        ),
        (
            r#""forwarding": {"forwarded": true, "host": {"name": "in.example:80"}}"#.to_owned(),
            [
                "127.0.0.1",
                "http",
                "shop.example",
                "for=127.0.0.1;proto=http;host=shop.example",
                "in.example:80",
            ],
        ),
        (
            TRUSTING.replace('}', r#", "forwarded": true}"#),
            [
                "6.6.6.6, 192.0.2.1, 127.0.0.1",
                "https",
                "www.example",
                "for=192.0.2.1;proto=https;host=www.example, \
                 for=127.0.0.1;proto=http;host=shop.example",
                "shop.example",
            ],
        ),
        (
            TRUSTING.replace(
                '}',
                r#", "forwarded": true, "trusted_fields": ["forwarded"]}"#,
            ),
            [
                "6.6.6.6, 127.0.0.1",
                "ws",
                "shop.example",
                "for=6.6.6.6;proto=ws, for=127.0.0.1;proto=http;host=shop.example",
                "shop.example",
            ],
        ),
    ] {
        assert_eq!(told(&settings, sent, &NAMES), expected, "{settings}");
    }
}

#[test]
fn host_can_be_the_servers_own_at_every_attempt() {
    // The first server that is asked sends the request on to the other.
    let script = |got: &Got, stream: &mut std::net::TcpStream| {
        if got.connection == 0 && got.line.contains("/again") {
            return After::Close;
        }
        ok(stream, got.all("host")[0]);
        After::Keep
    };
    let (a, b) = (Origin::new(script), Origin::new(script));
    let settings = r#""forwarding": {"host": "server"}, "routing": {"hash_key": ["path"]}"#;
    let proxy = Proxy::start(&[("a", a.address), ("b", b.address)], settings);
    let mut client = Client::connect(proxy.address);
    client.send("GET /again HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    let (first, then) = match proxy.owner_of("/again").as_str() {
        "a" => (&a, &b),
        _ => (&b, &a),
    };
    // The second server's first connection breaks off too, so the proxy answers.
    assert_eq!(client.answer().status, 502);
    assert_eq!(first.got()[0].all("host"), [first.address.to_string()]);
    assert_eq!(then.got()[0].all("host"), [then.address.to_string()]);
    assert_eq!(then.got()[0].all("x-forwarded-host"), ["shop.example"]);
}

#[test]
fn the_log_and_the_limits_are_about_the_client_and_not_its_proxy() {
    let origin = Origin::named("a");
    let settings = format!(
        r#"{TRUSTING}, "rate_limit": {{"per": "client_ip", "requests_per_second": 0.001, "burst": 1}}"#
    );
    let servers = [("a", origin.address)];
    let text = text_of(&servers, &settings, AccessLogFormat::Json, |client| {
        for (ip, status) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429)] {
            let answer = get(client, &format!("x-forwarded-for: {ip}\r\n"));
            assert_eq!(answer.status, status, "{ip}");
        }
        assert_eq!(get(client, "").status, 200, "the proxy itself");
    });
    let lines = text.lines();
    let found: Vec<(String, Option<String>)> = lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let ip = |name: &str| line[name].as_str().map(str::to_owned);
            (ip("client_ip").expect("a client"), ip("proxy_ip"))
        })
        .collect();
    let through = |ip: &str| (ip.to_owned(), Some("127.0.0.1".to_owned()));
    assert_eq!(
        found,
        [
            through("192.0.2.1"),
            through("192.0.2.2"),
            through("192.0.2.1"),
            ("127.0.0.1".to_owned(), None)
        ]
    );
}

#[test]
fn who_is_trusted_follows_a_reload() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Proxy::start(&[("a", a.address), ("b", b.address)], BY_CLIENT);
    let other = (0..).map(|i| format!("192.0.2.{i}"));
    let mut other = other.filter(|ip| proxy.owner_of(ip) != proxy.owner_of("127.0.0.1"));
    let ip = other.next().expect("each server owns some");
    let field = format!("x-forwarded-for: {ip}\r\n");
    let mut client = Client::connect(proxy.address);
    assert_eq!(get(&mut client, &field).text(), proxy.owner_of("127.0.0.1"));
    proxy.reload(|document| {
        document["forwarding"]["trusted_proxies"] = serde_json::json!(["127.0.0.1"]);
    });
    assert_eq!(get(&mut client, &field).text(), proxy.owner_of(&ip));
}

#[test]
fn trailers_say_nothing_that_belongs_into_a_head() {
    let origin = Origin::new(|_, stream| {
        let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\
                      trailer: x-sum, set-cookie, content-length, x-forwarded-for\r\n\r\n\
                      2\r\nhi\r\n0\r\nx-sum: 1\r\nset-cookie: a=b\r\ncontent-length: 7\r\n\
                      x-forwarded-for: 6.6.6.6\r\n\r\n";
        let _ = std::io::Write::write_all(stream, answer.as_bytes());
        After::Keep
    });
    let proxy = Proxy::start(&[("a", origin.address)], "");
    let mut client = Client::connect(proxy.address);
    let ask = |method: &str| {
        format!(
            "{method} / HTTP/1.1\r\nhost: t\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\
             trailer: x-sum, cookie, content-length, forwarded\r\n\r\n2\r\nhi\r\n0\r\n\
             x-sum: 1\r\ncookie: a=b\r\ncontent-length: 7\r\nforwarded: for=6.6.6.6\r\n\r\n"
        )
    };
    // What is kept to be sent again, and what is not.
    for method in ["PUT", "POST"] {
        client.send(ask(method));
        let head = client.head().expect("an answer");
        assert_eq!(head.status, 200);
        let sum = |trailers: Vec<(String, String)>| {
            assert_eq!(trailers, [("x-sum".to_owned(), "1".to_owned())], "{method}");
        };
        let (body, trailers) = client.chunks().expect("a whole body");
        assert_eq!(body, b"hi");
        sum(trailers);
        let got = origin.got().pop().expect("a request");
        assert_eq!(got.body, b"hi");
        sum(got.trailers);
    }
}

#[test]
fn answers_say_by_whom_they_came_if_that_is_asked_for() {
    let origin = Origin::named("a");
    for (settings, expected) in [
        ("", &[][..]),
        (r#""forwarding": {"via": "both"}"#, &["1.1 ringway"]),
    ] {
        let proxy = Proxy::start(&[("a", origin.address)], settings);
        let answer = Client::connect(proxy.address).get("/");
        assert_eq!(answer.all("via"), expected, "{settings}");
    }
}

#[test]
fn a_request_that_goes_in_a_circle_ends() {
    // A proxy that is its own server, found out by itself.
    let first = Proxy::start(&[], "");
    let second = Proxy::start(&[("first", first.address)], "");
    let address = second.address;
    first.reload(|document| {
        document["servers"] = serde_json::json!([
            {"name": "second", "address": address.ip(), "port": address.port()}
        ]);
    });
    let answer = Client::connect(second.address).get("/");
    assert_eq!(answer.status, 508);
    assert_eq!(
        answer.text(),
        "loop detected: the request has come by here too often\n"
    );
}
