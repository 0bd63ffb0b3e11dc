//! Sorting, always stable. The standard library's sorts are several kilobytes of
//! code for each type; of these, only what compares is written out again.

use core::mem;

/// Sorts by what comes before what.
pub(crate) fn by<T>(items: &mut [T], is_before: impl Fn(&T, &T) -> bool) {
    let order = order(items.len(), &|a, b| is_before(&items[a], &items[b]));
    arrange(items, order);
}

/// Sorts by a number that each has, which is faster.
pub(crate) fn by_number<T>(items: &mut [T], number: impl Fn(&T) -> u64) {
    let mut numbered: Vec<(u64, u32)> = items.iter().map(number).zip(0..).collect();
    merge_sort(&mut numbered, &|a, b| a.0 < b.0);
    arrange(items, numbered.into_iter().map(|(_, i)| i).collect());
}

/// The indexes of `n` items in their order.
#[inline(never)]
fn order(n: usize, is_before: &dyn Fn(usize, usize) -> bool) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    merge_sort(&mut order, &|a, b| is_before(a as usize, b as usize));
    order
}

/// Puts at each place the item whose index stands there in `order`.
fn arrange<T>(items: &mut [T], mut order: Vec<u32>) {
    for start in 0..items.len() {
        let mut at = start;
        loop {
            let from = mem::replace(&mut order[at], at as u32) as usize;
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// Merges ever longer runs; two that are in order already are left alone.
#[inline(never)]
fn merge_sort<T: Copy>(items: &mut [T], is_before: &impl Fn(T, T) -> bool) {
    let mut left: Vec<T> = Vec::new();
    let mut run = 1;
    while run < items.len() {
        for both in items.chunks_mut(2 * run) {
            if both.len() <= run || !is_before(both[run], both[run - 1]) {
                continue;
            }
            left.clear();
            left.extend_from_slice(&both[..run]);
            let (mut i, mut j) = (0, run);
            // What is left of the right run stands where it belongs.
            while i < left.len() {
                let is_right = j < both.len() && is_before(both[j], left[i]);
                both[i + j - run] = if is_right { both[j] } else { left[i] };
                if is_right {
                    j += 1;
                } else {
                    i += 1;
                }
            }
        }
        run *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 33
        };
        for n in (0..70).chain([1000]) {
            for below in [1, 3, 1 << 31] {
                let items: Vec<(u64, usize)> = (0..n).map(|i| (random() % below, i)).collect();
                let mut expected = items.clone();
                expected.sort_by_key(|item| item.0);
                let mut sorted = items.clone();
                by_number(&mut sorted, |item| item.0);
                assert_eq!(sorted, expected);
                let mut sorted = items;
                by(&mut sorted, |a, b| a.0 < b.0);
                assert_eq!(sorted, expected);
            }
        }
    }
}
