//! Retries of all workers: how many are under way, which bounds them, and how
//! many there were.
//!
//! Only requests that failed at a server come here, so one place for all
//! workers disturbs nobody.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Why a request was sent to a further server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The one before could not be connected to.
    Connect,
    /// The one before broke off before its answer, or the part of it that is
    /// awaited, was whole; or what it sent was no answer.
    Broken,
    /// The one before answered with one of the statuses in `retries.on_status`.
    Status,
    /// The one before took longer than `retries.per_try_timeout`.
    Timeout,
    /// Probes or ejection took the one before out while it was waited for.
    TakenOut,
}

impl Reason {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Connect,
        Self::Broken,
        Self::Status,
        Self::Timeout,
        Self::TakenOut,
    ];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::TakenOut => "taken_out",
        }
    }
}

/// How many retries there were since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    /// By reason, in the order of [`Reason::ALL`].
    pub by_reason: [u64; Reason::ALL.len()],
    /// Requests that were not tried again because the budget was used up.
    pub budget_exhausted: u64,
}

/// The retries of all workers.
#[derive(Debug, Default)]
pub struct Retries {
    under_way: AtomicU32,
    by_reason: [AtomicU64; Reason::ALL.len()],
    budget_exhausted: AtomicU64,
}

/// A retry that takes a place of the budget, until it is dropped.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a Retries);

impl Retries {
    /// Takes a place of the budget if fewer than `limit` are taken; counts in
    /// vain if not.
    pub fn begin(&self, limit: u32) -> Option<UnderWay<'_>> {
        let one_more = |n| (n < limit).then_some(n + 1);
        let begun = self.under_way.fetch_update(Relaxed, Relaxed, one_more);
        if begun.is_err() {
            self.budget_exhausted.fetch_add(1, Relaxed);
        }
        begun.ok().map(|_| UnderWay(self))
    }

    /// Counts a retry.
    pub fn count(&self, reason: Reason) {
        self.by_reason[reason as usize].fetch_add(1, Relaxed);
    }

    /// The counts so far.
    pub fn counts(&self) -> RetryCounts {
        RetryCounts {
            by_reason: self.by_reason.each_ref().map(|n| n.load(Relaxed)),
            budget_exhausted: self.budget_exhausted.load(Relaxed),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let retries = Retries::default();
        let first = retries.begin(2).expect("a place");
        let second = retries.begin(2).expect("a place");
        assert!(retries.begin(2).is_none());
        drop(first);
        assert!(retries.begin(2).is_some(), "given back at once");
        drop(second);
        assert_eq!(retries.counts().budget_exhausted, 1);
        assert!(retries.begin(0).is_none());
    }

    #[test]
    fn each_reason_is_counted_under_its_name() {
        let retries = Retries::default();
        for reason in Reason::ALL {
            retries.count(reason);
        }
        assert_eq!(retries.counts().by_reason, [1; 5]);
    }
}
