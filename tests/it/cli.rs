//! The program as a user starts it: what it prints where, and how it ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) fn ringway(args: &[&str], input: &[u8]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // Written beside reading, or both sides would wait when a pipe is full.
    let mut pipe = process.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        // A command that reads no input may have ended already.
        scope.spawn(move || pipe.write_all(input));
        process.wait_with_output().expect("the program ends")
    })
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

#[test]
fn route_answers_a_line_of_json_for_each_key() {
    let output = ringway(&["route", "--config", "config.json", "user123", ""], b"");
    assert!(output.status.success());
    assert_eq!(
        text(&output.stdout),
        "{\"key\":\"user123\",\"server\":\"server1\",\"position\":\"6f3bae88a40b238c\"}\n\
         {\"key\":\"\",\"server\":\"server2\",\"position\":\"2d06800538d394c2\"}\n"
    );
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn route_takes_keys_from_standard_input_whatever_their_bytes() {
    let output = ringway(&["route"], b"user123\n\n\xff\xfe\nlast");
    assert!(output.status.success());
    let keys: Vec<String> = text(&output.stdout)
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["key"].to_string()
        })
        .collect();
    assert_eq!(
        keys,
        ["\"user123\"", "\"\"", "\"\u{fffd}\u{fffd}\"", "\"last\""]
    );
    let many: String = (0..50_000).map(|i| format!("key-{i}\n")).collect();
    let output = ringway(&["route"], many.as_bytes());
    assert_eq!(text(&output.stdout).lines().count(), 50_000);
}

#[test]
fn check_praises_and_blames() {
    let output = ringway(&["check", "config.json"], b"");
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "config.json is good: 2 servers\n");

    let bad = data("config/bad/rules.json");
    let output = ringway(&["check", bad.to_str().expect("UTF-8")], b"");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let blame = text(&output.stderr);
    assert!(
        blame.contains("servers[1].name:") && blame.contains("ejection.cap:"),
        "{blame}"
    );
    assert_eq!(blame.lines().count(), 8, "{blame}");

    let output = ringway(&["check", "no-such-file.json"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no-such-file.json cannot be read"));
}

#[test]
fn ring_shows_shares_that_add_up() {
    let output = ringway(&["ring"], b"");
    let table = text(&output.stdout);
    assert!(
        table.contains("server1") && table.contains("300 points"),
        "{table}"
    );
    let output = ringway(&["ring", "--json"], b"");
    let ring: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(ring["points"].as_array().map(Vec::len), Some(300));
    assert!(ring["next"].is_null());
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_to_do() {
    assert_eq!(ringway(&["frobnicate"], b"").status.code(), Some(2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    let output = command
        .arg("serve")
        .current_dir(data("config"))
        .output()
        .expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--config") && text(&output.stderr).contains("ringway demo")
    );
}

#[test]
fn help_version_schema_and_completions_go_to_standard_output() {
    for (args, expected) in [
        (&["--help"][..], "ringway demo"),
        (&["route", "--help"], "Examples:"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["schema"], "\"virtual_nodes\""),
        (&["completions", "bash"], "_ringway()"),
        (&["completions", "zsh"], "#compdef ringway"),
    ] {
        let output = ringway(args, b"");
        assert!(output.status.success(), "{args:?}");
        assert!(text(&output.stdout).contains(expected), "{args:?}");
        assert_eq!(text(&output.stderr), "", "{args:?}");
    }
}

/// A file of three or four servers, for plans.
fn fleet_file(name: &str, n: usize) -> PathBuf {
    let servers: Vec<serde_json::Value> = (0..n)
        .map(|i| serde_json::json!({"name": format!("s{i}"), "address": "127.0.0.1", "port": 9000 + i}))
        .collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, serde_json::json!({ "servers": servers }).to_string()).expect("room");
    file
}

#[test]
fn plan_says_what_moves_and_fails_when_that_is_too_much() {
    let (three, four) = (fleet_file("three.json", 3), fleet_file("four.json", 4));
    let (three, four) = (
        three.to_str().expect("UTF-8"),
        four.to_str().expect("UTF-8"),
    );
    let args = [
        "plan", "--config", three, "--to", four, "--keys", "-", "--json",
    ];
    let output = ringway(&args, b"user-1\nuser-2\nuser-3\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(plan["minimum"], 0.25);
    assert_eq!(plan["keys"]["total"], 3);
    assert_eq!(plan["basis"], "exact");
    assert!(plan["sampled"].is_null());

    let table = ringway(&["plan", "--config", three, "--to", four], b"");
    let table = text(&table.stdout);
    assert!(
        table.starts_with("moved ")
            && table.contains("% of all keys, exactly; no rule could move fewer than 25.00%")
            && table.contains("s0 -> s3"),
        "{table}"
    );

    for (allowed, status) in [("50%", 0), ("0.5", 0), ("1%", 3), ("0", 3)] {
        let args = [
            "plan",
            "--config",
            three,
            "--to",
            four,
            "--max-moved",
            allowed,
        ];
        assert_eq!(ringway(&args, b"").status.code(), Some(status), "{allowed}");
    }
    let args = [
        "plan",
        "--config",
        three,
        "--to",
        four,
        "--max-moved",
        "lots",
    ];
    assert_eq!(ringway(&args, b"").status.code(), Some(2));
}

#[test]
fn explain_lists_all_candidates_of_a_key() {
    let output = ringway(&["explain", "--config", "config.json", "user123"], b"");
    assert!(output.status.success());
    assert_eq!(
        text(&output.stdout),
        "\"user123\" stands at 6f3bae88a40b238c by ring; its owner is server1\n   \
         1. server1  chosen\n   2. server2  next\n"
    );
    let output = ringway(
        &["explain", "--config", "config.json", "--json", "a", "b"],
        b"",
    );
    assert_eq!(text(&output.stdout).lines().count(), 2);
}

#[test]
fn explain_says_what_of_a_request_is_its_key() {
    let ask = |more: &[&str]| {
        let args = [&["explain", "--config", "config.json"], more].concat();
        ringway(&args, b"")
    };
    let output = ask(&["--path", "/x", "--client-ip", "::ffff:192.0.2.7"]);
    let table = text(&output.stdout);
    assert!(table.starts_with("\"192.0.2.7\" stands at "), "{table}");
    assert!(table.contains("client_ip is \"192.0.2.7\""), "{table}");
    assert!(
        table.contains("there is no header x-ringway-key"),
        "{table}"
    );
    let header = [
        "--header",
        "X-Ringway-Key: user123",
        "--header",
        "accept: */*",
    ];
    let table = ask(&header);
    assert!(text(&table.stdout).starts_with("\"user123\" stands at 6f3bae88a40b238c"));
    for (wrong, why) in [
        (&[][..], "none of: header x-ringway-key, client_ip"),
        (&["--client-ip", "me"], "client_ip: \"me\" is no IP address"),
        (&["--header", "a b: c"], "headers.a b: this cannot be"),
        (&["--header", "nothing"], "give it as `name: value`"),
        (&["--path", "x"], "give a path that begins with /"),
        (&["key", "--path", "/x"], "cannot be used with"),
    ] {
        let output = ask(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let said = text(&output.stderr);
        assert!(said.contains(why), "{wrong:?}: {said}");
    }
}
