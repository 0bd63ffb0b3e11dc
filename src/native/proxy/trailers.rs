//! Trailers on their way through the proxy, in either direction: which of them
//! may stand behind a body (RFC 9110, section 6.5.1).
//!
//! Fields that decide how a message is read, where it goes, who sends it or what
//! may be done with it belong into its head, where everybody looks for them and
//! where the proxy has checked them. A program that merges trailers into the
//! head would otherwise take from there what the proxy has kept out of it.

use http::{HeaderMap, HeaderName};

/// Names that no trailer has, in order.
const REFUSED: [&str; 47] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "early-data",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-real-ip",
    "x-request-id",
];

/// Beginnings of names that no trailer has. Of `content-…` one may, which is
/// made for it: [`DIGEST`].
const REFUSED_PREFIXES: [&str; 7] = [
    "access-control-",
    "content-",
    "cross-origin-",
    "proxy-",
    "sec-",
    "x-forwarded-",
    "x-ringway-",
];

/// A checksum of the content, known when it has been sent (RFC 9530, section 2).
const DIGEST: &str = "content-digest";

/// Drops the fields that have to stand in the head of a message.
pub(super) fn filter(trailers: &mut HeaderMap) {
    if trailers.keys().any(is_refused) {
        drop_refused(trailers);
    }
}

#[cold]
fn drop_refused(trailers: &mut HeaderMap) {
    let refused: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| is_refused(name))
        .cloned()
        .collect();
    for name in refused {
        trailers.remove(name);
    }
}

fn is_refused(name: &HeaderName) -> bool {
    let name = name.as_str();
    let has_prefix = |prefix: &&str| name.starts_with(*prefix);
    REFUSED.binary_search(&name).is_ok()
        || (REFUSED_PREFIXES.iter().any(has_prefix) && name != DIGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_so_that_they_are_found() {
        assert!(REFUSED.is_sorted());
        for name in REFUSED {
            assert!(is_refused(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn what_speaks_of_the_content_may_stay_and_the_rest_must_not() {
        let mut trailers = HeaderMap::new();
        for name in [
            "x-sum",
            "grpc-status",
            "grpc-message",
            "content-digest",
            "server-timing",
            "etag",
            "content-length",
            "content-type",
            "x-forwarded-proto",
            "transfer-encoding",
            "cookie",
            "x-ringway-server",
            "sec-fetch-site",
        ] {
            let value = http::HeaderValue::from_static("1");
            trailers.append(name, value.clone());
            trailers.append(name, value);
        }
        filter(&mut trailers);
        let names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        assert_eq!(
            names,
            [
                "x-sum",
                "grpc-status",
                "grpc-message",
                "content-digest",
                "server-timing",
                "etag"
            ]
        );
        assert_eq!(trailers.len(), 12, "both of each");
    }
}
