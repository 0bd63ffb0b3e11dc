//! What is tried again and what is not, case by case, through the real proxy.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use ringway::config::Config;
use ringway::engine::{AdminState, Command, Idle, Outcome, Position, Verdict};
use ringway::native::clock;
use ringway::native::retries::Reason;

use crate::support::client::{Answer, Client};
use crate::support::faulty::{Fault, Faulty};
use crate::support::name;
use crate::support::origin::{After, Origin, Refusing, ok};
use crate::support::proxy::{Proxy, eventually};

/// Keys are paths, and these are the `retries`.
fn with(retries: &str) -> String {
    format!(
        r#""routing": {{"hash_key": ["path"], "debug_header": true}}, "retries": {{{retries}}}"#
    )
}

/// A server that answers each request with this, as it is.
fn saying(answer: &'static str) -> Origin {
    Origin::new(move |_, stream| {
        let _ = stream.write_all(answer.as_bytes());
        After::Keep
    })
}

const BUSY: &str = "HTTP/1.1 503 Unavailable\r\ncontent-length: 4\r\nx-why: full\r\n\r\nbusy";

fn count(proxy: &Proxy, reason: Reason) -> u64 {
    proxy.shared.retries().counts().by_reason[reason as usize]
}

fn send(proxy: &Proxy, request: &str) -> Answer {
    let mut client = Client::connect(proxy.address);
    client.send(request);
    client.answer()
}

#[test]
fn only_idempotent_requests_ask_another_server_after_a_503() {
    let (busy, live) = (saying(BUSY), Origin::named("live"));
    let servers = [("busy", busy.address), ("live", live.address)];
    let proxy = Proxy::start(&servers, &with(""));
    let path = proxy.path_of("busy");
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = send(
            &proxy,
            &format!("{method} {path} HTTP/1.1\r\nhost: t\r\n\r\n"),
        );
        assert_eq!((answer.status, answer.text()), (200, "live"), "{method}");
        assert_eq!(answer.all("x-ringway-attempts"), ["2"]);
    }
    for method in ["POST", "PATCH"] {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
        let answer = send(&proxy, &request);
        assert_eq!((answer.status, answer.text()), (503, "busy"), "{method}");
        assert_eq!(answer.all("x-why"), ["full"]);
    }
    assert_eq!(count(&proxy, Reason::Status), 4);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn the_configured_statuses_are_the_ones() {
    let teapot = saying("HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n");
    let (busy, live) = (saying(BUSY), Origin::named("live"));
    let servers = [
        ("busy", busy.address),
        ("live", live.address),
        ("teapot", teapot.address),
    ];
    let proxy = Proxy::start(&servers, &with(r#""on_status": [418], "attempts": 1"#));
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get(&proxy.path_of("busy")).status, 503);
    let answer = client.get(&proxy.path_of("teapot"));
    assert_eq!(answer.all("x-ringway-attempts"), ["2"]);
    assert_ne!(answer.status, 418);
}

#[test]
fn when_nobody_does_better_the_client_gets_the_last_real_answer() {
    let dead = Refusing::new();
    let (one, other) = (
        saying("HTTP/1.1 503 Unavailable\r\ncontent-length: 3\r\n\r\none"),
        saying("HTTP/1.1 503 Unavailable\r\ncontent-length: 5\r\n\r\nother"),
    );
    let two = [("one", one.address), ("other", other.address)];
    let proxy = Proxy::start(&two, &with(""));
    let answer = Client::connect(proxy.address).get(&proxy.path_of("one"));
    assert_eq!((answer.status, answer.text()), (503, "other"));
    assert_eq!(answer.all("x-ringway-attempts"), ["2"]);
    // What another that is not there has to say is not better.
    let servers = [("one", one.address), ("dead", dead.address)];
    let proxy = Proxy::start(&servers, &with(""));
    let mut client = Client::connect(proxy.address);
    let answer = client.get(&proxy.path_of("one"));
    assert_eq!((answer.status, answer.text()), (503, "one"));
    assert_eq!(answer.all("x-ringway-server"), ["one"]);
    assert_eq!(answer.all("x-ringway-attempts"), ["2"]);
    // Nobody else is there to be asked: the answer is not kept waiting.
    let proxy = Proxy::start(&two[..1], &with(r#""backoff": 60, "backoff_max": 60"#));
    assert_eq!(Client::connect(proxy.address).get("/").text(), "one");
    assert_eq!(count(&proxy, Reason::Status), 0);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[test]
fn without_a_budget_the_first_answer_stands_and_is_counted() {
    let (busy, live, dead) = (saying(BUSY), Origin::named("live"), Refusing::new());
    let servers = [
        ("busy", busy.address),
        ("dead", dead.address),
        ("live", live.address),
    ];
    let proxy = Proxy::start(&servers, &with(r#""budget_percent": 0, "budget_min": 0"#));
    let mut client = Client::connect(proxy.address);
    let answer = client.get(&proxy.path_of("busy"));
    assert_eq!((answer.status, answer.text()), (503, "busy"));
    assert_eq!(proxy.shared.retries().counts().budget_exhausted, 1);
    // What added no load does not count; the next server may be the busy one.
    client.get(&proxy.path_of("dead"));
    assert_eq!(count(&proxy, Reason::Connect), 1);
}

#[test]
fn retries_under_way_are_bounded_and_make_room_when_they_end() {
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let busy = saying(BUSY);
    let slow = Origin::new(move |_, stream| {
        let _ = may_go_on.lock().expect("no panic").recv();
        ok(stream, "slow");
        After::Keep
    });
    let servers = [("busy", busy.address), ("slow", slow.address)];
    let proxy = Proxy::start(
        &servers,
        &with(r#""budget_percent": 0, "budget_min": 1, "backoff": 0.001"#),
    );
    let path = proxy.path_of("busy");
    let mut first = Client::connect(proxy.address);
    first.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
    eventually("one is under way", || count(&proxy, Reason::Status) == 1);
    let mut second = Client::connect(proxy.address);
    assert_eq!(second.get(&path).text(), "busy");
    go_on.send(()).expect("it waits");
    assert_eq!(first.answer().text(), "slow");
    go_on.send(()).expect("it waits");
    assert_eq!(second.get(&path).text(), "slow");
    assert_eq!(proxy.shared.retries().counts().budget_exhausted, 1);
}

#[test]
fn a_body_is_sent_again_as_it_was() {
    let (busy, live) = (saying(BUSY), Origin::named("live"));
    let servers = [("busy", busy.address), ("live", live.address)];
    let proxy = Proxy::start(&servers, &with(r#""replay_buffer": 1000"#));
    let path = proxy.path_of("busy");
    let put = |headers: &str, body: &str| {
        let head = format!("PUT {path} HTTP/1.1\r\nhost: t\r\nx-n: 1\r\n{headers}\r\n\r\n");
        send(&proxy, &(head + body)).text().to_owned()
    };
    let long = "x".repeat(900);
    assert_eq!(put("content-length: 900", &long), "live");
    assert_eq!(
        put(
            "transfer-encoding: chunked",
            "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        ),
        "live"
    );
    let too_long = "x".repeat(1001);
    assert_eq!(put("content-length: 1001", &too_long), "busy");
    let (at_busy, at_live) = (busy.got(), live.got());
    assert_eq!(at_live.len(), 2);
    for (first, second) in at_busy.iter().zip(&at_live) {
        assert_eq!(first.body, second.body);
        // But for the port in Host nothing differs.
        assert_eq!((&first.line, &first.fields), (&second.line, &second.fields));
    }
    assert_eq!(at_live[0].body, long.as_bytes());
    assert_eq!(at_live[1].body, b"onetwo");
}

#[test]
fn a_body_that_is_still_coming_goes_on_to_the_next_server() {
    // Breaks off when a part of the body has come.
    let (arrived, arrival) = channel();
    let broken = Origin::at_head(move |_, stream| {
        let mut first = [0; 3];
        let _ = std::io::Read::read_exact(stream, &mut first);
        let _ = arrived.send(());
        After::Close
    });
    let live = Origin::new(|got, stream| {
        ok(stream, &String::from_utf8_lossy(&got.body));
        After::Keep
    });
    let servers = [("broken", broken.address), ("live", live.address)];
    let proxy = Proxy::start(&servers, &with(""));
    let path = proxy.path_of("broken");
    let mut client = Client::connect(proxy.address);
    client.send(format!(
        "PUT {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 6\r\n\r\none"
    ));
    arrival.recv().expect("it arrives");
    eventually("it is tried again", || count(&proxy, Reason::Broken) == 1);
    client.send("two");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (200, "onetwo"));
    // The same of a POST is not: the server has seen a part of it.
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\none"
    ));
    assert_eq!(client.answer().status, 502);
    assert_eq!(live.got().len(), 1);
}

#[test]
fn what_waits_for_a_server_that_is_taken_out_goes_elsewhere_at_once() {
    let (sick, live) = (Faulty::new("sick"), Origin::named("live"));
    let servers = [("live", live.address), ("sick", sick.address)];
    let settings = with("") + r#", "ejection": {"base": 60}"#;
    let mut proxy = Proxy::start(&servers, &settings);
    let path = proxy.path_of("sick");
    sick.set(Fault::Hang);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(proxy.address)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(match n {
            0..4 => format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"),
            4..6 => format!("PUT {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\none"),
            _ => format!("POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\none"),
        });
    }
    eventually("all wait", || proxy.in_flight() == 8);
    // It is ejected by what others say of it.
    let fleet = proxy.shared.fleet().load_full();
    let servers = fleet.servers.iter().zip(fleet.table.servers());
    let mut sick = servers.filter(|(_, entry)| entry.server.name == name("sick"));
    let (runtime, entry) = sick.next().expect("it is there");
    for _ in 0..5 {
        let failed = Outcome::NoAnswer;
        proxy.shared.report(runtime, entry.term, failed);
    }
    let began = clock::now();
    proxy.judge();
    for client in &mut clients[..6] {
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (200, "live"));
    }
    let took = clock::now().since(began);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(count(&proxy, Reason::TakenOut), 6);
    assert_eq!(proxy.in_flight(), 2, "POSTs stay where they are");
    assert!(live.got().iter().all(|got| !got.line.starts_with("POST")));
}

#[test]
fn what_waits_stays_where_it_is_when_there_is_nowhere_else_or_the_operator_drains() {
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let slow = Origin::new(move |_, stream| {
        let _ = may_go_on.lock().expect("no panic").recv();
        ok(stream, "slow");
        After::Keep
    });
    let live = Origin::named("live");
    let servers = [("live", live.address), ("slow", slow.address)];
    let proxy = Proxy::start(&servers, &with(""));
    let path = proxy.path_of("slow");
    let mut client = Client::connect(proxy.address);
    client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
    eventually("it waits", || proxy.in_flight() == 1);
    proxy
        .shared
        .apply(Command::SetState(name("slow"), AdminState::Draining))
        .expect("it is there");
    // The worker has taken note when it answers by the new table.
    let mut other = Client::connect(proxy.address);
    assert_eq!(other.get(&path).text(), "live");
    go_on.send(()).expect("it waits");
    assert_eq!(client.answer().text(), "slow");
    assert_eq!(count(&proxy, Reason::TakenOut), 0);
}

#[test]
fn what_waits_goes_by_what_is_known_now_though_its_server_is_drained_and_all_was_reloaded() {
    let (sick, dead, live) = (Faulty::new("sick"), Refusing::new(), Origin::named("live"));
    let servers = [
        ("dead", dead.address),
        ("live", live.address),
        ("sick", sick.address),
    ];
    let settings = with(r#""attempts": 1"#)
        + r#", "ejection": {"base": 60, "max_percent": 100}, "health_check": {"enabled": false}"#;
    let mut proxy = Proxy::start(&servers, &settings);
    let fleet = proxy.shared.fleet().load_full();
    let of = |text: &str| {
        let mut servers = fleet.servers.iter().zip(fleet.table.servers());
        let found = servers.position(|(_, entry)| entry.server.name == name(text));
        found.expect("it is there")
    };
    // After the sick one the dead one would be asked, and nobody else.
    let mut paths = (0..).map(|i| format!("/{i}"));
    let path = paths.find(|path| {
        let key = Some(Position::of_key(path.as_bytes()));
        let route = |tried: &[_]| fleet.table.route(key, &Idle, tried);
        let first = route(&[]).expect("a server").server;
        let second = route(&[first]).expect("a server").server;
        [first, second].map(|index| fleet.table.server(index).server.name.clone())
            == [name("sick"), name("dead")]
    });
    let path = path.expect("there are many");
    sick.set(Fault::Hang);
    let mut client = Client::connect(proxy.address);
    client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
    eventually("it waits", || proxy.in_flight() == 1);
    let drain = Command::SetState(name("sick"), AdminState::Draining);
    proxy.shared.apply(drain).expect("it is there");
    let mut document = serde_json::to_value(&*proxy.shared.config()).expect("JSON");
    document["pool"]["max_idle"] = 7.into();
    let config = Config::read(document).expect("a good configuration");
    let applied = proxy.shared.reconfigure(config, |_| true);
    applied.expect("a good fleet").expect("it may");
    for text in ["dead", "sick"] {
        let (runtime, entry) = (&fleet.servers[of(text)], &fleet.table.servers()[of(text)]);
        for _ in 0..5 {
            let failed = Outcome::NoAnswer;
            proxy.shared.report(runtime, entry.term, failed);
        }
    }
    proxy.judge();
    assert_eq!(client.answer().text(), "live");
    assert_eq!(count(&proxy, Reason::TakenOut), 1);
}

#[test]
fn a_backup_is_asked_when_all_primaries_failed() {
    let (dead, busy, spare) = (Refusing::new(), saying(BUSY), Origin::named("spare"));
    let server = |name: &str, address: std::net::SocketAddr, backup: bool| {
        let (ip, port) = (address.ip(), address.port());
        format!(r#"{{"name": "{name}", "address": "{ip}", "port": {port}, "backup": {backup}}}"#)
    };
    let proxy = Proxy::of(
        &[
            server("dead", dead.address, false),
            server("busy", busy.address, false),
            server("spare", spare.address, true),
        ],
        &with(""),
        1,
        None,
    );
    for path in [proxy.path_of("dead"), proxy.path_of("busy")] {
        let answer = Client::connect(proxy.address).get(&path);
        assert_eq!((answer.status, answer.text()), (200, "spare"));
        assert_eq!(answer.all("x-ringway-attempts"), ["3"]);
    }
}

#[test]
fn each_attempt_may_have_a_limit_of_its_own() {
    let (hanging, live) = (Faulty::new("hanging"), Origin::named("live"));
    hanging.set(Fault::Hang);
    let servers = [("hanging", hanging.address), ("live", live.address)];
    let settings = with(r#""per_try_timeout": 0.1"#);
    let proxy = Proxy::start(&servers, &settings);
    let path = proxy.path_of("hanging");
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get(&path).text(), "live");
    assert_eq!(count(&proxy, Reason::Timeout), 1);
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nhi"
    ));
    assert_eq!(client.answer().status, 504);
    let too_long = format!(r#"{{"servers": [], {}}}"#, with(r#""per_try_timeout": 30"#));
    let faults = ringway::config::Config::parse(too_long.as_bytes()).expect_err("no limit");
    assert!(
        faults.to_string().starts_with("retries.per_try_timeout: "),
        "{faults}"
    );
}

#[test]
fn servers_are_waited_for_as_long_as_they_ask_up_to_the_cap() {
    let asking = saying("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n");
    let live = Origin::named("live");
    let servers = [("asking", asking.address), ("live", live.address)];
    for (cap, is_heeded) in [("1", true), ("0.9", false)] {
        let settings = with(&format!(r#""backoff": 0.001, "backoff_max": {cap}"#));
        let proxy = Proxy::start(&servers, &settings);
        let path = proxy.path_of("asking");
        let began = clock::now();
        assert_eq!(Client::connect(proxy.address).get(&path).text(), "live");
        let took = clock::now().since(began);
        assert_eq!(took >= Duration::from_secs(1), is_heeded, "{took:?}");
    }
}

#[test]
fn a_short_answer_that_breaks_off_is_never_seen() {
    let cut = Origin::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        After::Close
    });
    let live = Origin::named("live");
    let servers = [("cut", cut.address), ("live", live.address)];
    let mut proxy = Proxy::start(&servers, &with(""));
    let path = proxy.path_of("cut");
    let mut client = Client::connect(proxy.address);
    let answer = client.get(&path);
    assert_eq!((answer.status, answer.text()), (200, "live"));
    let (_, verdict) = proxy.judged();
    assert_eq!(verdict, Verdict::Failed);
    assert_eq!(proxy.shared.snapshot().servers[0].total.errors, 1);
    // Switched off, it is passed on as it comes.
    let proxy = Proxy::start(&servers, &with(r#""hold_answer": 0"#));
    let mut client = Client::connect(proxy.address);
    client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
    let mut answer = client.head().expect("a head");
    assert!(client.body(&mut answer).is_none(), "cut short");
}

#[test]
fn a_stream_that_breaks_off_is_passed_on_so_and_its_server_ejected() {
    let cut = Origin::new(|_, stream| {
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        After::Close
    });
    let live = Origin::named("live");
    let servers = [("cut", cut.address), ("live", live.address)];
    let settings = with("") + r#", "health_check": {"enabled": false}"#;
    let mut proxy = Proxy::start(&servers, &settings);
    let path = proxy.path_of("cut");
    proxy.judge();
    let ask = || {
        let mut client = Client::connect(proxy.address);
        client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
        let mut answer = client.head().expect("a head");
        assert_eq!(answer.status, 200);
        client.body(&mut answer).map(|()| answer.text().to_owned())
    };
    // Each begins well; only their ends speak against the server.
    for _ in 0..5 {
        assert_eq!(ask(), None, "no last chunk");
    }
    eventually("it is ejected", || ask().as_deref() == Some("live"));
}

#[test]
fn answers_of_unknown_or_great_length_are_not_kept_waiting() {
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let origin = Origin::new(move |got, stream| {
        let (head, rest): (&[u8], &[u8]) = match got.line.split(' ').nth(1) {
            Some("/chunked") => (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n",
                b"3\r\ntwo\r\n0\r\n\r\n",
            ),
            _ => (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none", b"two"),
        };
        let _ = stream.write_all(head);
        let _ = may_go_on.lock().expect("no panic").recv();
        let _ = stream.write_all(rest);
        After::Keep
    });
    let dead = Refusing::new();
    let servers = [("a", origin.address), ("dead", dead.address)];
    let proxy = Proxy::start(&servers, &with(r#""hold_answer": 5"#));
    let mut client = Client::connect(proxy.address);
    for (path, first) in [("/chunked", &b"3\r\none"[..]), ("/length", b"one")] {
        client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
        assert_eq!(client.head().expect("at once").status, 200);
        assert_eq!(client.read_exactly(first.len()), first);
        go_on.send(()).expect("it waits");
        let rest = if path == "/chunked" {
            "\r\n3\r\ntwo\r\n0\r\n\r\n"
        } else {
            "two"
        };
        assert_eq!(client.read_exactly(rest.len()), rest.as_bytes());
    }
}

#[test]
fn a_short_answer_that_takes_too_long_is_passed_on_bit_by_bit() {
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let slow = Origin::new(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none");
        let _ = may_go_on.lock().expect("no panic").recv();
        let _ = stream.write_all(b"two");
        After::Keep
    });
    let dead = Refusing::new();
    let servers = [("slow", slow.address), ("dead", dead.address)];
    let settings = with("") + r#", "timeouts": {"response_header": 0.1}"#;
    let proxy = Proxy::start(&servers, &settings);
    let mut client = Client::connect(proxy.address);
    let path = proxy.path_of("slow");
    client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
    let mut answer = client.head().expect("a head, once the time is over");
    assert_eq!(answer.status, 200);
    go_on.send(()).expect("it waits");
    client.body(&mut answer).expect("the rest");
    assert_eq!(answer.text(), "onetwo");
}

#[test]
fn settings_that_contradict_are_refused() {
    let parse = |retries: &str| {
        let document = format!(r#"{{"servers": [], "retries": {retries}}}"#);
        ringway::config::Config::parse(document.as_bytes()).map_err(|faults| faults.to_string())
    };
    let refused = parse(r#"{"backoff": 0.5}"#).expect_err("more than the cap");
    assert!(refused.starts_with("retries.backoff_max: "), "{refused}");
    assert!(parse(r#"{"backoff": 0.25}"#).is_ok());
}
