//! The connections of one worker that speak HTTP with clients, and how room is
//! made among them: those that rest are ended, the longest at rest first.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::in_hand::InHand;
use crate::engine::Timestamp;

/// The most connections that are ended at a time: enough for a burst, and few
/// beside those that there may be.
const ENDED_MAX: usize = 32;

/// How often room is made at most: looking at all connections takes a while where
/// there are many, and those that end take about as long to be gone.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections of one worker.
#[derive(Default)]
pub(super) struct Crowd {
    present: RefCell<BTreeMap<u64, Rc<InHand>>>,
    next_id: Cell<u64>,
    last: Cell<Option<Timestamp>>,
}

/// One of them, for as long as this lives.
pub(super) struct Present<'a> {
    crowd: &'a Crowd,
    id: u64,
}

impl Crowd {
    /// Another connection is there.
    pub(super) fn join(&self, in_hand: &Rc<InHand>) -> Present<'_> {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        self.present.borrow_mut().insert(id, Rc::clone(in_hand));
        Present { crowd: self, id }
    }

    /// Ends connections that rest; how many.
    pub(super) fn make_room(&self, now: Timestamp) -> usize {
        let is_soon = |last: Timestamp| now.since(last) < PAUSE;
        if self.last.get().is_some_and(is_soon) {
            return 0;
        }
        self.last.set(Some(now));
        let present = self.present.borrow();
        let at_rest = present.iter().filter_map(|(id, in_hand)| {
            let rest = in_hand.rest(now)?;
            Some((rest, *id))
        });
        let mut at_rest: Vec<_> = at_rest.collect();
        at_rest.sort_unstable();
        for (_, id) in at_rest.iter().take(ENDED_MAX) {
            present[id].end_rest();
        }
        at_rest.len().min(ENDED_MAX)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.crowd.present.borrow_mut().remove(&self.id);
    }
}
