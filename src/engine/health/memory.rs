//! What of a judgement another process can go on with.

use core::time::Duration;

use super::{EjectionState, Health, ProbeTally};
use crate::engine::message::Term;
use crate::engine::time::Timestamp;

/// What traffic has said of a server, with times relative to that of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EjectionMemory {
    /// How long it is still ejected; `None` when it is not.
    pub ends_in: Option<Duration>,
    /// Ejections in a row, the present one included.
    pub count: u32,
    /// How long ago the last one ended.
    pub readmitted_ago: Option<Duration>,
    /// Whether it gets one request at a time until one is answered well.
    pub on_trial: bool,
}

impl EjectionState {
    /// What is worth remembering at `now`; failures in a row begin anew.
    pub(in crate::engine) fn memory(&self, now: Timestamp) -> EjectionMemory {
        EjectionMemory {
            ends_in: self.until.map(|at| at.since(now)),
            count: self.count,
            readmitted_ago: self.readmitted.map(|at| now.since(at)),
            on_trial: self.on_trial,
        }
    }

    /// Goes on at `now` where that left off. Failures in a row, and requests
    /// under way, count on where nothing has changed; else a new term begins, and
    /// not the first: the place for the one request on trial is told from none by
    /// that.
    pub(in crate::engine) fn remember(&mut self, memory: &EjectionMemory, now: Timestamp) {
        // Who was ejected is past its first term, here too: the place for its
        // one request on trial is told from none by that.
        let is_past_first = memory.ends_in.is_some() || memory.on_trial;
        let there = (memory.ends_in.is_some(), memory.on_trial, memory.count);
        let kept = if (self.until.is_some(), self.on_trial, self.count) == there {
            self.clone()
        } else {
            let next = memory.count.max(u32::from(is_past_first));
            Self {
                term: Term::from_number(self.term.next().number().max(next)),
                ..Self::default()
            }
        };
        *self = Self {
            until: memory.ends_in.map(|wait| now.after(wait)),
            count: memory.count,
            readmitted: memory.readmitted_ago.map(|ago| now.before(ago)),
            on_trial: memory.on_trial,
            ..kept
        };
    }
}

impl ProbeTally {
    /// Takes over a verdict; results that contradict it begin anew.
    pub(in crate::engine) fn remember(&mut self, health: Health) {
        *self = Self {
            health,
            ..Self::default()
        };
    }
}
