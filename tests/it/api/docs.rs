//! `docs/api.md` is its own golden file: each request in it is sent, in order,
//! and the answer below it must be the one that comes. `UPDATE=1` writes the
//! answers anew. What cannot be the same twice is masked, see [`masked`].

use std::path::Path;
use std::sync::Arc;

use ringway::engine::{Health, Outcome};
use ringway::native::driver;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::api::{Api, Reply, document};
use crate::support::echo;
use crate::support::json_text::Node;
use crate::support::schema::faults;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md");

/// The ports that the document speaks of; free ones stand for them.
const PORTS: [u16; 4] = [8081, 8082, 8083, 8084];

/// What stands for the tags of servers, in order of appearance: a tag is of the
/// true port, too.
const TAGS: [&str; 3] = [
    "\"6d8477b20bbc1d55\"",
    "\"1f0c93a7e2d4b856\"",
    "\"c25b60e48a9d7f13\"",
];

/// A fenced block of the document.
#[derive(Debug)]
struct Block {
    kind: String,
    text: String,
    /// The lines of `text`, counted from 0.
    lines: core::ops::Range<usize>,
    /// What a comment before it says that it is about: `with a token`.
    about: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut about = String::new();
    for (i, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block {
                    kind: kind.to_owned(),
                    text: String::new(),
                    lines: i + 1..i + 1,
                    about: std::mem::take(&mut about),
                });
            }
            (Some(block), None) => {
                block.text += line;
                block.text.push('\n');
                block.lines.end = i + 1;
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, None) => {
                let comment = line.strip_prefix("<!-- ");
                if let Some(comment) = comment.and_then(|rest| rest.strip_suffix(" -->")) {
                    about = comment.to_owned();
                }
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// Three servers with some traffic behind them, probed as in a running proxy.
async fn fleet(ports: &[u16; 4], file: &Path) -> (Api, Value) {
    let mut document = document(&[
        ("cache-1", "127.0.0.1", ports[0]),
        ("cache-2", "127.0.0.1", ports[1]),
        ("cache-3", "127.0.0.1", ports[2]),
    ]);
    document["servers"][2]["weight"] = 2.into();
    document["health_check"] = json!({});
    save(file, &document);
    let mut api = Api::start_over(document.clone(), Some(file)).await;
    let fleet = api.shared.fleet().load_full();
    for (i, server) in fleet.servers.iter().enumerate() {
        for n in 0..1000 {
            let status = [200, 404, 503][usize::from(n % 50 == 0) + usize::from(n % 100 == 0)];
            let latency = core::time::Duration::from_micros(800 + 7 * n + 100 * i as u64);
            server.shards[0].record(Outcome::Status(status), latency);
        }
    }
    let reports = api.reports.take().expect("nobody else drives it");
    let stop = CancellationToken::new();
    tokio::spawn(driver::run(Arc::clone(&api.shared), reports, stop));
    (api, document)
}

fn save(file: &Path, document: &Value) {
    std::fs::write(file, document.to_string()).expect("a writable file");
}

/// Waits until each server's first probe has ended.
async fn settle(api: &Api) {
    for _ in 0..1000 {
        let servers = api.shared.snapshot().servers;
        if servers
            .iter()
            .all(|server| server.health != Health::Unknown)
        {
            return;
        }
        tokio::time::sleep(core::time::Duration::from_millis(2)).await;
    }
    panic!("a probe does not end");
}

/// Sends a request as it stands in the document.
async fn ask(api: &Api, block: &str) -> (String, String, Reply) {
    let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
    let mut lines = head.lines();
    let line = lines.next().expect("a request line");
    let (method, target) = line.split_once(' ').expect("method and target");
    let extra: String = lines.map(|line| format!("{line}\r\n")).collect();
    let reply = api
        .send(method, target, &extra, body.trim_end().as_bytes())
        .await;
    (method.to_owned(), target.to_owned(), reply)
}

/// The same, whatever the clock said.
fn masked(node: Node) -> Node {
    let number = |node| match node {
        Node::Scalar(text) if text != "null" => Node::Scalar("1.5".to_owned()),
        node => node,
    };
    node.map(&|name, node| match (name, node) {
        ("took_ms", Node::Map(times)) => {
            let masked = times.into_iter().map(|(name, node)| (name, number(node)));
            Node::Map(masked.collect())
        }
        ("took_ms" | "ago_s", node) => number(node),
        (_, node) => node,
    })
}

/// An answer as it stands in the document, with the header fields that `shown` has.
fn written(reply: &Reply, shown: &str, tags: &mut Vec<String>) -> String {
    let reason = http::StatusCode::from_u16(reply.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let mut text = format!("{} {reason}\n", reply.status);
    let head = shown.split("\n\n").next().unwrap_or_default();
    for line in head.lines().skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        let value = reply.header(&name.to_ascii_lowercase());
        assert!(!value.is_empty(), "{name} is not in {reply:?}");
        let value = if name == "ETag" {
            let i = tags.iter().position(|tag| tag == value).unwrap_or_else(|| {
                tags.push(value.to_owned());
                tags.len() - 1
            });
            TAGS[i]
        } else {
            value
        };
        text += &format!("{name}: {value}\n");
    }
    text.push('\n');
    if reply.header("content-type").contains("json") {
        let node: Node = serde_json::from_slice(&reply.body).expect("it is JSON");
        text + &masked(node).pretty() + "\n"
    } else {
        text + &reply.text()
    }
}

/// `…` on a line stands for any number of lines.
fn is_like(given: &str, shown: &str) -> bool {
    let mut rest = given;
    let mut parts = shown.split("…\n");
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// Ports between `:` and what is no digit, exchanged.
fn exchanged(text: &str, from: &[u16; 4], to: &[u16; 4]) -> String {
    let mut text = text.to_owned();
    for (from, to) in from.iter().zip(to) {
        for end in ['/', '"', ',', '}', '\n', ' ', '\\'] {
            for space in ["", " "] {
                let (from, to) = (format!(":{space}{from}{end}"), format!(":{space}{to}{end}"));
                text = text.replace(&from, &to);
            }
        }
    }
    text
}

fn check_shape(openapi: &Value, method: &str, target: &str, reply: &Reply) {
    if !reply.header("content-type").contains("json") {
        return;
    }
    let path = target.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix("/api/servers/") {
        Some(rest) => {
            let tail = rest.split_once('/').map(|(_, tail)| format!("/{tail}"));
            format!("/api/servers/{{name}}{}", tail.unwrap_or_default())
        }
        None => path.to_owned(),
    };
    let responses = &openapi["paths"][path][method.to_ascii_lowercase()]["responses"];
    let status = reply.status.to_string();
    let answer = responses.get(&status).unwrap_or(&responses["default"]);
    let schema = &answer["content"][reply.header("content-type")]["schema"];
    assert!(schema.is_object(), "{method} {target} {status}");
    assert_eq!(
        faults(openapi, schema, &reply.json()),
        [""; 0],
        "{method} {target}"
    );
}

#[tokio::test]
async fn each_example_of_the_reference_is_what_happens() {
    let document = std::fs::read_to_string(PATH).expect("docs/api.md");
    let blocks = blocks(&document);
    let mut ports = [0; 4];
    for port in &mut ports {
        *port = echo::start().await.port();
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api-docs.json");
    let (api, mut in_file) = fleet(&ports, &file).await;
    let mut locked = super::three();
    locked["api"] = json!({ "token": "0123456789abcdef" });
    let locked = Api::start(locked).await;
    let openapi = api.get("/openapi.json").await.json();

    let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
    let mut differences = Vec::new();
    let mut n_examples = 0;
    let mut tags = Vec::new();
    let examples: Vec<&Block> = blocks.iter().filter(|block| block.kind == "http").collect();
    // From the last to the first, new answers do not move the lines of others;
    // so the answers are collected first.
    let mut answers = Vec::new();
    for pair in examples.chunks(2) {
        let [request, shown] = pair else {
            panic!("{:?} has no answer", pair[0].text);
        };
        settle(&api).await;
        let mut asked = &api;
        match request.about.as_str() {
            "with a token" => asked = &locked,
            "the file has changed" => {
                in_file["servers"][2]["weight"] = 1.into();
                in_file["retries"] = json!({ "attempts": 3 });
                save(&file, &in_file);
            }
            "the file is bad" => {
                in_file["servers"][0]["weight"] = 0.into();
                in_file["retries"] = json!({ "attempts": 99 });
                save(&file, &in_file);
            }
            _ => {}
        }
        let (method, target, reply) = ask(asked, &exchanged(&request.text, &PORTS, &ports)).await;
        check_shape(&openapi, &method, &target, &reply);
        let given = exchanged(&written(&reply, &shown.text, &mut tags), &ports, &PORTS);
        if !is_like(&given, &shown.text) {
            differences.push(format!(
                "{}\n--- has\n{}\n--- gives\n{given}",
                request.text, shown.text
            ));
        }
        answers.push((shown, given));
        n_examples += 1;
    }
    assert!(n_examples > 15);
    if differences.is_empty() {
        return;
    }
    if std::env::var_os("UPDATE").is_none() {
        panic!(
            "docs/api.md has {} answers that are not what happens; UPDATE=1 writes them anew\n{}",
            differences.len(),
            differences.join("\n")
        );
    }
    for (shown, given) in answers.into_iter().rev() {
        if !shown.text.contains('…') {
            let new = given.lines().map(str::to_owned);
            lines.splice(shown.lines.clone(), new);
        }
    }
    std::fs::write(PATH, lines.join("\n") + "\n").expect("docs/api.md can be written");
}

/// The words of a command line: quotes hold them together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(c),
        }
    }
    words
}

#[tokio::test]
async fn the_command_lines_of_the_reference_work() {
    let document = std::fs::read_to_string(PATH).expect("docs/api.md");
    let api = Api::start(super::three()).await;
    let blocks = blocks(&document);
    let lines = blocks.iter().filter(|block| block.kind == "sh");
    let lines: Vec<&str> = lines.flat_map(|block| block.text.lines()).collect();
    assert!(lines.len() >= 3);
    for line in lines {
        let mut words = words(line).into_iter();
        assert_eq!(words.next().as_deref(), Some("curl"), "{line}");
        let (mut method, mut url, mut extra, mut body) = (None, None, String::new(), String::new());
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("an option has a value");
            match word.as_str() {
                "-X" => method = Some(value()),
                "-H" => extra += &format!("{}\r\n", value()),
                "-d" => body = value(),
                _ => url = Some(word),
            }
        }
        let target = url.expect("a URL").replace("http://localhost:9090", "");
        let method = method.unwrap_or_else(|| "GET".to_owned());
        let reply = api.send(&method, &target, &extra, body.as_bytes()).await;
        assert!(reply.status < 300, "{line}: {reply:?}");
    }
}

#[test]
fn every_call_has_its_line_in_the_reference() {
    let document = std::fs::read_to_string(PATH).expect("docs/api.md");
    for call in super::openapi::CALLS {
        assert!(document.contains(&format!("`{call}`")), "{call}");
    }
}
