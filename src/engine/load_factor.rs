//! Bounded loads: how far above the mean a server may be loaded.

use core::fmt;

/// How many times its fair part of all requests in flight a server may have:
/// more than 1, at most 100; kept in thousandths.
///
/// Mirrokni, Thorup and Zadimoghaddam, «Consistent hashing with bounded loads»,
/// SODA 2018. 1.25 is the usual advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadFactor(u32);

impl LoadFactor {
    /// The range, in words.
    pub const ALLOWED: &'static str = "a number from 1.001 to 100";

    /// Accepts 1.001 to 100, rounded to thousandths.
    ///
    /// # Errors
    /// When `factor` is outside that range or no number.
    pub fn new(factor: f64) -> Result<Self, LoadFactorError> {
        let thousandths = (factor * 1000.0 + 0.5).floor();
        if (1001.0..=100_000.0).contains(&thousandths) {
            Ok(Self(thousandths as u32))
        } else {
            Err(LoadFactorError { given: factor })
        }
    }

    /// The factor as a number.
    pub fn number(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// The most requests a server may have in flight when `n_in_flight` are
    /// in flight at all usable servers together and one more comes:
    /// ⌈factor × (n + 1) × capacity / all capacities⌉. At least 1 where there is
    /// a capacity; all bounds together are more than n + 1, so that somebody is
    /// always below.
    pub fn bound(self, n_in_flight: u64, capacity: u32, all_capacities: u64) -> u32 {
        let requests = u128::from(n_in_flight) + 1;
        let fair_times_factor = u128::from(self.0) * requests * u128::from(capacity);
        let bound = fair_times_factor.div_ceil(1000 * u128::from(all_capacities.max(1)));
        u32::try_from(bound).unwrap_or(u32::MAX)
    }
}

/// A number that is no [`LoadFactor`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadFactorError {
    given: f64,
}

impl fmt::Display for LoadFactorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not allowed; give {}",
            self.given,
            LoadFactor::ALLOWED
        )
    }
}

impl std::error::Error for LoadFactorError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_leave_room_for_one_more_request() {
        let factor = LoadFactor::new(1.25).expect("a good factor");
        for n in 0..200_u64 {
            let weights = [1, 2, 3];
            let bounds = weights.map(|weight| u64::from(factor.bound(n, weight, 6)));
            assert!(bounds.iter().sum::<u64>() > n, "{bounds:?} for {n}");
        }
        assert_eq!(factor.bound(0, 1, 1_000_000), 1);
        assert_eq!(factor.bound(99, 1, 10), 13);
        assert_eq!(factor.bound(u64::MAX, 1000, 1000), u32::MAX);
    }

    #[test]
    fn factors_are_above_one() {
        for bad in [1.0, 0.0, -2.0, 100.1, f64::NAN, f64::INFINITY] {
            assert!(LoadFactor::new(bad).is_err(), "{bad} was accepted");
        }
        assert_eq!(LoadFactor::new(1.25).map(LoadFactor::number), Ok(1.25));
    }
}
