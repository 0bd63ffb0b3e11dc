//! Which bytes of a request are its key.
//!
//! Pure: a request's head and its client's address go in, bytes come out. The
//! rule is a published one (`docs/operating.md`), since other programs (the
//! package, another proxy) must find the same key for the same request:
//!
//! - All values are taken as they were sent: nothing is decoded, folded to
//!   lower case or unquoted.
//! - A part that is there but empty counts as absent, or all requests with an
//!   empty value would share one server.
//! - Several values of one header field are joined, in the order they came, by
//!   a zero byte, which cannot occur in one. Of several cookies or parameters
//!   of one name the first that is not empty is taken.
//! - A cookie that is issued is there from the first request on: with the value
//!   that the client is given. What stands behind it in the chain is not reached.
//! - Each part of a join is preceded by its length as 4 little-endian bytes, so
//!   that `ab` + `c` and `a` + `bc` are two keys. A join is there when all of
//!   its parts are.

use core::fmt;
use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderName, Uri};

use super::cookie::Issue;
use crate::config;
use crate::engine::{Position, RoutingTable};
use crate::wire::{KeyFromView, KeyPartView};

/// Where keys are looked for: the configured chain with its names parsed.
#[derive(Clone, Debug)]
pub(crate) struct HashKey {
    chain: Vec<Source>,
    /// The cookie of the chain that clients without it are given, if there is one.
    issue: Option<Issue>,
}

#[derive(Clone, Debug)]
enum Source {
    Header(HeaderName),
    Cookie(Box<[u8]>),
    /// A cookie that clients without it are given.
    IssuedCookie(Box<[u8]>),
    Query(Box<[u8]>),
    Path,
    Uri,
    ClientIp,
    Join(Vec<Source>),
}

/// The parts of a request that can be in its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyParts<'a> {
    /// The header fields as they were sent.
    pub(crate) headers: &'a HeaderMap,
    /// The request target.
    pub(crate) uri: &'a Uri,
    /// The client's IP address in its canonical text form.
    pub(crate) client_ip: &'a str,
    /// The value of the cookie that the client is given with the answer.
    pub(crate) issued: Option<&'a str>,
}

/// Whether a source is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Absent,
    /// It will be, once a cookie is issued.
    ToIssue,
}

impl HashKey {
    /// The chain that configuration asks for. A name that is no header name,
    /// which `config` lets none through, is never found.
    pub(crate) fn new(chain: &config::HashKey) -> Self {
        Self {
            chain: compile(chain.sources()),
            issue: Issue::of(chain.sources()),
        }
    }

    /// The key of a request: that of the first source that is there.
    pub(crate) fn key<'a>(&self, parts: KeyParts<'a>) -> Option<Cow<'a, [u8]>> {
        self.find(parts).map(|(_, key)| key)
    }

    /// The key of a request, and which source of the chain it is from.
    pub(crate) fn find<'a>(&self, parts: KeyParts<'a>) -> Option<(usize, Cow<'a, [u8]>)> {
        if self.to_issue(parts).is_some() {
            return None;
        }
        let mut sources = self.chain.iter().enumerate();
        sources.find_map(|(i, source)| Some((i, source.find(parts)?)))
    }

    /// How the cookie is issued that clients without it are given.
    pub(super) fn issue(&self) -> Option<&Issue> {
        self.issue.as_ref()
    }

    /// The cookie that must be issued before a request has a key.
    pub(crate) fn to_issue(&self, parts: KeyParts<'_>) -> Option<&Issue> {
        let issue = self.issue.as_ref()?;
        let mut found = self.chain.iter().map(|source| source.presence(parts));
        let first = found.find(|&presence| presence != Presence::Absent);
        (first == Some(Presence::ToIssue)).then_some(issue)
    }

    /// The key of a request and where it was found; `Err` with all sources when
    /// it has none.
    pub(crate) fn explain(
        &self,
        parts: KeyParts<'_>,
    ) -> Result<(Vec<u8>, KeyFromView), Vec<String>> {
        let named = |source: &Source| source.to_string();
        let Some((i, key)) = self.find(parts) else {
            return Err(self.chain.iter().map(named).collect());
        };
        let source = &self.chain[i];
        let key_from = KeyFromView {
            source: source.to_string(),
            parts: source.parts(parts),
            absent: self.chain[..i].iter().map(named).collect(),
        };
        Ok((key.into_owned(), key_from))
    }

    /// Where the key of a request stands by `table`.
    pub(super) fn position(&self, table: &RoutingTable, parts: KeyParts<'_>) -> Option<Position> {
        self.key(parts).map(|key| table.position(&key))
    }
}

fn compile(sources: &[config::KeySource]) -> Vec<Source> {
    let compiled = sources.iter().filter_map(|source| {
        Some(match source {
            config::KeySource::Header(name) => Source::Header(name.parse().ok()?),
            config::KeySource::Cookie(name, None) => Source::Cookie(name.as_bytes().into()),
            config::KeySource::Cookie(name, Some(_)) => {
                Source::IssuedCookie(name.as_bytes().into())
            }
            config::KeySource::Query(name) => Source::Query(name.as_bytes().into()),
            config::KeySource::Path => Source::Path,
            config::KeySource::Uri => Source::Uri,
            config::KeySource::ClientIp => Source::ClientIp,
            config::KeySource::Join(parts) => Source::Join(compile(parts)),
        })
    });
    compiled.collect()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) | Self::IssuedCookie(name) => write!(f, "cookie {}", named(name)),
            Self::Query(name) => write!(f, "query {}", named(name)),
            Self::Path => f.write_str("path"),
            Self::Uri => f.write_str("uri"),
            Self::ClientIp => f.write_str("client_ip"),
            Self::Join(_) => f.write_str("join"),
        }
    }
}

impl Source {
    /// What of a request is in it, part by part.
    fn parts(&self, parts: KeyParts<'_>) -> Vec<KeyPartView> {
        if let Self::Join(sources) = self {
            return sources.iter().flat_map(|s| s.parts(parts)).collect();
        }
        let found = self.find(parts).into_iter();
        found
            .map(|value| KeyPartView {
                source: self.to_string(),
                value: String::from_utf8_lossy(&value).into_owned(),
            })
            .collect()
    }

    fn presence(&self, parts: KeyParts<'_>) -> Presence {
        match self {
            Self::Join(sources) => {
                let mut joined = Presence::Here;
                for source in sources {
                    match source.presence(parts) {
                        Presence::Here => {}
                        Presence::ToIssue => joined = Presence::ToIssue,
                        // Nobody is given a cookie that would not be used.
                        Presence::Absent => return Presence::Absent,
                    }
                }
                joined
            }
            source if source.find(parts).is_some() => Presence::Here,
            Self::IssuedCookie(_) => Presence::ToIssue,
            _ => Presence::Absent,
        }
    }

    fn find<'a>(&self, parts: KeyParts<'a>) -> Option<Cow<'a, [u8]>> {
        let found = match self {
            Self::Header(name) => header(parts.headers, name)?,
            Self::Cookie(name) => Cow::Borrowed(cookie(parts.headers, name)?),
            Self::IssuedCookie(name) => {
                let issued = || parts.issued.map(str::as_bytes);
                Cow::Borrowed(cookie(parts.headers, name).or_else(issued)?)
            }
            Self::Query(name) => Cow::Borrowed(parameter(parts.uri.query()?, name)?),
            Self::Path => Cow::Borrowed(parts.uri.path().as_bytes()),
            Self::Uri => Cow::Borrowed(parts.uri.path_and_query()?.as_str().as_bytes()),
            Self::ClientIp => Cow::Borrowed(parts.client_ip.as_bytes()),
            Self::Join(sources) => Cow::Owned(join(sources, parts)?),
        };
        (!found.is_empty()).then_some(found)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    // One value is what there nearly always is, and it is borrowed.
    let first = headers.get(name)?;
    let mut values = headers.get_all(name).iter().skip(1).peekable();
    if values.peek().is_none() {
        return Some(Cow::Borrowed(first.as_bytes()));
    }
    let mut joined = first.as_bytes().to_vec();
    for value in values {
        joined.push(0);
        joined.extend_from_slice(value.as_bytes());
    }
    Some(Cow::Owned(joined))
}

/// A cookie's value, out of all `Cookie` fields (HTTP/2 clients split them).
fn cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Option<&'a [u8]> {
    let fields = headers.get_all(COOKIE).iter();
    first_named(
        fields.flat_map(|field| field.as_bytes().split(|&b| b == b';')),
        name,
    )
}

/// A parameter's value, out of a query.
fn parameter<'a>(query: &'a str, name: &[u8]) -> Option<&'a [u8]> {
    first_named(query.as_bytes().split(|&b| b == b'&'), name)
}

/// The first value of `name` that is not empty, out of `name=value` pairs.
fn first_named<'a>(mut pairs: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Option<&'a [u8]> {
    pairs.find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"=")?;
        (!value.is_empty()).then_some(value)
    })
}

fn join(sources: &[Source], parts: KeyParts<'_>) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    for source in sources {
        let part = source.find(parts)?;
        // Heads are limited to 1 MiB, so a length fits.
        joined.extend_from_slice(&(part.len() as u32).to_le_bytes());
        joined.extend_from_slice(&part);
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(chain: &str, target: &str, fields: &[(&'static str, &'static str)]) -> Option<Vec<u8>> {
        key_with(None, chain, target, fields).0
    }

    /// The key, and whether a cookie must be issued first.
    fn key_with(
        issued: Option<&str>,
        chain: &str,
        target: &str,
        fields: &[(&'static str, &'static str)],
    ) -> (Option<Vec<u8>>, bool) {
        let document = format!(r#"{{"servers": [], "routing": {{"hash_key": {chain}}}}}"#);
        let config = config::Config::parse(document.as_bytes()).expect("a good chain");
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a good value"));
        }
        let parts = KeyParts {
            headers: &headers,
            uri: &target.parse().expect("a good target"),
            client_ip: "192.0.2.7",
            issued,
        };
        let hash_key = HashKey::new(&config.routing.hash_key);
        let key = hash_key.key(parts).map(Cow::into_owned);
        assert!(key.is_none() || hash_key.to_issue(parts).is_none());
        (key, hash_key.to_issue(parts).is_some())
    }

    #[test]
    fn each_source_takes_its_bytes_as_they_were_sent() {
        for (chain, target, fields, expected) in [
            (
                r#"[{"header": "X-User"}]"#,
                "/",
                &[("x-user", "Ann")][..],
                Some("Ann"),
            ),
            (
                r#"[{"header": "x-user"}]"#,
                "/",
                &[("x-user", "a"), ("x-user", "b")],
                Some("a\0b"),
            ),
            (r#"[{"header": "x-user"}]"#, "/", &[("x-user", "")], None),
            (r#"[{"header": "x-user"}]"#, "/", &[], None),
            (
                r#"[{"cookie": "s"}]"#,
                "/",
                &[("cookie", "ss=0; s=1; s=2")],
                Some("1"),
            ),
            (
                r#"[{"cookie": "s"}]"#,
                "/",
                &[("cookie", "a=b"), ("cookie", "s=\"q\"")],
                Some("\"q\""),
            ),
            (r#"[{"cookie": "s"}]"#, "/", &[("cookie", "s=; S=1")], None),
            (r#"[{"cookie": "s"}]"#, "/", &[("cookie", "s; s")], None),
            (
                r#"[{"query": "id"}]"#,
                "/a?xid=0&id=a%20b&id=2",
                &[],
                Some("a%20b"),
            ),
            (r#"[{"query": "id"}]"#, "/a?id", &[], None),
            (r#"[{"query": "id"}]"#, "/id=1", &[], None),
            (r#"["path"]"#, "/a/b?c=d", &[], Some("/a/b")),
            (r#"["uri"]"#, "/a/b?c=d", &[], Some("/a/b?c=d")),
            (r#"["uri"]"#, "http://there/a?c", &[], Some("/a?c")),
            (r#"["client_ip"]"#, "/", &[], Some("192.0.2.7")),
        ] {
            assert_eq!(
                key(chain, target, fields).as_deref(),
                expected.map(str::as_bytes),
                "{chain} {target} {fields:?}"
            );
        }
    }

    #[test]
    fn the_first_source_that_is_there_wins() {
        let chain = r#"[{"header": "x-ringway-key"}, {"query": "id"}, "client_ip"]"#;
        let both = key(chain, "/?id=2", &[("x-ringway-key", "1")]);
        assert_eq!(both.as_deref(), Some(&b"1"[..]));
        assert_eq!(key(chain, "/?id=2", &[]).as_deref(), Some(&b"2"[..]));
        assert_eq!(key(chain, "/", &[]).as_deref(), Some(&b"192.0.2.7"[..]));
    }

    #[test]
    fn parts_of_a_join_cannot_run_together_and_must_all_be_there() {
        let chain = r#"[{"join": [{"query": "a"}, {"query": "b"}]}]"#;
        assert_eq!(
            key(chain, "/?a=x&b=yz", &[]).as_deref(),
            Some(&b"\x01\0\0\0x\x02\0\0\0yz"[..])
        );
        assert_ne!(key(chain, "/?a=x&b=yz", &[]), key(chain, "/?a=xy&b=z", &[]));
        assert_eq!(key(chain, "/?a=x", &[]), None);
    }

    #[test]
    fn a_cookie_is_issued_where_the_chain_comes_to_it_and_it_is_not_there() {
        const CHAIN: &str = r#"[{"header": "x-user"}, {"cookie": "s", "issue": {}}, "client_ip"]"#;
        let found = |issued, fields: &[_]| key_with(issued, CHAIN, "/", fields);
        let of = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(found(None, &[]), (None, true));
        assert_eq!(found(None, &[("cookie", "s=")]), (None, true));
        assert_eq!(found(Some("new"), &[]), (of("new"), false));
        assert_eq!(found(None, &[("cookie", "s=1")]), (of("1"), false));
        assert_eq!(found(Some("new"), &[("cookie", "s=1")]), (of("1"), false));
        assert_eq!(found(None, &[("x-user", "ann")]), (of("ann"), false));
    }

    #[test]
    fn a_cookie_of_a_join_is_issued_where_the_rest_of_the_join_is_there() {
        const CHAIN: &str = r#"[{"join": [{"query": "t"}, {"cookie": "s", "issue": {}}]}, "path"]"#;
        let found = |issued, target| key_with(issued, CHAIN, target, &[]);
        assert_eq!(found(None, "/a"), (Some(b"/a".to_vec()), false));
        assert_eq!(found(None, "/a?t=x"), (None, true));
        let joined = b"\x01\0\0\0x\x03\0\0\0new".to_vec();
        assert_eq!(found(Some("new"), "/a?t=x"), (Some(joined), false));
    }
}
