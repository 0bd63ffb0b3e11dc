//! Holds the arrows and bans of the architecture by reading the sources.
//!
//! Each ban has its reason, which is what a failure prints. Text is judged
//! without its comments and strings, and Rust files also without the test
//! module at their end; so a ban is on code, and code can speak of it.
//! (What clippy can hold, `clippy.toml` holds.)

use std::path::{Path, PathBuf};

/// A ban: words that must not stand in the code of certain files. `a…b` is an
/// `a` with a `b` after it on the line.
struct Ban {
    /// Whether a file, by its path from the top, is under this ban.
    covers: fn(&str) -> bool,
    words: &'static [&'static str],
    reason: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        covers: is_engine,
        words: &[
            "crate::wire",
            "crate::config",
            "crate::native",
            "crate::wasm",
        ],
        reason: "the engine imports nothing of ours: arrows point towards it",
    },
    Ban {
        covers: is_engine,
        words: &[
            "serde::",
            "serde_json::",
            "deserr::",
            "schemars::",
            "tokio::",
            "hyper::",
            "http::",
            "bytes::",
            "wasm_bindgen::",
            "js_sys::",
            "log::",
            "tracing::",
            "rand::",
            "getrandom::",
            "libc::",
            "arc_swap::",
        ],
        reason: "the engine knows no JSON, no network, no JavaScript and no log; its only outside \
                 crates are pure hash functions",
    },
    Ban {
        covers: is_engine,
        words: &["Instant", "SystemTime", "UNIX_EPOCH"],
        reason: "time comes into the engine as a Timestamp; there is no clock on wasm32",
    },
    Ban {
        covers: is_engine,
        words: &[
            "std::fs",
            "std::net",
            "std::io",
            "std::env",
            "std::process",
            "std::thread",
            "std::sync::Mutex",
            "Mutex",
            "RwLock",
            "Condvar",
            "thread_local",
            "async",
            "await",
        ],
        reason: "the engine cannot wait and does no I/O: the shells do the world",
    },
    Ban {
        covers: is_engine,
        words: &["println!", "eprintln!", "print!", "eprint!"],
        reason: "the engine announces events; the shells write",
    },
    Ban {
        covers: is_engine,
        words: &[
            "HashMap",
            "HashSet",
            "RandomState",
            "DefaultHasher",
            "Hasher",
        ],
        reason: "their order and hashes differ between runs and targets; take BTreeMap, a sorted \
                 Vec, or hash.rs",
    },
    Ban {
        covers: is_engine,
        words: &["to_ne_bytes", "from_ne_bytes", "transmute", "unsafe"],
        reason: "byte order and layout differ between targets; take to_le_bytes",
    },
    Ban {
        covers: is_engine,
        words: &[
            ".exp(",
            ".exp2(",
            ".ln(",
            ".log(",
            ".log2(",
            ".log10(",
            ".powf(",
            ".powi(",
            ".sin(",
            ".cos(",
            ".tan(",
            ".cbrt(",
            ".hypot(",
            ".mul_add(",
        ],
        reason: "their last bits differ between targets; only + - * / and sqrt are exact",
    },
    Ban {
        covers: |path| path.starts_with("src/") && path != "src/lib.rs" && path != "src/main.rs",
        words: &["cfg(target", "target_arch", "target_family", "target_os"],
        reason: "target gates stand at the doors, lib.rs and main.rs, and nowhere else",
    },
    Ban {
        covers: |path| path.starts_with("src/") && !is_wire(path) && !is_config(path),
        words: &[
            "derive(…Serialize",
            "derive(…Deserialize",
            "derive(…Deserr",
            "derive(…JsonSchema",
        ],
        reason: "every JSON shape is defined in wire.rs or config.rs",
    },
    Ban {
        covers: is_wire,
        words: &[
            "crate::config",
            "crate::native",
            "crate::wasm",
            "tokio",
            "hyper",
        ],
        reason: "wire knows the engine and JSON, nothing above it and nothing of the platform",
    },
    Ban {
        covers: is_config,
        words: &["crate::native", "crate::wasm", "tokio", "hyper", "std::fs"],
        reason: "config knows the engine, wire and JSON, nothing above it and nothing of the platform",
    },
    Ban {
        covers: |path| path.starts_with("src/native/"),
        words: &["crate::wasm", "wasm_bindgen"],
        reason: "the two shells never import each other",
    },
    Ban {
        covers: |path| path == "src/wasm.rs" || path.starts_with("src/wasm/"),
        words: &["crate::native", "tokio", "hyper"],
        reason: "the two shells never import each other",
    },
    Ban {
        covers: |path| path.starts_with("src/") && path != "src/native/clock.rs",
        // `Instant::now` of std is clippy's to find: by its name it cannot be
        // told from tokio's, which is for waits and can be paused.
        words: &["std::time::Instant", "SystemTime", "Utc::now", ".elapsed("],
        reason: "only native/clock.rs reads a clock, so that tests can hold the time",
    },
    Ban {
        covers: is_page,
        words: &[
            "Math.imul",
            "BigInt",
            "BigUint64Array",
            "xxh",
            "fnv",
            "murmur",
        ],
        reason: "the page computes no hash, ring or share: it draws what the engine says",
    },
    Ban {
        covers: |path| is_page(path) && path != "www/app.js",
        words: &["/pkg/", "ringway'", "ringway\""],
        reason: "only app.js loads the package; the rest of the page is given what it draws",
    },
    Ban {
        covers: |path| path == "src/engine/hash.rs",
        words: &["usize) ->", "-> usize", "usize, "],
        reason: "usize has 32 bits on wasm32 and must not take part in a hash",
    },
];

/// The most lines of code (without blank lines, comments and test modules) of
/// one file: past it, it does more than one job.
const CODE_LINES_MAX: usize = 600;

/// The same for a file of tests, which is a list of cases.
const TEST_LINES_MAX: usize = 900;

/// Files that may be longer, how long, and why.
const LONGER: &[(&str, usize, &str)] = &[(
    "src/wire.rs",
    900,
    "every JSON shape stands once, side by side",
)];

fn is_engine(path: &str) -> bool {
    path.starts_with("src/engine/")
}

fn is_wire(path: &str) -> bool {
    path == "src/wire.rs" || path.starts_with("src/wire/")
}

fn is_config(path: &str) -> bool {
    path == "src/config.rs" || path.starts_with("src/config/")
}

/// The page's own scripts: not the built package, not other people's code.
fn is_page(path: &str) -> bool {
    path.starts_with("www/")
        && path.ends_with(".js")
        && !path.starts_with("www/pkg/")
        && !path.starts_with("www/vendor/")
}

#[test]
fn no_file_breaks_a_ban_or_is_too_long() {
    let mut faults = Vec::new();
    for path in files(
        &["src", "tests/it", "tests/wasm", "bench", "www"],
        &["rs", "js"],
    ) {
        let text = std::fs::read_to_string(top().join(&path)).expect("a readable source");
        faults.extend(judge(&path, &text));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    let mut faults = Vec::new();
    for path in files(&["docs", "bench", "tests/data", "README.md"], &["md"]) {
        let text = std::fs::read_to_string(top().join(&path)).expect("a readable document");
        for named in named_files(&text) {
            if !top().join(named).exists() {
                faults.push(format!("{path}: there is no {named}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn each_ban_catches_what_it_bans_and_comments_may_speak_of_it() {
    for (path, code) in [
        ("src/engine/ring.rs", "use crate::wire::ServerSpec;"),
        ("src/engine/ring.rs", "use serde::Serialize;"),
        ("src/engine/ring.rs", "let t = Instant::now();"),
        ("src/engine/ring.rs", "use std::fs::File;"),
        ("src/engine/ring.rs", "println!(\"{x}\");"),
        ("src/engine/ring.rs", "let m: HashMap<u8, u8>;"),
        ("src/engine/ring.rs", "x.to_ne_bytes()"),
        ("src/engine/ring.rs", "let y = x.ln();"),
        ("src/engine/table.rs", "#[cfg(target_arch = \"wasm32\")]"),
        ("src/native/admin/mod.rs", "#[derive(Clone, Serialize)]"),
        (
            "src/native/admin/mod.rs",
            "#[derive(serde::Serialize, Clone)]",
        ),
        ("src/wire.rs", "use crate::config::Config;"),
        ("src/config/values.rs", "use crate::native::run;"),
        ("src/native/mod.rs", "use crate::wasm::Engine;"),
        ("src/wasm.rs", "use crate::native::run;"),
        ("src/native/proxy/conn.rs", "let t = SystemTime::now();"),
        ("www/shared/ring-view.js", "const h = Math.imul(a, b);"),
        (
            "www/shared/ring-view.js",
            "import { LoadBalancer } from '../pkg/index.js';",
        ),
        ("src/engine/hash.rs", "pub(crate) fn of(n: usize) -> u64 {"),
    ] {
        assert_ne!(judge(path, code), [""; 0], "{path}: {code}");
        let spoken = format!("// {code}\n/* {code} */ let x = 1;\n");
        assert_eq!(judge(path, &spoken), [""; 0], "{path}: {spoken}");
        let tested = format!("let x = 1;\n#[cfg(test)]\nmod tests {{\n{code}\n}}\n");
        let is_script = path.ends_with(".js");
        assert_eq!(
            judge(path, &tested).is_empty(),
            !is_script,
            "{path}: {tested}"
        );
    }
    for (path, code) in [
        (
            "src/engine/ring.rs",
            "let https_only = logged + serde_like;",
        ),
        (
            "src/engine/ring.rs",
            "let text = \"HashMap // \\\" serde\"; let c = '\"'; f::<'a>();",
        ),
        ("src/lib.rs", "#[cfg(target_arch = \"wasm32\")]"),
        ("src/native/clock.rs", "let t = Instant::now();"),
        (
            "www/app.js",
            "import { LoadBalancer } from './pkg/index.js';",
        ),
        ("www/pkg/core.js", "BigInt(1)"),
    ] {
        assert_eq!(judge(path, code), [""; 0], "{path}: {code}");
    }
    let long = "let x = 1;\n".repeat(CODE_LINES_MAX + 1);
    assert_eq!(judge("src/native/mod.rs", &long).len(), 1);
    assert_eq!(
        judge("src/native/mod.rs", &"// why\n\n".repeat(5_000)),
        [""; 0]
    );
}

#[test]
fn a_document_names_files_by_their_path() {
    let text = "`src/lib.rs`, `src/engine/`, `src/engine/{a,b}.rs`, `www/pkg/x.js`, [x](src/no.rs), \
                `tests/it/*.rs`, `bench/main.rs` and `GET /api`";
    let named: Vec<&str> = named_files(text).collect();
    assert_eq!(named, ["src/lib.rs", "src/engine/", "bench/main.rs"]);
}

/// What is wrong with a file, each fault in a sentence.
fn judge(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let is_rust = path.ends_with(".rs");
    let is_test = !is_shipped(path) || is_for_tests(path);
    let code = code_of(text, is_rust);
    for ban in BANS.iter().filter(|ban| (ban.covers)(path) && !is_test) {
        for (i, line) in code.lines().enumerate() {
            if let Some(word) = ban.words.iter().find(|word| has_word(line, word)) {
                faults.push(format!(
                    "{path}:{}: no `{word}` here: {}",
                    i + 1,
                    ban.reason
                ));
            }
        }
    }
    let n_lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    let longer = LONGER.iter().find(|(file, _, _)| *file == path);
    let usual = if is_test {
        TEST_LINES_MAX
    } else {
        CODE_LINES_MAX
    };
    let most = longer.map_or(usual, |&(_, most, _)| most);
    if n_lines > most {
        faults.push(format!(
            "{path}: {n_lines} lines of code are more than {most}; give each job a file of its own"
        ));
    }
    faults
}

/// Whether a file is part of what users get, and not of its tests.
fn is_shipped(path: &str) -> bool {
    path.starts_with("src/") || path.starts_with("www/")
}

/// Whether a file of the sources is built for tests only.
fn is_for_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path == "src/config/typescript.rs"
}

/// The text with comments and the insides of strings blanked, lines kept. A
/// Rust file ends before its test module. Import paths of scripts stay.
fn code_of(text: &str, is_rust: bool) -> String {
    let text = match text.find("#[cfg(test)]\nmod tests {") {
        Some(end) if is_rust => &text[..end],
        _ => text,
    };
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' && is_rust {
            end_of_string(rest)
        } else if is_rust
            && ["'\"'", "'\\\"'", "'/'"]
                .iter()
                .any(|q| rest.starts_with(q))
        {
            rest[1..].find('\'').map_or(1, |end| end + 2).max(3)
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.extend(rest[..skipped].chars().filter(|&c| c == '\n'));
        rest = &rest[skipped..];
    }
    code
}

/// Where the string that `text` begins with ends.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return i + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// Whether `word` stands in `line` as a word: at an end of it that is a letter
/// no other letter follows.
fn has_word(line: &str, word: &str) -> bool {
    if let Some((first, then)) = word.split_once('…') {
        let after = line.find(first).map(|at| &line[at + first.len()..]);
        return after.is_some_and(|after| has_word(after, then));
    }
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joined = |end: Option<char>, beside: Option<char>| {
            end.is_some_and(is_letter) && beside.is_some_and(is_letter)
        };
        !joined(word.chars().next(), before) && !joined(word.chars().next_back(), after)
    })
}

/// The paths in backquotes that lead to files of ours that are not built.
fn named_files(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 7] = [
        "src/",
        "docs/",
        "tests/",
        "bench/",
        "deploy/",
        "www/",
        "pkg-template/",
    ];
    text.split('`').skip(1).step_by(2).filter(|named| {
        FOLDERS.iter().any(|folder| named.starts_with(folder))
            && !named.starts_with("www/pkg/")
            && !named.contains([' ', '*', '{', '<', '…', '\n'])
    })
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under these folders (or these files) with these endings, by their
/// path from the top; folders that are built or fetched are passed over.
fn files(folders: &[&str], endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| top().join(folder)).collect();
    open.retain(|path| path.exists());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let is_ours = !path.ends_with("node_modules") && !path.ends_with("www/pkg");
            if is_ours {
                let entries = std::fs::read_dir(&path).expect("a readable folder");
                open.extend(entries.map(|entry| entry.expect("a readable entry").path()));
            }
        } else if path
            .extension()
            .is_some_and(|e| endings.iter().any(|ending| e == *ending))
        {
            let path = path.strip_prefix(top()).expect("below the top");
            found.push(path.to_str().expect("plain names").replace('\\', "/"));
        }
    }
    found.sort();
    found
}
