//! Heads of requests and their trailers, as HTTP/2 has them (RFC 9113, section 8).
//! Pure.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, Request, Uri, Version, request, uri};

/// What concerns one connection of HTTP/1.1 (RFC 9113, section 8.2.2) and may
/// still be there once the client's was dropped.
static OF_HTTP1: [HeaderName; 4] = [CONNECTION, TRANSFER_ENCODING, UPGRADE, HOST];

/// What may not come behind a body (RFC 9110, section 6.5.1): what frames it, says
/// where it goes or who sent it, or what it is.
static NOT_BEHIND: [HeaderName; 12] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The request of a head that was made for HTTP/1.1: who is asked stands in the
/// target and no longer in `Host`. `None` when that is no target.
pub(super) fn request(head: request::Parts, is_encrypted: bool) -> Option<Request<()>> {
    let request::Parts {
        method,
        uri,
        mut headers,
        ..
    } = head;
    let host = headers.get(HOST)?;
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if is_encrypted {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    let path = uri.into_parts().path_and_query;
    parts.path_and_query = path.or(Some(PathAndQuery::from_static("/")));
    for name in &OF_HTTP1 {
        headers.remove(name);
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    Some(request)
}

/// Drops from what comes behind a body what may not.
pub(super) fn trailers(trailers: &mut HeaderMap) {
    for name in &NOT_BEHIND {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Method};

    fn head(target: &str, fields: &[(&'static str, &'static str)]) -> request::Parts {
        let mut request = Request::new(());
        *request.method_mut() = Method::OPTIONS;
        *request.uri_mut() = target.parse().expect("a target");
        for &(name, value) in fields {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(name, value);
        }
        request.into_parts().0
    }

    #[test]
    fn what_is_of_one_connection_goes_and_the_host_is_in_the_target() {
        let fields = [
            ("host", "[::1]:8080"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("x-a", "1"),
        ];
        for (target, encrypted, expected) in [
            ("/a?b=c", false, "http://[::1]:8080/a?b=c"),
            ("/", true, "https://[::1]:8080/"),
            ("*", true, "https://[::1]:8080*"),
        ] {
            let request = request(head(target, &fields), encrypted).expect("a request");
            assert_eq!(request.uri().to_string(), expected);
            let left: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
            assert_eq!(left, ["te", "x-a"]);
        }
        assert!(request(head("/", &[]), false).is_none(), "for nobody");
    }
}
