//! Raw requests, valid, ambiguous and malformed: what the client gets of each,
//! and what, if anything, a server saw. They stand in `tests/data/http/`, whose
//! README.md says how they are written.
//!
//! `UPDATE=1` writes what happens now into the files, to be read before it is
//! committed.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::client::Client;
use crate::support::origin::{After, Got, Origin, ok};
use crate::support::proxy::Proxy;

/// Fields that the proxy adds to every request; other tests are about them.
const OWN: [&str; 4] = [
    "via: 1.1 ringway",
    "x-forwarded-for: 127.0.0.1",
    "x-forwarded-proto: http",
    "x-request-id: made",
];

/// How long a client that writes a file waits for what may still come.
const QUIET: Duration = Duration::from_millis(200);

/// One request, or several on one connection, and what comes of them.
#[derive(Debug)]
struct Case {
    what: String,
    /// As it is written in the file.
    lines: Vec<String>,
    /// What becomes of it, in the file's notation.
    expected: Vec<String>,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            match line.strip_suffix('\\') {
                Some(line) => unescape(line, &mut bytes),
                None => {
                    unescape(line, &mut bytes);
                    bytes.extend(b"\r\n");
                }
            }
        }
        bytes
    }

    /// The answers that are expected, the last word on the connection left out.
    fn answers(&self) -> impl Iterator<Item = &str> {
        let lines = self.expected.iter().filter_map(|l| l.strip_prefix("< "));
        lines.filter(|line| !["end", "open"].contains(line))
    }

    fn ends(&self) -> bool {
        self.expected.iter().any(|line| line == "< end")
    }
}

fn unescape(line: &str, into: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((plain, escape)) = rest.split_once('\\') {
        into.extend(plain.as_bytes());
        let (byte, n) = match escape.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            [b'\\', ..] => (b'\\', 1),
            [b'x', ..] => (
                u8::from_str_radix(&escape[1..3], 16).expect("two hexadecimal digits"),
                3,
            ),
            // `{1000 a}`: so many of it.
            [b'{', ..] => {
                let (inner, _) = escape[1..].split_once('}').expect("an end");
                let (n, what) = inner.split_once(' ').expect("a number and a text");
                let mut one = Vec::new();
                unescape(what, &mut one);
                into.extend(one.repeat(n.parse().expect("a number")));
                rest = &escape[inner.len() + 2..];
                continue;
            }
            _ => panic!("no such escape: {line}"),
        };
        into.push(byte);
        rest = &escape[n..];
    }
    into.extend(rest.as_bytes());
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/http");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Vec<Case> {
    let text = fs::read_to_string(file).expect("a readable file");
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(what) = line.strip_prefix("# ") {
            cases.push(Case {
                what: what.to_owned(),
                lines: Vec::new(),
                expected: Vec::new(),
            });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with #");
        match line.split_at_checked(1) {
            Some((">", rest)) => case
                .lines
                .push(rest.strip_prefix(' ').unwrap_or(rest).to_owned()),
            Some(("<" | "=", _)) => case.expected.push(line.to_owned()),
            _ => panic!("{}: {line}", file.display()),
        }
    }
    cases
}

/// The server's side of a case.
fn seen(got: &[Got]) -> Vec<String> {
    let mut lines = Vec::new();
    for got in got {
        lines.push(format!("= {}", got.line));
        let host = got.all("host").join(", ");
        for (name, value) in &got.fields {
            let made = name == "x-request-id" && value.len() == 24;
            let line = format!("{name}: {}", if made { "made" } else { value });
            let is_own = OWN.contains(&&*line) || (name == "x-forwarded-host" && *value == host);
            // The server's address, where the client named no host.
            let is_made = name == "host" && value.starts_with("127.0.0.1:");
            if !is_own && !is_made {
                lines.push(format!("= {}", line.escape_default()));
            }
        }
        if !got.body.is_empty() {
            let body = String::from_utf8_lossy(&got.body);
            lines.push(match body.len() {
                0..100 => format!("= | {}", body.escape_default()),
                n => format!("= | {n} bytes"),
            });
        }
        for (name, value) in &got.trailers {
            lines.push(format!("= trailer {name}: {value}"));
        }
    }
    if lines.is_empty() {
        lines.push("= nothing".to_owned());
    }
    lines
}

fn proxy(codec: &str) -> (Origin, Proxy) {
    let origin = Origin::new(|got, stream| {
        match got.line.starts_with("HEAD ") {
            true => ok(stream, ""),
            false => ok(stream, "fine"),
        }
        After::Keep
    });
    let settings = format!(r#""process": {{"http1_codec": "{codec}"}}"#);
    let proxy = Proxy::start(&[("a", origin.address)], &settings);
    (origin, proxy)
}

#[test]
fn every_raw_request_gets_its_answer_and_reaches_a_server_as_written_or_not_at_all() {
    let updates = std::env::var_os("UPDATE").is_some();
    let mut n_cases = 0;
    let mut wrong = String::new();
    for file in files() {
        let mut cases = read(&file);
        n_cases += cases.len();
        for case in &mut cases {
            if updates {
                case.expected = found(case, "own", record);
                continue;
            }
            // What a server sees does not depend on who writes it.
            for codec in ["own", "hyper"] {
                let found = found(case, codec, |client| {
                    let n = case.answers().count();
                    let answers = (0..n).map_while(|_| answer(client)).collect();
                    follow(client, case.ends(), answers)
                });
                if case.expected != found {
                    let _ = writeln!(
                        wrong,
                        "{}: {}, {codec}\nexpected {:#?}\nfound {found:#?}",
                        file.display(),
                        case.what,
                        case.expected
                    );
                }
            }
        }
        if updates {
            fs::write(&file, written(&cases)).expect("a writable file");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(n_cases >= 120, "{n_cases} cases");
}

/// What becomes of a case, of which `answers` reads the client's part.
fn found(
    case: &Case,
    codec: &str,
    answers: impl FnOnce(&mut Client) -> Vec<String>,
) -> Vec<String> {
    let (origin, proxy) = proxy(codec);
    let mut client = Client::connect(proxy.address);
    client.send(case.bytes());
    let mut found = answers(&mut client);
    let mut got = origin.got();
    got.retain(|got| got.line != SENTINEL_LINE);
    found.extend(seen(&got));
    found
}

const SENTINEL: &str = "GET /after HTTP/1.1\r\nhost: after\r\n\r\n";
const SENTINEL_LINE: &str = "GET /after HTTP/1.1";

/// The status of the next answer; `None` when there is none.
fn answer(client: &mut Client) -> Option<String> {
    let mut answer = client.head()?;
    if answer.status >= 200 {
        client.body(&mut answer)?;
    }
    Some(format!("< {}", answer.status))
}

/// Whether the connection ends now, or a further request on it is understood.
fn follow(client: &mut Client, ends: bool, mut answers: Vec<String>) -> Vec<String> {
    if ends {
        let is_ended = client.is_ended();
        answers.push(if is_ended { "< end" } else { "< open" }.to_owned());
    } else {
        client.send(SENTINEL);
        let next = answer(client);
        answers.push(match next.as_deref() {
            Some("< 200") => "< open".to_owned(),
            next => format!("< then {next:?}"),
        });
    }
    answers
}

/// Everything that comes until it is quiet.
fn record(client: &mut Client) -> Vec<String> {
    client
        .stream
        .set_read_timeout(Some(QUIET))
        .expect("a timeout");
    let answers: Vec<String> = std::iter::from_fn(|| answer(client)).collect();
    let mut byte = [0];
    match client.stream.read(&mut byte) {
        Ok(0) => follow(client, true, answers),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
            follow(client, true, answers)
        }
        _ => follow(client, false, answers),
    }
}

fn written(cases: &[Case]) -> String {
    let cases: Vec<String> = cases
        .iter()
        .map(|case| {
            let sent = case.lines.iter().map(|line| match line.is_empty() {
                true => ">".to_owned(),
                false => format!("> {line}"),
            });
            let lines: Vec<String> = sent.chain(case.expected.iter().cloned()).collect();
            format!("# {}\n{}\n", case.what, lines.join("\n"))
        })
        .collect();
    cases.join("\n")
}
