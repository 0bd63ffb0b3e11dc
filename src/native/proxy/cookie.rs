//! The cookie that a client without one is given, so that its next requests
//! have the same key (RFC 6265).
//!
//! It goes with answers of servers alone: the proxy's own say nothing that a
//! client should come back to. Where a server sets a cookie of that name itself,
//! it is the server's.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::config::{CookieIssue, KeySource, SameSite};
use crate::native::shared::random;

/// How a cookie is issued.
#[derive(Clone, Debug)]
pub(crate) struct Issue {
    /// `name=`.
    name: Box<str>,
    /// What stands behind the value.
    attributes: Box<str>,
    /// Whether it is for TLS alone; `None`: as the request came.
    is_secure: Option<bool>,
}

impl Issue {
    /// That of a chain, if one of its cookies is issued.
    pub(super) fn of(sources: &[KeySource]) -> Option<Self> {
        sources.iter().find_map(|source| match source {
            KeySource::Cookie(name, Some(issue)) => Some(Self::new(name, issue)),
            KeySource::Join(parts) => Self::of(parts),
            _ => None,
        })
    }

    fn new(name: &str, issue: &CookieIssue) -> Self {
        let mut attributes = format!("; Path={}", issue.path.as_str());
        let ttl = issue.ttl.number();
        if ttl > 0 {
            attributes += &format!("; Max-Age={ttl}");
        }
        if issue.http_only {
            attributes += "; HttpOnly";
        }
        attributes += match issue.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        };
        Self {
            name: format!("{name}=").into(),
            attributes: attributes.into(),
            is_secure: issue.secure,
        }
    }

    /// The cookie's name.
    pub(crate) fn name(&self) -> &str {
        self.name.trim_end_matches('=')
    }

    /// A new value: 128 random bits, which no two clients are given.
    pub(super) fn value() -> Box<str> {
        format!("{:016x}{:016x}", random(), random()).into()
    }

    /// Has an answer give its client the cookie with this `value`; `over_tls`
    /// when the request came so.
    pub(super) fn give(&self, value: &str, over_tls: bool, headers: &mut HeaderMap) {
        let Self {
            name, attributes, ..
        } = self;
        let mut set = headers.get_all(SET_COOKIE).iter();
        if set.any(|cookie| cookie.as_bytes().starts_with(name.as_bytes())) {
            return;
        }
        let secure = match self.is_secure.unwrap_or(over_tls) {
            true => "; Secure",
            false => "",
        };
        let cookie = HeaderValue::try_from(format!("{name}{value}{attributes}{secure}"));
        // The name, the path and the digits are all that is not ours.
        if let Ok(cookie) = cookie {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn given(source: &str, over_tls: bool, of_server: &[&'static str]) -> Vec<String> {
        let text = format!(r#"{{"servers": [], "routing": {{"hash_key": [{source}]}}}}"#);
        let config = Config::parse(text.as_bytes()).expect("a good configuration");
        let issue = Issue::of(config.routing.hash_key.sources()).expect("it is issued");
        let mut headers = HeaderMap::new();
        for value in of_server {
            headers.append(SET_COOKIE, HeaderValue::from_static(value));
        }
        issue.give("v", over_tls, &mut headers);
        let cookies = headers.get_all(SET_COOKIE).iter();
        cookies
            .map(|cookie| cookie.to_str().expect("text").to_owned())
            .collect()
    }

    #[test]
    fn a_cookie_has_the_attributes_that_are_asked_for() {
        for (source, over_tls, expected) in [
            (
                r#"{"cookie": "s", "issue": {}}"#,
                false,
                "s=v; Path=/; HttpOnly; SameSite=Lax",
            ),
            (
                r#"{"join": ["path", {"cookie": "s", "issue": {}}]}"#,
                true,
                "s=v; Path=/; HttpOnly; SameSite=Lax; Secure",
            ),
            (
                r#"{"cookie": "s", "issue": {"ttl": 60, "path": "/a", "http_only": false,
                   "same_site": "strict", "secure": false}}"#,
                true,
                "s=v; Path=/a; Max-Age=60; SameSite=Strict",
            ),
            (
                r#"{"cookie": "s", "issue": {"same_site": "none", "secure": true}}"#,
                false,
                "s=v; Path=/; HttpOnly; SameSite=None; Secure",
            ),
        ] {
            assert_eq!(given(source, over_tls, &[]), [expected], "{source}");
        }
    }

    #[test]
    fn a_cookie_of_the_servers_of_that_name_stays_the_servers() {
        let source = r#"{"cookie": "s", "issue": {}}"#;
        assert_eq!(given(source, false, &["s=own; Path=/"]), ["s=own; Path=/"]);
        let others = given(source, false, &["ss=1", "t=s=1"]);
        assert_eq!(others.len(), 3, "{others:?}");
    }

    #[test]
    fn values_differ_and_are_safe() {
        let (one, other) = (Issue::value(), Issue::value());
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
