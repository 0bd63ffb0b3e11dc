//! How long a server takes to answer, as one worker has seen it.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::{PeakEwma, Timestamp};

/// One worker's mean for one server, which that worker alone writes. Aligned so
/// that no two share a cache line.
#[repr(align(64))]
#[derive(Debug, Default)]
pub struct LatencyShard([AtomicU64; 2]);

impl LatencyShard {
    /// Takes note of an answer; to be called by the shard's worker alone.
    pub fn record(&self, took: Duration, is_failure: bool, now: Timestamp) {
        let parts = self.read().with(took, is_failure, now).to_parts();
        for (cell, part) in self.0.iter().zip(parts) {
            cell.store(part, Relaxed);
        }
    }

    /// What was noted. Another thread may read the mean of one answer with the
    /// time of the next, which hardly differs.
    pub fn read(&self) -> PeakEwma {
        PeakEwma::from_parts([self.0[0].load(Relaxed), self.0[1].load(Relaxed)])
    }
}
