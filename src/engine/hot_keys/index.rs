//! Entries by id: a table with open addressing, at most half full.
//!
//! Ids are hashes already, so their low bits say where to look. Somebody who
//! chooses keys can make many of them start at one slot; a search is then as
//! long as there are entries, which is why there are few of them.

use super::Entry;

/// Where entries are, by the low bits of their ids.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// 0 is empty, else the number of an entry, plus one. A power of two.
    slots: Box<[u16]>,
}

impl Index {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            slots: vec![0; (2 * capacity).next_power_of_two()].into(),
        }
    }

    /// The number of the entry with this id.
    #[inline]
    pub(super) fn find(&self, id: u64, entries: &[Entry]) -> Option<u16> {
        let mut at = self.home(id);
        // At least one slot is empty.
        loop {
            let number = self.slots[at].checked_sub(1)?;
            if entries[usize::from(number)].id == id {
                return Some(number);
            }
            at = self.after(at);
        }
    }

    /// Takes in an entry whose id is not there.
    pub(super) fn insert(&mut self, number: u16, entries: &[Entry]) {
        let mut at = self.home(entries[usize::from(number)].id);
        while self.slots[at] != 0 {
            at = self.after(at);
        }
        self.slots[at] = number + 1;
    }

    /// Takes out an entry that is there, and closes the gap.
    pub(super) fn remove(&mut self, number: u16, entries: &[Entry]) {
        let mut gap = self.home(entries[usize::from(number)].id);
        while self.slots[gap] != number + 1 {
            gap = self.after(gap);
        }
        let mut at = gap;
        loop {
            at = self.after(at);
            let Some(other) = self.slots[at].checked_sub(1) else {
                break;
            };
            // It may move into the gap unless its search begins behind that.
            let home = self.home(entries[usize::from(other)].id);
            if self.distance(home, at) >= self.distance(gap, at) {
                self.slots[gap] = other + 1;
                gap = at;
            }
        }
        self.slots[gap] = 0;
    }

    #[inline]
    fn home(&self, id: u64) -> usize {
        (id & (self.slots.len() as u64 - 1)) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }

    /// How many bytes it holds.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }
}
