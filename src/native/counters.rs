//! Request counters that many threads write without disturbing each other.
//!
//! Each worker has its own [`Shard`] of every server's counters and is the
//! only one that writes to it; the control thread adds the shards up.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::{BUCKETS, BoundedCounters, CLASSES, Counters, Outcome, Route, bucket_of};

/// One worker's sums, as [`Counters`] has them. Aligned so that no two shards
/// share a pair of cache lines.
#[repr(align(128))]
#[derive(Debug)]
pub struct Shard {
    by_class: [AtomicU64; CLASSES],
    errors: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            by_class: [const { AtomicU64::new(0) }; CLASSES],
            errors: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum_micros: AtomicU64::new(0),
        }
    }
}

impl Shard {
    /// Counts one finished request; to be called by the shard's worker alone.
    pub fn record(&self, outcome: Outcome, latency: Duration) {
        bump(&self.by_class[outcome.class()], 1);
        if outcome.is_error() {
            bump(&self.errors, 1);
        }
        if let Outcome::Status(_) = outcome {
            bump(&self.buckets[bucket_of(latency)], 1);
            bump(
                &self.sum_micros,
                u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            );
        }
    }

    /// Adds this shard to `sum`.
    pub fn add_to(&self, sum: &mut Counters) {
        for (sum, n) in sum.by_class.iter_mut().zip(&self.by_class) {
            *sum += n.load(Relaxed);
        }
        sum.errors += self.errors.load(Relaxed);
        for (sum, n) in sum.latency.buckets.iter_mut().zip(&self.buckets) {
            *sum += n.load(Relaxed);
        }
        let micros = &mut sum.latency.sum_micros;
        *micros = micros.saturating_add(self.sum_micros.load(Relaxed));
    }
}

/// One worker's part of [`BoundedCounters`].
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct BoundedShard {
    requests: AtomicU64,
    overflowed: AtomicU64,
    asked: AtomicU64,
    asked_max: AtomicU64,
}

impl BoundedShard {
    /// Counts a request that entered by `route`, before which `n_asked_before`
    /// candidates were asked in vain because others were quicker; to be called by
    /// the shard's worker alone. Nothing is counted without bounded loads.
    pub fn record(&self, route: &Route, n_asked_before: u32) {
        if route.n_asked == 0 {
            return;
        }
        let asked = u64::from(route.n_asked) + u64::from(n_asked_before);
        bump(&self.requests, 1);
        bump(&self.overflowed, u64::from(route.overflowed));
        bump(&self.asked, asked);
        if asked > self.asked_max.load(Relaxed) {
            self.asked_max.store(asked, Relaxed);
        }
    }

    /// Adds this shard to `sum`.
    pub fn add_to(&self, sum: &mut BoundedCounters) {
        sum.requests += self.requests.load(Relaxed);
        sum.overflowed += self.overflowed.load(Relaxed);
        sum.asked += self.asked.load(Relaxed);
        sum.asked_max = sum.asked_max.max(self.asked_max.load(Relaxed));
    }
}

/// Adds without a locked instruction: there is only one writer.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_counts_as_the_engine_does() {
        let shard = Shard::default();
        let mut expected = Counters::default();
        for (outcome, micros) in [
            (Outcome::Status(200), 150),
            (Outcome::Status(503), 80_000),
            (Outcome::ConnectError, 7),
            (Outcome::NoAnswer, 9),
        ] {
            let latency = Duration::from_micros(micros);
            shard.record(outcome, latency);
            expected.record(outcome, latency);
        }
        let mut sum = Counters::default();
        shard.add_to(&mut sum);
        assert_eq!(sum, expected);
    }
}
