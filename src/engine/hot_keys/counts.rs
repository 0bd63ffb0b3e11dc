//! What sketches counted, added up.
//!
//! After Agarwal et al., «Mergeable summaries», PODS 2012: a key that one
//! sketch has not may have had there as many requests as its least count, so
//! that much is added to its count and to its error. All bounds hold for the
//! sum as they do for each.

use crate::engine::sort;
use core::fmt;

use super::ONE;
use crate::engine::ring::Position;

/// The counts of one sketch, or of several together; the hottest first.
#[derive(Clone, Debug, Default)]
pub struct KeyCounts {
    pub(super) capacity: usize,
    pub(super) total: u64,
    /// The most that a key may have had which is not here.
    pub(super) missed: u64,
    pub(super) keys: Vec<KeyCount>,
}

/// One key and its requests.
#[derive(Clone)]
pub struct KeyCount {
    pub(super) id: u64,
    /// Where it stands.
    pub position: Position,
    /// Its first bytes, at most [`KEY_BYTES_SHOWN`](super::KEY_BYTES_SHOWN).
    pub key: Box<[u8]>,
    /// Whether it has more bytes than those.
    pub is_truncated: bool,
    pub(super) count: u64,
    pub(super) error: u64,
    /// Whether some thread spreads it.
    pub is_spread: bool,
}

impl KeyCount {
    /// The most requests it may have had, aged.
    pub fn count(&self) -> f64 {
        self.count as f64 / ONE as f64
    }

    /// How much of [`Self::count`] may be other keys'.
    pub fn error(&self) -> f64 {
        self.error as f64 / ONE as f64
    }

    pub(super) fn at_least(&self) -> u64 {
        self.count.saturating_sub(self.error)
    }
}

// Keys may be secrets, and so are not in it.
impl fmt::Debug for KeyCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCount")
            .field("position", &self.position)
            .field("count", &self.count)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl KeyCounts {
    pub(super) fn new(capacity: usize, total: u64, missed: u64, mut keys: Vec<KeyCount>) -> Self {
        // What a key surely had is mostly nearer to the truth than what it may
        // have had; ids decide ties, so that the order is the same everywhere.
        let rank = |key: &KeyCount| (key.at_least(), key.count, key.id);
        sort::by(&mut keys, |a, b| rank(a) > rank(b));
        Self {
            capacity,
            total,
            missed,
            keys,
        }
    }

    /// The counts of all of these together.
    pub fn merged(all: impl IntoIterator<Item = Self>) -> Self {
        let (mut capacity, mut total, mut missed) = (0, 0_u64, 0_u64);
        let mut keys: Vec<KeyCount> = Vec::new();
        for one in all {
            capacity = capacity.max(one.capacity);
            total = total.saturating_add(one.total);
            missed = missed.saturating_add(one.missed);
            keys.extend(one.keys.into_iter().map(|mut key| {
                // Until all its parts are together, what it surely had stands in
                // `error`. Nothing was missed where it is present: what is added
                // for all sketches below is taken off here.
                key.error = key.at_least();
                key.count = key.count.saturating_sub(one.missed);
                key
            }));
        }
        sort::by_number(&mut keys, |key| key.id);
        keys.dedup_by(|next, key| {
            let is_same = next.id == key.id;
            if is_same {
                key.count += next.count;
                key.error += next.error;
                key.is_spread |= next.is_spread;
            }
            is_same
        });
        for key in &mut keys {
            key.count += missed;
            key.error = key.count.saturating_sub(key.error);
        }
        sort::by(&mut keys, |a, b| (a.count, a.id) > (b.count, b.id));
        if let Some(first_left_out) = keys.get(capacity) {
            missed = missed.max(first_left_out.count);
            keys.truncate(capacity);
        }
        Self::new(capacity, total, missed, keys)
    }

    /// How many keys are counted at most; 0 when none are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The requests that had a key, aged.
    pub fn total(&self) -> f64 {
        self.total as f64 / ONE as f64
    }

    /// The most that a key may have had which is not here.
    pub fn missed(&self) -> f64 {
        self.missed as f64 / ONE as f64
    }

    /// The keys, the hottest first: by what each surely had. Those that have
    /// aged to less than half a request are left out.
    pub fn keys(&self) -> impl Iterator<Item = &KeyCount> {
        self.keys.iter().filter(|key| key.count >= ONE / 2)
    }

    /// What part of all requests `key` surely had, and the most it may have had.
    pub fn shares(&self, key: &KeyCount) -> (f64, f64) {
        let part = |n: u64| n as f64 / self.total.max(1) as f64;
        (part(key.at_least()), part(key.count).min(1.0))
    }
}
