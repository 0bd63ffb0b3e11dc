//! How long a server takes to answer: a mean that rises at once to a longer
//! time and falls slowly to shorter ones, as Finagle's peak EWMA.
//!
//! In whole numbers throughout, so that every target comes to the same; how, is
//! in `docs/algorithms.md`.

use core::time::Duration;

use super::time::Timestamp;

/// Half-lives in a nanosecond, in units of 2^-64: 1 over ten seconds times ln 2.
/// After ten seconds the past counts 1/e, as Linkerd has it.
const HALF_LIVES: u64 = 2_661_302_619;

/// Bits behind the point of a weight.
const WEIGHT_BITS: u32 = 62;

/// Bits behind the point of a mean in nanoseconds. Without them, rounding would
/// eat it up under many requests.
const FRACTION_BITS: u32 = 16;

/// The most nanoseconds a mean can be: 39 hours.
const NANOS_MAX: u128 = 1 << 47;

/// By k: 2^(-2^-k) for k from 0 to 32, in units of 2^-62; each is the root of
/// the one before.
const ROOTS: [u64; 33] = roots();

/// A mean time to answer. Falls towards nothing while nobody asks, so that a
/// server that was slow is asked again some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeakEwma {
    /// In units of 2^-16 ns; 0 is unknown.
    mean: u64,
    /// When that was.
    at: Timestamp,
}

impl PeakEwma {
    /// That of a server which nobody has asked.
    pub const UNKNOWN: Self = Self {
        mean: 0,
        at: Timestamp::ZERO,
    };

    /// The mean with an answer that took `took` and came at `now`. A failure may
    /// be quick: it counts as no shorter than the mean.
    #[must_use]
    pub fn with(self, took: Duration, is_failure: bool, now: Timestamp) -> Self {
        let nanos = took.as_nanos().min(NANOS_MAX) as u64;
        let mut sample = nanos << FRACTION_BITS;
        if is_failure {
            sample = sample.max(self.mean);
        }
        let weight = weight_of_the_past(now.since(self.at));
        let new = (1 << WEIGHT_BITS) - weight;
        let both =
            u128::from(self.mean) * u128::from(weight) + u128::from(sample) * u128::from(new);
        Self {
            mean: sample.max((both >> WEIGHT_BITS) as u64),
            at: self.at.max(now),
        }
    }

    /// The mean at `now`, in units of 2^-16 ns; 0 when nothing is known.
    pub fn mean(self, now: Timestamp) -> u64 {
        let weight = weight_of_the_past(now.since(self.at));
        ((u128::from(self.mean) * u128::from(weight)) >> WEIGHT_BITS) as u64
    }

    /// A mean as time.
    pub const fn duration(mean: u64) -> Duration {
        Duration::from_nanos(mean >> FRACTION_BITS)
    }

    /// Follows a clock that was set back.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.at = self.at.before(by);
    }

    /// The mean and its time as two numbers, for shells that cannot hold the type.
    pub const fn to_parts(self) -> [u64; 2] {
        [self.mean, self.at.as_nanos()]
    }

    /// That of these two numbers.
    pub const fn from_parts([mean, at]: [u64; 2]) -> Self {
        Self {
            mean,
            at: Timestamp::from_nanos(at),
        }
    }
}

/// e^(-t / 10 s), in units of 2^-62.
fn weight_of_the_past(elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos().min(u128::from(u64::MAX));
    // In units of 2^-32; at most 93 bits before.
    let half_lives = (nanos * u128::from(HALF_LIVES)) >> 32;
    let whole = half_lives >> 32;
    if whole >= u128::from(WEIGHT_BITS) {
        return 0;
    }
    let mut weight = 1 << WEIGHT_BITS;
    let mut rest = half_lives as u32;
    while rest != 0 {
        // The k-th bit behind the point, from the first.
        let k = rest.leading_zeros() + 1;
        weight = times(weight, ROOTS[k as usize]);
        rest &= !(1 << (32 - k));
    }
    weight >> whole
}

/// The product of two numbers in units of 2^-62.
const fn times(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> WEIGHT_BITS) as u64
}

const fn roots() -> [u64; 33] {
    let mut roots = [1 << (WEIGHT_BITS - 1); 33];
    let mut k = 1;
    while k < roots.len() {
        roots[k] = ((roots[k - 1] as u128) << WEIGHT_BITS).isqrt() as u64;
        k += 1;
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "what is compared allows for its error"
    )]
    fn the_past_fades_as_an_exponential_does() {
        let mut worst = 0_f64;
        for i in 0..100_000_u64 {
            // From a nanosecond to some minutes.
            let nanos = (1_u64 << (i % 38)) + i * 7919 % (1 << (i % 38));
            let ours = weight_of_the_past(Duration::from_nanos(nanos)) as f64;
            let theirs = (-(nanos as f64) / 1e10).exp();
            worst = worst.max((ours / (1_u64 << WEIGHT_BITS) as f64 - theirs).abs());
        }
        assert!(worst < 1e-9, "{worst:e}");
        assert_eq!(weight_of_the_past(Duration::ZERO), 1 << WEIGHT_BITS);
        assert_eq!(weight_of_the_past(Duration::MAX), 0);
    }

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let known = PeakEwma::UNKNOWN.with(10 * MS, false, at(0));
        assert_eq!(PeakEwma::duration(known.mean(at(0))), 10 * MS);
        let peak = known.with(500 * MS, false, at(1));
        assert_eq!(PeakEwma::duration(peak.mean(at(1))), 500 * MS);
        // Ten seconds later a quick answer counts 1 - 1/e.
        let later = peak.with(10 * MS, false, at(10_001));
        let expected = Duration::from_micros(190_260);
        let mean = PeakEwma::duration(later.mean(at(10_001)));
        assert!(mean.abs_diff(expected) < MS / 10, "{mean:?}");
        // Nobody asks: it fades to nothing.
        assert!(peak.mean(at(10_001)) < peak.mean(at(1)) / 2);
        assert_eq!(peak.mean(at(500_000)), 0);
    }

    #[test]
    fn a_quick_failure_is_no_quick_answer() {
        let known = PeakEwma::UNKNOWN.with(10 * MS, false, at(0));
        let failed = known.with(Duration::ZERO, true, at(5_000));
        assert_eq!(PeakEwma::duration(failed.mean(at(5_000))), 10 * MS);
        let slow = known.with(30 * MS, true, at(5_000));
        assert_eq!(PeakEwma::duration(slow.mean(at(5_000))), 30 * MS);
    }

    #[test]
    fn many_requests_do_not_wear_it_down() {
        let mut mean = PeakEwma::UNKNOWN;
        for i in 0..1_000_000_u64 {
            mean = mean.with(MS, false, Timestamp::from_nanos(i * 1000));
        }
        let mean = PeakEwma::duration(mean.mean(at(1000)));
        assert!(mean > MS - MS / 1000, "{mean:?}");
    }

    #[test]
    fn clocks_may_go_back_and_times_be_absurd() {
        let mean = PeakEwma::UNKNOWN.with(Duration::MAX, false, at(1000));
        assert_eq!(mean.mean(at(0)), mean.mean(at(1000)));
        let [most, _] = mean.with(Duration::MAX, true, at(0)).to_parts();
        assert_eq!(most, 1 << 63);
        assert_eq!(PeakEwma::from_parts(mean.to_parts()), mean);
    }
}
