//! Request counters that many threads write without disturbing each other.
//!
//! Each worker has its own [`Shard`] of every server's counters and is the
//! only one that writes to it; the control thread adds the shards up.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::{BUCKETS, BoundedCounters, CLASSES, Counters, Outcome, Route, bucket_of};

/// The statuses that are counted one by one: those that are registered, and 499,
/// which some servers use. Others are counted by their class.
const KNOWN: [u16; 64] = [
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
    305, 306, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414,
    415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503,
    504, 505, 506, 507, 508, 510, 511,
];

/// How many counts there are: for each class, then for each known status.
pub const CODES: usize = CLASSES + KNOWN.len();

/// Where a status is counted.
const CODE_OF_STATUS: [u8; 600] = {
    let mut table = [0; 600];
    let mut status = 100;
    while status < table.len() {
        table[status] = (status / 100) as u8;
        status += 1;
    }
    let mut i = 0;
    while i < KNOWN.len() {
        table[KNOWN[i] as usize] = (CLASSES + i) as u8;
        i += 1;
    }
    table
};

/// The class of what is counted in each place.
const CLASS_OF_CODE: [u8; CODES] = {
    let mut table = [0; CODES];
    let mut i = 0;
    while i < CODES {
        table[i] = if i < CLASSES {
            i as u8
        } else {
            (KNOWN[i - CLASSES] / 100) as u8
        };
        i += 1;
    }
    table
};

fn code_of(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Status(status @ 100..=599) => CODE_OF_STATUS[usize::from(status)].into(),
        _ => 0,
    }
}

/// What is counted in each place: `none`, then further statuses of each class as
/// `1xx` to `5xx`, then each known one.
pub fn code_names() -> impl Iterator<Item = String> {
    let classes = (1..CLASSES).map(|class| format!("{class}xx"));
    let known = KNOWN.iter().map(u16::to_string);
    std::iter::once("none".to_owned())
        .chain(classes)
        .chain(known)
}

/// One worker's sums, as [`Counters`] has them. Aligned so that no two shards
/// share a pair of cache lines.
#[repr(align(128))]
#[derive(Debug)]
pub struct Shard {
    by_code: [AtomicU64; CODES],
    errors: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            by_code: [const { AtomicU64::new(0) }; CODES],
            errors: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum_micros: AtomicU64::new(0),
        }
    }
}

impl Shard {
    /// Counts one finished request; to be called by the shard's worker alone.
    pub fn record(&self, outcome: Outcome, latency: Duration) {
        bump(&self.by_code[code_of(outcome)], 1);
        if outcome.is_error() {
            bump(&self.errors, 1);
        }
        if let Outcome::Status(_) = outcome {
            bump(&self.buckets[bucket_of(latency)], 1);
            bump(
                &self.sum_micros,
                u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            );
        }
    }

    /// Adds this shard to `sum`.
    pub fn add_to(&self, sum: &mut Counters) {
        for (n, class) in self.by_code.iter().zip(CLASS_OF_CODE) {
            sum.by_class[usize::from(class)] += n.load(Relaxed);
        }
        sum.errors += self.errors.load(Relaxed);
        for (sum, n) in sum.latency.buckets.iter_mut().zip(&self.buckets) {
            *sum += n.load(Relaxed);
        }
        let micros = &mut sum.latency.sum_micros;
        *micros = micros.saturating_add(self.sum_micros.load(Relaxed));
    }

    /// Adds its finished requests by status to `sum`, which is in the order of
    /// [`code_names`].
    pub fn add_codes_to(&self, sum: &mut [u64; CODES]) {
        for (sum, n) in sum.iter_mut().zip(&self.by_code) {
            *sum += n.load(Relaxed);
        }
    }
}

/// One worker's part of [`BoundedCounters`].
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct BoundedShard {
    requests: AtomicU64,
    overflowed: AtomicU64,
    asked: AtomicU64,
    asked_max: AtomicU64,
}

impl BoundedShard {
    /// Counts a request that entered by `route`, before which `n_asked_before`
    /// candidates were asked in vain because others were quicker; to be called by
    /// the shard's worker alone. Nothing is counted without bounded loads.
    pub fn record(&self, route: &Route, n_asked_before: u32) {
        if route.n_asked == 0 {
            return;
        }
        let asked = u64::from(route.n_asked) + u64::from(n_asked_before);
        bump(&self.requests, 1);
        bump(&self.overflowed, u64::from(route.overflowed));
        bump(&self.asked, asked);
        if asked > self.asked_max.load(Relaxed) {
            self.asked_max.store(asked, Relaxed);
        }
    }

    /// Adds this shard to `sum`.
    pub fn add_to(&self, sum: &mut BoundedCounters) {
        sum.requests += self.requests.load(Relaxed);
        sum.overflowed += self.overflowed.load(Relaxed);
        sum.asked += self.asked.load(Relaxed);
        sum.asked_max = sum.asked_max.max(self.asked_max.load(Relaxed));
    }
}

/// Adds without a locked instruction: there is only one writer.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_counts_as_the_engine_does() {
        let shard = Shard::default();
        let mut expected = Counters::default();
        for (outcome, micros) in [
            (Outcome::Status(200), 150),
            (Outcome::Status(503), 80_000),
            (Outcome::ConnectError, 7),
            (Outcome::NoAnswer, 9),
            (Outcome::Status(499), 9),
            (Outcome::Status(511), 9),
            (Outcome::Status(299), 9),
            (Outcome::Status(100), 9),
            (Outcome::Status(999), 9),
        ] {
            let latency = Duration::from_micros(micros);
            shard.record(outcome, latency);
            expected.record(outcome, latency);
        }
        let mut sum = Counters::default();
        shard.add_to(&mut sum);
        assert_eq!(sum, expected);
        let mut codes = [0; CODES];
        shard.add_codes_to(&mut codes);
        let counted = code_names().zip(codes).filter(|(_, n)| *n > 0);
        let counted: Vec<(String, u64)> = counted.collect();
        let expected = [
            ("none", 3),
            ("2xx", 1),
            ("100", 1),
            ("200", 1),
            ("499", 1),
            ("503", 1),
        ];
        let expected = expected.into_iter().chain([("511", 1)]);
        let expected: Vec<(String, u64)> = expected.map(|(name, n)| (name.to_owned(), n)).collect();
        assert_eq!(counted, expected);
        for status in 100..600 {
            let code = code_of(Outcome::Status(status));
            let name = code_names().nth(code).expect("a name");
            let class = format!("{}xx", status / 100);
            assert!(
                name == status.to_string() || name == class,
                "{status}: {name}"
            );
        }
    }
}
