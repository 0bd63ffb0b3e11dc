//! Who waits for a place at a full server, counted by all workers in one place.
//!
//! Each worker keeps those of its own requests in the order in which they came;
//! what the workers share is how many wait, and whose turn it is. Whoever gives a
//! place back calls one worker, and that one's first request tries to take it.
//! No request is ever waited for: who was called and does not need the place any
//! more calls the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

use tokio::sync::Notify;

use Ordering::{Relaxed, SeqCst};

/// The requests that wait for one server, or for any.
#[derive(Debug)]
pub struct Waiting {
    n: AtomicU32,
    by_worker: Box<[AtomicU32]>,
    /// The worker after the one that was called last.
    turn: AtomicUsize,
    /// Tells each worker that it is called.
    calls: Arc<[Notify]>,
    counts: QueueCounts,
    /// Those of all servers together, of former ones too.
    sums: Arc<QueueCounts>,
}

/// What became of requests that found their server full.
#[derive(Debug, Default)]
pub struct QueueCounts {
    /// Those that waited.
    waited: AtomicU64,
    /// Those that waited for as long as they may, in vain.
    timed_out: AtomicU64,
    /// Those that found as many waiting as may.
    turned_away: AtomicU64,
}

/// The same as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Those that wait now.
    pub waiting: u32,
    /// Those that waited, or still do.
    pub waited: u64,
    /// Those that waited for as long as they may, in vain.
    pub timed_out: u64,
    /// Those that found as many waiting as may.
    pub turned_away: u64,
}

impl Waiting {
    /// Nobody waits. There is one of `calls` for each worker.
    pub fn new(calls: &Arc<[Notify]>, sums: &Arc<QueueCounts>) -> Self {
        Self {
            n: AtomicU32::new(0),
            by_worker: calls.iter().map(|_| AtomicU32::new(0)).collect(),
            turn: AtomicUsize::new(0),
            calls: Arc::clone(calls),
            counts: QueueCounts::default(),
            sums: Arc::clone(sums),
        }
    }

    /// Counts a request of `worker` in, and says whether it did: only while fewer
    /// than `max` wait. It is to try for a place once more after this: one that
    /// was given back before has called nobody.
    #[must_use]
    pub fn enter(&self, worker: usize, max: u32) -> bool {
        // First here, so that nobody is among `n` who cannot be called.
        self.by_worker[worker].fetch_add(1, SeqCst);
        if self.n.fetch_add(1, SeqCst) >= max {
            self.leave(worker);
            self.count(|counts| &counts.turned_away);
            return false;
        }
        self.count(|counts| &counts.waited);
        // Between this and the next look at the place: see `call`.
        fence(SeqCst);
        true
    }

    /// Counts a request out that was counted in.
    pub fn leave(&self, worker: usize) {
        self.n.fetch_sub(1, SeqCst);
        self.by_worker[worker].fetch_sub(1, SeqCst);
    }

    /// A request of it has waited in vain.
    pub fn time_out(&self) {
        self.count(|counts| &counts.timed_out);
    }

    /// How many wait.
    pub fn number(&self) -> u32 {
        self.n.load(SeqCst)
    }

    /// There may be a place: calls the next worker with a request that waits, and
    /// says whether there was one. Either the place that was given back before is
    /// seen by who has just been counted in, or that one is seen here.
    pub fn call(&self) -> bool {
        fence(SeqCst);
        if self.number() == 0 {
            return false;
        }
        let n = self.by_worker.len();
        let turn = self.turn.load(Relaxed);
        let in_turn = (0..n).map(|i| (turn + i) % n);
        for worker in in_turn {
            if self.by_worker[worker].load(SeqCst) > 0 {
                self.turn.store(worker + 1, Relaxed);
                self.calls[worker].notify_one();
                return true;
            }
        }
        false
    }

    /// What became of its requests.
    pub fn queued(&self) -> Queued {
        self.counts.with(self.number())
    }

    fn count(&self, which: impl Fn(&QueueCounts) -> &AtomicU64) {
        for counts in [&self.counts, &*self.sums] {
            which(counts).fetch_add(1, Relaxed);
        }
    }
}

impl QueueCounts {
    /// As numbers, with those that are `waiting` now.
    pub fn with(&self, waiting: u32) -> Queued {
        Queued {
            waiting,
            waited: self.waited.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_called(calls: &[Notify]) -> Vec<usize> {
        use std::future::Future;
        use std::pin::pin;
        use std::task::{Context, Waker};
        let mut cx = Context::from_waker(Waker::noop());
        let is_called = |call: &Notify| pin!(call.notified()).poll(&mut cx).is_ready();
        let called: Vec<bool> = calls.iter().map(is_called).collect();
        (0..called.len()).filter(|&i| called[i]).collect()
    }

    #[test]
    fn workers_are_called_in_turn_and_only_those_with_somebody_waiting() {
        let calls: Arc<[Notify]> = (0..4).map(|_| Notify::new()).collect();
        let sums = Arc::default();
        let waiting = Waiting::new(&calls, &sums);
        assert!(!waiting.call(), "nobody waits");
        for worker in [0, 0, 0, 3, 3] {
            assert!(waiting.enter(worker, 5));
        }
        assert!(!waiting.enter(1, 5), "five wait");
        for expected in [0, 3, 0, 3] {
            assert!(waiting.call());
            assert_eq!(is_called(&calls), [expected]);
        }
        for worker in [0, 3, 3, 0] {
            waiting.leave(worker);
        }
        assert!(waiting.call() && waiting.call());
        assert_eq!(is_called(&calls), [0], "the only one left");
        waiting.leave(0);
        assert!(!waiting.call());
        let expected = Queued {
            waiting: 0,
            waited: 5,
            timed_out: 0,
            turned_away: 1,
        };
        assert_eq!(waiting.queued(), expected);
        assert_eq!(sums.with(0), expected);
    }
}
