//! `ringway plan` over keys and access logs: what it says of the requests given.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};

use crate::cli::{ringway, text};

fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let file: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, content).expect("room");
    file.to_str().expect("UTF-8").to_owned()
}

/// A configuration of `n` servers.
fn fleet(name: &str, n: usize, routing: Value) -> String {
    let servers: Vec<Value> = (0..n)
        .map(|i| json!({"name": format!("s{i}"), "address": "127.0.0.1", "port": 9000 + i}))
        .collect();
    file(
        name,
        json!({"servers": servers, "routing": routing}).to_string(),
    )
}

/// The plan from one configuration to another, and how the program ended.
fn plan(before: &str, after: &str, more: &[&str], input: &[u8]) -> Output {
    let args = ["plan", "--config", before, "--to", after];
    ringway(&[&args, more].concat(), input)
}

fn keys_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "nothing for a pipe");
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    plan["keys"].clone()
}

/// Where `ringway route` sends each key.
fn routed(config: &str, keys: &[String]) -> Vec<String> {
    let input: String = keys.iter().map(|key| format!("{key}\n")).collect();
    let output = ringway(&["route", "--config", config], input.as_bytes());
    let server = |line: &str| -> Value {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["server"].clone()
    };
    let servers = text(&output.stdout).lines().map(server);
    servers
        .map(|server| server.as_str().expect("a server").to_owned())
        .collect()
}

/// Requests of few clients, some of which come often.
fn clients(n: usize) -> Vec<String> {
    (0..n)
        .map(|i| match i % 7 {
            0 => format!("2001:db8::{:x}", 1 + i % 11),
            _ => format!("192.0.2.{}", i * i % 251),
        })
        .collect()
}

fn combined(client: &str, i: usize) -> String {
    format!(
        "{client} - - [10/Oct/2025:13:55:36 +0000] \"GET /a?id={i} HTTP/1.1\" 200 5 \"-\" \"curl\"\n"
    )
}

#[test]
fn keys_and_logs_are_counted_as_they_would_be_routed() {
    let (three, four) = (
        fleet("log-3.json", 3, json!({})),
        fleet("log-4.json", 4, json!({})),
    );
    let clients = clients(1_000);
    let (old, new) = (routed(&three, &clients), routed(&four, &clients));
    let mut servers: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut moved = BTreeSet::new();
    let mut n_moved = 0;
    for ((client, old), new) in clients.iter().zip(&old).zip(&new) {
        servers.entry(old).or_default()[0] += 1;
        servers.entry(new).or_default()[1] += 1;
        if old != new {
            moved.insert(client);
            n_moved += 1;
        }
    }
    let peak = |side: usize, n: f64| {
        let most = servers.values().map(|counts| counts[side]).max();
        most.unwrap_or(0) as f64 / 1_000.0 * n
    };
    let servers_shown: Vec<Value> = servers
        .iter()
        .map(|(name, [before, after])| json!({"server": name, "before": before, "after": after}))
        .collect();

    let keys: String = clients.iter().map(|key| format!("{key}\n")).collect();
    // Formats may change midway, lines may end in CRLF, the last need not end.
    let log: String = (clients.iter().enumerate())
        .map(|(i, client)| match i % 3 {
            0 => combined(client, i),
            1 => format!("{{\"client_ip\":\"{client}\",\"path\":\"/a\"}}\n"),
            _ => format!("{client} - x [] \"GET / HTTP/1.0\" 200 -\r\n"),
        })
        .collect();
    for (option, input) in [("--keys", &keys), ("--access-log", &log)] {
        let output = plan(
            &three,
            &four,
            &[option, "-", "--json"],
            input.trim_end().as_bytes(),
        );
        let said = keys_of(&output);
        assert_eq!(said["total"], 1_000, "{option}");
        assert_eq!(said["moved"], n_moved, "{option}");
        let distinct: BTreeSet<_> = clients.iter().collect();
        assert_eq!(said["distinct"], distinct.len(), "{option}");
        assert_eq!(said["distinct_moved"], moved.len(), "{option}");
        assert!(!moved.is_empty() && moved.len() < distinct.len());
        assert_eq!(said["servers"], Value::from(servers_shown.clone()));
        for (field, side, n) in [("balance_before", 0, 3.0), ("balance_after", 1, 4.0)] {
            let said = said[field]["peak_to_mean"].as_f64().expect("a number");
            assert!((said - peak(side, n)).abs() < 1e-9, "{option} {said}");
        }
        match option {
            "--keys" => assert!(said["log"].is_null()),
            _ => assert_eq!(
                said["log"],
                json!({
                    "sources": [
                        {"source": "{\"header\":\"x-ringway-key\"}", "before": 0, "after": 0},
                        {"source": "client_ip", "before": 1_000, "after": 1_000},
                        {"source": null, "before": 0, "after": 0},
                    ],
                    "skipped": 0,
                    "first_skipped": null,
                })
            ),
        }
    }
}

#[test]
fn another_hash_key_moves_requests_though_no_share_moves() {
    let before = fleet("by-ip.json", 5, json!({"hash_key": ["client_ip"]}));
    let after = fleet(
        "by-id.json",
        5,
        json!({"hash_key": [{"query": "id"}, {"header": "x-user"}]}),
    );
    let mut log: String = (0..200).map(|i| combined("192.0.2.1", i)).collect();
    log += "{\"client_ip\":\"192.0.2.1\",\"path\":\"/\",\"http_x_user\":\"7\"}\n";
    log += "{\"path\":\"/\"}\n";
    let ids: Vec<String> = (0..200).chain([7]).map(|i: u32| i.to_string()).collect();
    let here = &routed(&before, &["192.0.2.1".to_owned()])[0];
    let n_moved = routed(&before, &ids).iter().filter(|s| *s != here).count();

    let output = plan(
        &before,
        &after,
        &["--access-log", "-", "--json"],
        log.as_bytes(),
    );
    let whole: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(whole["moved"], 0.0);
    let said = keys_of(&output);
    assert_eq!(said["total"], 202);
    assert_eq!(said["moved"], n_moved);
    assert_eq!(
        (&said["distinct"], &said["distinct_moved"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        said["log"]["sources"],
        json!([
            {"source": "client_ip", "before": 201, "after": null},
            {"source": "{\"query\":\"id\"}", "before": null, "after": 200},
            {"source": "{\"header\":\"x-user\"}", "before": null, "after": 1},
            {"source": null, "before": 1, "after": 1},
        ])
    );
    let table = plan(&before, &after, &["--access-log", "-"], log.as_bytes());
    let table = text(&table.stdout);
    assert!(table.contains("client_ip: 201; no key: 1"), "{table}");
    assert!(table.contains("{\"query\":\"id\"}: 200;"), "{table}");

    // What moves of the requests counts as much as what moves of all keys.
    let args = ["--access-log", "-", "--max-moved", "10%"];
    let refused = plan(&before, &after, &args, log.as_bytes());
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("% of the requests given would move"));
    let without = plan(&before, &after, &["--max-moved", "10%"], b"");
    assert_eq!(without.status.code(), Some(0));
    let note = text(&without.stderr);
    assert!(
        note.contains("routing.hash_key changes") && note.contains("--access-log"),
        "{note}"
    );
}

#[test]
fn lines_that_are_no_requests_are_counted_and_the_first_is_named() {
    let (three, four) = (
        fleet("bad-3.json", 3, json!({})),
        fleet("bad-4.json", 4, json!({})),
    );
    // Longer than what is read at a time, and what a thread gets of it.
    let mut log: String = (0..40_000).map(|i| combined("192.0.2.1", i)).collect();
    log += "\u{16}\u{3}garbage\n";
    log += &combined("192.0.2.2", 0);
    log += "192.0.2.3 - - [10/Oct/2025:13:55:36 +0000] \"GET /";
    assert!(log.len() > 3 << 20);
    let name = file("bad.log", &log);
    let args = ["--access-log", &name, "--json"];
    let said = keys_of(&plan(&three, &four, &args, b""));
    assert_eq!(said["total"], 40_001);
    assert_eq!(said["distinct"], 2);
    assert_eq!(said["log"]["skipped"], 2);
    assert_eq!(said["log"]["first_skipped"]["line"], 40_001);
    let table = plan(&three, &four, &args[..2], b"");
    let table = text(&table.stdout);
    assert!(
        table.contains("2 lines are no requests; the first is line 40,001: it is neither"),
        "{table}"
    );

    let output = plan(&three, &four, &["--access-log", "-"], b"user-1\nuser-2\n");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("none of the 2 lines") && said.contains("line 1: it is neither"),
        "{said}"
    );
    assert_eq!(text(&output.stdout), "");
    // An empty log has no bad line.
    let empty = plan(&three, &four, &["--access-log", "-", "--json"], b"");
    let said = keys_of(&empty);
    assert_eq!(said["total"], 0);
    assert!(said["balance_before"].is_null());

    let both = plan(&three, &four, &["--access-log", "-", "--keys", "-"], b"");
    assert_eq!(both.status.code(), Some(2));
    let none = plan(&three, &four, &["--access-log", "no-such.log"], b"");
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("no-such.log cannot be read"));
}

#[test]
fn a_table_of_many_servers_shows_those_that_change_most() {
    let (before, after) = (
        fleet("many.json", 300, json!({})),
        fleet("many-1.json", 301, json!({})),
    );
    let keys: String = (0..3_000).map(|i| format!("key-{i}\n")).collect();
    let output = plan(&before, &after, &["--keys", "-"], keys.as_bytes());
    let table = text(&output.stdout);
    assert!(table.contains("and 261 that change less"), "{table}");
    assert!(table.lines().count() < 80, "{table}");
    let first = table.lines().position(|line| line.starts_with("server "));
    let first = table.lines().nth(first.expect("a head") + 1);
    assert!(
        first.is_some_and(|line| line.starts_with("s300 ")),
        "{table}"
    );
}

#[test]
fn operating_md_shows_what_is_printed() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(top.join("docs/operating.md")).expect("it is there");
    let (_, shown) = document
        .split_once("```console\n$ ringway plan ")
        .expect("an example");
    let (command, shown) = shown.split_once('\n').expect("what it prints");
    let (shown, _) = shown.split_once("```").expect("an end");
    let output = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .arg("plan")
        .args(command.split(' '))
        .current_dir(top.join("tests/data/plan"))
        .output()
        .expect("it ends");
    assert_eq!(text(&output.stdout), shown);
}

/// What the program writes to a terminal that is its standard error.
fn seen_on_a_terminal(args: &[&str], input: Stdio) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("a terminal of ours");
    unlockpt(&master).expect("a terminal to open");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().expect("UTF-8"))
        .expect("its other end");
    tcsetwinsize(&terminal, size).expect("a size");
    // The command must be gone before reading, or its copy of the terminal
    // would keep that from ending.
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(args)
        .env("TERM", "xterm")
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(terminal)
        .spawn()
        .expect("the program starts");
    let mut seen = Vec::new();
    let mut master = File::from(master);
    let mut buffer = [0; 4096];
    // A terminal that nobody holds any more ends in an error on Linux.
    while let Ok(n @ 1..) = master.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..n]);
    }
    assert!(child.wait().expect("it ends").success());
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn a_terminal_shows_how_far_a_file_was_read_and_nothing_of_it_stays() {
    let (three, four) = (
        fleet("seen-3.json", 3, json!({})),
        fleet("seen-4.json", 4, json!({})),
    );
    let log: String = (0..2_000).map(|i| combined("192.0.2.1", i)).collect();
    let name = file("seen.log", &log);
    let args = ["plan", "--config", &three, "--to", &four, "--access-log"];
    let sized = seen_on_a_terminal(&[&args[..], &[&name]].concat(), Stdio::null());
    assert!(sized.contains('%') && sized.contains(" of "), "{sized:?}");
    assert!(!sized.contains("lines read"), "{sized:?}");
    let input = File::open(&name).expect("it was written");
    let counted = seen_on_a_terminal(&[&args[..], &["-"]].concat(), input.into());
    assert!(counted.contains("lines read"), "{counted:?}");
    for seen in [sized, counted] {
        // The last thing done is to wipe the line.
        assert!(
            seen.ends_with("\u{1b}[2K") || seen.ends_with("\u{1b}[2K\r"),
            "{seen:?}"
        );
        assert!(!seen.contains('\n'), "{seen:?}");
    }
    let without = seen_on_a_terminal(&args[..5], Stdio::null());
    assert_eq!(without, "");
}
