//! How many requests a server has in flight, counted by all workers in one place.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::engine::Term;

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

/// The place for the one request that a server on trial gets at a time. Terms
/// are told apart: a request of an earlier one, whose answer may take hours to
/// end, neither holds the place nor gives it back.
#[derive(Debug, Default)]
pub struct TrialPlace(AtomicU32);

impl TrialPlace {
    /// Takes the place in this term, and says whether it did. Servers on trial
    /// were ejected before, so that their terms are from 1.
    #[must_use]
    pub fn enter(&self, term: Term) -> bool {
        let mine = |holder| (holder != term.number()).then(|| term.number());
        self.0.fetch_update(Relaxed, Relaxed, mine).is_ok()
    }

    /// Gives back the place that was taken in this term.
    pub fn leave(&self, term: Term) {
        // A later term has it where this fails.
        let _ = self.0.compare_exchange(term.number(), 0, Relaxed, Relaxed);
    }

    /// Whether the place is taken in this term.
    pub fn is_taken(&self, term: Term) -> bool {
        self.0.load(Relaxed) == term.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_has_one_place_that_earlier_ones_neither_hold_nor_give_back() {
        let place = TrialPlace::default();
        let [first, second] = [1, 2].map(Term::from_number);
        assert!(place.enter(first) && !place.enter(first));
        assert!(place.enter(second), "the holder is of an earlier term");
        place.leave(first);
        assert!(place.is_taken(second) && !place.enter(second));
        place.leave(second);
        assert!(!place.is_taken(second) && place.enter(second));
    }
}
