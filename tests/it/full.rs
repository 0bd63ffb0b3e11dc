//! Full servers: none has more requests in flight than its `max_in_flight`; who
//! finds it full waits for a place, in turn and for a while, and then goes to the
//! next candidate or is refused.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ringway::engine::{
    Algorithm, Idle, Keyless, LoadBalancer, LoadFactor, Loads, MaxInFlight, NoServer, Picker,
    Reason, RoutingTable, Server, ServerIndex, Settings, Spread, Timestamp, Verdict,
};
use serde_json::json;

use crate::support::api::Api;
use crate::support::client::Client;
use crate::support::origin::{After, Origin, ok};
use crate::support::proxy::{Proxy, eventually};
use crate::support::rng::Rng;
use crate::support::{id_of, judge, name, server};

/// Requests in flight, by index.
struct Counts(Vec<u32>);

impl Loads for Counts {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.0[server.as_usize()]
    }
}

fn max(n: u64) -> Option<MaxInFlight> {
    Some(MaxInFlight::new(n).expect("a good limit"))
}

fn limited(text: &str, n: u64) -> Server {
    Server {
        max_in_flight: max(n),
        ..server(text, 1)
    }
}

/// Where keys go of `servers`, by `settings`.
fn table(settings: Settings, servers: Vec<Server>) -> Arc<RoutingTable> {
    let lb = LoadBalancer::new(settings, servers, Timestamp::ZERO).expect("a good fleet");
    Arc::clone(lb.table())
}

fn is_full(table: &RoutingTable, loads: &Counts, server: ServerIndex) -> bool {
    let max = table.server(server).server.max_in_flight;
    max.is_some_and(|max| loads.0[server.as_usize()] >= max.number())
}

#[test]
fn by_every_rule_a_request_goes_to_a_server_with_a_place_in_its_keys_order() {
    const SEED: u64 = 11;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let (mut n_passed, mut n_none) = (0, 0);
    for case in 0..400 {
        let servers: Vec<Server> = (0..1 + rng.below(8))
            .map(|i| Server {
                max_in_flight: rng.chance(70).then(|| max(1 + rng.below(3))).flatten(),
                ..server(&format!("s{i}"), 1 + rng.below(3))
            })
            .collect();
        let rules = [
            Algorithm::Ring,
            Algorithm::LocalRendezvous,
            Algorithm::Rendezvous,
            Algorithm::Keyless(Keyless::LeastConnections),
            Algorithm::Keyless(Keyless::ResponseTime),
            Algorithm::Keyless(Keyless::RoundRobin),
            Algorithm::Keyless(Keyless::Random),
        ];
        let algorithm = rules[rng.below(7) as usize].clone();
        let factor = rng.chance(40).then(|| LoadFactor::new(1.5).expect("good"));
        let settings = Settings {
            algorithm,
            load_factor: factor,
            ..Settings::default()
        };
        let table = table(settings, servers);
        let n = table.servers().len();
        let loads = Counts((0..n).map(|_| rng.below(4) as u32).collect());
        let position = table.position(&rng.below(1 << 30).to_le_bytes());
        let order = table.explain(position, &Idle, &[]);
        let with_place: Vec<ServerIndex> = order
            .iter()
            .map(|candidate| candidate.server)
            .filter(|&server| !is_full(&table, &loads, server))
            .collect();
        let mut picker = Picker::new(rng.below(u64::MAX));
        let keyless = table.keyless().is_some();
        let spread = rng.chance(30).then_some(Spread { nth: 1, over: 2 });
        let routes = [
            table.route(None, &loads, &[]),
            match keyless {
                true => table.pick(&mut picker, &loads, &[]),
                false => table.route_spread(Some(position), spread, &loads, &[]),
            },
            table.route(Some(position), &loads, &[]),
        ];
        for route in routes {
            match route {
                Ok(route) => {
                    assert!(with_place.contains(&route.server), "case {case}: {route:?}");
                    // A shell that counts it in never exceeds the limit.
                    let limit = table.max_in_flight(route.server);
                    let bound = route.bound.map_or(u32::MAX, |bound| bound);
                    assert!(bound <= limit.unwrap_or(u32::MAX), "case {case}");
                }
                Err(why) => {
                    assert_eq!(
                        (why, with_place.len()),
                        (NoServer::AllFull, 0),
                        "case {case}"
                    );
                    n_none += 1;
                }
            }
        }
        let chosen = routes[2].map(|route| route.server).ok();
        if !keyless && !table.is_bounded() {
            assert_eq!(chosen, with_place.first().copied(), "case {case}");
            n_passed += usize::from(chosen != order.first().map(|first| first.server));
        }
        for candidate in table.explain(position, &loads, &[]) {
            let in_flight = loads.in_flight(candidate.server);
            let max = table.max_in_flight(candidate.server).unwrap_or(0);
            let expected = Reason::Full { in_flight, max };
            let is_full = is_full(&table, &loads, candidate.server);
            assert_eq!(
                candidate.reason == expected,
                is_full,
                "case {case}: {candidate:?}"
            );
        }
    }
    assert!(n_passed > 20 && n_none > 20, "{n_passed} {n_none}");
}

#[test]
fn a_full_server_gets_no_trial() {
    let settings = Settings::default();
    let servers = vec![limited("a", 2), server("b", 1), server("c", 1)];
    let mut lb = LoadBalancer::new(settings, servers, Timestamp::ZERO).expect("a good fleet");
    let a = id_of(&lb, &name("a"));
    for _ in 0..5 {
        let _ = judge(&mut lb, a, Verdict::Failed, Timestamp::ZERO);
    }
    let _ = lb.advance(Timestamp::from_millis(40_000));
    let table = lb.table();
    let on_trial = table.find(&name("a")).expect("it is there");
    /// Requests of former terms are in flight, and none of this one.
    struct Former(Counts);
    impl Loads for Former {
        fn in_flight(&self, server: ServerIndex) -> u32 {
            self.0.in_flight(server)
        }
        fn has_trial(&self, _: ServerIndex, _: ringway::engine::Term) -> bool {
            false
        }
    }
    for (n, expected) in [(1, true), (2, false)] {
        let mut loads = Counts(vec![0; 3]);
        loads.0[on_trial.as_usize()] = n;
        let route = table.route(None, &Former(loads), &[]).expect("a server");
        assert_eq!(route.is_trial, expected, "{n} in flight");
        assert_eq!(route.bound, expected.then_some(2));
    }
}

/// Servers that answer when they are told to, in the order in which they are asked.
#[derive(Default)]
struct Doors {
    state: Mutex<Inside>,
    moved: Condvar,
}

#[derive(Default)]
struct Inside {
    /// Paths that may be answered.
    released: BTreeSet<String>,
    is_open: bool,
    /// Who came, in order.
    came: Vec<(&'static str, String)>,
    now: u32,
    most: u32,
}

impl Doors {
    fn closed() -> Arc<Self> {
        Arc::default()
    }

    fn origin(self: &Arc<Self>, name: &'static str) -> Origin {
        let doors = Arc::clone(self);
        Origin::new(move |got, stream| {
            let path = got.line.split(' ').nth(1).unwrap_or_default().to_owned();
            let mut state = doors.state.lock().expect("nobody panics under it");
            state.came.push((name, path.clone()));
            state.now += 1;
            state.most = state.most.max(state.now);
            doors.moved.notify_all();
            let shut = |state: &mut Inside| !state.is_open && !state.released.contains(&path);
            // So that a test which fails does so without waiting for ever.
            let (mut state, _) = doors
                .moved
                .wait_timeout_while(state, Duration::from_secs(15), shut)
                .expect("nobody panics under it");
            state.now -= 1;
            drop(state);
            ok(stream, name);
            After::Keep
        })
    }

    fn release(&self, path: &str) {
        let mut state = self.state.lock().expect("nobody panics under it");
        state.released.insert(path.to_owned());
        self.moved.notify_all();
    }

    fn open(&self) {
        self.state.lock().expect("nobody panics under it").is_open = true;
        self.moved.notify_all();
    }

    fn came(&self) -> Vec<(&'static str, String)> {
        let state = self.state.lock().expect("nobody panics under it");
        state.came.clone()
    }

    fn most(&self) -> u32 {
        self.state.lock().expect("nobody panics under it").most
    }
}

/// A server of the configuration that may have `n` requests in flight.
fn spec(name: &str, origin: &Origin, n: u32) -> String {
    let port = origin.address.port();
    format!(r#"{{"name": "{name}", "address": "127.0.0.1", "port": {port}, "max_in_flight": {n}}}"#)
}

const BY_PATH: &str = r#""routing": {"hash_key": ["path"]}"#;

/// Sends a request for `path`, whose answer is for later.
fn ask(proxy: &Proxy, path: &str) -> Client {
    let mut client = Client::connect(proxy.address);
    client.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
    client
}

fn n_waiting(proxy: &Proxy, n: u32) {
    eventually("so many wait", || proxy.shared.queued().waiting == n);
}

#[test]
fn who_finds_its_server_full_waits_in_turn_while_others_have_places() {
    let doors = Doors::closed();
    let (a, b) = (doors.origin("a"), doors.origin("b"));
    let settings = format!(r#"{BY_PATH}, "queue": {{"timeout": 60, "length": 9}}"#);
    let servers = [spec("a", &a, 2), spec("b", &b, 2)];
    let proxy = Proxy::of(&servers, &settings, 1, None);
    let paths = (0..).map(|i| format!("/{i}"));
    let mine = paths.filter(|path| proxy.owner_of(path) == "a");
    let mine: Vec<String> = mine.take(6).collect();
    let mut clients = Vec::new();
    for (i, path) in mine.iter().enumerate() {
        clients.push(ask(&proxy, path));
        eventually("it is there", || doors.came().len() == (i + 1).min(2));
        n_waiting(&proxy, (i as u32 + 1).saturating_sub(2));
    }
    for (i, path) in mine.iter().enumerate() {
        doors.release(path);
        assert_eq!(clients[i].answer().text(), "a");
        eventually("the next is there", || doors.came().len() == (i + 3).min(6));
    }
    // In the order in which they were sent, two at a time.
    let came: Vec<String> = doors.came().into_iter().map(|(_, path)| path).collect();
    assert_eq!(came, mine);
    assert_eq!(doors.most(), 2);
    let queued = proxy.shared.queued();
    assert_eq!(
        (queued.waited, queued.timed_out, queued.turned_away),
        (4, 0, 0)
    );
}

#[test]
fn places_that_one_worker_gives_back_are_taken_by_those_who_wait_at_others() {
    const CLIENTS: usize = 12;
    const EACH: usize = 40;
    let doors = Doors::closed();
    doors.open();
    let origin = doors.origin("a");
    // A request whose call were lost would wait a minute.
    for rule in ["ring", "round-robin"] {
        let settings = format!(
            r#""routing": {{"hash_key": ["path"], "algorithm": "{rule}"}}, "queue": {{"timeout": 60, "length": 99}}"#
        );
        let proxy = Proxy::of(&[spec("a", &origin, 2)], &settings, 3, None);
        let began = ringway::native::clock::now();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = Client::connect(proxy.address);
                    for _ in 0..EACH {
                        assert_eq!(client.get("/").status, 200);
                    }
                });
            }
        });
        let took = ringway::native::clock::now().since(began);
        assert!(
            took < Duration::from_secs(50),
            "{took:?}: somebody was not called"
        );
        let queued = proxy.shared.queued();
        assert!(queued.waited > 50, "{rule}: {queued:?}");
        assert_eq!(
            (queued.timed_out, queued.turned_away, queued.waiting),
            (0, 0, 0)
        );
    }
    assert!(doors.most() <= 2);
}

#[test]
fn who_waits_in_vain_goes_to_the_next_candidate_or_is_refused_by_the_setting() {
    let doors = Doors::closed();
    let (a, b) = (doors.origin("a"), Origin::named("b"));
    for (queue, expected) in [
        (r#"{"timeout": 0.05}"#, (200, "b")),
        (r#"{"length": 0}"#, (200, "b")),
        (r#"{"timeout": 0.05, "then": "refuse"}"#, (503, "")),
        (r#"{"length": 0, "then": "refuse"}"#, (503, "")),
    ] {
        let settings = format!(r#"{BY_PATH}, "queue": {queue}"#);
        let servers = [spec("a", &a, 1), spec("b", &b, 1)];
        let proxy = Proxy::of(&servers, &settings, 1, None);
        let path = proxy.path_of("a");
        let n_came = doors.came().len();
        let _held = ask(&proxy, &path);
        eventually("it is there", || doors.came().len() == n_came + 1);
        let answer = Client::connect(proxy.address).get(&path);
        assert_eq!(answer.status, expected.0, "{queue}");
        match expected.0 {
            200 => assert_eq!(answer.text(), expected.1),
            _ => {
                assert_eq!(answer.all("retry-after"), ["1"]);
                assert_eq!(
                    answer.text(),
                    "service unavailable: as many requests are in flight as may be\n"
                );
            }
        }
        let queued = proxy.shared.queued();
        let is_timed = queue.contains("timeout");
        let expected = if is_timed { (1, 0) } else { (0, 1) };
        assert_eq!((queued.timed_out, queued.turned_away), expected, "{queue}");
    }
    doors.open();
}

#[test]
fn when_all_are_full_requests_wait_for_any_place_and_are_refused_in_time() {
    let doors = Doors::closed();
    let (a, b) = (doors.origin("a"), doors.origin("b"));
    let servers = [spec("a", &a, 1), spec("b", &b, 1)];
    let settings = r#""routing": {"algorithm": "round-robin"}, "queue": {"timeout": 0.3}"#;
    let proxy = Proxy::of(&servers, settings, 2, None);
    let mut held = [ask(&proxy, "/1"), ask(&proxy, "/2")];
    eventually("both are full", || doors.came().len() == 2);
    let answer = Client::connect(proxy.address).get("/3");
    assert_eq!((answer.status, answer.all("retry-after")), (503, vec!["1"]));
    // Whichever is free first.
    let mut waiting = ask(&proxy, "/4");
    n_waiting(&proxy, 1);
    let came = doors.came();
    let (first, _) = came
        .iter()
        .find(|(_, path)| path == "/1")
        .expect("it is there");
    doors.release("/1");
    doors.release("/4");
    assert_eq!(waiting.answer().text(), *first);
    assert_eq!(held[0].answer().text(), *first);
    doors.release("/2");
    assert_eq!(held[1].answer().status, 200);
    eventually("nothing in flight", || proxy.in_flight() == 0);
    assert_eq!(Client::connect(proxy.address).get("/4").status, 200);
}

#[test]
fn a_client_that_leaves_leaves_the_queue() {
    let doors = Doors::closed();
    let a = doors.origin("a");
    let settings = format!(r#"{BY_PATH}, "queue": {{"timeout": 60}}"#);
    let proxy = Proxy::of(&[spec("a", &a, 1)], &settings, 1, None);
    let mut held = ask(&proxy, "/held");
    eventually("it is there", || doors.came().len() == 1);
    let leaves = ask(&proxy, "/leaves");
    n_waiting(&proxy, 1);
    // As many may wait as may be in flight.
    assert_eq!(Client::connect(proxy.address).get("/third").status, 503);
    drop(leaves);
    n_waiting(&proxy, 0);
    let mut next = ask(&proxy, "/next");
    n_waiting(&proxy, 1);
    doors.open();
    assert_eq!((held.answer().status, next.answer().status), (200, 200));
    let paths: Vec<String> = doors.came().into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, ["/held", "/next"], "who has left was sent nowhere");
}

#[test]
fn a_reload_lets_in_who_waits_or_sends_it_elsewhere() {
    let doors = Doors::closed();
    let (a, b) = (doors.origin("a"), Origin::named("b"));
    let settings = format!(r#"{BY_PATH}, "queue": {{"timeout": 60, "length": 9}}"#);
    let servers = [spec("a", &a, 1), spec("b", &b, 1)];
    let proxy = Proxy::of(&servers, &settings, 1, None);
    let path = proxy.path_of("a");
    let mut clients: Vec<Client> = (0..4).map(|_| ask(&proxy, &path)).collect();
    n_waiting(&proxy, 3);
    proxy.reload(|document| document["servers"][0]["max_in_flight"] = json!(2));
    n_waiting(&proxy, 2);
    eventually("one more is there", || doors.came().len() == 2);
    proxy.reload(|document| document["servers"][0]["max_in_flight"] = json!(null));
    n_waiting(&proxy, 0);
    eventually("all are there", || doors.came().len() == 4);
    // Fewer than there are: nobody is cut, and further ones wait.
    proxy.reload(|document| document["servers"][0]["max_in_flight"] = json!(1));
    clients.push(ask(&proxy, &path));
    n_waiting(&proxy, 1);
    proxy.reload(|document| document["servers"] = json!([document["servers"][1].clone()]));
    assert_eq!(clients[4].answer().text(), "b", "its server has left");
    doors.open();
    for client in &mut clients[..4] {
        assert_eq!(client.answer().text(), "a");
    }
}

#[test]
fn a_tunnel_holds_a_place_and_gives_it_to_who_waits() {
    let a = Origin::at_head(|got, stream| {
        use std::io::{Read, Write};
        if got.all("upgrade").is_empty() {
            ok(stream, "a");
            return After::Keep;
        }
        let switching =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        let _ = stream.write_all(switching.as_bytes());
        // To the end of the tunnel.
        let _ = stream.read_to_end(&mut Vec::new());
        After::Close
    });
    let settings = format!(r#"{BY_PATH}, "queue": {{"timeout": 60}}"#);
    let proxy = Proxy::of(&[spec("a", &a, 1)], &settings, 1, None);
    let mut tunnel = Client::connect(proxy.address);
    tunnel.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(tunnel.head().expect("an answer").status, 101);
    let mut waiting = ask(&proxy, "/");
    n_waiting(&proxy, 1);
    assert_eq!(proxy.in_flight(), 1);
    drop(tunnel);
    assert_eq!(waiting.answer().status, 200);
    eventually("nothing in flight", || proxy.in_flight() == 0);
}

#[tokio::test]
async fn full_servers_are_shown_and_explained() {
    let doors = Doors::closed();
    let a = doors.origin("a");
    let settings = format!(r#"{BY_PATH}, "queue": {{"timeout": 60}}"#);
    let proxy = Proxy::of(&[spec("a", &a, 1)], &settings, 1, None);
    let _held = [ask(&proxy, "/"), ask(&proxy, "/")];
    n_waiting(&proxy, 1);
    let api = Api::over(Arc::clone(&proxy.shared), None, None).await;
    let server = &api.get("/api/servers/a").await.json();
    assert_eq!(server["max_in_flight"], json!(1));
    let metrics = api.get("/api/metrics").await.json();
    let expected = json!({"waiting": 1, "waited": 1, "timed_out": 0, "turned_away": 0});
    assert_eq!(metrics["queue"], expected);
    assert_eq!(metrics["servers"][0]["queue"], expected);
    let text = api.get("/metrics").await.text();
    for line in [
        "ringway_queue_waiting 1.0",
        "ringway_queue_waited_total 1",
        "ringway_server_queue_waiting{server=\"a\"} 1.0",
        "ringway_server_max_in_flight{server=\"a\"} 1.0",
        "ringway_server_queue_timeouts_total{server=\"a\"} 0",
        "ringway_server_queue_turned_away_total{server=\"a\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
    let explained = api.get("/api/explain?key=/").await.json();
    let expected = json!({"server": "a", "reason": "full", "in_flight": 1, "bound": 1});
    assert_eq!(explained["candidates"][0], expected);
    doors.open();
}
