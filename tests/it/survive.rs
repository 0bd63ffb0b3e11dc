//! What is known of servers, requests in flight and open WebSockets, through
//! everything that is done to a running proxy: a reload, another weight, another
//! process that takes over, and files that are of no use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use ringway::native::clock;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::faulty::{Fault, Faulty};
use crate::support::origin::{After, Origin, ok};
use crate::support::program::{Orphan, Program, api, at, folder, free_port, write};
use crate::support::proxy::eventually;
use crate::support::websocket::{connect, echo_all, says};

const KEYS: usize = 40;

/// How long what the old process still has may last.
const GRACE: Duration = Duration::from_secs(6);

/// A server that is well: it changes over to WebSocket when asked, and has
/// requests for `/slow…` wait for the test.
fn well(name: &'static str) -> (Origin, Sender<()>) {
    let (release, released) = channel();
    let released = Mutex::new(released);
    let origin = Origin::at_head(move |got, stream| {
        if !got.all("upgrade").is_empty() {
            return echo_all(got, stream);
        }
        if got.line.contains("/slow") {
            let _ = released.lock().expect("no panic under it").recv();
        }
        ok(stream, name);
        After::Keep
    });
    (origin, release)
}

/// A server that answers its probes and nothing else.
fn failing() -> Origin {
    Origin::new(|got, stream| {
        if got.line.contains("/health") {
            ok(stream, "well");
            return After::Keep;
        }
        After::Close
    })
}

/// How many requests it has failed.
fn n_failed(failing: &Origin) -> usize {
    let got = failing.got();
    got.iter()
        .filter(|got| !got.line.contains("/health"))
        .count()
}

struct World {
    a: (Origin, Sender<()>),
    b: (Origin, Sender<()>),
    sick: Faulty,
    failing: Origin,
    file: PathBuf,
    port: u16,
    api_port: u16,
}

impl World {
    fn new() -> Self {
        let world = Self {
            a: well("a"),
            b: well("b"),
            sick: Faulty::new("sick"),
            failing: failing(),
            file: folder("survive").join("config.json"),
            port: free_port(),
            api_port: free_port(),
        };
        world.sick.set(Fault::Status);
        world
    }

    /// The configuration; another one for each `round`.
    fn document(&self, round: usize) -> Value {
        json!({
            "servers": [
                at("a", self.a.0.address),
                at("b", self.b.0.address),
                at("sick", self.sick.address),
                at("failing", self.failing.address),
            ],
            "listen": {"port": self.port},
            "process": {"workers": 2, "shutdown_grace": GRACE.as_secs()},
            "routing": {"hash_key": ["path"]},
            // Who is down comes up after a hundred good answers, and never at the
            // first, as one of which nothing is known would.
            "health_check": {"interval": 1, "fast_interval": 1, "rise": 100, "timeout": 0.5 + round as f64 / 10.0},
            "ejection": {"base": 300 + round, "cap": 1000},
            "timeouts": {"response_header": 50 + round},
            "pool": {"max_idle": 16 + round},
            "api": {"host": "127.0.0.1", "port": self.api_port},
        })
    }

    fn servers(&self) -> Vec<Value> {
        let (status, text) = api(self.api_port, "GET", "/api/servers", &Value::Null);
        assert_eq!(status, 200, "{text}");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        document["servers"].as_array().expect("a list").clone()
    }

    /// What is said of each server, in the order of names.
    fn verdicts(&self) -> Vec<[Value; 5]> {
        let of = |server: &Value| {
            let fields = ["name", "health", "ejected", "standing", "weight"];
            fields.map(|field| server[field].clone())
        };
        self.servers().iter().map(of).collect()
    }

    /// A path that waits, and whose key is this server's.
    fn path_of(&self, name: &str) -> String {
        let mut paths = (0..).map(|i| format!("/slow-{i}"));
        let is_its = |path: &String| {
            let key = json!({ "key": path });
            let (_, text) = api(self.api_port, "POST", "/api/route", &key);
            let route: Value = serde_json::from_str(&text).expect("JSON");
            route["server"] == name
        };
        paths.find(is_its).expect("every server owns some")
    }

    fn in_flight(&self) -> Vec<u64> {
        let of = |server: &Value| server["in_flight"].as_u64().expect("a number");
        self.servers().iter().map(of).collect()
    }
}

/// [`World::verdicts`] as they are to be from the beginning to the end.
fn expected(weight_of_a: u64) -> Vec<[Value; 5]> {
    let verdict = |name: &str, health: &str, ejected: bool, standing: &str, weight: u64| {
        let [name, health, standing] = [name, health, standing].map(Value::from);
        [name, health, ejected.into(), standing, weight.into()]
    };
    vec![
        verdict("a", "healthy", false, "eligible", weight_of_a),
        verdict("b", "healthy", false, "eligible", 1),
        verdict("failing", "healthy", true, "ejected", 1),
        verdict("sick", "unhealthy", false, "unhealthy", 1),
    ]
}

/// Every third key from `first` on, one after the other, each of which is to be
/// answered by its home.
fn load(
    proxy: SocketAddr,
    first: usize,
    homes: &RwLock<Vec<String>>,
    is_over: &AtomicBool,
    n_requests: &AtomicU32,
) {
    let mut client = Client::connect(proxy);
    for key in (first..).step_by(3).map(|key| key % KEYS) {
        // Whoever looks closely has the others wait.
        let homes = homes.read().expect("no panic under it");
        // Anything that is refused, reset or cut short panics here.
        let answer = client.get(&format!("/{key}"));
        assert_eq!(
            (answer.status, answer.text()),
            (200, &*homes[key]),
            "/{key}"
        );
        n_requests.fetch_add(1, Relaxed);
        if answer.all("connection") == ["close"] {
            client = Client::connect(proxy);
        }
        if is_over.load(Relaxed) {
            break;
        }
    }
}

/// Says that it is over when it is dropped, whatever went wrong.
struct EndsAll<'a>(&'a AtomicBool);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn home(address: SocketAddr, key: usize) -> String {
    let answer = Client::connect(address).get(&format!("/{key}"));
    assert_eq!(answer.status, 200);
    answer.text().to_owned()
}

#[test]
fn verdicts_requests_and_websockets_survive_whatever_is_done() {
    let world = World::new();
    write(&world.file, &world.document(0));
    let mut program = Program::start(&world.file, world.port);
    let proxy = program.proxy;
    let mut keys = 0..;
    eventually("what is wrong is found out, and what is well", || {
        // The first that go to the failing one are tried again elsewhere.
        home(proxy, keys.next().expect("a number"));
        world.verdicts() == expected(1)
    });
    // From now on only what is known of it keeps it out.
    world.sick.set(Fault::None);

    let n_failed_before = n_failed(&world.failing);
    let homes: Vec<String> = (0..KEYS).map(|key| home(proxy, key)).collect();
    let homes = RwLock::new(homes);
    let slow = world.path_of("a");
    let mut waiting = Client::connect(proxy);
    waiting.send(format!("GET {slow} HTTP/1.1\r\nhost: t\r\n\r\n"));
    let mut socket = connect(proxy, &slow);
    says(&mut socket, "hello");
    let mut idle = Client::connect(proxy);
    idle.get("/0");

    let (is_over, n_requests) = (AtomicBool::new(false), AtomicU32::new(0));
    let goes_on = || {
        let n = n_requests.load(Relaxed);
        eventually("requests go on", || n_requests.load(Relaxed) > n + 50);
    };
    let mut successor = None;
    std::thread::scope(|scope| {
        for first in 0..3 {
            let (is_over, n_requests, homes) = (&is_over, &n_requests, &homes);
            scope.spawn(move || load(proxy, first, homes, is_over, n_requests));
        }
        let _is_over = EndsAll(&is_over);
        let mut is_as_it_was = |weight_of_a: u64, in_flight: [u64; 4]| {
            assert_eq!(world.verdicts(), expected(weight_of_a));
            {
                let _nobody_asks = homes.write().expect("no panic under it");
                eventually("what is in flight", || world.in_flight() == in_flight);
            }
            says(&mut socket, "still there");
            goes_on();
        };
        is_as_it_was(1, [2, 0, 0, 0]);

        write(&world.file, &world.document(1));
        program.hang_up();
        program.says("configuration reloaded", 1);
        is_as_it_was(1, [2, 0, 0, 0]);

        {
            let mut homes = homes.write().expect("no panic under it");
            let weight = json!({"weight": 3});
            let reply = api(world.api_port, "PUT", "/api/servers/a/weight", &weight);
            assert_eq!(reply.0, 200, "{}", reply.1);
            for (key, before) in homes.iter_mut().enumerate() {
                let now = home(proxy, key);
                assert!(now == *before || now == "a", "{before} to {now}");
                *before = now;
            }
        }
        is_as_it_was(3, [2, 0, 0, 0]);

        let faults = ["servers[1].weight", "timeouts.connect", "routing.hashkey"];
        let mut bad = world.document(2);
        bad["servers"][1]["weight"] = 0.into();
        bad["timeouts"]["connect"] = (-1).into();
        bad["routing"]["hashkey"] = "path".into();
        write(&world.file, &bad);
        program.hang_up();
        program.says("configuration not reloaded", 1);
        faults.iter().for_each(|fault| program.says(fault, 1));
        is_as_it_was(3, [2, 0, 0, 0]);
        program.signal("-USR2");
        program.says("this one goes on", 1);
        faults.iter().for_each(|fault| program.says(fault, 2));
        is_as_it_was(3, [2, 0, 0, 0]);

        // The file says 1, and what was said through the API stands above it.
        write(&world.file, &world.document(2));
        program.signal("-USR2");
        eventually("a process starts", || program.successors().len() > 1);
        successor = Some(Orphan(program.successors().remove(1)));
        program.says("this process has taken over", 1);
        let taken_over = clock::now();
        // The new one counts its own; the old one says what it has left.
        is_as_it_was(3, [0, 0, 0, 0]);
        program.says("tunnels=1", 1);
        assert!(idle.is_ended(), "a connection that has nothing to say");
        world.a.1.send(()).expect("it waits");
        let answer = waiting.answer();
        assert_eq!((answer.status, answer.text()), (200, "a"));
        assert_eq!(answer.all("connection"), ["close"]);
        let left = GRACE.saturating_sub(clock::now().since(taken_over));
        std::thread::sleep(left.saturating_sub(Duration::from_millis(1500)));
        is_as_it_was(3, [0, 0, 0, 0]);
        // Its time is over, and the old process ends.
        assert!(socket.read().is_err(), "it is cut");
        let lasted = clock::now().since(taken_over);
        let is_due = lasted + Duration::from_millis(500) >= GRACE && lasted < 2 * GRACE;
        assert!(is_due, "{lasted:?}");
        let status = program.process.wait().expect("it is a child");
        assert!(status.success(), "{status}: {}", program.log());
        goes_on();
        assert_eq!(world.verdicts(), expected(3));
    });
    drop(successor);
    assert_eq!(n_failed(&world.failing), n_failed_before);
}

#[test]
fn who_is_ejected_before_an_upgrade_comes_home_after_it() {
    let (well, sick) = (Origin::named("well"), Faulty::new("sick"));
    let file = folder("survive-ejected").join("config.json");
    let (port, api_port) = (free_port(), free_port());
    write(
        &file,
        &json!({
            "servers": [at("sick", sick.address), at("well", well.address)],
            "listen": {"port": port},
            "process": {"workers": 2},
            "routing": {"hash_key": ["path"]},
            "health_check": {"enabled": false},
            "ejection": {"base": 3},
            "api": {"host": "127.0.0.1", "port": api_port},
        }),
    );
    let mut program = Program::start(&file, port);
    let sick_is = || {
        let (_, text) = api(api_port, "GET", "/api/servers/sick", &Value::Null);
        let server: Value = serde_json::from_str(&text).expect("JSON");
        server["standing"].as_str().expect("a word").to_owned()
    };
    sick.set(Fault::Status);
    let mut keys = 0..;
    eventually("it is ejected", || {
        home(program.proxy, keys.next().expect("a number"));
        sick_is() == "ejected"
    });
    program.signal("-USR2");
    eventually("a process starts", || !program.successors().is_empty());
    let _successor = Orphan(program.successors().remove(0));
    program.says("this process has taken over", 1);
    assert_eq!(sick_is(), "ejected");
    sick.set(Fault::None);
    eventually("its ejection ends", || sick_is() == "on-trial");
    // One request of its own is enough.
    eventually("it is back", || {
        home(program.proxy, keys.next().expect("a number"));
        sick_is() == "eligible"
    });
    let status = program.process.wait().expect("it is a child");
    assert!(status.success(), "{status}: {}", program.log());
}
