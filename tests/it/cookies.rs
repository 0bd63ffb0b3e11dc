//! Cookies that clients are given so that their requests have a key, on real
//! sockets.

use std::collections::BTreeSet;
use std::net::TcpStream;

use crate::support::client::{Answer, Client};
use crate::support::origin::{After, Got, Origin, Refusing, ok};
use crate::support::proxy::Proxy;

const ISSUING: &str =
    r#""routing": {"hash_key": [{"cookie": "s", "issue": {}}], "debug_header": true}"#;

fn get(client: &mut Client, fields: &str) -> Answer {
    client.send(format!("GET / HTTP/1.1\r\nhost: t\r\n{fields}\r\n"));
    client.answer()
}

/// The value of the cookie that an answer gives.
fn given(answer: &Answer) -> Option<String> {
    let cookies = answer.all("set-cookie");
    let mut values = cookies.iter().filter_map(|cookie| {
        let value = cookie.strip_prefix("s=")?;
        value.strip_suffix("; Path=/; HttpOnly; SameSite=Lax")
    });
    values.next().map(str::to_owned)
}

#[test]
fn a_client_without_the_cookie_is_given_one_and_stays_with_its_server() {
    let (a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    let servers = [("a", a.address), ("b", b.address), ("c", c.address)];
    let proxy = Proxy::start(&servers, ISSUING);
    let (mut values, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..30 {
        // One connection brings requests of several clients, if it is a proxy's.
        let mut client = Client::connect(proxy.address);
        let first = get(&mut client, "");
        let value = given(&first).expect("a cookie");
        assert_eq!(
            first.text(),
            proxy.owner_of(&value),
            "the first request goes by it too"
        );
        let explained = first.all("x-ringway-explain")[0].to_owned();
        let position = proxy.shared.table().position(value.as_bytes());
        let expected = format!("key=\"cookie s\";issued, position=\"{position}\"");
        assert!(explained.starts_with(&expected), "{explained}");
        let next = get(&mut client, &format!("cookie: t=1; s={value}\r\n"));
        assert_eq!(next.text(), first.text());
        assert_eq!(next.all("set-cookie"), [""; 0], "it has one");
        assert!(
            next.all("x-ringway-explain")[0].starts_with("key=\"cookie s\", "),
            "it is not new"
        );
        seen.insert(first.text().to_owned());
        assert!(values.insert(value), "no two clients are given the same");
    }
    assert_eq!(seen.len(), 3);
    let got = a.got();
    assert!(
        got.iter().any(|got| got.all("cookie").is_empty()),
        "servers see what clients send"
    );
}

#[test]
fn a_request_that_is_tried_again_keeps_the_value_it_is_given() {
    let (dead, live) = (Refusing::new(), Origin::named("live"));
    let breaking = Origin::new(|_, _| After::Close);
    let servers = [
        ("dead", dead.address),
        ("breaking", breaking.address),
        ("live", live.address),
    ];
    let proxy = Proxy::start(&servers, ISSUING);
    let mut n_again = 0;
    for _ in 0..30 {
        let answer = get(&mut Client::connect(proxy.address), "");
        assert_eq!(answer.text(), "live");
        let value = given(&answer).expect("a cookie");
        let owner = proxy.owner_of(&value);
        let n_attempts: u32 = answer.all("x-ringway-attempts")[0]
            .parse()
            .expect("a number");
        assert_eq!(n_attempts > 1, owner != "live", "{owner}");
        let explained = answer.all("x-ringway-explain")[0];
        assert!(
            explained.contains(&format!("owner=\"{owner}\"")),
            "{explained}"
        );
        n_again += u32::from(n_attempts > 1);
    }
    assert!(n_again > 5, "{n_again}");
}

#[test]
fn nobody_is_given_a_cookie_that_leads_nowhere() {
    let refusing = Refusing::new();
    let own = Origin::new(|got: &Got, stream: &mut TcpStream| {
        let answer = "HTTP/1.1 200 OK\r\nset-cookie: s=own\r\ncontent-length: 0\r\n\r\n";
        match got.line.as_str() {
            "GET / HTTP/1.1" => drop(std::io::Write::write_all(stream, answer.as_bytes())),
            _ => ok(stream, ""),
        }
        After::Keep
    });
    // No server answered.
    for servers in [&[][..], &[("a", refusing.address)]] {
        let proxy = Proxy::start(servers, ISSUING);
        let answer = get(&mut Client::connect(proxy.address), "");
        assert!(answer.status >= 502, "{}", answer.status);
        assert_eq!(answer.all("set-cookie"), [""; 0]);
    }
    // The server has one of that name itself.
    let proxy = Proxy::start(&[("a", own.address)], ISSUING);
    let mut client = Client::connect(proxy.address);
    assert_eq!(get(&mut client, "").all("set-cookie"), ["s=own"]);
    // The chain does not come to it.
    let chain = r#""routing": {"hash_key": [{"header": "x-user"}, {"cookie": "s", "issue": {}}]}"#;
    let proxy = Proxy::start(&[("a", Origin::named("a").address)], chain);
    let mut client = Client::connect(proxy.address);
    assert_eq!(given(&get(&mut client, "x-user: ann\r\n")), None);
    assert!(given(&get(&mut client, "")).is_some());
    // The rule has no keys.
    let keyless = ISSUING.replacen('{', r#"{"algorithm": "round-robin", "#, 1);
    let proxy = Proxy::start(&[("a", Origin::named("a").address)], &keyless);
    let answer = get(&mut Client::connect(proxy.address), "");
    assert_eq!((answer.status, given(&answer)), (200, None));
}

#[test]
fn a_cookie_is_for_tls_alone_where_the_client_is_known_to_use_it() {
    let origin = Origin::named("a");
    let settings = format!(r#"{ISSUING}, "forwarding": {{"trusted_proxies": ["127.0.0.1"]}}"#);
    for (settings, is_secure) in [(settings.as_str(), true), (ISSUING, false)] {
        let proxy = Proxy::start(&[("a", origin.address)], settings);
        let mut client = Client::connect(proxy.address);
        let answer = get(&mut client, "x-forwarded-proto: https\r\n");
        let cookie = answer.all("set-cookie")[0];
        assert_eq!(cookie.ends_with("; Secure"), is_secure, "{cookie}");
    }
}
