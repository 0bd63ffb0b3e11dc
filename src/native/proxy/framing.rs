//! Whether a request says twice how long its body is.
//!
//! A head with both `Content-Length` and `Transfer-Encoding` is the classic
//! way to smuggle a request past a proxy, and is refused. hyper goes by
//! `Transfer-Encoding`, drops the other field before anybody sees it, and ends
//! the connection after the answer. That is safe, but does not tell the sender
//! off; so the bytes of heads are kept here until the request is known not to
//! need a look.
//!
//! What came in one read with the end of another request's body is not kept:
//! there hyper's rule holds.

use std::cell::RefCell;

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

    /// Whether any head among them has both fields. A body among them may look
    /// like one: then a request is refused that need not be.
    pub(super) fn is_framed_twice(&self) -> bool {
        is_framed_twice(&self.0.borrow())
    }
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
