//! The trace that a request belongs to, as it says itself: the header field
//! `traceparent` of W3C Trace Context
//! (<https://www.w3.org/TR/trace-context/>, section 3.2).

use std::cell::Cell;
use std::hash::BuildHasher;

use http::HeaderValue;

/// A trace, and the span in it that is the parent of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Bit 0: whether it is recorded; bit 1: whether the trace's id is random.
    pub flags: u8,
}

/// The flag of a trace that is recorded.
pub const SAMPLED: u8 = 1;
/// The flag of a trace whose id is random; it goes with the id.
const RANDOM: u8 = 2;

impl TraceContext {
    /// Reads a value of `traceparent`; `None` when it is not one. Later versions
    /// of the format are read as far as this one goes, as it asks for.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (version, rest) = (value.get(..2)?, value.get(2..55)?);
        let version = hex(version)?;
        let is_whole = match value.get(55) {
            None => true,
            Some(b'-') => version > 0,
            Some(_) => false,
        };
        let has_dashes = [0, 33, 50].iter().all(|&at| rest[at] == b'-');
        if !is_whole || !has_dashes || version == 0xff {
            return None;
        }
        let context = Self {
            trace: hex(&rest[1..33])?,
            // Sixteen digits.
            span: hex(&rest[34..50])? as u64,
            flags: hex(&rest[51..53])? as u8 & (SAMPLED | RANDOM),
        };
        (context.trace != 0 && context.span != 0).then_some(context)
    }

    /// The same as a value of `traceparent`, version 00.
    pub fn value(&self) -> HeaderValue {
        let Self { trace, span, flags } = self;
        // Digits are allowed in a header value; the fallback is never taken.
        HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-{flags:02x}"))
            .unwrap_or(HeaderValue::from_static("00"))
    }

    /// Whether it is recorded.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Lower-case digits, and nothing else.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |n, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(n << 4 | u128::from(digit))
    })
}

/// One worker's ids of traces and spans: random, and so unlike any other's.
#[derive(Debug)]
#[expect(
    clippy::disallowed_types,
    reason = "randomness is wanted here, and nothing is routed by it"
)]
pub struct TraceIds {
    /// The standard library keys its hasher by the system's randomness.
    random: std::hash::RandomState,
    next: Cell<u64>,
}

impl Default for TraceIds {
    fn default() -> Self {
        Self {
            random: Default::default(),
            next: Cell::new(0),
        }
    }
}

impl TraceIds {
    /// An id of a span.
    pub fn span(&self) -> u64 {
        let n = self.next.get();
        self.next.set(n.wrapping_add(1));
        // 0 is none.
        self.random.hash_one(n).max(1)
    }

    /// An id of a trace.
    pub fn trace(&self) -> u128 {
        u128::from(self.span()) << 64 | u128::from(self.span())
    }
}

/// Whether a trace that begins here is recorded, given the part that is. Whoever
/// decides by the same part decides alike.
pub fn is_drawn(trace: u128, part: f64) -> bool {
    // The last seven bytes are those that are random when not all are.
    const BITS: u32 = 56;
    let drawn = trace & ((1 << BITS) - 1);
    (drawn as f64) < part * (1_u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_recommendations_example_is_read_and_written() {
        let context = TraceContext::parse(VALUE.as_bytes()).expect("a good value");
        assert_eq!(context.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.span, 0x00f0_67aa_0ba9_02b7);
        assert!(context.is_sampled());
        assert_eq!(context.value(), VALUE);
    }

    #[test]
    fn only_what_the_recommendation_allows_is_taken() {
        let with = |from: &str, to: &str| VALUE.replacen(from, to, 1);
        for good in [
            with("-01", "-00"),
            // Flags that nobody knows yet, and a later version.
            with("-01", "-ff"),
            with("00-", "01-"),
            with("00-", "cc-") + "-what-comes-later",
        ] {
            assert!(TraceContext::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            String::new(),
            "00".to_owned(),
            with("00-", "ff-"),
            with("4bf9", "4BF9"),
            with("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            with("00f067aa0ba902b7", &"0".repeat(16)),
            with("-00f0", "_00f0"),
            with("-01", "-1"),
            with("-01", "-0g"),
            with("-01", "-01-more"),
            with("00-", "01-") + ".more",
            with("00-", "0x-"),
            with("4bf9", "4bf9 "),
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn as_many_are_drawn_as_asked_for() {
        let ids = TraceIds::default();
        let n = 20_000;
        for part in [0.0, 0.1, 0.5, 1.0] {
            let drawn = (0..n).filter(|_| is_drawn(ids.trace(), part)).count();
            let expected = part * f64::from(n);
            // Five standard deviations.
            assert!(
                (drawn as f64 - expected).abs() <= 5.0 * 71.0,
                "{part}: {drawn}"
            );
            assert!(part > 0.0 || drawn == 0);
            assert!(part < 1.0 || drawn == n as usize);
        }
    }
}
