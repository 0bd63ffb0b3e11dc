//! `process.state_file`: what is changed through the API survives the process,
//! however it ends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::program::{Program, folder, free_port, write};
use crate::support::rng::Rng;

/// A program with a state file, on ports of its own.
struct Case {
    folder: PathBuf,
    config: PathBuf,
    file: PathBuf,
    port: u16,
    api: SocketAddr,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = folder(&format!("state-{name}"));
        let case = Self {
            config: folder.join("config.json"),
            file: folder.join("state.json"),
            folder,
            port: free_port(),
            api: SocketAddr::from(([127, 0, 0, 1], free_port())),
        };
        case.configure(&["a", "b", "c"], json!({}));
        case
    }

    /// Configures servers by name, with further settings of the first.
    fn configure(&self, names: &[&str], first: Value) {
        let server = |name: &&str| json!({"name": name, "address": "127.0.0.1", "port": 9});
        let mut servers: Vec<Value> = names.iter().map(server).collect();
        for (name, value) in first.as_object().expect("an object") {
            servers[0][name] = value.clone();
        }
        let document = json!({
            "servers": servers,
            "listen": {"port": self.port},
            "process": {"workers": 1, "state_file": self.file},
            "health_check": {"enabled": false},
            "api": {"host": "127.0.0.1", "port": self.api.port()},
        });
        write(&self.config, &document);
    }

    fn start(&self) -> Program {
        Program::start(&self.config, self.port)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        call(&mut Client::connect(self.api), method, path, body).expect("an answer")
    }

    fn fleet(&self) -> Vec<String> {
        fleet(&self.call("GET", "/api/servers", &Value::Null))
    }

    /// What `GET /api/health` says of the file: stored, set aside.
    fn health(&self) -> [bool; 2] {
        let answer = self.call("GET", "/api/health", &Value::Null);
        let view: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let says = |what: &str| view["state_file"][what].as_bool().expect("yes or no");
        ["stored", "set_aside"].map(says)
    }

    fn metric(&self, line: &str) -> bool {
        let answer = self.call("GET", "/metrics", &Value::Null);
        answer.text().lines().any(|found| found == line)
    }
}

/// Calls the API; `None` when it breaks off.
fn call(client: &mut Client, method: &str, path: &str, body: &Value) -> Option<Answer> {
    let (kind, body) = match body {
        Value::Null => ("", String::new()),
        body => ("content-type: application/json\r\n", body.to_string()),
    };
    let length = body.len();
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{kind}content-length: {length}\r\n\r\n{body}"
    ));
    let mut answer = client.head()?;
    client.body(&mut answer)?;
    Some(answer)
}

/// `name*weight`, with `!` when drained.
fn fleet(answer: &Answer) -> Vec<String> {
    let view: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let servers = view["servers"].as_array().expect("a list").iter();
    let word = |server: &Value| {
        let mark = if server["state"] == "draining" {
            "!"
        } else {
            ""
        };
        let name = server["name"].as_str().expect("a name");
        format!("{name}*{}{mark}", server["weight"])
    };
    servers.map(word).collect()
}

fn server(name: &str, weight: u64) -> Value {
    json!({"name": name, "address": "127.0.0.1", "port": 9, "weight": weight})
}

#[test]
fn what_the_api_changed_is_there_after_a_restart_where_configuration_has_not_changed_it() {
    let case = Case::new("restart");
    let mut program = case.start();
    assert_eq!(
        case.call("POST", "/api/servers", &server("x", 4)).status,
        201
    );
    let weight = json!({"weight": 7});
    assert_eq!(
        case.call("PUT", "/api/servers/a/weight", &weight).status,
        200
    );
    let draining = json!({"state": "draining"});
    assert_eq!(
        case.call("PUT", "/api/servers/b/state", &draining).status,
        200
    );
    assert_eq!(
        case.call("DELETE", "/api/servers/c", &Value::Null).status,
        200
    );
    // What is refused, or only planned, is not written down.
    let before = std::fs::read(&case.file).expect("it was written");
    assert_eq!(
        case.call("POST", "/api/servers", &server("x", 5)).status,
        409
    );
    for query in ["dry_run=true", "max_moved=0"] {
        let status = case
            .call("POST", &format!("/api/servers?{query}"), &server("y", 5))
            .status;
        assert!(matches!(status, 200 | 409), "{status}");
    }
    assert_eq!(std::fs::read(&case.file).expect("it is there"), before);
    let expected = ["a*7", "b*1!", "x*4"];
    assert_eq!(case.fleet(), expected);
    program.end();
    let mut program = case.start();
    assert_eq!(case.fleet(), expected);
    assert_eq!(case.health(), [true, false]);
    assert!(case.metric("ringway_state_file_stored 1.0"));
    program.end();

    // What is configured anew holds, and for good.
    case.configure(&["a", "b", "c"], json!({"weight": 3}));
    let mut program = case.start();
    assert_eq!(case.fleet(), ["a*3", "b*1!", "x*4"]);
    program.end();
    case.configure(&["a", "b", "c"], json!({}));
    let program = case.start();
    assert_eq!(case.fleet(), ["a*1", "b*1!", "x*4"]);

    // A reload takes the file as the truth, and writes that down.
    program.hang_up();
    program.says("configuration reloaded", 1);
    assert_eq!(case.fleet(), ["a*1", "b*1!", "c*1"]);
    drop(program);
    let _program = case.start();
    assert_eq!(case.fleet(), ["a*1", "b*1!", "c*1"]);
}

#[test]
fn a_process_killed_at_any_moment_has_kept_all_that_it_answered() {
    let seed = std::env::var("RINGWAY_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(1);
    println!("RINGWAY_SEED={seed}");
    let mut rng = Rng::new(seed);
    let case = Case::new("kill");
    let mut program = case.start();
    let mut known = case.fleet();
    let mut n_answered = 0;
    for round in 0..50 {
        let moment = Duration::from_micros(rng.below(30_000));
        let (mut changes, mut now) = (Rng::new(rng.next()), known);
        let mut client = Client::connect(case.api);
        let writer = std::thread::spawn(move || {
            for n in 0.. {
                let (method, path, body) = change(&mut changes);
                let after = expected(now.clone(), &method, &path, &body);
                let Some(answer) = call(&mut client, &method, &path, &body) else {
                    return (now, after, n);
                };
                assert!(answer.status < 500, "{}", answer.text());
                now = after;
            }
            unreachable!("it is killed at last");
        });
        std::thread::sleep(moment);
        drop(program);
        let (before, after, n) = writer.join().expect("every answer is as it should be");
        program = case.start();
        known = case.fleet();
        let is_kept = known == before || known == after;
        assert!(
            is_kept,
            "round {round}: {known:?} is neither {before:?} nor {after:?}"
        );
        n_answered += n;
    }
    assert!(n_answered > 50, "only {n_answered} changes were answered");
    assert!(!case.folder.join("state.json.bad").exists());
}

/// A change at random.
fn change(rng: &mut Rng) -> (String, String, Value) {
    let name = format!("s{}", rng.below(6));
    let path = format!("/api/servers/{name}");
    let weight = 1 + rng.below(9);
    let (method, path, body) = match rng.below(5) {
        0 | 1 => ("POST", "/api/servers".to_owned(), server(&name, weight)),
        2 => ("DELETE", path, Value::Null),
        3 => ("PUT", format!("{path}/weight"), json!({"weight": weight})),
        _ => {
            let state = ["active", "draining"][rng.below(2) as usize];
            ("PUT", format!("{path}/state"), json!({"state": state}))
        }
    };
    (method.to_owned(), path, body)
}

/// What a fleet is after a change.
fn expected(mut fleet: Vec<String>, method: &str, path: &str, body: &Value) -> Vec<String> {
    let name = match body["name"].as_str() {
        Some(name) => name,
        None => path.split('/').nth(3).expect("a name"),
    };
    let place = fleet
        .iter()
        .position(|word| word.starts_with(&format!("{name}*")));
    match (method, place) {
        ("POST", None) => {
            fleet.push(format!("{name}*{}", body["weight"]));
            fleet.sort();
        }
        ("DELETE", Some(i)) => drop(fleet.remove(i)),
        ("PUT", Some(i)) => {
            let mark = if fleet[i].ends_with('!') { "!" } else { "" };
            let bare = fleet[i].trim_end_matches('!').to_owned();
            fleet[i] = match body["state"].as_str() {
                Some("draining") => format!("{bare}!"),
                Some(_) => bare,
                None => format!("{name}*{}{mark}", body["weight"]),
            };
        }
        _ => {}
    }
    fleet
}

#[test]
fn what_cannot_be_stored_is_refused_whole_and_goes_on_when_it_can() {
    let case = Case::new("not-stored");
    let _program = case.start();
    let weight = json!({"weight": 7});
    assert_eq!(
        case.call("PUT", "/api/servers/a/weight", &weight).status,
        200
    );
    // Where the new file would be written there is a folder.
    let obstacle = case.folder.join("state.json.new");
    std::fs::create_dir(&obstacle).expect("a folder");
    refuses(&case);
    // What drops a change has to be stored, too; what drops none has not.
    let reload = case.call("POST", "/api/reload", &Value::Null);
    assert_eq!(reload.status, 507, "{}", reload.text());
    assert_eq!(case.fleet(), ["a*7", "b*1", "c*1"]);
    let same = case.call("PUT", "/api/servers/a/weight", &weight);
    assert_eq!(same.status, 200, "{}", same.text());
    std::fs::remove_dir(&obstacle).expect("it is empty");
    assert_eq!(
        case.call("POST", "/api/servers", &server("x", 1)).status,
        201
    );
    assert!(case.metric("ringway_state_file_stored 1.0"));
}

fn refuses(case: &Case) {
    let before = case.fleet();
    let file = std::fs::read(&case.file).expect("it is there");
    let draining = json!({"state": "draining"});
    for (method, path, body) in [
        ("POST", "/api/servers", server("x", 1)),
        ("PUT", "/api/servers/a/weight", json!({"weight": 8})),
        ("PUT", "/api/servers/b/state", draining),
        ("DELETE", "/api/servers/c", Value::Null),
    ] {
        let answer = case.call(method, path, &body);
        assert_eq!(answer.status, 507, "{}", answer.text());
        assert!(answer.text().contains("urn:ringway:problem:not-stored"));
        assert!(answer.text().contains("state.json"), "{}", answer.text());
    }
    assert_eq!(case.fleet(), before);
    assert_eq!(std::fs::read(&case.file).expect("it is there"), file);
    assert!(case.metric("ringway_state_file_stored 0.0"));
    assert_eq!(case.health(), [false, false]);
    assert!(case.metric(r#"ringway_state_file_writes_total{result="failed"} 4"#));
}

/// A file system of the test's own.
struct Disk(PathBuf);

impl Disk {
    /// `None` where nobody may make one.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        status
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_changes_are_refused() {
    let mut case = Case::new("full");
    let Some(disk) = Disk::mount(&case.folder.join("disk")) else {
        // Straight to the terminal: the harness would keep it to itself.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"SKIPPED on_a_full_disk_changes_are_refused: only root may mount a tmpfs\n",
        );
        return;
    };
    case.file = disk.0.join("state.json");
    case.configure(&["a", "b", "c"], json!({}));
    let program = case.start();
    let filler = disk.0.join("filler");
    // As much as fits.
    let _ = std::fs::write(&filler, vec![0; 128 << 10]);
    refuses(&case);
    std::fs::remove_file(&filler).expect("it is there");
    assert_eq!(
        case.call("DELETE", "/api/servers/c", &Value::Null).status,
        200
    );
    drop(program);
    let program = case.start();
    assert_eq!(case.fleet(), ["a*1", "b*1"]);
    drop(program);
}

#[test]
fn a_file_of_no_use_is_set_aside_and_said_so() {
    let case = Case::new("bad");
    for (i, (text, why)) in [
        ("", "this is not JSON"),
        (
            r#"{"version": 1, "removed": [], "changed"#,
            "this is not JSON",
        ),
        (
            r#"{"version": 2, "regions": []}"#,
            "it was written by a newer Ringway",
        ),
        (r#"{"version": 0}"#, "no Ringway has written such a file"),
        (
            r#"{"version": 1, "removed": 7}"#,
            "removed: 7 is not allowed",
        ),
        // One that is well-formed, and names a server twice.
        (
            r#"{"version": 1, "removed": [], "changed": [], "draining": [], "joined": [
                {"server": {"name": "x", "address": "a", "port": 1}},
                {"server": {"name": "x", "address": "b", "port": 1}}]}"#,
            r#"there is already a server named "x""#,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&case.file, text).expect("a writable folder");
        let program = case.start();
        program.says(why, 1);
        program.says("the state file is of no use", 1);
        assert_eq!(case.fleet(), ["a*1", "b*1", "c*1"]);
        assert!(case.metric("ringway_state_file_set_aside 1.0"));
        assert_eq!(case.health(), [true, true]);
        let name = match i {
            0 => "state.json.bad".to_owned(),
            i => format!("state.json.bad-{}", i + 1),
        };
        let kept = std::fs::read_to_string(case.folder.join(name)).expect("it was kept");
        assert_eq!(kept, text);
    }
}

#[test]
fn where_no_file_can_be_the_program_does_not_start() {
    let mut case = Case::new("nowhere");
    case.file = case.folder.join("missing/state.json");
    case.configure(&["a"], json!({}));
    let output = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(["serve", "--config"])
        .arg(&case.config)
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("state.json cannot be written"), "{said}");
}
