//! Ids of requests: unique among all proxies for all practical purposes, and
//! cheap. They are no secret and carry no meaning.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;

use bytes::BytesMut;
use http::HeaderValue;

/// Hexadecimal digits of an id: 12 random ones of the worker, 12 of a counter.
const DIGITS: usize = 24;
const BITS_OF_HALF: u32 = 48;

/// Memory for this many ids is taken at a time.
const IDS_AT_A_TIME: usize = 128;

/// One worker's ids.
pub(super) struct RequestIds {
    prefix: [u8; DIGITS / 2],
    next: Cell<u64>,
    buffer: RefCell<BytesMut>,
}

impl RequestIds {
    #[expect(
        clippy::disallowed_types,
        reason = "randomness is wanted here, and nothing is routed by it"
    )]
    pub(super) fn new() -> Self {
        // The standard library keys its hasher by the system's randomness.
        let random = std::hash::RandomState::new().hash_one("request ids");
        Self {
            prefix: hex(random),
            next: Cell::new(0),
            buffer: RefCell::default(),
        }
    }

    /// Another id.
    pub(super) fn next(&self) -> HeaderValue {
        let n = self.next.get();
        self.next.set(n.wrapping_add(1));
        let mut buffer = self.buffer.borrow_mut();
        if buffer.capacity() < DIGITS {
            *buffer = BytesMut::with_capacity(IDS_AT_A_TIME * DIGITS);
        }
        buffer.extend_from_slice(&self.prefix);
        buffer.extend_from_slice(&hex(n));
        let id = buffer.split().freeze();
        // Digits are allowed in a header value; the fallback is never taken.
        HeaderValue::from_maybe_shared(id).unwrap_or(HeaderValue::from_static("0"))
    }
}

/// The low bits of `n` as digits.
fn hex(n: u64) -> [u8; DIGITS / 2] {
    let mut digits = [0; DIGITS / 2];
    for (i, digit) in digits.iter_mut().enumerate() {
        let shift = BITS_OF_HALF - 4 * (i as u32 + 1);
        *digit = b"0123456789abcdef"[(n >> shift) as usize & 15];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_a_fixed_form() {
        let ids = RequestIds::new();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2 * IDS_AT_A_TIME {
            let id = ids.next();
            assert_eq!(id.len(), DIGITS);
            assert!(id.as_bytes().iter().all(u8::is_ascii_hexdigit));
            assert!(seen.insert(id.as_bytes().to_vec()));
        }
    }
}
