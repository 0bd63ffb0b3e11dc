//! The access log: what its lines say, and that none is lost when its file is
//! opened anew or exchanged while requests go on.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use ringway::config::AccessLogFormat;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::logged::text_of;
use crate::support::origin::Origin;
use crate::support::program::{Program, at, folder, free_port, write};
use crate::support::proxy::eventually;

const BY_PATH: &str = r#""routing": {"hash_key": ["path"]}"#;

/// What the log has of requests that a client sends as `ask` does.
fn logged(format: AccessLogFormat, ask: impl Fn(&mut Client)) -> (String, Origin) {
    let origin = Origin::named("answer");
    let text = text_of(&[("a", origin.address)], BY_PATH, format, ask);
    (text, origin)
}

#[test]
fn there_is_a_line_for_each_request() {
    let (text, origin) = logged(AccessLogFormat::Json, |client| {
        client.get("/\"x\"?y=z");
        client.send("GET / HTTP/1.1\r\n\r\n");
        client.answer();
    });
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["path"], "/\"x\"?y=z");
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["server"], "a");
    assert_eq!(lines[0]["bytes"], 6);
    assert_eq!(lines[0]["attempts"], 1);
    assert_eq!(lines[0]["client_ip"], "127.0.0.1");
    assert_eq!(
        lines[0]["request_id"],
        origin.got()[0].all("x-request-id")[0]
    );
    assert_eq!(lines[1]["status"], 400);
    assert_eq!(lines[1]["server"], Value::Null);
}

/// A line with its time replaced, which must have the form of one.
fn timeless(line: &str) -> String {
    let (before, rest) = line.split_once('[').expect("a time");
    let (time, after) = rest.split_once(']').expect("its end");
    let form: String = time
        .chars()
        .map(|c| match c {
            '0'..='9' => '9',
            'A'..='Z' | 'a'..='z' => 'a',
            c => c,
        })
        .collect();
    assert_eq!(form, "99/aaa/9999:99:99:99 +9999", "{time}");
    format!("{before}[time]{after}")
}

#[test]
fn combined_and_common_lines_are_read_back_by_the_planner() {
    let ask = |client: &mut Client| {
        client.send(
            "GET /a?b=%22 HTTP/1.1\r\nhost: h\r\nreferer: http://there/\"\\\r\n\
             user-agent: agent \u{e9}\r\nauthorization: Basic YW5uOng=\r\n\r\n",
        );
        client.answer();
        client.send("HEAD / HTTP/1.0\r\n\r\n");
        client.head();
    };
    let (combined, _) = logged(AccessLogFormat::Combined, ask);
    let lines: Vec<String> = combined.lines().map(timeless).collect();
    assert_eq!(
        lines,
        [
            r#"127.0.0.1 - ann [time] "GET /a?b=%22 HTTP/1.1" 200 6 "http://there/\x22\x5C" "agent \xC3\xA9""#,
            r#"127.0.0.1 - - [time] "HEAD / HTTP/1.0" 200 0 "-" "-""#,
        ]
    );
    let (common, _) = logged(AccessLogFormat::Common, ask);
    let lines: Vec<String> = common.lines().map(timeless).collect();
    assert_eq!(
        lines,
        [
            r#"127.0.0.1 - ann [time] "GET /a?b=%22 HTTP/1.1" 200 6"#,
            r#"127.0.0.1 - - [time] "HEAD / HTTP/1.0" 200 -"#,
        ]
    );
    let folder = folder("access-log-read-back");
    let config = folder.join("config.json");
    write(
        &config,
        &json!({
            "servers": [at("a", ([127, 0, 0, 1], 1).into())],
            "routing": {"hash_key": [{"header": "referer"}, {"query": "b"}, "path"]},
        }),
    );
    for (log, sources) in [(combined, [1, 0, 1, 0]), (common, [0, 1, 1, 0])] {
        let file = folder.join("access.log");
        std::fs::write(&file, log).expect("a writable folder");
        let plan = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .args(["plan", "--json", "--config"])
            .arg(&config)
            .arg("--to")
            .arg(&config)
            .arg("--access-log")
            .arg(&file)
            .output()
            .expect("the program runs");
        let plan: Value = serde_json::from_slice(&plan.stdout).expect("a plan");
        assert_eq!(plan["keys"]["log"]["skipped"], 0, "{plan}");
        let found: Vec<u64> = plan["keys"]["log"]["sources"]
            .as_array()
            .unwrap_or_else(|| panic!("sources: {plan}"))
            .iter()
            .map(|source| source["after"].as_u64().expect("a count"))
            .collect();
        assert_eq!(found, sources, "{plan}");
    }
}

/// The paths in a log of JSON, each of which must be whole.
fn paths(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let path = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a whole line");
        line["path"].as_str().expect("a path").to_owned()
    };
    text.lines().map(path).collect()
}

#[test]
fn rotation_under_load_keeps_every_line_exactly_once() {
    let folder = folder("access-log-rotation");
    let origin = Origin::named("a");
    let (file, log) = (folder.join("config.json"), folder.join("access.log"));
    let (port, api_port) = (free_port(), free_port());
    let document = |to: Value| {
        json!({
            "servers": [at("a", origin.address)],
            "listen": {"port": port},
            "process": {"workers": 2},
            "health_check": {"enabled": false},
            "access_log": {"to": to},
            "api": {"port": api_port},
        })
    };
    write(&file, &document(json!(log)));
    let mut program = Program::start(&file, port);
    let is_over = AtomicBool::new(false);
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = Client::connect(program.proxy);
                while !is_over.load(Relaxed) {
                    let n = next.fetch_add(1, Relaxed);
                    assert_eq!(client.get(&format!("/{n}")).status, 200);
                }
            });
        }
        for round in 0..5 {
            let so_far = next.load(Relaxed);
            eventually("load", || next.load(Relaxed) > so_far + 100);
            std::fs::rename(&log, folder.join(format!("access.log.{round}"))).expect("a log");
            program.signal("-USR1");
            eventually("the log is opened anew", || log.exists());
        }
        // A reload can exchange the log as well, and switch it off.
        let so_far = next.load(Relaxed);
        write(&file, &document(json!(folder.join("other.log"))));
        program.signal("-HUP");
        program.says("configuration reloaded", 1);
        eventually("load", || next.load(Relaxed) > so_far + 100);
        is_over.store(true, Relaxed);
    });
    let n = next.load(Relaxed) as usize;
    write(&file, &document(Value::Null));
    program.signal("-HUP");
    program.says("configuration reloaded", 2);
    let mut client = Client::connect(program.proxy);
    assert_eq!(client.get("/not-logged").status, 200);
    // One that cannot be written changes nothing.
    write(&file, &document(json!(folder.join("no/such/folder.log"))));
    program.signal("-HUP");
    program.says("no/such/folder.log cannot be opened", 1);
    drop(client);
    program.signal("-TERM");
    assert!(program.process.wait().expect("it ends").success());

    let mut found = Vec::new();
    for round in 0..5 {
        let part = paths(&folder.join(format!("access.log.{round}")));
        assert!(!part.is_empty(), "round {round}");
        found.extend(part);
    }
    let (last, other) = (paths(&log), paths(&folder.join("other.log")));
    assert!(!other.is_empty());
    found.extend(last.into_iter().chain(other));
    let mut expected: Vec<String> = (0..n).map(|i| format!("/{i}")).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found.len(), n);
    assert!(found == expected, "each once");
}
