//! Trials: what a server gets when its ejection is over, and when its keys come
//! home. By every rule, in a recorded story, and through a proxy.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use ringway::engine::{
    AdminState, Algorithm, Command, Compat, Events, Idle, Keyless, LoadBalancer, LoadFactor, Loads,
    Observation, Outcome, Picker, Position, Reason, Server, ServerName, Settings, Spread, Standing,
    TableSize, Term, Timestamp, Verdict,
};
use ringway::native::driver;
use ringway::native::in_flight::TrialPlace;
use ringway::wire::EventView;
use tokio_util::sync::CancellationToken;

use crate::support::client::Client;
use crate::support::origin::{After, Origin, ok};
use crate::support::proxy::{Proxy, eventually};
use crate::support::{AllTrialsTaken, judge, name, server};

const N_KEYS: u32 = 2_000;

fn at_ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn algorithms() -> [Algorithm; 5] {
    [
        Algorithm::Ring,
        Algorithm::LocalRendezvous,
        Algorithm::Maglev(TableSize::DEFAULT),
        Algorithm::Rendezvous,
        Algorithm::Compat(Compat::Nginx),
    ]
}

/// Four servers, a to d, that only their traffic judges.
fn fleet(settings: Settings) -> LoadBalancer {
    let mut settings = settings;
    settings.health_check.enabled = false;
    settings.ejection.jitter_percent = 0;
    let servers = ["a", "b", "c", "d"].map(|text| Server {
        // What nginx hashes.
        hash_name: Some(name(text)),
        max_in_flight: None,
        link: None,
        ..server(text, 1)
    });
    LoadBalancer::new(settings, servers.to_vec(), at_ms(0)).expect("a good fleet")
}

fn position(lb: &LoadBalancer, key: u32) -> Position {
    lb.table().position(&key.to_le_bytes())
}

/// Where each key goes, and whether as a trial.
fn routes(lb: &LoadBalancer, loads: &impl Loads) -> Vec<(ServerName, bool)> {
    let table = lb.table();
    let routes = (0..N_KEYS).map(|key| {
        let route = table.route(Some(position(lb, key)), loads, &[]);
        let route = route.expect("somebody is eligible");
        (
            table.server(route.server).server.name.clone(),
            route.is_trial,
        )
    });
    routes.collect()
}

/// Where each key goes that is not the one request of a trial.
fn owners(lb: &LoadBalancer) -> Vec<ServerName> {
    let routes = routes(lb, &AllTrialsTaken).into_iter();
    routes
        .map(|(name, is_trial)| {
            assert!(!is_trial, "the place is taken");
            name
        })
        .collect()
}

/// Has b ejected, and waits until that is over.
fn put_b_on_trial(lb: &mut LoadBalancer) {
    let id = lb.table().servers()[1].id;
    for _ in 0..5 {
        let _ = judge(lb, id, Verdict::Failed, at_ms(0));
    }
    let _ = lb.advance(at_ms(30_000));
    assert_eq!(lb.table().servers()[1].standing, Standing::OnTrial);
}

#[test]
fn by_every_rule_one_request_of_its_own_keys_is_admitted_at_a_time() {
    for algorithm in algorithms() {
        for load_factor in [None, Some(LoadFactor::new(1.25).expect("a good factor"))] {
            let about = format!("{} {load_factor:?}", algorithm.name());
            let mut lb = fleet(Settings {
                algorithm: algorithm.clone(),
                load_factor,
                ..Settings::default()
            });
            let home = owners(&lb);
            put_b_on_trial(&mut lb);
            let away = owners(&lb);
            assert!(!away.contains(&name("b")), "{about}");
            for ((route, home), away) in routes(&lb, &lb).iter().zip(&home).zip(&away) {
                let is_own = *home == name("b");
                let expected = if is_own { home } else { away };
                assert_eq!(*route, (expected.clone(), is_own), "{about}");
                assert!(is_own || home == away, "{about}: not its key");
            }
            // One is sent, and the place is taken until it ends; an explanation
            // says so.
            let id = lb.table().servers()[1].id;
            let _ = lb.observe(Observation::RequestStarted { server: id }, at_ms(30_000));
            assert!(routes(&lb, &lb).iter().all(|(_, is_trial)| !is_trial));
            let own = (0..N_KEYS).find(|&key| home[key as usize] == name("b"));
            let own = position(&lb, own.expect("it owns some"));
            let explained = lb.table().explain(own, &lb, &[]);
            let reasons = [explained[0].reason, explained[1].reason];
            let on_trial = Reason::NotUsable(Standing::OnTrial);
            assert_eq!(reasons, [on_trial, Reason::Chosen], "{about}");
            // One that vanishes without a verdict gives the place back.
            let counted = Observation::Counted {
                server: Some(id),
                counters: Box::default(),
                in_flight: 0,
            };
            let _ = lb.observe(counted, at_ms(30_000));
            let route = lb.table().route(Some(own), &lb, &[]).expect("a server");
            assert!(route.is_trial, "{about}");
            // A hot key that is spread is no way round it, and none past it.
            let spread = Some(Spread { nth: 1, over: 3 });
            let first = lb.table().route_spread(Some(own), spread, &lb, &[]);
            assert!(first.expect("a server").is_trial, "{about}");
            let next = lb
                .table()
                .route_spread(Some(own), spread, &AllTrialsTaken, &[]);
            assert!(!next.expect("a server").is_trial, "{about}");
        }
    }
}

#[test]
fn without_a_key_too_and_a_retry_goes_there_last() {
    let mut lb = fleet(Settings::default());
    let home = owners(&lb);
    put_b_on_trial(&mut lb);
    let table = lb.table();
    let name_of = |index| table.server(index).server.name.clone();
    let route = table.route(None, &lb, &[]).expect("a server");
    assert_eq!((name_of(route.server), route.is_trial), (name("b"), true));
    let route = table.route(None, &AllTrialsTaken, &[]).expect("a server");
    assert!(!route.is_trial);
    // A key of a's that failed there goes to b when nobody else is left.
    let key = (0..N_KEYS).find(|&key| home[key as usize] == name("a"));
    let key = Some(position(&lb, key.expect("it owns some")));
    let mut tried = Vec::new();
    while let Ok(route) = table.route(key, &Idle, &tried) {
        assert_eq!(route.is_trial, name_of(route.server) == name("b"));
        tried.push(route.server);
    }
    assert_eq!(tried.len(), 4);
    assert_eq!(name_of(tried[0]), name("a"));
    assert_eq!(name_of(tried[3]), name("b"));
}

#[test]
fn by_the_rules_without_keys_too() {
    for rule in [
        Keyless::LeastConnections,
        Keyless::ResponseTime,
        Keyless::RoundRobin,
        Keyless::Random,
    ] {
        let mut lb = fleet(Settings {
            algorithm: Algorithm::Keyless(rule),
            ..Settings::default()
        });
        put_b_on_trial(&mut lb);
        let (table, mut picker) = (lb.table(), Picker::new(7));
        let b = table.members(false)[1];
        for _ in 0..100 {
            let trial = table.pick(&mut picker, &lb, &[]).expect("a server");
            assert_eq!((trial.server, trial.is_trial), (b, true), "{rule:?}");
            let other = table.pick(&mut picker, &AllTrialsTaken, &[]);
            let other = other.expect("a server");
            assert!(other.server != b && !other.is_trial, "{rule:?}");
        }
    }
}

#[test]
fn where_nobody_else_can_be_used_it_gets_everything() {
    let mut lb = fleet(Settings {
        fail_open: false,
        ..Settings::default()
    });
    put_b_on_trial(&mut lb);
    for text in ["a", "c", "d"] {
        let drained = Command::SetState(name(text), AdminState::Draining);
        let _ = lb.apply(drained, at_ms(30_000)).expect("it is there");
    }
    assert!(owners(&lb).iter().all(|owner| *owner == name("b")));
    assert!(!lb.table().is_fail_open());
    let route = lb.table().route(None, &AllTrialsTaken, &[]);
    assert!(!route.expect("b is there").is_trial, "all may go there");
}

#[test]
fn a_backup_takes_the_keys_while_the_primary_is_tried() {
    let mut settings = Settings::default();
    settings.health_check.enabled = false;
    let spare = Server {
        backup: true,
        ..server("z", 1)
    };
    let servers = vec![server("a", 1), spare];
    let mut lb = LoadBalancer::new(settings, servers, at_ms(0)).expect("a good fleet");
    let id = lb.table().servers()[0].id;
    for _ in 0..5 {
        let _ = judge(&mut lb, id, Verdict::Failed, at_ms(0));
    }
    assert!(owners(&lb).iter().all(|owner| *owner == name("z")));
    let _ = lb.advance(at_ms(40_000));
    // Every key is the primary's, and one at a time goes there.
    assert!(owners(&lb).iter().all(|owner| *owner == name("z")));
    let trials = routes(&lb, &lb);
    assert!(trials.iter().all(|route| *route == (name("a"), true)));
    let _ = judge(&mut lb, id, Verdict::Good, at_ms(40_000));
    assert!(owners(&lb).iter().all(|owner| *owner == name("a")));
}

/// The story so far: a line for each event and each look at the shares.
struct Story {
    lb: LoadBalancer,
    home: Vec<ServerName>,
    last: Vec<ServerName>,
    /// How often each key has moved.
    moves: Vec<u32>,
    lines: Vec<String>,
}

impl Story {
    fn new(lb: LoadBalancer) -> Self {
        let home = owners(&lb);
        Self {
            lb,
            last: home.clone(),
            moves: vec![0; home.len()],
            home,
            lines: Vec::new(),
        }
    }

    fn tell(&mut self, events: Events, at: Timestamp) {
        for event in events.as_slice() {
            let view = serde_json::to_value(EventView::new(event, at)).expect("JSON");
            let seconds = at.as_millis() / 1000;
            let word = |name: &str| view[name].as_str().unwrap_or_default().to_owned();
            let line = format!("{seconds} s: {} {}", word("event"), word("server"));
            self.lines.push(line);
        }
        let now = owners(&self.lb);
        for ((now, last), moves) in now.iter().zip(&self.last).zip(&mut self.moves) {
            *moves += u32::from(now != last);
        }
        self.last = now;
    }

    /// Lets time pass, deadline by deadline.
    fn until(&mut self, end: Timestamp) {
        while let Some(at) = self.lb.next_deadline().filter(|&at| at <= end) {
            let events = self.lb.advance(at);
            self.tell(events, at);
        }
        let events = self.lb.advance(end);
        self.tell(events, end);
    }

    fn request(&mut self, verdict: Verdict, at: Timestamp) {
        let id = self.lb.table().servers()[1].id;
        let events = judge(&mut self.lb, id, verdict, at);
        self.tell(events, at);
    }

    /// Notes what part of its keys b has, in tenths.
    fn look(&mut self, at: Timestamp) {
        let count = |owners: &[ServerName]| owners.iter().filter(|o| **o == name("b")).count();
        let tenths = (10 * count(&self.last) + count(&self.home) / 2) / count(&self.home);
        let line = format!("{} s: {tenths}0 %", at.as_millis() / 1000);
        self.lines.push(line);
    }

    /// How often b's keys have moved: the least and the most often.
    fn moves_of_b(&self) -> (u32, u32) {
        let (mut least, mut most) = (u32::MAX, 0);
        for (home, &moves) in self.home.iter().zip(&self.moves) {
            if *home == name("b") {
                (least, most) = (least.min(moves), most.max(moves));
            } else {
                assert_eq!(moves, 0, "a key of {home} moved");
            }
        }
        (least, most)
    }
}

#[test]
fn ejection_trial_return_slow_start_and_drain_move_each_key_once() {
    for algorithm in algorithms() {
        let mut story = Story::new(fleet(Settings {
            algorithm,
            slow_start: Duration::from_secs(20),
            drain: Duration::from_secs(10),
            ..Settings::default()
        }));
        let at = |seconds: u64| at_ms(1000 * seconds);
        for _ in 0..5 {
            story.request(Verdict::Failed, at(0));
        }
        story.look(at(0));
        assert_eq!(story.moves_of_b(), (1, 1), "away");
        // The trial begins, and no request comes for a while.
        story.until(at(50));
        story.look(at(50));
        // It fails; the next trial goes well.
        story.request(Verdict::ConnectError, at(50));
        story.until(at(115));
        story.look(at(115));
        assert_eq!(story.moves_of_b(), (1, 1), "still away");
        story.request(Verdict::Good, at(115));
        story.look(at(115));
        story.until(at(125));
        story.look(at(125));
        story.until(at(140));
        story.look(at(140));
        assert_eq!(story.moves_of_b(), (2, 2), "home");
        assert_eq!(story.last, story.home);
        let drained = Command::SetState(name("b"), AdminState::Draining);
        let events = story.lb.apply(drained, at(140)).expect("it is there");
        story.tell(events, at(140));
        story.until(at(145));
        story.look(at(145));
        story.until(at(160));
        story.look(at(160));
        assert_eq!(story.moves_of_b(), (3, 3), "drained");
        let expected = [
            "0 s: ejected b",
            "0 s: 00 %",
            "30 s: trial-began b",
            "50 s: 00 %",
            "50 s: ejected b",
            "110 s: trial-began b",
            "115 s: 00 %",
            "115 s: readmitted b",
            "115 s: slow-started b",
            "115 s: 10 %",
            "125 s: 50 %",
            "135 s: slow-start-ended b",
            "140 s: 100 %",
            "140 s: state-changed b",
            "145 s: 50 %",
            "150 s: drained b",
            "160 s: 00 %",
        ];
        // Draws scatter a little: a tenth more or less at half time.
        let told: Vec<String> = (story.lines.iter())
            .map(|line| line.replace("40 %", "50 %").replace("60 %", "50 %"))
            .collect();
        assert_eq!(told, expected);
    }
}

#[test]
fn however_many_threads_ask_one_has_the_place() {
    const THREADS: usize = 4;
    let place = TrialPlace::default();
    let (n_in, n_entries) = (AtomicU32::new(0), AtomicU32::new(0));
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..5_000 {
                    let term = Term::from_number(7);
                    if place.enter(term) {
                        assert_eq!(n_in.fetch_add(1, SeqCst), 0, "two at a time");
                        n_in.fetch_sub(1, SeqCst);
                        n_entries.fetch_add(1, SeqCst);
                        place.leave(term);
                    }
                }
            });
        }
    });
    assert!(n_entries.load(SeqCst) > 0);
    assert!(!place.is_taken(Term::from_number(7)));
}

/// Lets answers of a server wait until they are let go.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    n_waiting: AtomicU32,
}

impl Gate {
    fn wait(&self) {
        self.n_waiting.fetch_add(1, SeqCst);
        let is_open = self.is_open.lock().expect("nobody panics under it");
        drop(self.opened.wait_while(is_open, |is_open| !*is_open));
    }

    fn open(&self) {
        *self.is_open.lock().expect("nobody panics under it") = true;
        self.opened.notify_all();
    }
}

#[test]
fn a_proxy_sends_one_request_and_then_all() {
    let (gate, is_sick) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(true)));
    let (waits, sick) = (Arc::clone(&gate), Arc::clone(&is_sick));
    let tried = Origin::new(move |_, stream| {
        if sick.load(SeqCst) {
            let failed = b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";
            let _ = std::io::Write::write_all(stream, failed);
            return After::Keep;
        }
        waits.wait();
        ok(stream, "tried");
        After::Keep
    });
    let other = Origin::named("other");
    let servers = [("tried", tried.address), ("other", other.address)];
    let settings = r#""routing": {"hash_key": ["path"]}, "health_check": {"enabled": false},
        "ejection": {"consecutive_5xx": 1, "base": 0.2, "jitter_percent": 0}"#;
    let mut proxy = Proxy::start_with(&servers, settings, 2, None);
    let reports = std::mem::replace(&mut proxy.reports, tokio::sync::mpsc::channel(1).1);
    let (shared, stop) = (Arc::clone(&proxy.shared), CancellationToken::new());
    let stopped = stop.clone();
    let driving = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(driver::run(shared, reports, stopped));
    });
    let standing = || {
        let table = proxy.shared.table();
        let mut entries = table.servers().iter();
        let entry = entries.find(|entry| entry.server.name == name("tried"));
        entry.expect("it is there").standing
    };
    let own = proxy.path_of("tried");
    assert_eq!(Client::connect(proxy.address).get(&own).status, 500);
    eventually("it is on trial", || standing() == Standing::OnTrial);
    is_sick.store(false, SeqCst);
    // Of eight clients one has to wait, and the others are answered elsewhere.
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, own) = (proxy.address, own.clone());
            std::thread::spawn(move || Client::connect(address).get(&own).text().to_owned())
        })
        .collect();
    eventually("seven are answered", || {
        clients.iter().filter(|client| client.is_finished()).count() == 7
    });
    eventually("one waits", || gate.n_waiting.load(SeqCst) == 1);
    assert_eq!(standing(), Standing::OnTrial);
    gate.open();
    let mut answers: Vec<String> = clients
        .into_iter()
        .map(|client| client.join().expect("an answer"))
        .collect();
    answers.sort();
    assert_eq!(answers.pop().as_deref(), Some("tried"));
    assert!(answers.iter().all(|answer| answer == "other"));
    // The success was reported, though no request had failed since the ejection.
    eventually("it is back", || standing() == Standing::Eligible);
    assert_eq!(Client::connect(proxy.address).get(&own).text(), "tried");
    stop.cancel();
    driving.join().expect("it ends");
}

#[test]
fn verdicts_of_requests_of_two_terms_are_told_apart() {
    let mut lb = fleet(Settings::default());
    let id = lb.table().servers()[1].id;
    let before = lb.term(id);
    put_b_on_trial(&mut lb);
    let finished = |term| Observation::RequestFinished {
        server: id,
        term,
        outcome: Outcome::Status(200),
        latency: Duration::from_secs(40),
    };
    let now = at_ms(31_000);
    assert_eq!(lb.observe(finished(before), now), Events::default());
    let events = lb.observe(finished(lb.term(id)), now);
    assert_eq!(events.as_slice().len(), 1, "it is re-admitted");
}
