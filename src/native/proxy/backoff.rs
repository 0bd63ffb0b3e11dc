//! How long a retry waits before it is sent.

use core::time::Duration;
use std::cell::Cell;
use std::hash::BuildHasher;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::native::retries::Reason;

/// Random numbers of one worker; no secret depends on them.
pub(super) struct Jitter(Cell<u64>);

/// The configured lengths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// The longest wait before a first retry; it doubles with each further one.
    pub(super) base: Duration,
    /// The longest of all.
    pub(super) cap: Duration,
}

impl Jitter {
    /// Begins at random.
    #[expect(
        clippy::disallowed_types,
        reason = "randomness is wanted here, and nothing is routed by it"
    )]
    pub(super) fn new() -> Self {
        // The standard library keys its hasher by the system's randomness.
        let seed = std::hash::RandomState::new().hash_one("jitter");
        Self(Cell::new(seed))
    }

    /// A random part of `most`, by SplitMix64.
    fn part_of(&self, most: Duration) -> Duration {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        most.mul_f64((mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64)
    }
}

impl Backoff {
    /// How long the `n`-th retry of a request, from 1, waits. What could not be
    /// connected to was no load to anybody, and a server that was taken out
    /// has cost time enough: there the first retry, or each, is sent at once.
    pub(super) fn wait(
        self,
        n: usize,
        reason: Reason,
        asked_for: Option<Duration>,
        jitter: &Jitter,
    ) -> Duration {
        match reason {
            Reason::TakenOut => Duration::ZERO,
            Reason::Connect if n == 1 => Duration::ZERO,
            _ => {
                let asked_for = asked_for.filter(|&wait| wait <= self.cap);
                asked_for.unwrap_or_else(|| {
                    let doubled = u32::try_from(n.saturating_sub(1)).unwrap_or(u32::MAX);
                    let factor = 1_u32.checked_shl(doubled).unwrap_or(u32::MAX);
                    jitter.part_of(self.base.saturating_mul(factor).min(self.cap))
                })
            }
        }
    }
}

/// The seconds in `Retry-After`; a date there is not looked at, as it is never
/// so near.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_millis(25),
        cap: Duration::from_millis(250),
    };

    #[test]
    fn waits_are_spread_over_all_of_a_length_that_doubles_up_to_the_cap() {
        let jitter = Jitter(Cell::new(7));
        for (n, most) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (60, 250)] {
            let waits: Vec<f64> = (0..1000)
                .map(|_| BACKOFF.wait(n, Reason::Broken, None, &jitter))
                .map(|wait| wait.as_secs_f64() * 1e3)
                .collect();
            let (least, longest) = waits
                .iter()
                .fold((f64::MAX, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
            let most = f64::from(most);
            assert!(least < most * 0.02, "{n}: {least}");
            assert!(
                (most * 0.98..=most).contains(&longest),
                "{n}: {longest} of {most}"
            );
        }
    }

    #[test]
    fn what_cost_no_server_anything_is_tried_elsewhere_at_once() {
        let jitter = Jitter(Cell::new(7));
        let wait = |n, reason| BACKOFF.wait(n, reason, None, &jitter);
        assert_eq!(wait(1, Reason::Connect), Duration::ZERO);
        assert!(wait(2, Reason::Connect) > Duration::ZERO);
        assert_eq!(wait(1, Reason::TakenOut), Duration::ZERO);
        assert_eq!(wait(2, Reason::TakenOut), Duration::ZERO);
    }

    #[test]
    fn servers_are_heeded_up_to_the_cap() {
        let jitter = Jitter(Cell::new(7));
        let wait = |asked_for| BACKOFF.wait(1, Reason::Status, Some(asked_for), &jitter);
        assert_eq!(wait(Duration::ZERO), Duration::ZERO);
        assert_eq!(wait(BACKOFF.cap), BACKOFF.cap);
        assert!(wait(Duration::from_secs(1)) <= BACKOFF.base);
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, http::HeaderValue::from_static("2"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(2)));
        let date = http::HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT");
        headers.insert(RETRY_AFTER, date);
        assert_eq!(retry_after(&headers), None);
    }
}
