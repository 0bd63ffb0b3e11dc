//! What is due when: one queue of deadlines for all servers.

use std::collections::VecDeque;

use super::message::ServerId;
use super::time::Timestamp;

/// What happens when a timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The server's next probe is due.
    Probe,
    /// The server's ejection ends.
    Trial,
    /// The server admits more of its keys, or fewer.
    Admit,
}

/// Deadlines, soonest first. New ones are mostly the last ones. The owner keeps each deadline's time and names it
/// to take the deadline back.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(VecDeque<(Timestamp, ServerId, Timer)>);

impl Timers {
    /// Sets a timer. One at the end of time never fires and is not kept: it
    /// could not be set later than a `now` that is there already, and firing
    /// it would never end.
    pub(super) fn set(&mut self, at: Timestamp, server: ServerId, timer: Timer) {
        if at < Timestamp::MAX {
            let entry = (at, server, timer);
            if let Err(place) = self.0.binary_search(&entry) {
                self.0.insert(place, entry);
            }
        }
    }

    pub(super) fn cancel(&mut self, at: Timestamp, server: ServerId, timer: Timer) {
        if let Ok(place) = self.0.binary_search(&(at, server, timer)) {
            self.0.remove(place);
        }
    }

    /// The soonest deadline.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.front().map(|&(at, _, _)| at)
    }

    /// Takes out the soonest timer that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(ServerId, Timer)> {
        let &(at, _, _) = self.0.front()?;
        if at > now {
            return None;
        }
        self.0.pop_front().map(|(_, server, timer)| (server, timer))
    }
}
