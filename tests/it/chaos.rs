//! Load held while everything breaks: servers are killed, hung, revived,
//! drained and re-weighted, and the configuration is read anew, all at random
//! and at once, in front of the real program.
//!
//! No request fails, servers that nothing happened to keep their keys, and the
//! program is as large at the end as at the beginning.
//!
//! The seed is printed when it fails. `RINGWAY_CHAOS_SECONDS=60` lasts longer,
//! with something happening every 5 s; `RINGWAY_SEED=17` plays one seed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ringway::engine::Timestamp;
use ringway::native::clock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::faulty::{Fault, Faulty};
use crate::support::program::{Program, api, at, folder, free_port, write};
use crate::support::rng::Rng;

/// Nothing happens to the first two.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const UNTOUCHED: usize = 2;
/// What the others weigh in the file. At run time it only becomes less, so that
/// they never gain a key of those that are left alone.
const WEIGHT: u64 = 3;
const KEYS: u64 = 200;
const CLIENTS: u64 = 4;
/// Each client rests so long after a request: this is about breaking, and other
/// tests run beside it.
const REST: Duration = Duration::from_millis(4);
/// The bar for the slowest answer.
const SLOWEST: Duration = Duration::from_secs(10);

/// How long it lasts, and how often something happens.
fn pace() -> (Duration, Duration) {
    match std::env::var("RINGWAY_CHAOS_SECONDS") {
        Ok(text) => {
            let seconds = text.parse().expect("a number of seconds");
            (Duration::from_secs(seconds), Duration::from_secs(5))
        }
        Err(_) => (Duration::from_secs(8), Duration::from_millis(700)),
    }
}

fn seed() -> u64 {
    match std::env::var("RINGWAY_SEED") {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => u64::from(std::process::id()),
    }
}

struct Fleet {
    servers: Vec<Faulty>,
    port: u16,
    api_port: u16,
}

impl Fleet {
    fn document(&self, round: u64) -> Value {
        let servers = self.servers.iter().enumerate().map(|(i, server)| {
            let mut spec = at(NAMES[i], server.address);
            spec["weight"] = if i < UNTOUCHED { 1 } else { WEIGHT }.into();
            spec
        });
        json!({
            "servers": servers.collect::<Vec<_>>(),
            "listen": {"port": self.port},
            "process": {"workers": 2},
            "routing": {"hash_key": ["path"], "drain": 0.5, "slow_start": 0.5},
            "health_check": {
                "interval": 0.4, "fast_interval": 0.2, "timeout": 0.2, "fall": 2, "rise": 2
            },
            "ejection": {"base": 0.5, "cap": 2},
            // Another one each time, so that there are new rules, too.
            "pool": {"max_idle": 16 + round},
            "api": {"port": self.api_port},
        })
    }

    /// Lets something happen to one of the servers that it may happen to; says
    /// what.
    fn happen(&self, rng: &mut Rng) -> String {
        let i = UNTOUCHED + rng.below((NAMES.len() - UNTOUCHED) as u64) as usize;
        let (name, server) = (NAMES[i], &self.servers[i]);
        match rng.below(7) {
            0..5 => {
                let fault = *rng
                    .pick(&[Fault::Refuse, Fault::Hang, Fault::None])
                    .expect("one");
                server.set(fault);
                format!("{name} {fault:?}")
            }
            5 => {
                let state = *rng.pick(&["draining", "active"]).expect("one");
                self.put(name, "state", &json!({ "state": state }));
                format!("{name} {state}")
            }
            _ => {
                let weight = 1 + rng.below(WEIGHT);
                self.put(name, "weight", &json!({ "weight": weight }));
                format!("{name} weighs {weight}")
            }
        }
    }

    fn put(&self, name: &str, what: &str, body: &Value) {
        let path = format!("/api/servers/{name}/{what}");
        let (status, text) = api(self.api_port, "PUT", &path, body);
        assert_eq!(status, 200, "{text}");
    }
}

/// The server that has answered.
fn who(answer: &Answer) -> &str {
    answer.text().split(' ').next().unwrap_or_default()
}

/// What the program holds, in KiB and in descriptors.
fn held(program: &Program) -> (u64, usize) {
    let pid = program.process.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    (
        kib.expect("its size").parse().expect("a number"),
        descriptors.count(),
    )
}

#[test]
fn while_servers_break_no_request_fails_and_others_keep_their_keys() {
    let seed = seed();
    let (length, beat) = pace();
    eprintln!("RINGWAY_SEED={seed}");
    let fleet = Fleet {
        servers: NAMES.map(Faulty::new).into(),
        port: free_port(),
        api_port: free_port(),
    };
    let file = folder("chaos").join("config.json");
    write(&file, &fleet.document(0));
    let program = Program::start(&file, fleet.port);

    let home = |key: u64| {
        let mut client = Client::connect(program.proxy);
        who(&client.get(&format!("/{key}"))).to_owned()
    };
    let homes: Vec<String> = (0..KEYS).map(home).collect();
    let n_untouched = homes.iter().filter(|home| is_untouched(home)).count();
    assert!(n_untouched > 10, "{n_untouched}");

    let before = held(&program);
    let is_over = AtomicBool::new(false);
    let (n_requests, n_elsewhere) = (AtomicU64::new(0), AtomicU64::new(0));
    let slowest = AtomicU64::new(0);
    let mut happened = Vec::new();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut rng = Rng::new(seed ^ (number + 1) << 32);
            let (homes, is_over, address) = (&homes, &is_over, program.proxy);
            let (n_requests, n_elsewhere, slowest) = (&n_requests, &n_elsewhere, &slowest);
            scope.spawn(move || {
                // One connection each for the whole time: a failure would panic.
                let mut client = Client::connect(address);
                while !is_over.load(Relaxed) {
                    let key = rng.below(KEYS);
                    let home = &homes[key as usize];
                    let sent = clock::now();
                    let answer = client.get(&format!("/{key}"));
                    let took = since(sent);
                    assert_eq!(answer.status, 200, "seed {seed}: {answer:?}");
                    if is_untouched(home) {
                        assert_eq!(who(&answer), home, "seed {seed}: /{key} has moved");
                    } else if who(&answer) != home {
                        n_elsewhere.fetch_add(1, Relaxed);
                    }
                    n_requests.fetch_add(1, Relaxed);
                    slowest.fetch_max(took.as_micros() as u64, Relaxed);
                    std::thread::sleep(REST);
                }
            });
        }
        // Whatever goes wrong here, the clients end.
        let is_over = EndsAll(&is_over);
        let mut rng = Rng::new(seed);
        let began = clock::now();
        for round in 1.. {
            happened.push(fleet.happen(&mut rng));
            write(&file, &fleet.document(round));
            program.hang_up();
            std::thread::sleep(beat);
            if since(began) >= length {
                break;
            }
        }
        drop(is_over);
    });
    let n_requests = n_requests.load(Relaxed);
    let slowest = Duration::from_micros(slowest.load(Relaxed));
    eprintln!("{n_requests} requests, the slowest {slowest:?}: {happened:?}");
    assert!(slowest < SLOWEST, "seed {seed}: {slowest:?}");
    assert!(n_requests > 500, "{n_requests}");
    assert!(
        n_elsewhere.load(Relaxed) > 0,
        "nothing that happened had an effect"
    );

    // All is well again: every key is at home within half a minute.
    for (name, server) in NAMES.into_iter().zip(&fleet.servers).skip(UNTOUCHED) {
        server.set(Fault::None);
        fleet.put(name, "state", &json!({"state": "active"}));
        fleet.put(name, "weight", &json!({ "weight": WEIGHT }));
    }
    let revived = clock::now();
    while !(0..KEYS).all(|key| home(key) == homes[key as usize]) {
        let waited = since(revived);
        assert!(waited < Duration::from_secs(30), "seed {seed}: not home");
        std::thread::sleep(Duration::from_millis(50));
    }
    let after = held(&program);
    eprintln!("KiB and descriptors {before:?} before, {after:?} after");
    // Kept connections, and probes under way.
    assert!(after.1 <= before.1 + 60, "descriptors {before:?} {after:?}");
    assert!(after.0 <= before.0 + 8 * 1024, "KiB {before:?} {after:?}");
}

fn is_untouched(name: &str) -> bool {
    NAMES[..UNTOUCHED].contains(&name)
}

fn since(then: Timestamp) -> Duration {
    clock::now().since(then)
}

/// Says that it is over when it is dropped.
struct EndsAll<'a>(&'a AtomicBool);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
