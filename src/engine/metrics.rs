//! What requests did: counts, status classes and response times, since the
//! start and over the last minute.
//!
//! [`Counters`] is plain data that can be added up, so a shell may count in
//! shards of its own and hand in the sums. Response times go into a
//! log-linear histogram (the layout of Gil Tene's HdrHistogram with two bits
//! of mantissa): four buckets for each doubling, integers only.

use core::time::Duration;

use super::time::Timestamp;

/// How a request that was sent to a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered with this status.
    Status(u16),
    /// No connection could be made.
    ConnectError,
    /// The connection broke, or the time ran out, before an answer.
    NoAnswer,
}

impl Outcome {
    /// Whether it counts as an error: a 5xx answer or none.
    pub const fn is_error(self) -> bool {
        match self {
            Self::Status(status) => status >= 500,
            Self::ConnectError | Self::NoAnswer => true,
        }
    }

    /// Its index in [`Counters::by_class`].
    pub const fn class(self) -> usize {
        match self {
            Self::Status(status @ 100..=599) => status as usize / 100,
            _ => 0,
        }
    }
}

/// The number of [`Counters::by_class`] entries.
pub const CLASSES: usize = 6;

/// Sums over a number of finished requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Finished requests by class: index 1 to 5 for 1xx to 5xx, index 0 for
    /// requests that got no answer (or a status outside 100 to 599).
    pub by_class: [u64; CLASSES],
    /// Those of them that were errors ([`Outcome::is_error`]).
    pub errors: u64,
    /// Response times: from sending a request to the head of its answer.
    pub latency: Histogram,
}

impl Counters {
    /// Finished requests.
    pub fn requests(&self) -> u64 {
        add_up(self.by_class)
    }

    /// Counts one finished request. Only answered ones have a response time.
    pub fn record(&mut self, outcome: Outcome, latency: Duration) {
        let n = &mut self.by_class[outcome.class()];
        *n = n.saturating_add(1);
        self.errors = self.errors.saturating_add(u64::from(outcome.is_error()));
        if let Outcome::Status(_) = outcome {
            self.latency.record(latency);
        }
    }

    /// Adds `other` to these.
    pub fn add(&mut self, other: &Self) {
        for (sum, n) in self.by_class.iter_mut().zip(other.by_class) {
            *sum = sum.saturating_add(n);
        }
        self.errors = self.errors.saturating_add(other.errors);
        self.latency.add(&other.latency);
    }

    /// What was counted since `earlier`, a former state of these same sums.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut delta = self.clone();
        for (n, before) in delta.by_class.iter_mut().zip(earlier.by_class) {
            *n = n.saturating_sub(before);
        }
        delta.errors = delta.errors.saturating_sub(earlier.errors);
        delta.latency.subtract(&earlier.latency);
        delta
    }
}

/// The sum, which stays at the top instead of wrapping: counters come from
/// shells, and nothing a shell reports may panic.
fn add_up<const N: usize>(counts: [u64; N]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// Buckets for each doubling of the time: 2^2.
const SUB_BITS: u32 = 2;
/// Times from 2^27 µs (134 s) on share the last bucket.
const TOP_BIT: u32 = 27;

/// The number of buckets of a [`Histogram`].
pub const BUCKETS: usize = (((TOP_BIT - SUB_BITS) << SUB_BITS) + (1 << SUB_BITS)) as usize;

/// Counts of durations, exact below 4 µs and within a quarter of a doubling above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// How many durations fell into each bucket; see [`bucket_of`].
    pub buckets: [u64; BUCKETS],
    /// The durations added up, in microseconds.
    pub sum_micros: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            sum_micros: 0,
        }
    }
}

/// The bucket that `duration` is counted in.
pub fn bucket_of(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let top = 63 - (micros | 1).leading_zeros();
    if top < SUB_BITS {
        return micros as usize;
    }
    let shift = top - SUB_BITS;
    let bucket = (u64::from(shift) << SUB_BITS) + (micros >> shift);
    (bucket as usize).min(BUCKETS - 1)
}

/// The first duration, in microseconds, that is beyond bucket `i`.
pub fn bucket_end_micros(i: usize) -> u64 {
    let next = i as u64 + 1;
    if next < 2 << SUB_BITS {
        return next;
    }
    let shift = (next >> SUB_BITS) - 1;
    ((next & ((1 << SUB_BITS) - 1)) | (1 << SUB_BITS)) << shift
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let n = &mut self.buckets[bucket_of(duration)];
        *n = n.saturating_add(1);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        add_up(self.buckets)
    }

    /// The mean; zero when nothing was counted.
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.sum_micros.checked_div(self.count()).unwrap_or(0))
    }

    /// The duration that `percent` of the counted ones do not exceed,
    /// interpolated inside its bucket; zero when nothing was counted.
    pub fn percentile(&self, percent: u8) -> Duration {
        // The rank of the wanted one, from 1, in hundredths.
        let wanted = u128::from(self.count()) * u128::from(percent.min(100));
        let mut below = 0;
        for (i, &n) in self.buckets.iter().enumerate() {
            let n = u128::from(n) * 100;
            if n > 0 && below + n >= wanted {
                let start = if i == 0 { 0 } else { bucket_end_micros(i - 1) };
                let width = bucket_end_micros(i) - start;
                // At most `width`, so it fits.
                let into = (wanted - below) * u128::from(width) / n;
                return Duration::from_micros(start + into as u64);
            }
            below += n;
        }
        Duration::ZERO
    }

    fn add(&mut self, other: &Self) {
        for (sum, n) in self.buckets.iter_mut().zip(other.buckets) {
            *sum = sum.saturating_add(n);
        }
        self.sum_micros = self.sum_micros.saturating_add(other.sum_micros);
    }

    fn subtract(&mut self, other: &Self) {
        for (n, before) in self.buckets.iter_mut().zip(other.buckets) {
            *n = n.saturating_sub(before);
        }
        self.sum_micros = self.sum_micros.saturating_sub(other.sum_micros);
    }
}

/// What requests do at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadFigures {
    /// Requests in flight.
    pub in_flight: u64,
    /// Finished requests since the start, or since the server was added.
    pub requests: u64,
    /// Those of them that were errors.
    pub errors: u64,
    /// The time that half of the answers of the last minute did not exceed.
    pub p50: Duration,
    /// The time that 99 % of them did not exceed.
    pub p99: Duration,
}

/// Slots of the one-minute window.
const SLOTS: u64 = 12;
/// The length of a slot.
const SLOT: Duration = Duration::from_secs(5);

/// What was counted where nothing was.
static NOTHING: Counters = Counters {
    by_class: [0; CLASSES],
    errors: 0,
    latency: Histogram {
        buckets: [0; BUCKETS],
        sum_micros: 0,
    },
};

/// Sums since the start, and over the last minute.
///
/// The minute is a ring of 5-second slots, so it covers 55 to 60 seconds.
/// Sum and slots cost memory only once something is counted in them.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Everything since the start; nothing until something was counted.
    total: Option<Box<Counters>>,
    /// At most [`SLOTS`] of them: the number of a slot and what was counted then.
    recent: Vec<(u64, Box<Counters>)>,
}

impl Traffic {
    /// Adds `counted`, which ended at about `now`.
    pub fn add(&mut self, counted: &Counters, now: Timestamp) {
        self.total.get_or_insert_default().add(counted);
        self.slot(now).add(counted);
    }

    /// Counts one request that ended at `now`.
    pub fn record(&mut self, outcome: Outcome, latency: Duration, now: Timestamp) {
        self.total.get_or_insert_default().record(outcome, latency);
        self.slot(now).record(outcome, latency);
    }

    /// Everything since the start.
    pub fn total(&self) -> &Counters {
        self.total.as_deref().unwrap_or(&NOTHING)
    }

    /// What was counted in the minute before `now`.
    pub fn last_minute(&self, now: Timestamp) -> Counters {
        let current = slot_number(now);
        let mut sum = Counters::default();
        for (number, counters) in &self.recent {
            if *number <= current && current - number < SLOTS {
                sum.add(counters);
            }
        }
        sum
    }

    /// The figures of this traffic at `now`, with so many requests in flight.
    pub fn figures(&self, in_flight: u64, now: Timestamp) -> LoadFigures {
        let total = self.total();
        let times = self.last_minute(now).latency;
        LoadFigures {
            in_flight,
            requests: total.requests(),
            errors: total.errors,
            p50: times.percentile(50),
            p99: times.percentile(99),
        }
    }

    fn slot(&mut self, now: Timestamp) -> &mut Counters {
        let number = slot_number(now);
        let found = self
            .recent
            .iter()
            .position(|(n, _)| n % SLOTS == number % SLOTS);
        let i = match found {
            Some(i) => {
                let (held, counters) = &mut self.recent[i];
                if *held != number {
                    *held = number;
                    **counters = Counters::default();
                }
                i
            }
            None => {
                self.recent.push((number, Box::default()));
                self.recent.len() - 1
            }
        };
        &mut self.recent[i].1
    }
}

fn slot_number(now: Timestamp) -> u64 {
    now.as_nanos() / SLOT.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_hold_what_they_say() {
        let mut start = 0;
        for i in 0..BUCKETS {
            let end = bucket_end_micros(i);
            assert!(end > start, "bucket {i} is empty");
            for micros in [start, end - 1] {
                assert_eq!(bucket_of(Duration::from_micros(micros)), i, "{micros} µs");
            }
            start = end;
        }
        assert_eq!(start, 1 << TOP_BIT);
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_within_a_quarter_of_the_truth() {
        let mut histogram = Histogram::default();
        for millis in 1..=1000 {
            histogram.record(Duration::from_millis(millis));
        }
        assert_eq!(histogram.mean(), Duration::from_micros(500_500));
        for (percent, truth) in [(50, 500.0), (90, 900.0), (99, 990.0), (100, 1000.0)] {
            let found = histogram.percentile(percent).as_secs_f64() * 1000.0;
            assert!((found / truth - 1.0).abs() < 0.25, "p{percent}: {found} ms");
        }
        assert_eq!(Histogram::default().percentile(99), Duration::ZERO);
        assert_eq!(Histogram::default().mean(), Duration::ZERO);
    }

    #[test]
    fn errors_are_5xx_and_silence_and_only_answers_have_a_time() {
        let mut counters = Counters::default();
        let ms = Duration::from_millis(1);
        for outcome in [
            Outcome::Status(200),
            Outcome::Status(404),
            Outcome::Status(503),
            Outcome::Status(999),
            Outcome::ConnectError,
            Outcome::NoAnswer,
        ] {
            counters.record(outcome, ms);
        }
        assert_eq!(counters.requests(), 6);
        assert_eq!(counters.errors, 4);
        assert_eq!(counters.by_class, [3, 0, 1, 0, 1, 1]);
        assert_eq!(counters.latency.count(), 4);
        let mut twice = counters.clone();
        twice.add(&counters);
        assert_eq!(twice.since(&counters), counters);
        let full = Counters {
            by_class: [u64::MAX; CLASSES],
            errors: u64::MAX,
            latency: Histogram {
                buckets: [u64::MAX; BUCKETS],
                sum_micros: u64::MAX,
            },
        };
        twice.add(&full);
        twice.record(Outcome::Status(500), Duration::MAX);
        assert_eq!(twice, full);
        assert_eq!(twice.requests(), u64::MAX);
        assert_eq!(twice.latency.percentile(100).as_micros(), 1);
    }

    #[test]
    fn the_last_minute_forgets_and_survives_jumps() {
        let at = |secs: u64| Timestamp::from_millis(1000 * secs);
        let mut traffic = Traffic::default();
        for secs in 0..120 {
            traffic.record(Outcome::Status(200), Duration::from_millis(1), at(secs));
        }
        assert_eq!(traffic.total().requests(), 120);
        assert_eq!(traffic.last_minute(at(119)).requests(), 60);
        assert_eq!(traffic.last_minute(at(150)).requests(), 25);
        assert_eq!(traffic.last_minute(at(100_000)).requests(), 0);
        traffic.record(Outcome::Status(200), Duration::ZERO, at(10));
        assert_eq!(traffic.last_minute(at(10)).requests(), 1);
        assert!(traffic.recent.len() as u64 <= SLOTS);
    }
}
