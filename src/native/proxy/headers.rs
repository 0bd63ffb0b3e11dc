//! Header fields on their way through the proxy: what is checked, dropped and
//! added (RFC 9110, section 7.6; RFC 9112, sections 3.2 and 6).
//!
//! Pure functions over `http` types. First everything that concerned the
//! client's connection alone is dropped, then the proxy's own fields are added,
//! so that no `Connection` field can take those out again.

use http::header::{
    CONNECTION, CONTENT_LENGTH, Entry, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::{Parts, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, request};

use super::error::ProxyError;

/// Who the client's request comes from.
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// By which scheme it came.
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Which host it asked for.
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// By which id it is found in logs.
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields that concern one connection and have no constant in `http`.
const CONNECTION_FIELDS: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];

/// What of a request's head must be acted on; found in one pass over it.
#[derive(Default)]
struct Findings {
    n_hosts: u32,
    n_transfer_encodings: u32,
    has_connection: bool,
    has_te: bool,
    has_upgrade: bool,
    has_rare: bool,
    /// Whether any field stands there more than once.
    has_repeated: bool,
}

/// What the proxy adds to every request of one client.
#[derive(Clone, Debug)]
pub(super) struct ClientFields {
    /// Its IP address.
    pub(super) forwarded_for: HeaderValue,
    /// The scheme it uses.
    pub(super) forwarded_proto: HeaderValue,
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
    client: &ClientFields,
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
    if found.n_transfer_encodings > 0 {
        check_transfer_encoding(headers)?;
        if is_framed_twice() {
            return Err(ProxyError::BadRequest("two lengths of one body"));
        }
    }
    drop_connection_fields(headers, &found);
    if names_host {
        let authority = to_origin_form(uri)?;
        headers.insert(HOST, authority);
    }
    let has_host = if let Some(host) = headers.get(HOST) {
        if !is_host(host.as_bytes()) {
            return Err(ProxyError::BadRequest("bad Host"));
        }
        let host = host.clone();
        headers.insert(&X_FORWARDED_HOST, host);
        true
    } else {
        headers.remove(&X_FORWARDED_HOST);
        false
    };
    headers.insert(&X_FORWARDED_FOR, client.forwarded_for.clone());
    headers.insert(&X_FORWARDED_PROTO, client.forwarded_proto.clone());
    let via = if version < Version::HTTP_11 {
        HeaderValue::from_static("1.0 ringway")
    } else {
        HeaderValue::from_static("1.1 ringway")
    };
    headers.append(VIA, via);
    if let Entry::Vacant(vacant) = headers.entry(&X_REQUEST_ID) {
        vacant.insert(new_id());
    }
    Ok(has_host)
}

/// Drops from a server's answer what concerned its connection alone.
pub(super) fn prepare_response(headers: &mut HeaderMap) {
    let found = survey(headers);
    if found.n_transfer_encodings > 0 {
        // The body was decoded and is framed anew; a length beside it would
        // be another message's.
        headers.remove(CONTENT_LENGTH);
    }
    drop_connection_fields(headers, &found);
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
            PROXY_AUTHENTICATE | PROXY_AUTHORIZATION => found.has_rare = true,
            _ => found.has_rare |= CONNECTION_FIELDS.contains(&name.as_str()),
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
        for name in CONNECTION_FIELDS {
            headers.remove(name);
        }
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
        value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
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
fn is_host(value: &[u8]) -> bool {
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
