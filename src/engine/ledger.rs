//! Sums by giver and taker.

use crate::engine::sort;

/// What went from whom to whom. Sorted now and then instead of kept in a tree:
/// most pairs come many times.
#[derive(Debug, Default)]
pub(in crate::engine) struct Ledger {
    entries: Vec<(u64, u128)>,
    settled: usize,
    n_added: usize,
}

impl Ledger {
    /// Counts `units` for this pair.
    pub(in crate::engine) fn add(&mut self, from: u32, to: u32, units: u128) {
        let pair = u64::from(from) << 32 | u64::from(to);
        self.n_added += 1;
        match self.entries.last_mut() {
            Some(last) if last.0 == pair => last.1 += units,
            _ => self.entries.push((pair, units)),
        }
        if self.entries.len() >= (2 * self.settled).max(1 << 15) {
            self.settle();
        }
    }

    /// How many times something was counted.
    pub(in crate::engine) fn n_added(&self) -> usize {
        self.n_added
    }

    fn settle(&mut self) {
        // What is sorted already is left alone.
        sort::by_number(&mut self.entries, |&(pair, _)| pair);
        self.entries.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
        self.settled = self.entries.len();
    }

    /// All pairs in order, with their sums.
    pub(in crate::engine) fn sums(mut self) -> impl Iterator<Item = (u32, u32, u128)> {
        self.settle();
        let entries = self.entries.into_iter();
        entries.map(|(pair, units)| ((pair >> 32) as u32, pair as u32, units))
    }
}
