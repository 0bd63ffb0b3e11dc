//! Whether a server answers anybody: what one worker sees of that.

use core::time::Duration;
use std::cell::Cell;
use std::rc::Rc;

use super::timer::Timers;
use crate::engine::Timestamp;

/// How many requests wait for a server's answer, and since when none came.
pub(super) struct Silence {
    timers: Rc<Timers>,
    n_waiting: Cell<u32>,
    /// Since nobody waited, or the last answer came.
    since: Cell<Timestamp>,
}

impl Silence {
    /// Nobody waits.
    pub(super) fn new(timers: &Rc<Timers>) -> Self {
        Self {
            timers: Rc::clone(timers),
            n_waiting: Cell::new(0),
            since: Cell::new(Timestamp::ZERO),
        }
    }

    /// A request waits from now on.
    pub(super) fn begin(&self) {
        let n_waiting = self.n_waiting.get();
        if n_waiting == 0 {
            self.since.set(self.timers.now());
        }
        self.n_waiting.set(n_waiting + 1);
    }

    /// An answer has come.
    pub(super) fn end(&self) {
        self.since.set(self.timers.now());
    }

    /// A request waits no more.
    pub(super) fn give_up(&self) {
        self.n_waiting.set(self.n_waiting.get().saturating_sub(1));
    }

    /// Whether it has lasted for `limit`; if so, it counts from now on.
    pub(super) fn has_lasted(&self, limit: Duration) -> bool {
        let now = self.timers.now();
        let has_lasted = self.n_waiting.get() > 0 && now.since(self.since.get()) >= limit;
        if has_lasted {
            self.since.set(now);
        }
        has_lasted
    }
}
