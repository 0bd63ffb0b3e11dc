//! Header fields on their way through the proxy: what is checked, dropped and
//! added (RFC 9110, section 7.6; RFC 9112, sections 3.2 and 6).
//!
//! Pure functions over `http` types. First everything that concerned the
//! client's connection alone is dropped, then the proxy's own fields are added,
//! so that no `Connection` field can take those out again.

use http::header::{
    CONNECTION, CONTENT_LENGTH, Entry, FORWARDED, HOST, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::{Parts, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, request};

use super::asker::Asker;
use super::error::ProxyError;
use crate::config::{self, ForwardedHost};

/// Who the client's request comes from.
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// By which scheme it came.
pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Which host it asked for.
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// By which id it is found in logs.
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields that concern one connection and have no constant in `http`. As names
/// and not as text: one of the names with a constant is seen at once to be none.
static CONNECTION_FIELDS: [HeaderName; 3] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// What of a request's head must be acted on; found in one pass over it.
#[derive(Default)]
struct Findings {
    n_hosts: u32,
    n_transfer_encodings: u32,
    has_connection: bool,
    has_te: bool,
    has_upgrade: bool,
    has_via: bool,
    has_rare: bool,
    /// Whether any field stands there more than once.
    has_repeated: bool,
}

/// What configuration asks of heads.
#[derive(Clone, Debug)]
pub(super) struct HeadRules {
    /// What `Host` says to servers.
    host: Host,
    /// Whether servers get `Forwarded`.
    tells_forwarded: bool,
    /// Whether requests get `Via`.
    has_via: bool,
    /// Whether answers get it too.
    answers_have_via: bool,
}

#[derive(Clone, Debug)]
enum Host {
    /// What the client asked for.
    Client,
    /// The server's own address and port.
    Server,
    /// Always this.
    Name(HeaderValue),
}

impl HeadRules {
    /// As configured.
    pub(super) fn new(config: &config::Forwarding) -> Self {
        Self {
            host: match &config.host {
                ForwardedHost::Client => Host::Client,
                ForwardedHost::Server => Host::Server,
                // A name has only characters that a header may have.
                ForwardedHost::Name(name) => {
                    HeaderValue::from_str(name.as_str()).map_or(Host::Client, Host::Name)
                }
            },
            tells_forwarded: config.forwarded,
            has_via: config.via != config::Via::None,
            answers_have_via: config.via == config::Via::Both,
        }
    }
}

/// Checks the head of a client's request and makes it the head that a server
/// gets, in place. `new_id` is asked for an id when the request has none, and
/// `is_framed_twice` whether a chunked body has a length besides. Returns
/// whether the request says which host it is for; an HTTP/1.0 one need not.
///
/// # Errors
/// When it is not a request that may be forwarded.
pub(super) fn prepare_request(
    head: &mut request::Parts,
    asker: &Asker,
    rules: &HeadRules,
    new_id: impl FnOnce() -> HeaderValue,
    is_framed_twice: impl FnOnce() -> bool,
) -> Result<bool, ProxyError> {
    let request::Parts {
        method,
        uri,
        version,
        headers,
        ..
    } = head;
    let version = *version;
    let found = survey(headers);
    let names_host = check_target(method, uri)?;
    match found.n_hosts {
        1 => {}
        0 if version < Version::HTTP_11 || names_host => {}
        0 => return Err(ProxyError::BadRequest("no Host")),
        _ => return Err(ProxyError::BadRequest("several Hosts")),
    }
    if matches!(*method, Method::OPTIONS | Method::TRACE) {
        count_down(method, headers)?;
    }
    if found.has_via && rules.has_via && goes_round(headers) {
        return Err(ProxyError::Loop);
    }
    if found.n_transfer_encodings > 0 {
        check_transfer_encoding(headers)?;
        if is_framed_twice() {
            return Err(ProxyError::BadRequest("two lengths of one body"));
        }
    }
    drop_connection_fields(headers, &found);
    if found.n_transfer_encodings > 0 {
        // Said aloud, or the body of a GET would be taken for none.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if names_host {
        let authority = to_origin_form(uri)?;
        let differs = |host: &HeaderValue| {
            let (host, authority) = (host.as_bytes(), authority.as_bytes());
            !host.eq_ignore_ascii_case(authority)
        };
        if version == Version::HTTP_2 && headers.get(HOST).is_some_and(differs) {
            // Malformed, where in HTTP/1.1 the target simply wins (RFC 9113,
            // section 8.3.1).
            return Err(ProxyError::BadRequest("Host and :authority differ"));
        }
        headers.insert(HOST, authority);
    }
    let host = headers.get(HOST);
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(ProxyError::BadRequest("bad Host"));
    }
    if rules.tells_forwarded {
        let forwarded = asker.forwarded(host);
        headers.insert(FORWARDED, forwarded);
    }
    let host = headers.get(HOST);
    let mut has_host = host.is_some();
    match asker.forwarded_host.as_ref().or(host).cloned() {
        Some(host) => drop(headers.insert(&X_FORWARDED_HOST, host)),
        None => drop(headers.remove(&X_FORWARDED_HOST)),
    }
    match &rules.host {
        Host::Client => {}
        Host::Server => has_host = false,
        Host::Name(name) => {
            headers.insert(HOST, name.clone());
            has_host = true;
        }
    }
    headers.insert(&X_FORWARDED_FOR, asker.forwarded_for.clone());
    headers.insert(&X_FORWARDED_PROTO, asker.forwarded_proto.clone());
    if rules.has_via {
        headers.append(VIA, via(version));
    }
    if let Entry::Vacant(vacant) = headers.entry(&X_REQUEST_ID) {
        vacant.insert(new_id());
    }
    Ok(has_host)
}

/// Makes a server's answer, which came by `version`, what the client gets:
/// drops what concerned its connection alone.
pub(super) fn prepare_response(headers: &mut HeaderMap, version: Version, rules: &HeadRules) {
    let found = survey(headers);
    if found.n_transfer_encodings > 0 {
        // The body was decoded and is framed anew; a length beside it would
        // be another message's.
        headers.remove(CONTENT_LENGTH);
    }
    drop_connection_fields(headers, &found);
    if rules.answers_have_via {
        headers.append(VIA, via(version));
    }
}

/// What `Via` says of a message that came by `version`.
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_09 | Version::HTTP_10 => "1.0 ringway",
        Version::HTTP_2 => "2.0 ringway",
        _ => "1.1 ringway",
    })
}

fn survey(headers: &HeaderMap) -> Findings {
    let mut found = Findings::default();
    for name in headers.keys() {
        match *name {
            HOST => found.n_hosts = 1,
            TRANSFER_ENCODING => found.n_transfer_encodings = 1,
            CONNECTION => found.has_connection = true,
            TE => found.has_te = true,
            UPGRADE => found.has_upgrade = true,
            VIA => found.has_via = true,
            FORWARDED | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION => found.has_rare = true,
            _ => found.has_rare |= CONNECTION_FIELDS.contains(name) || may_be_x_forwarded(name),
        }
    }
    // `keys` names each field once, however often it stands there.
    if headers.len() > headers.keys_len() {
        found.has_repeated = true;
        found.n_hosts = headers.get_all(HOST).iter().count() as u32;
    }
    found
}

/// Checks the request target; returns whether it names a host, in absolute form.
fn check_target(method: &Method, uri: &Uri) -> Result<bool, ProxyError> {
    if *method == Method::CONNECT {
        return Err(ProxyError::Connect);
    }
    if uri.authority().is_some() {
        // Without a scheme it is in authority form, which only CONNECT has.
        return match uri.scheme_str() {
            Some("http" | "https") => Ok(true),
            _ => Err(ProxyError::BadRequest("bad request target")),
        };
    }
    let path = uri.path();
    if path.starts_with('/') || (path == "*" && *method == Method::OPTIONS) {
        return Ok(false);
    }
    Err(ProxyError::BadRequest("bad request target"))
}

/// Takes one from `Max-Forwards` (RFC 9110, section 7.6.2).
fn count_down(method: &Method, headers: &mut HeaderMap) -> Result<(), ProxyError> {
    let mut values = headers.get_all(MAX_FORWARDS).iter();
    let Some(value) = values.next() else {
        return Ok(());
    };
    let digits = value.as_bytes();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !is_number || values.next().is_some() {
        return Err(ProxyError::BadRequest("bad Max-Forwards"));
    }
    // One that is too large to be counted becomes the largest that is not.
    let n = value.to_str().ok().and_then(|text| text.parse().ok());
    let n: u64 = n.unwrap_or(u64::MAX);
    let Some(rest) = n.checked_sub(1) else {
        return Err(match *method {
            Method::TRACE => ProxyError::Trace,
            _ => ProxyError::LastStep,
        });
    };
    headers.insert(MAX_FORWARDS, HeaderValue::from(rest));
    Ok(())
}

/// How often a request may have come by here: more often than any sensible row
/// of proxies has us in it, and soon enough to end one that goes in a circle.
const ROUNDS_MAX: usize = 10;

/// Whether a request has come by here so often that it goes in a circle.
fn goes_round(headers: &HeaderMap) -> bool {
    let values = headers.get_all(VIA).iter();
    let members = values.flat_map(|value| value.as_bytes().split(|&b| b == b','));
    let by_us = members.filter(|member| {
        let mut words = member.split(u8::is_ascii_whitespace);
        let mut words = words.by_ref().filter(|word| !word.is_empty());
        words.nth(1) == Some(b"ringway")
    });
    by_us.count() >= ROUNDS_MAX
}

/// Only one exact `chunked` is understood alike by everybody.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), ProxyError> {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(ProxyError::BadRequest("bad Transfer-Encoding")),
    }
}

fn drop_connection_fields(headers: &mut HeaderMap, found: &Findings) {
    if found.has_connection {
        drop_connection(headers, found.has_repeated);
    }
    if found.n_transfer_encodings > 0 {
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    if found.has_te {
        drop_te(headers);
    }
    if found.has_upgrade {
        headers.remove(UPGRADE);
    }
    if found.has_rare {
        headers.remove(PROXY_AUTHENTICATE);
        headers.remove(PROXY_AUTHORIZATION);
        // What a client says of itself; a server might believe it.
        headers.remove(FORWARDED);
        for name in &CONNECTION_FIELDS {
            headers.remove(name);
        }
        drop_look_alikes(headers);
    }
}

/// Whether a name is as long as one of the fields `X-Forwarded-…` and begins as
/// they do: looked at more closely only then.
fn may_be_x_forwarded(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    (15..=17).contains(&name.len()) && name[0] == b'x' && name.contains(&b'_')
}

/// Drops names that differ from the proxy's own only by an underscore for a
/// hyphen, as `x_forwarded-for`: programs that take names for variables (CGI,
/// WSGI) cannot tell the two apart.
fn drop_look_alikes(headers: &mut HeaderMap) {
    let is_look_alike = |name: &&HeaderName| {
        may_be_x_forwarded(name)
            && [&X_FORWARDED_FOR, &X_FORWARDED_PROTO, &X_FORWARDED_HOST]
                .iter()
                .any(|own| name.as_str().replace('_', "-") == own.as_str())
    };
    let found: Vec<HeaderName> = headers.keys().filter(is_look_alike).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Drops `Connection` and the fields that it names, but those that frame the
/// message or say where it goes.
fn drop_connection(headers: &mut HeaderMap, may_be_repeated: bool) {
    let mut values: Vec<HeaderValue> = Vec::new();
    if may_be_repeated {
        values.extend(headers.get_all(CONNECTION).iter().skip(1).cloned());
    }
    let is_plain = |value: &HeaderValue| {
        let value = value.as_bytes();
        // Mostly it is written like this, which is seen at a glance.
        value == b"keep-alive"
            || value.eq_ignore_ascii_case(b"keep-alive")
            || value.eq_ignore_ascii_case(b"close")
    };
    values.extend(headers.remove(CONNECTION).filter(|value| !is_plain(value)));
    let nominated = values
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|name| ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING, TE].contains(name));
    for name in nominated {
        headers.remove(name);
    }
}

/// `TE` speaks of the client's connection, but that the client takes trailers
/// is true of ours as well, since trailers are passed on.
fn drop_te(headers: &mut HeaderMap) {
    let takes_trailers = headers.get_all(TE).iter().any(|value| {
        value
            .as_bytes()
            .split(|&b| b == b',')
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

/// Takes the authority out of a target in absolute form; it is the one truth
/// about the host, whatever `Host` says (RFC 9112, section 3.2.2).
fn to_origin_form(uri: &mut Uri) -> Result<HeaderValue, ProxyError> {
    let bad = |_| ProxyError::BadRequest("bad request target");
    let Parts {
        authority,
        path_and_query,
        ..
    } = std::mem::take(uri).into_parts();
    let authority = authority.ok_or(ProxyError::BadRequest("bad request target"))?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| bad(()))?;
    let mut parts = Parts::default();
    parts.path_and_query = path_and_query.or(Some(PathAndQuery::from_static("/")));
    *uri = Uri::from_parts(parts).map_err(|_| bad(()))?;
    Ok(host)
}

/// Whether `value` is a host and perhaps a port, by RFC 3986, section 3.2.2,
/// and so without the commas, spaces, slashes and user names that other
/// programs might read as another host.
pub(super) fn is_host(value: &[u8]) -> bool {
    let is_port = |rest: &[u8]| rest.iter().all(u8::is_ascii_digit) && rest.len() <= 5;
    if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|&b| b == b']') else {
            return false;
        };
        let (ip, rest) = (&literal[..end], &literal[end + 1..]);
        let is_ip = !ip.is_empty()
            && ip
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b":.".contains(b));
        return is_ip && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port));
    }
    let name_len = value
        .iter()
        .position(|&b| !IS_NAME_BYTE[usize::from(b)])
        .unwrap_or(value.len());
    let rest = &value[name_len..];
    name_len > 0 && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

/// The bytes of a registered name: unreserved, percent and sub-delimiters, but
/// no comma, which would make it a list.
const IS_NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let others = b"-._~%!$&'()*+;=";
    let mut i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::proxy::conn::Peer;

    fn client() -> Asker {
        Asker::peer(Peer::at(([192, 0, 2, 7], 4711).into()))
    }

    fn rules(settings: &str) -> HeadRules {
        let text = format!(r#"{{"servers": [], "forwarding": {{{settings}}}}}"#);
        let config = config::Config::parse(text.as_bytes()).expect("a good configuration");
        HeadRules::new(&config.forwarding)
    }

    fn prepared(
        line: &str,
        fields: &[(&'static str, &'static str)],
    ) -> Result<(String, Vec<String>), ProxyError> {
        prepared_by("", line, fields).map(|(target, lines, _)| (target, lines))
    }

    /// The target, the fields, and whether there is a `Host`.
    fn prepared_by(
        settings: &str,
        line: &str,
        fields: &[(&'static str, &'static str)],
    ) -> Result<(String, Vec<String>, bool), ProxyError> {
        let (method, target) = line.split_once(' ').expect("method and target");
        let mut request = http::Request::new(());
        *request.method_mut() = method.parse().expect("a method");
        *request.uri_mut() = target.parse().expect("a target");
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(*name, value);
        }
        let (mut head, ()) = request.into_parts();
        let client = client();
        let has_host = prepare_request(
            &mut head,
            &client,
            &rules(settings),
            || HeaderValue::from_static("id"),
            || false,
        )?;
        Ok((head.uri.to_string(), written(&head.headers), has_host))
    }

    fn written(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
            .collect();
        lines.sort();
        lines
    }

    /// What a server gets besides the proxy's own fields.
    fn passed(fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut all = vec![("host", "t")];
        all.extend(fields);
        let (_, mut lines) = prepared("GET /", &all).expect("a good request");
        for own in [
            "host: t",
            "via: 1.1 ringway",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: t",
            "x-forwarded-proto: http",
        ] {
            let i = lines.iter().position(|line| line == own);
            lines.remove(i.unwrap_or_else(|| panic!("no {own:?} in {lines:?}")));
        }
        lines.retain(|line| line != "x-request-id: id");
        lines
    }

    #[test]
    fn only_what_concerns_the_message_is_passed_on() {
        for (fields, expected) in [
            (
                &[("accept", "a"), ("accept", "b")][..],
                &["accept: a", "accept: b"][..],
            ),
            (&[("connection", "keep-alive")], &[]),
            (
                &[("connection", "close, X"), ("x", "1"), ("y", "2")],
                &["y: 2"],
            ),
            (
                &[("connection", "close"), ("connection", "x"), ("x", "1")],
                &[],
            ),
            (
                &[
                    ("connection", "x"),
                    ("connection", "y"),
                    ("x", "1"),
                    ("y", "1"),
                ],
                &[],
            ),
            (&[("connection", "host, via, x-forwarded-for, ,;")], &[]),
            (
                &[("connection", "content-length"), ("content-length", "0")],
                &["content-length: 0"],
            ),
            (&[("connection", "te"), ("te", "trailers;q=1, gzip")], &[]),
            (
                &[("connection", "te"), ("te", "gzip, Trailers")],
                &["te: trailers"],
            ),
            (
                &[
                    ("keep-alive", "1"),
                    ("proxy-connection", "1"),
                    ("http2-settings", "1"),
                ],
                &[],
            ),
            (&[("upgrade", "h2c"), ("proxy-authorization", "1")], &[]),
            (
                &[("transfer-encoding", "Chunked")],
                &["transfer-encoding: chunked"],
            ),
            (
                &[("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4")],
                &[],
            ),
            (
                &[
                    ("x-forwarded-for", "1"),
                    ("x-forwarded-for", "2"),
                    ("x-forwarded-host", "evil"),
                ],
                &[],
            ),
            (
                &[
                    ("x_forwarded_for", "1.2.3.4"),
                    ("x-forwarded_proto", "https"),
                    ("x_forwarded-host", "evil"),
                    ("x_forwarded_fox", "1"),
                    ("x_forwarded_for_", "1"),
                ],
                &["x_forwarded_for_: 1", "x_forwarded_fox: 1"],
            ),
            (&[("x-request-id", "mine")], &["x-request-id: mine"]),
            (&[("via", "1.0 a")], &["via: 1.0 a"]),
            (&[("expect", "100-continue")], &["expect: 100-continue"]),
        ] {
            assert_eq!(passed(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn targets_are_brought_into_the_form_that_servers_take() {
        for (line, expected) in [
            ("GET /a?b", Ok(("/a?b", "t"))),
            ("GET http://other:8/a?b", Ok(("/a?b", "other:8"))),
            ("GET http://other", Ok(("/", "other"))),
            (
                "GET HTTP://[2001:db8::1]:80/",
                Ok(("/", "[2001:db8::1]:80")),
            ),
            ("OPTIONS *", Ok(("*", "t"))),
            ("GET *", Err(ProxyError::BadRequest("bad request target"))),
            (
                "GET other",
                Err(ProxyError::BadRequest("bad request target")),
            ),
            (
                "GET other:80",
                Err(ProxyError::BadRequest("bad request target")),
            ),
            (
                "GET ftp://other/",
                Err(ProxyError::BadRequest("bad request target")),
            ),
            (
                "GET http://user@other/",
                Err(ProxyError::BadRequest("bad Host")),
            ),
            ("CONNECT other:80", Err(ProxyError::Connect)),
        ] {
            let found = prepared(line, &[("host", "t")]);
            let expected = expected.map(|(uri, host)| {
                let (_, lines) = found.as_ref().expect("a good request");
                assert!(
                    lines.contains(&format!("host: {host}")),
                    "{line}: {lines:?}"
                );
                assert!(
                    lines.contains(&format!("x-forwarded-host: {host}")),
                    "{line}"
                );
                uri.to_owned()
            });
            assert_eq!(found.map(|(uri, _)| uri), expected, "{line}");
        }
    }

    #[test]
    fn hosts_are_what_a_url_may_have() {
        for good in [
            "a",
            "a:80",
            "A-b_c.d.",
            "1.2.3.4:0",
            "[::1]",
            "[::1]:80",
            "a:",
            "x%20y",
        ] {
            assert!(is_host(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "u@a",
            "a:b",
            "a:80:80",
            "[::1",
            "[]",
            "[::1]x",
            "a:123456",
            "a\\b",
            "a?b",
            "a#b",
            "\"a\"",
            "<a>",
            "gr\u{f6}\u{df}e",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn of_answers_only_what_concerns_the_message_is_passed_on() {
        for (fields, expected) in [
            (
                &[("content-length", "5"), ("connection", "keep-alive")][..],
                &["content-length: 5"][..],
            ),
            (
                &[("content-length", "5"), ("transfer-encoding", "chunked")],
                &[],
            ),
            (
                &[("connection", "x"), ("x", "1"), ("keep-alive", "timeout=5")],
                &[],
            ),
            (
                &[("set-cookie", "a"), ("set-cookie", "b")],
                &["set-cookie: a", "set-cookie: b"],
            ),
            (
                &[
                    ("upgrade", "h2"),
                    ("proxy-authenticate", "x"),
                    ("trailer", "x"),
                ],
                &["trailer: x"],
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            prepare_response(&mut headers, Version::HTTP_11, &rules(""));
            assert_eq!(written(&headers), expected, "{fields:?}");
        }
    }

    #[test]
    fn host_is_the_clients_the_servers_or_always_the_same() {
        let found = |settings: &str| {
            let (_, lines, has_host) =
                prepared_by(settings, "GET /", &[("host", "t:80")]).expect("good");
            let lines = lines.into_iter();
            let hosts: Vec<_> = lines.filter(|line| line.contains("host: ")).collect();
            (hosts.join(" "), has_host)
        };
        let theirs = "host: t:80 x-forwarded-host: t:80".to_owned();
        assert_eq!(found(""), (theirs.clone(), true));
        assert_eq!(found(r#""host": "client""#), (theirs.clone(), true));
        // The attempt replaces it by that of its server.
        assert_eq!(found(r#""host": "server""#), (theirs, false));
        assert_eq!(
            found(r#""host": {"name": "in.example:8"}"#),
            ("host: in.example:8 x-forwarded-host: t:80".to_owned(), true)
        );
    }

    #[test]
    fn via_is_in_the_messages_that_it_is_asked_for_in() {
        for (settings, version, in_request, in_answer) in [
            ("", Version::HTTP_11, &["via: 1.1 ringway"][..], &[][..]),
            (r#""via": "none""#, Version::HTTP_11, &[], &[]),
            (
                r#""via": "both""#,
                Version::HTTP_10,
                &["via: 1.1 ringway"],
                &["via: 1.0 ringway"],
            ),
        ] {
            let (_, lines, _) = prepared_by(settings, "GET /", &[("host", "t")]).expect("good");
            let is_via = |line: &String| line.starts_with("via");
            let found: Vec<_> = lines.into_iter().filter(is_via).collect();
            assert_eq!(found, in_request, "{settings}");
            let mut headers = HeaderMap::new();
            prepare_response(&mut headers, version, &rules(settings));
            assert_eq!(written(&headers), in_answer, "{settings}");
        }
    }

    #[test]
    fn a_request_that_goes_in_a_circle_is_ended() {
        let with = |settings: &str, n: usize| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("t"));
            let list = vec!["1.1 ringway"; n / 2].join(" , ");
            headers.append(VIA, list.parse().expect("a value"));
            for _ in n / 2..n {
                headers.append(VIA, HeaderValue::from_static("HTTP/2.0  ringway (x)"));
            }
            headers.append(
                VIA,
                HeaderValue::from_static("1.1 other, 1.1 ringway.example, x"),
            );
            let (mut head, ()) = http::Request::new(()).into_parts();
            head.headers = headers;
            let client = client();
            let id = || HeaderValue::from_static("id");
            prepare_request(&mut head, &client, &rules(settings), id, || false)
        };
        assert_eq!(with("", ROUNDS_MAX - 1), Ok(true));
        assert_eq!(with("", ROUNDS_MAX), Err(ProxyError::Loop));
        // Who does not say that it is there cannot be found by that.
        assert_eq!(with(r#""via": "none""#, ROUNDS_MAX), Ok(true));
    }

    #[test]
    fn max_forwards_counts_down_for_those_it_concerns() {
        for (line, value, expected) in [
            ("OPTIONS /", "1", Ok("max-forwards: 0")),
            ("TRACE /", "007", Ok("max-forwards: 6")),
            (
                "OPTIONS /",
                "99999999999999999999999",
                Ok("max-forwards: 18446744073709551614"),
            ),
            ("GET /", "0", Ok("max-forwards: 0")),
            ("GET /", "x", Ok("max-forwards: x")),
            ("OPTIONS /", "0", Err(ProxyError::LastStep)),
            ("OPTIONS *", "00", Err(ProxyError::LastStep)),
            ("TRACE /", "0", Err(ProxyError::Trace)),
            (
                "TRACE /",
                "+1",
                Err(ProxyError::BadRequest("bad Max-Forwards")),
            ),
            (
                "TRACE /",
                "-1",
                Err(ProxyError::BadRequest("bad Max-Forwards")),
            ),
            (
                "TRACE /",
                "",
                Err(ProxyError::BadRequest("bad Max-Forwards")),
            ),
            (
                "TRACE /",
                "1, 2",
                Err(ProxyError::BadRequest("bad Max-Forwards")),
            ),
        ] {
            let found = prepared(line, &[("host", "t"), ("max-forwards", value)]);
            let expected = expected.map(|field| {
                let (_, lines) = found.as_ref().expect("a good request");
                assert!(
                    lines.iter().any(|line| line == field),
                    "{line} {value}: {lines:?}"
                );
            });
            assert_eq!(found.map(|_| ()), expected, "{line} {value}");
        }
        let twice = [("host", "t"), ("max-forwards", "1"), ("max-forwards", "1")];
        let bad = Err(ProxyError::BadRequest("bad Max-Forwards"));
        assert_eq!(prepared("TRACE /", &twice), bad);
    }

    #[test]
    fn forwarded_is_told_when_it_is_asked_for() {
        let sent = [("host", "a.example"), ("forwarded", "for=6.6.6.6")];
        let told = |settings: &str, fields: &[_]| {
            let (_, lines, _) = prepared_by(settings, "GET http://b:80/", fields).expect("good");
            let is_it = |line: &String| line.starts_with("forwarded");
            lines.into_iter().filter(is_it).collect::<Vec<_>>()
        };
        assert_eq!(told("", &sent), [""; 0]);
        assert_eq!(
            told(r#""forwarded": true"#, &sent),
            ["forwarded: for=192.0.2.7;proto=http;host=\"b:80\""]
        );
    }
}
