//! Hot keys: which keys have most of the traffic, in memory that is bounded
//! whatever keys come.
//!
//! The Space-Saving sketch (Metwally, Agrawal and El Abbadi, «Efficient
//! computation of frequent and top-k elements in data streams», ICDT 2005): so
//! many keys are counted; a further one takes the place of the one with the
//! least count, and inherits that count as its possible error. Of every key in
//! the sketch the true number of requests lies between count − error and
//! count, and every key with more than 1/capacity of all requests is in it.
//!
//! The least count is the top of a heap and a key is found by an index over
//! ids, so that a request costs a few steps, and nothing is allocated after the
//! start. Counts halve every half-life, so that «hot» means now. A sketch is
//! of one thread; [`KeyCounts`] adds several up.

use core::fmt;
use core::time::Duration;

use super::ring::Position;
use super::settings::HotKeys;
use super::table::{RoutingTable, Spread};
use super::time::Timestamp;

mod counts;
mod heap;
mod index;

pub use counts::{KeyCount, KeyCounts};
use heap::Heap;
use index::Index;

/// How many bytes of a key are kept for showing it.
pub const KEY_BYTES_SHOWN: usize = 128;

/// What one request adds to a count: counts are in 2^-16 requests, so that
/// what halving rounds away stays below what anybody looks at.
const ONE: u64 = 1 << 16;

/// A key is not spread before it surely had so many requests (aged like all
/// counts): of the first few requests after a start every key is a large part.
const HOT_MIN: u64 = 64 * ONE;

/// The sketch of one thread.
#[derive(Clone)]
pub struct KeySketch {
    settings: HotKeys,
    entries: Vec<Entry>,
    heap: Heap,
    index: Index,
    /// By entry: the first bytes of its key.
    keys: Box<[u8]>,
    /// All that was counted, aged like the counts.
    total: u64,
    /// How many half-lives had passed since the origin of time.
    n_half_lives: u64,
}

/// One counted key; its count is in the heap.
#[derive(Clone, Debug)]
struct Entry {
    /// XXH3-64 of its bytes.
    id: u64,
    position: Position,
    /// How much of the count may be other keys'.
    error: u64,
    /// Requests since it came in.
    n_requests: u32,
    /// How many of its bytes are kept.
    n_shown: u8,
    is_truncated: bool,
    /// Where its count stands in the heap.
    place: u16,
}

impl KeySketch {
    /// The most keys that a sketch counts: keys made to collide in the index
    /// can make it search that many, which must stay cheap.
    pub const CAPACITY_MAX: u32 = 1024;

    /// An empty sketch; with a capacity of 0 it stays empty.
    pub fn new(settings: &HotKeys, now: Timestamp) -> Self {
        let capacity = settings.capacity.min(Self::CAPACITY_MAX) as usize;
        Self {
            entries: Vec::with_capacity(capacity),
            heap: Heap::with_capacity(capacity),
            index: Index::with_capacity(capacity),
            keys: vec![0; capacity * KEY_BYTES_SHOWN].into(),
            total: 0,
            n_half_lives: half_lives(now, settings.half_life),
            settings: settings.clone(),
        }
    }

    /// Counts a request for `key`, which stands at `position` by `table`. When
    /// the key is hot and hot keys are spread: how to route it.
    #[inline]
    pub fn observe(
        &mut self,
        table: &RoutingTable,
        position: Position,
        key: &[u8],
    ) -> Option<Spread> {
        let id = table.algorithm().key_id(key, position);
        let place = self.count(id, position, key)?;
        if self.settings.spread < 2 {
            return None;
        }
        let number = self.heap.entry(place);
        let entry = self.entries.get(usize::from(number))?;
        let at_least = self.heap.count(place).saturating_sub(entry.error);
        self.is_hot(at_least, table.n_usable()).then_some(Spread {
            nth: entry.n_requests.wrapping_sub(1),
            over: self.settings.spread,
        })
    }

    /// Lets time pass: all counts halve for each half-life that has ended. Half-
    /// lives are counted from the origin of time, so that the sketches of all
    /// threads age together.
    pub fn advance(&mut self, now: Timestamp) {
        let n_half_lives = half_lives(now, self.settings.half_life);
        let passed = n_half_lives.saturating_sub(self.n_half_lives);
        self.n_half_lives = n_half_lives;
        if passed == 0 {
            return;
        }
        let passed = passed.min(63) as u32;
        // A count rounds down and an error up. A count can so fall behind the
        // truth, but never by as much as 2^-16 of a request: the next halving
        // halves that too.
        self.heap.halve(passed);
        for entry in &mut self.entries {
            let count = self.heap.count(entry.place);
            entry.error = halved_up(entry.error, passed).min(count);
        }
        self.total = halved_up(self.total, passed);
    }

    /// What was counted, the hottest first, and whether each key is spread
    /// while `table` decides routes.
    pub fn counts(&self, table: &RoutingTable) -> KeyCounts {
        let keys = self.entries.iter().enumerate().map(|(i, entry)| {
            let start = i * KEY_BYTES_SHOWN;
            let shown = start..start + usize::from(entry.n_shown);
            let count = self.heap.count(entry.place);
            let at_least = count.saturating_sub(entry.error);
            KeyCount {
                id: entry.id,
                position: entry.position,
                key: self.keys.get(shown).unwrap_or_default().into(),
                is_truncated: entry.is_truncated,
                count,
                error: entry.error,
                is_spread: self.settings.spread > 1 && self.is_hot(at_least, table.n_usable()),
            }
        });
        KeyCounts::new(
            self.settings.capacity as usize,
            self.total,
            self.heap.least_when_full(),
            keys.collect(),
        )
    }

    /// Whether nothing was counted and nothing has aged since `before`, a copy
    /// of this sketch, was made.
    pub fn is_as(&self, before: &Self) -> bool {
        self.total == before.total && self.n_half_lives == before.n_half_lives
    }

    /// Counts one request and says where its count stands; `None` when nothing
    /// is counted.
    #[inline]
    fn count(&mut self, id: u64, position: Position, key: &[u8]) -> Option<u16> {
        if self.settings.capacity == 0 {
            return None;
        }
        self.total = self.total.saturating_add(ONE);
        let number = match self.index.find(id, &self.entries) {
            Some(number) => number,
            None => self.take_in(id, key),
        };
        let entry = self.entries.get_mut(usize::from(number))?;
        entry.position = position;
        entry.n_requests = entry.n_requests.wrapping_add(1);
        let place = entry.place;
        Some(self.heap.raise(place, ONE, &mut self.entries))
    }

    /// Makes an entry for a key that has none: a new one, or in the place of
    /// the one with the least count.
    fn take_in(&mut self, id: u64, key: &[u8]) -> u16 {
        let shown = &key[..key.len().min(KEY_BYTES_SHOWN)];
        let entry = Entry {
            id,
            position: Position::from_bits(0),
            error: 0,
            n_requests: 0,
            n_shown: shown.len() as u8,
            is_truncated: shown.len() < key.len(),
            place: 0,
        };
        let number = if self.entries.len() < self.entries.capacity().min(self.heap.capacity()) {
            let number = self.entries.len() as u16;
            self.entries.push(entry);
            self.heap.push(number, &mut self.entries);
            number
        } else {
            let number = self.heap.entry(0);
            let error = self.heap.count(0);
            self.index.remove(number, &self.entries);
            self.entries[usize::from(number)] = Entry { error, ..entry };
            number
        };
        self.index.insert(number, &self.entries);
        let start = usize::from(number) * KEY_BYTES_SHOWN;
        self.keys[start..start + shown.len()].copy_from_slice(shown);
        number
    }

    /// Whether a key that surely had `at_least` alone is so large a part of the
    /// traffic that it is spread.
    #[inline]
    fn is_hot(&self, at_least: u64, n_usable: u32) -> bool {
        at_least >= HOT_MIN
            && at_least as f64 * f64::from(n_usable)
                >= self.settings.spread_above * self.total as f64
    }
}

// Keys may be secrets, and so are not in it.
impl fmt::Debug for KeySketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySketch")
            .field("n_keys", &self.entries.len())
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// How many half-lives have ended at `now`.
fn half_lives(now: Timestamp, half_life: Duration) -> u64 {
    let nanos = u64::try_from(half_life.as_nanos()).unwrap_or(u64::MAX);
    now.as_nanos() / nanos.max(1)
}

/// `n` halved so many times, rounded up.
fn halved_up(n: u64, times: u32) -> u64 {
    let lost = n & ((1 << times) - 1);
    (n >> times) + u64::from(lost != 0)
}

#[cfg(test)]
mod tests;
