//! The bytes of the head of the request in hand, as the client sent them.
//!
//! hyper parses heads and gives the result away by value. Two rare questions
//! need the bytes, and keeping them costs less than preparing for either:
//!
//! - Does the request say twice how long its body is? A head with both
//!   `Content-Length` and `Transfer-Encoding` is the classic way to smuggle a
//!   request past a proxy, and is refused. hyper goes by the latter, drops the
//!   former before anybody sees it, and ends the connection after the answer:
//!   safe, but it does not tell the sender off.
//! - What was the request, when it has to be sent again?
//!
//! Bytes that came together with the end of another request are not kept. Then
//! hyper's rule holds, and the request is not sent again.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// Memory that a connection keeps for heads to come; more is given back.
const KEPT: usize = 1024;

/// The bytes of a connection since a head last began.
#[derive(Default)]
pub(super) struct HeadBytes(RefCell<Vec<u8>>);

impl HeadBytes {
    /// A head begins.
    pub(super) fn begin(&self) {
        let mut bytes = self.0.borrow_mut();
        bytes.clear();
        bytes.shrink_to(KEPT);
    }

    /// More of it has come.
    pub(super) fn push(&self, more: &[u8]) {
        self.0.borrow_mut().extend_from_slice(more);
    }

    /// The request that these bytes are, if they are the head of one and
    /// nothing else. The caller has to make sure that it is the one it means:
    /// of a request that came in parts after another, only the last is here.
    pub(super) fn parse(&self) -> Option<Request<()>> {
        parse(&self.0.borrow())
    }

    /// Whether any head among them has both fields. A body among them may look
    /// like one: then a request is refused that need not be.
    pub(super) fn is_framed_twice(&self) -> bool {
        is_framed_twice(&self.0.borrow())
    }
}

/// The most fields of a head that is parsed here.
const FIELDS_MAX: usize = 1000;

fn parse(bytes: &[u8]) -> Option<Request<()>> {
    let mut fields = vec![httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
        _ => return None,
    }
    let mut headers = HeaderMap::new();
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method?.as_bytes()).ok()?;
    *request.uri_mut() = head.path?.parse::<Uri>().ok()?;
    *request.headers_mut() = headers;
    *request.version_mut() = match head.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    Some(request)
}

fn is_framed_twice(bytes: &[u8]) -> bool {
    let (mut has_length, mut has_encoding) = (false, false);
    for line in bytes.split(|&b| b == b'\n') {
        let name = line.split(|&b| b == b':').next().unwrap_or_default();
        if line.trim_ascii().is_empty() {
            (has_length, has_encoding) = (false, false);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            has_length = true;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            has_encoding = true;
        }
        if has_length && has_encoding {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_and_nothing_else_is_a_request_again() {
        let bytes = b"GET /a?b HTTP/1.1\r\nHost: t\r\nX: 1\r\nx: \xff\r\n\r\n";
        let request = parse(bytes).expect("a request");
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.uri(), "/a?b");
        let values: Vec<_> = request.headers().get_all("x").iter().collect();
        assert_eq!(values, ["1".as_bytes(), b"\xff"]);
        assert!(parse(&bytes[1..bytes.len() - 1]).is_none());
        assert!(parse(&[&bytes[..], b"G"].concat()).is_none());
        assert!(parse(b"").is_none());
    }

    #[test]
    fn both_fields_in_one_head_are_found_in_any_order_and_case() {
        for (bytes, expected) in [
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: y\r\nCONTENT-LENGTH: 1\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\ncontent-length: 1\ntransfer-encoding: chunked\n\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nx-content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                false,
            ),
            (
                "POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nxPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(is_framed_twice(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
