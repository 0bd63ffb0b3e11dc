//! One logarithm for every target, in integers.
//!
//! `f64::ln` differs in its last bits between mathematics libraries, and one
//! bit decides where a key goes; so this one is fixed-point throughout. It
//! looks the leading bits up in a table and sums a short series for the rest
//! (Tang, «Table-driven implementation of the logarithm function», 1990).

/// How many bits of an answer are behind the point.
pub(super) const FRACTION_BITS: u32 = 56;

/// Entries of the table: the leading bits of a mantissa that it is asked by.
const STEPS_LOG: u32 = 7;
const STEPS: usize = 1 << STEPS_LOG;

/// Bits behind the point in intermediate steps.
const Q: u32 = 62;

/// 1/(n ln 2) for n = 1 to 7, in units of 2^-62.
const SERIES: [i64; 7] = [
    6_653_256_548_922_161_246,
    3_326_628_274_461_080_623,
    2_217_752_182_974_053_749,
    1_663_314_137_230_540_311,
    1_330_651_309_784_432_249,
    1_108_876_091_487_026_874,
    950_465_221_274_594_464,
];

/// What logarithms are looked up in. It is made when it is needed: in the
/// package, 2 KiB that cannot be compressed would be much.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Logarithm {
    /// For mantissas from 1 + i/128: an approximate inverse, in units of 2^-62,
    /// and that inverse's negative logarithm, in units of 2^-62.
    table: Box<[(i64, i64); STEPS]>,
}

impl Logarithm {
    pub(super) fn new() -> Self {
        let mut table = Box::new([(0, 0); STEPS]);
        for (entry, i) in table.iter_mut().zip(0..) {
            // The inverse of the middle of the step: 1 / (1 + (2i + 1) / 256).
            let inverse = ((1_i128 << (Q + 8)) / (256 + 2 * i + 1)) as i64;
            *entry = (inverse, -log2_by_squaring(inverse));
        }
        Self { table }
    }

    /// −log2 of `(2k + 1) / 2^(bits + 1)` for `k` below `2^bits`: of the middle of
    /// the `k`-th of `2^bits` equal parts of the range from 0 to 1. In units of
    /// 2^-56, right to within 2 of them; `bits` is 1 to 62.
    pub(super) fn negative_log2(&self, k: u64, bits: u32) -> u64 {
        let odd = 2 * k + 1;
        let exponent = 63 - odd.leading_zeros();
        // The mantissa, 1 to 2, in units of 2^-62.
        let mantissa = (odd << (63 - exponent) >> 1) as i64;
        let step = (mantissa >> (Q - STEPS_LOG)) as usize - STEPS;
        let (inverse, log_of_inverse) = self.table[step];
        let rest = times(mantissa, inverse) - (1 << Q);
        let mut sum = 0;
        for &coefficient in SERIES.iter().rev() {
            sum = coefficient - times(rest, sum);
        }
        let log = log_of_inverse + times(rest, sum);
        let whole = i64::from(bits + 1 - exponent) << FRACTION_BITS;
        (whole - (log >> (Q - FRACTION_BITS))).max(0) as u64
    }
}

/// The product of two numbers in units of 2^-62.
fn times(a: i64, b: i64) -> i64 {
    ((a as i128 * b as i128) >> Q) as i64
}

/// log2 of a number from 1/2 to 1 in units of 2^-62, bit by bit: squaring a
/// number doubles its logarithm.
fn log2_by_squaring(number: i64) -> i64 {
    // From 1 to 2 in units of 2^-63, so that no bit of the square is lost.
    let mut x = (number as u128) << 2;
    let mut log: i64 = -(1 << Q);
    let mut bit = Q;
    while bit > 0 {
        bit -= 1;
        x = (x * x) >> 63;
        if x >= 1 << 64 {
            x >>= 1;
            log += 1 << bit;
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negative_log2(k: u64, bits: u32) -> u64 {
        Logarithm::new().negative_log2(k, bits)
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "what is compared allows for its error"
    )]
    fn it_agrees_with_the_standard_librarys() {
        let logarithm = Logarithm::new();
        let mut worst = 0_f64;
        let mut k = 1_u64;
        for i in 0..200_000_u64 {
            k = k.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i);
            let k = k >> (16 + (i % 40));
            let ours = logarithm.negative_log2(k, 48) as f64 / (1_u64 << FRACTION_BITS) as f64;
            let theirs = 49.0 - ((2 * k + 1) as f64).log2();
            worst = worst.max((ours - theirs).abs());
        }
        // A double from 32 to 64 has 47 bits behind the point.
        assert!(worst < 4.0 / (1_u64 << 47) as f64, "{worst:e}");
    }

    #[test]
    fn known_answers() {
        let one = 1_u64 << FRACTION_BITS;
        assert_eq!(negative_log2(0, 48), 49 * one);
        // −log2(3/4) and −log2(1/4) of two halves.
        assert_eq!(negative_log2(0, 1), 2 * one);
        let three_quarters = 0.415_037_499_278_843_8 * one as f64;
        assert!((negative_log2(1, 1) as f64 - three_quarters).abs() < 32.0);
        // Nearly 1: 2^-49 / ln 2.
        let last = negative_log2((1 << 48) - 1, 48);
        assert!((183..=187).contains(&last), "{last}");
    }

    #[test]
    fn it_falls_from_each_number_to_the_next() {
        let logarithm = Logarithm::new();
        let negative_log2 = |k, bits| logarithm.negative_log2(k, bits);
        // Around every border of the table, where an error would show.
        for exponent in 8..48 {
            for step in 0..STEPS as u64 {
                let border = ((1 << STEPS_LOG) + step) << (exponent - STEPS_LOG);
                for k in border.saturating_sub(3)..border + 3 {
                    let (here, next) = (negative_log2(k, 48), negative_log2(k + 1, 48));
                    assert!(here > next, "{k}: {here} {next}");
                }
            }
        }
    }
}
