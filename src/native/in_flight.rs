//! How many requests a server has in flight, counted by all workers in one place.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A count of requests in flight. Nothing else is ordered by it.
///
/// What holds, however many threads enter and leave at once: an entry with a
/// bound never makes the count larger than that bound. The bound itself is
/// computed a moment before, from the counts of all servers as they are read one
/// after the other; of how many requests it takes to be in flight, each was so at
/// some time while the decision was taken. While requests only come, the bound is
/// thus never more than the one of the moment of entry. When requests leave
/// meanwhile it can be, by those that left; and nobody who is in is moved when
/// the others get fewer.
#[derive(Debug, Default)]
pub struct InFlightCount(AtomicU32);

impl InFlightCount {
    /// Counts a request in, and says whether it did: with a `bound` only while
    /// fewer than that are in.
    #[must_use]
    pub fn enter(&self, bound: Option<u32>) -> bool {
        let Some(bound) = bound else {
            self.0.fetch_add(1, Relaxed);
            return true;
        };
        let one_more = |n| (n < bound).then_some(n + 1);
        self.0.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// Counts a request out that was counted in.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// How many are in.
    pub fn number(&self) -> u32 {
        self.0.load(Relaxed)
    }
}
