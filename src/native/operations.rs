//! What was done to the process while it ran, for the figures.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::clock;
use crate::engine::Timestamp;

/// Counts of what was done, and whether it went well.
#[derive(Debug)]
pub struct Operations {
    started: Timestamp,
    /// Reading the configuration anew.
    pub reloads: Deeds,
    /// Handing over to another process; one that went well is the last thing
    /// that is counted.
    pub upgrades: Deeds,
}

/// One kind of deed.
#[derive(Debug, Default)]
pub struct Deeds {
    n_done: AtomicU64,
    n_failed: AtomicU64,
    has_failed: AtomicBool,
    /// When the last one was done, in nanoseconds since the UNIX epoch.
    last_done: AtomicU64,
}

/// What became of one kind of deed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeedFigures {
    /// How often it was done.
    pub n_done: u64,
    /// How often it failed.
    pub n_failed: u64,
    /// Whether the last one was done; so before the first.
    pub is_good: bool,
    /// When it was last done.
    pub last_done: Option<Timestamp>,
}

impl Default for Operations {
    /// Those of a process that starts now.
    fn default() -> Self {
        let started = clock::now();
        let reloads = Deeds::default();
        // The configuration of the start is in effect since.
        reloads.last_done.store(started.as_nanos(), Relaxed);
        Self {
            started,
            reloads,
            upgrades: Deeds::default(),
        }
    }
}

impl Operations {
    /// When the process started.
    pub fn started(&self) -> Timestamp {
        self.started
    }
}

impl Deeds {
    /// Counts one that was done, or failed.
    pub fn count(&self, is_done: bool) {
        if is_done {
            self.n_done.fetch_add(1, Relaxed);
            self.last_done.store(clock::now().as_nanos(), Relaxed);
        } else {
            self.n_failed.fetch_add(1, Relaxed);
        }
        self.has_failed.store(!is_done, Relaxed);
    }

    /// What became of it so far.
    pub fn figures(&self) -> DeedFigures {
        let last_done = self.last_done.load(Relaxed);
        DeedFigures {
            n_done: self.n_done.load(Relaxed),
            n_failed: self.n_failed.load(Relaxed),
            is_good: !self.has_failed.load(Relaxed),
            last_done: (last_done > 0).then(|| Timestamp::from_nanos(last_done)),
        }
    }
}
