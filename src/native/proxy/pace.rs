//! How fast a client has to be while it is waited for.
//!
//! Only the time counts in which the client could do something and does not: send
//! on, or take what is there for it. In each window of that time it has to move
//! so many bytes; once it has, the next window begins. A client that is a little
//! too slow is so found out within a window, and one whose server is slow never.

use core::time::Duration;
use std::cell::Cell;

use super::timer::Wait;
use crate::config::Limits;
use crate::engine::Timestamp;

/// How many bytes in how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinRate {
    window: Duration,
    bytes: u64,
}

impl MinRate {
    /// What is configured; `None` where everybody may take any time.
    pub(super) fn new(limits: &Limits) -> Option<Self> {
        let per_second = limits.min_rate?.number();
        let window = limits.min_rate_window.duration();
        let bytes = u128::from(per_second) * window.as_millis() / 1000;
        Some(Self {
            window,
            // At least one, so that a stall always counts.
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX).max(1),
        })
    }
}

/// How fast a client has been in the present window.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What is left of the window.
    left: Cell<Duration>,
    bytes: Cell<u64>,
    /// Since when it is waited for; `None` while it is not.
    since: Cell<Option<Timestamp>>,
}

impl Pace {
    /// A body begins, in one direction or the other.
    pub(super) fn begin(&self, rate: Option<MinRate>) {
        self.since.set(None);
        self.bytes.set(0);
        self.left
            .set(rate.map(|rate| rate.window).unwrap_or_default());
    }

    /// It is waited for from `now` on, if it was not before: for how long at most.
    pub(super) fn waits(&self, now: Timestamp) -> Wait {
        let since = self.since.get().unwrap_or(now);
        self.since.set(Some(since));
        self.left.get().saturating_sub(now.since(since)).into()
    }

    /// It is waited for no more.
    pub(super) fn goes_on(&self, now: Timestamp) {
        if let Some(since) = self.since.take() {
            let left = self.left.get().saturating_sub(now.since(since));
            self.left.set(left);
        }
    }

    /// Whether it is waited for.
    pub(super) fn is_awaited(&self) -> bool {
        self.since.get().is_some()
    }

    /// It has moved `n` bytes by `now`.
    pub(super) fn moved(&self, n: usize, rate: MinRate, now: Timestamp) {
        let bytes = self.bytes.get().saturating_add(n as u64);
        if bytes < rate.bytes {
            self.bytes.set(bytes);
            return;
        }
        self.bytes.set(0);
        self.left.set(rate.window);
        if self.is_awaited() {
            self.since.set(Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1000 * seconds)
    }

    /// What is left of a window after all that.
    fn left(pace: &Pace, now: u64) -> Wait {
        pace.waits(at(now))
    }

    fn seconds(n: u64) -> Wait {
        Duration::from_secs(n).into()
    }

    #[test]
    fn a_trickle_does_not_move_the_end_of_a_window_and_enough_begins_the_next() {
        let rate = MinRate {
            window: Duration::from_secs(60),
            bytes: 600,
        };
        let pace = Pace::default();
        pace.begin(Some(rate));
        assert_eq!(left(&pace, 0), seconds(60));
        for second in 1..=50 {
            pace.moved(1, rate, at(second));
            assert_eq!(left(&pace, second), seconds(60 - second));
        }
        // While the server takes its time, the client's does not run.
        pace.goes_on(at(50));
        assert!(!pace.is_awaited());
        assert_eq!(left(&pace, 1000), seconds(10));
        pace.moved(550, rate, at(1009));
        assert_eq!(left(&pace, 1009), seconds(60), "the next window");
        assert_eq!(left(&pace, 1070), seconds(0));
    }
}
