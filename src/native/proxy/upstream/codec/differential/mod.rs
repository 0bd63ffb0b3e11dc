//! Our codec beside hyper's client: both get the same bytes, and have to come
//! to the same verdict.
//!
//! Answers are made up from a seed, well-formed and mangled, and come in pieces
//! cut at any point. What each made of one is compared: status, fields, body,
//! trailers, how it ended, and whether the connection may be used again. The
//! same is done with requests, of which both have to write the same bytes.
//!
//! We mean to differ where hyper takes what could be misread. [`intended`] is
//! the whole list, and never the other way round: what hyper refuses, we refuse.
//!
//! `RINGWAY_CODEC_CASES` sets the number of cases, `RINGWAY_FUZZ_SEED` the seed;
//! both are printed.

mod generator;
mod peers;
mod script;

use generator::Generator;
use peers::Verdict;
use script::{End, Script};

/// Cases in a normal run.
const CASES: u64 = 15_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn cases(share: u64) -> impl Iterator<Item = (u64, Generator)> {
    let n = number("RINGWAY_CODEC_CASES").unwrap_or(CASES) / share;
    let seed = number("RINGWAY_FUZZ_SEED").unwrap_or(1);
    println!("RINGWAY_CODEC_CASES={} RINGWAY_FUZZ_SEED={seed}", n * share);
    (0..n).map(move |n| (n, Generator::new(seed, n)))
}

/// Whether our verdict may differ from hyper's, because of this in the answer:
///
/// - an empty line before the status line, or a line that ends with a bare LF
///   (also among trailers);
/// - several `Content-Length`s, a list of them, or a bad one where hyper does
///   not look at it;
/// - a `Transfer-Encoding` that is not one exact `chunked`, or that stands
///   beside a length, or in HTTP/1.0;
/// - a control character in a chunk's extension;
/// - a field among trailers that frames or directs a message, which we drop;
/// - HTTP/1.0, after which we do not keep the connection, and a `Connection`
///   that is no text, of which hyper reads nothing;
/// - a kept connection's rest that came together with the answer.
fn intended(raw: &[u8], hyper: &Verdict, own: &Verdict) -> bool {
    let text = String::from_utf8_lossy(raw).to_ascii_lowercase();
    let has = |what: &str| text.contains(what);
    let n_of = |what: &str| text.matches(what).count();
    if let (Verdict::None { .. }, Verdict::None { end, .. }) = (hyper, own) {
        // hyper may wait for a whole head before it looks at it.
        return *end == peers::Ended::Malformed;
    }
    let why = match own {
        Verdict::None { why: Some(why), .. } => why,
        Verdict::Answer { why: Some(why), .. } => why,
        // No refusal: the same answer, but for these.
        _ => {
            let Some(hyper) = hyper.less_trailers() else {
                return false;
            };
            let is_readable = raw.is_ascii() || !has("connection");
            return *own == hyper || ((has("http/1.0") || !is_readable) && *own == hyper.used_up());
        }
    };
    match *why {
        "no status line" => raw.starts_with(b"\r") || raw.starts_with(b"\n") || has("http/1.1 1"),
        "a line does not end with CR LF" => {
            (raw.iter().enumerate()).any(|(i, &b)| b == b'\n' && (i == 0 || raw[i - 1] != b'\r'))
        }
        "several Content-Lengths" => n_of("content-length") > 1,
        "bad Content-Length" => {
            let is_bodiless = [" 101", " 204", " 304"].into_iter().any(has) || hyper.asked_head();
            has("content-length") && (has(",") || has("transfer-encoding") || is_bodiless)
        }
        "bad Transfer-Encoding" | "Transfer-Encoding in HTTP/1.0" => has("transfer-encoding"),
        "two lengths of one body" => has("transfer-encoding") && has("content-length"),
        "malformed chunk" => raw.iter().any(|b| b.is_ascii_control()) && has(";"),
        "a trailer does not end with CR LF" => {
            has("\n")
                && (raw.iter().enumerate())
                    .any(|(i, &b)| (b == b'\n') != (i > 0 && raw[i - 1] == b'\r'))
        }
        _ => false,
    }
}

/// What of `raw` is enough for a message.
fn short(raw: &[u8]) -> String {
    let shown = &raw[..raw.len().min(1000)];
    format!("{} bytes: {}", raw.len(), shown.escape_ascii())
}

#[test]
fn answers_are_read_as_hyper_reads_them_or_more_strictly() {
    let (mut n_same, mut n_stricter) = (0_u64, 0_u64);
    let mut seen = [0_u64; 8];
    for (n, mut generator) in cases(1) {
        let (raw, script) = generator.answer();
        let asks_head = generator.asks_head();
        let hyper = peers::hyper(script.clone(), asks_head);
        let own = peers::own(script.clone(), asks_head);
        if own == hyper {
            n_same += 1;
        } else if intended(&raw, &hyper, &own) {
            n_stricter += 1;
        } else {
            panic!(
                "case {n}: {}\nHEAD: {asks_head}, {script:?}\nhyper: {hyper:?}\nown: {own:?}",
                short(&raw)
            );
        }
        seen[own.kind()] += 1;
    }
    println!("{n_same} alike, {n_stricter} more strictly; by kind {seen:?}");
    assert!(seen.iter().all(|&n| n > 0), "each kind of verdict occurs");
    assert!(n_same > 4 * n_stricter, "mostly they are alike");
}

#[test]
fn requests_are_written_as_hyper_writes_them() {
    let mut n_bytes = 0;
    for (n, mut generator) in cases(5) {
        let request = generator.request();
        let script = generator.patient();
        let hyper = peers::hyper_written(script.clone(), &request);
        let own = peers::own_written(script, &request);
        assert!(
            own == hyper,
            "case {n}: {request:?}\nhyper: {}\nown: {}",
            short(&hyper),
            short(&own)
        );
        n_bytes += own.len();
    }
    assert!(n_bytes > 0);
}

#[test]
fn whatever_comes_no_more_of_it_is_kept_than_a_head_may_have() {
    for line in ["a: b\r\n", "a", "\r", "HTTP/1.1 100 Continue\r\n\r\n", "\0"] {
        for begin in ["", "HTTP/1.1 200 OK\r\nx: y", "HTTP/1.1 "] {
            if begin.ends_with('y') && line.ends_with("\n\r\n") {
                // A head, and then a body.
                continue;
            }
            let endless = format!("{begin}{}", line.repeat(1 << 20));
            let script = Script::new(endless.as_bytes(), &[1000; 20_000], End::Waits);
            let verdict = peers::own(script, false);
            assert!(
                matches!(verdict, Verdict::None { why: Some(_), .. }),
                "{begin:?} {line:?}: {verdict:?}"
            );
        }
    }
}
