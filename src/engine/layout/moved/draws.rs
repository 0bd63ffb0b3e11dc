//! What changes hands where servers draw, as expected over the draws.
//!
//! A server's draw for a key counts as `E / weight`, where E is exponential and
//! the same before and after; the least wins. That server i wins before with
//! `E = a` and another, j, after with `E = r a` asks of every server k that
//! `E > a max(w_k / w_i, r w'_k / w'_j)`. Integrated over `a`, and with
//! `ρ = r w_i / w'_j`, the chance of that is
//!
//! ```text
//! w_i w'_j ∫ dρ / T(ρ)²  for ρ from w_j/w'_j to w_i/w'_i,  T(ρ) = Σ max(w_k, ρ w'_k)
//! ```
//!
//! and 0 where that range is empty. T is linear between the ratios `w_k/w'_k`,
//! where the integral is `(ρ1 - ρ0) / (T(ρ0) T(ρ1))`, so that sums up to each
//! ratio answer for every pair.

use super::PARTS_MAX;
use crate::engine::sort;

/// By server: its weight before and after; 0 where it takes no key.
pub(super) type Weights = (u32, u32);

/// The chance of each pair of winners, before and after, one server twice or
/// two; `None` where there would be too many of them. Both sides have a server
/// that takes keys.
pub(super) fn pairs(weights: &[Weights]) -> Option<Vec<(u32, u32, f64)>> {
    // By ratio of before to after, those that leave (over 0) last.
    let mut order: Vec<u32> = (0..weights.len() as u32)
        .filter(|&k| weights[k as usize] != (0, 0))
        .collect();
    let crosswise = |a: u32, b: u32| {
        let ((w_a, v_a), (w_b, v_b)) = (weights[a as usize], weights[b as usize]);
        (u64::from(w_a) * u64::from(v_b)).cmp(&(u64::from(w_b) * u64::from(v_a)))
    };
    sort::by(&mut order, |&a, &b| crosswise(a, b).is_lt());
    // T(ρ) = rest + ρ * grown: the weights before of those with greater ratios,
    // and those after of the others. Sums of whole numbers, thus exact.
    let mut rest: u64 = weights.iter().map(|&(before, _)| u64::from(before)).sum();
    let mut grown = 0_u64;
    // The integral up to each ratio, with how many servers there are below it.
    let mut upto: Vec<f64> = Vec::with_capacity(order.len());
    let mut integral = 0.0;
    let mut last: Option<f64> = None;
    let mut pairs = Vec::new();
    for group in order.chunk_by(|&a, &b| crosswise(a, b).is_eq()) {
        let below = &order[..upto.len()];
        if pairs.len() + group.len() * below.len() > PARTS_MAX {
            return None;
        }
        let (before, after) = weights[group[0] as usize];
        let t = |ratio: f64| rest as f64 + ratio * grown as f64;
        if after == 0 {
            integral += last.map_or(0.0, |last| 1.0 / (grown as f64 * t(last)));
        } else {
            let ratio = f64::from(before) / f64::from(after);
            integral += last.map_or(0.0, |last| (ratio - last) / (t(last) * t(ratio)));
            last = Some(ratio);
            if before > 0 {
                // Its draw is the best by both.
                let stays = |&k: &u32| (k, k, f64::from(weights[k as usize].0) / t(ratio));
                pairs.extend(group.iter().map(stays));
            }
        }
        for &from in group {
            for (&to, upto) in below.iter().zip(&upto) {
                let weight = f64::from(weights[from as usize].0);
                let chance = weight * f64::from(weights[to as usize].1) * (integral - upto);
                pairs.push((from, to, chance));
            }
        }
        for &k in group {
            rest -= u64::from(weights[k as usize].0);
            grown += u64::from(weights[k as usize].1);
            upto.push(integral);
        }
    }
    Some(pairs)
}

/// The chance of each server to win.
pub(super) fn chances(weights: impl Iterator<Item = u32> + Clone) -> Vec<f64> {
    let sum: u64 = weights.clone().map(u64::from).sum();
    weights
        .map(|weight| f64::from(weight) / sum.max(1) as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(weights: &[Weights], from: u32, to: u32) -> f64 {
        let found = pairs(weights).expect("few pairs").into_iter();
        found
            .filter(|pair| (pair.0, pair.1) == (from, to))
            .map(|pair| pair.2)
            .sum()
    }

    #[test]
    fn what_can_be_said_without_the_integral_agrees() {
        // One comes: it takes its share of what each had.
        let came = [(1, 1), (2, 2), (0, 3)];
        assert!((chance(&came, 1, 2) - 2.0 / 3.0 * 0.5).abs() < 1e-14);
        assert_eq!(chance(&came, 0, 1), 0.0);
        // One leaves: the others share what it had.
        let left = [(1, 1), (2, 2), (3, 0)];
        assert!((chance(&left, 2, 1) - 0.5 * 2.0 / 3.0).abs() < 1e-14);
        // All are replaced: before and after have nothing to do with each other.
        let replaced = [(1, 0), (3, 0), (0, 2), (0, 2)];
        for (from, to, part) in [(0, 2, 0.125), (1, 3, 0.375)] {
            assert!((chance(&replaced, from, to) - part).abs() < 1e-14);
        }
    }

    #[test]
    fn what_comes_and_goes_is_what_each_had_and_has() {
        let weights = [(1, 5), (4, 2), (0, 7), (3, 0), (6, 6), (9, 1), (2, 3)];
        let pairs = pairs(&weights).expect("few pairs");
        let had = chances(weights.iter().map(|w| w.0));
        let has = chances(weights.iter().map(|w| w.1));
        for i in 0..weights.len() {
            let sum = |id: fn(&(u32, u32, f64)) -> u32| -> f64 {
                let all = pairs.iter().filter(|pair| id(pair) == i as u32);
                all.map(|pair| pair.2).sum()
            };
            assert!((sum(|pair| pair.0) - had[i]).abs() < 1e-14, "{i}");
            assert!((sum(|pair| pair.1) - has[i]).abs() < 1e-14, "{i}");
        }
    }

    #[test]
    fn too_many_pairs_are_refused() {
        let weights: Vec<Weights> = (1..=3_000).map(|weight| (weight, 1)).collect();
        assert_eq!(pairs(&weights), None);
    }
}
