//! The fault matrix: servers that go wrong in every way we know, behind the real
//! proxy under load. While one healthy server is left, no idempotent request
//! fails, no key of a healthy server moves, all keys are home after recovery, and
//! no POST is seen twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use ringway::engine::Health;
use ringway::native::clock;
use ringway::native::retries::Reason;

use crate::support::client::Client;
use crate::support::faulty::{Fault, Faulty};
use crate::support::proxy::{Proxy, eventually};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const N_PATHS: usize = 40;
const N_CLIENTS: usize = 3;

/// Ids of POSTs, of all tests.
static N_POSTS: AtomicUsize = AtomicUsize::new(0);

/// How long the load goes on, at least.
const LOAD: Duration = Duration::from_millis(1000);

/// The bar for the worst of them.
const WORST: Duration = Duration::from_secs(10);

/// Detection in about a second, recovery within one; nothing else is set, but
/// for what a fault needs.
fn settings(retries: &str) -> String {
    format!(
        r#""routing": {{"hash_key": ["path"], "debug_header": true}},
        "health_check": {{"interval": 0.3, "timeout": 0.25, "fast_interval": 0.1, "fall": 3, "rise": 1}},
        "ejection": {{"consecutive_5xx": 3, "base": 0.3, "cap": 0.3}},
        "retries": {{{retries}}}"#
    )
}

struct Fleet {
    servers: Vec<Faulty>,
    proxy: Proxy,
    /// Whose each path is while all is well.
    owners: BTreeMap<String, String>,
}

impl Fleet {
    fn start(retries: &str) -> Self {
        let servers: Vec<Faulty> = NAMES.into_iter().map(Faulty::new).collect();
        let addresses: Vec<_> = NAMES
            .into_iter()
            .zip(servers.iter().map(|server| server.address))
            .collect();
        let mut proxy = Proxy::start_with(&addresses, &settings(retries), 2, None);
        let paths = (0..N_PATHS).map(|i| format!("/{i}"));
        let owners = paths.map(|path| (path.clone(), proxy.owner_of(&path)));
        let owners = owners.collect();
        proxy.judge();
        let fleet = Self {
            servers,
            proxy,
            owners,
        };
        fleet.are_home();
        fleet
    }

    /// Waits until every key is answered by its owner.
    fn are_home(&self) {
        eventually("all keys are home", || {
            let mut client = Client::connect(self.proxy.address);
            self.owners.iter().all(|(path, owner)| {
                let answer = client.get(path);
                answer.status == 200 && answer.all("x-ringway-server") == [owner]
            })
        });
    }

    /// A client for requests that are sent once.
    fn poster(&self) -> Client {
        let client = Client::connect(self.proxy.address);
        let patience = Some(Duration::from_secs(1));
        client.stream.set_read_timeout(patience).expect("an option");
        client
    }

    /// One client's share of the load; returns its worst latency.
    fn load(&self, number: usize, sick: &[&str]) -> Duration {
        let mut client = Client::connect(self.proxy.address);
        let mut poster = self.poster();
        let began = clock::now();
        let mut worst = Duration::ZERO;
        for n in 0.. {
            let now = clock::now();
            if n >= N_PATHS && now.since(began) >= LOAD {
                break;
            }
            let i = (n * 7 + number * 13) % N_PATHS;
            let (path, owner) = self.owners.iter().nth(i).expect("a path");
            let body = format!("{number}-{n}");
            if n % 5 == 1 {
                // What a server may have acted on is not sent again: a client of
                // a sick one is told, or gives up itself.
                let id = N_POSTS.fetch_add(1, SeqCst);
                poster.send(format!(
                    "POST {path} HTTP/1.1\r\nhost: t\r\nx-id: {id}\r\ncontent-length: 2\r\n\r\nhi"
                ));
                let answer = poster.head().and_then(|mut answer| {
                    poster.body(&mut answer)?;
                    Some(answer.status)
                });
                assert!(
                    answer == Some(200) || sick.contains(&&**owner),
                    "{path} of {owner}: {answer:?}"
                );
                if answer.is_none() {
                    poster = self.poster();
                }
                continue;
            }
            let request = match n % 5 {
                0 => format!(
                    "PUT {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ),
                _ => format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"),
            };
            client.send(request);
            let answer = client.answer();
            worst = worst.max(clock::now().since(now));
            assert_eq!(answer.status, 200, "{path} of {owner}: {answer:?}");
            let server = answer.all("x-ringway-server").join("");
            let body = if n % 5 == 0 { &*body } else { "" };
            assert_eq!(answer.text(), format!("{server} {path} {body}"));
            if !sick.contains(&&**owner) {
                assert_eq!(&server, owner, "the key of a healthy server moved");
            }
        }
        worst
    }

    /// Sets `faults`, loads the proxy meanwhile, and lifts them.
    fn go_through(&self, faults: &[(&str, Fault)]) {
        let server = |name| {
            let i = NAMES.iter().position(|n| n == name).expect("a name");
            &self.servers[i]
        };
        let sick: Vec<&str> = faults.iter().map(|(name, _)| *name).collect();
        for (name, fault) in faults {
            server(name).set(*fault);
        }
        let worst = std::thread::scope(|scope| {
            let clients = (0..N_CLIENTS).map(|number| {
                let sick = &sick;
                scope.spawn(move || self.load(number, sick))
            });
            let clients: Vec<_> = clients.collect();
            let worst = clients.into_iter().map(|client| client.join());
            worst.map(|worst| worst.expect("no request failed")).max()
        });
        assert!(worst < Some(WORST), "{worst:?}");
        faults
            .iter()
            .for_each(|(name, _)| server(name).set(Fault::None));
        self.are_home();
        let mut ids: Vec<String> = self.servers.iter().flat_map(Faulty::ids).collect();
        ids.sort();
        let n_before = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), n_before, "a POST was seen twice");
    }

    fn n_retries(&self, reason: Reason) -> u64 {
        self.proxy.shared.retries().counts().by_reason[reason as usize]
    }
}

/// One of four servers has this fault, and is passed over for one of these
/// reasons.
fn one_of_four(fault: Fault, retries: &str, reasons: &[Reason]) {
    let fleet = Fleet::start(retries);
    fleet.go_through(&[("b", fault)]);
    let n_retries: u64 = reasons.iter().map(|reason| fleet.n_retries(*reason)).sum();
    assert!(reasons.is_empty() || n_retries > 0, "{fault:?} {reasons:?}");
    let counts = fleet.proxy.shared.retries().counts();
    assert_eq!(counts.budget_exhausted, 0);
}

macro_rules! one_of_four {
    ($($name:ident: $fault:ident, $retries:literal, $reasons:expr;)*) => {
        $(
            #[test]
            fn $name() {
                one_of_four(Fault::$fault, $retries, $reasons);
            }
        )*
    };
}

one_of_four! {
    one_that_refuses: Refuse, "", &[Reason::Connect];
    one_that_resets_connections: ResetAtOnce, "", &[Reason::Broken, Reason::Connect];
    one_that_resets_requests: ResetOnRequest, "", &[Reason::Broken];
    one_that_hangs: Hang, "", &[Reason::TakenOut];
    one_whose_head_trickles: SlowHead, "", &[Reason::TakenOut];
    one_whose_body_drips: Drip, r#""per_try_timeout": 1"#, &[Reason::Timeout];
    one_that_truncates_bodies: Truncate, "", &[Reason::Broken];
    one_that_speaks_something_else: BadStatusLine, "", &[Reason::Broken];
    one_with_huge_heads: HugeHead, "", &[Reason::Broken];
    one_that_is_overloaded: Status, "", &[Reason::Status];
    one_that_closes_after_three: CloseAfterThree, "", &[];
    one_that_flaps: Flap, "", &[Reason::Broken];
}

#[test]
fn one_that_hangs_is_found_out_by_whom_it_lets_wait_long_before_its_next_probe() {
    let servers = ["a", "b"].map(Faulty::new);
    let addresses = [("a", servers[0].address), ("b", servers[1].address)];
    // The interval, 30 s, and how long a server may be silent are the defaults.
    let settings = r#""routing": {"hash_key": ["path"]}, "health_check": {"timeout": 0.5}"#;
    let mut proxy = Proxy::start(&addresses, settings);
    let path = proxy.path_of("a");
    proxy.judge();
    let is_healthy =
        |proxy: &Proxy, i: usize| proxy.shared.snapshot().servers[i].health == Health::Healthy;
    eventually("both are healthy", || {
        is_healthy(&proxy, 0) && is_healthy(&proxy, 1)
    });
    servers[0].set(Fault::Hang);
    let sent = clock::now();
    let answer = Client::connect(proxy.address).get(&path);
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("b "), "{}", answer.text());
    let waited = clock::now().since(sent);
    assert!(waited < WORST, "{waited:?}");
    assert!(!is_healthy(&proxy, 0));
    assert_eq!(
        proxy.shared.retries().counts().by_reason[Reason::TakenOut as usize],
        1
    );
}

/// Three sick servers need three further attempts before they are found out.
const THREE: &str = r#""attempts": 3, "per_try_timeout": 1"#;

#[test]
fn three_of_four_that_cannot_be_reached() {
    Fleet::start(THREE).go_through(&[
        ("a", Fault::Refuse),
        ("b", Fault::ResetAtOnce),
        ("d", Fault::ResetOnRequest),
    ]);
}

#[test]
fn three_of_four_that_are_slow() {
    Fleet::start(THREE).go_through(&[
        ("a", Fault::Hang),
        ("c", Fault::SlowHead),
        ("d", Fault::Drip),
    ]);
}

#[test]
fn three_of_four_that_answer_badly() {
    Fleet::start(THREE).go_through(&[
        ("a", Fault::Status),
        ("b", Fault::Truncate),
        ("c", Fault::BadStatusLine),
    ]);
}

#[test]
fn three_of_four_one_after_the_other() {
    let fleet = Fleet::start(THREE);
    for faults in [
        [
            ("b", Fault::Flap),
            ("c", Fault::HugeHead),
            ("d", Fault::Hang),
        ],
        [
            ("a", Fault::Truncate),
            ("b", Fault::Refuse),
            ("d", Fault::CloseAfterThree),
        ],
    ] {
        fleet.go_through(&faults);
    }
}
