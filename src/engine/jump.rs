//! Jump consistent hash: numbered shards, perfectly even, without memory.
//!
//! Lamping and Veach, «A fast, minimal memory, consistent hash algorithm»,
//! 2014. Shards come and go at the end only.

use super::ring::Position;

/// Which of `n` shards the key at `position` belongs to; `n` is at least 1.
///
/// The paper divides two floating-point numbers; IEEE 754 defines that to the
/// last bit, so every target agrees.
pub(super) fn shard(position: Position, n: u32) -> u32 {
    let mut key = position.bits();
    let (mut shard, mut next) = (0_i64, 0_i64);
    while next < i64::from(n) {
        shard = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let spread = f64::from(1_u32 << 31) / (((key >> 33) + 1) as f64);
        next = ((shard + 1) as f64 * spread) as i64;
    }
    shard as u32
}

/// How likely a key has one shard of `n` and then one of `m`, for each pair that
/// can be, in parts of `n m`. A key keeps its shard or goes to a new one, and
/// to each of the new ones alike, whichever it had.
pub(super) fn pairs(n: u32, m: u32) -> impl Iterator<Item = (u32, u32, u32)> {
    let common = n.min(m);
    let same = (0..common).map(move |shard| (shard, shard, common));
    let others = (0..common).flat_map(move |one| {
        (common..n.max(m)).map(move |other| {
            let (from, to) = if n < m { (one, other) } else { (other, one) };
            (from, to, 1)
        })
    });
    same.chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // From the paper's reference implementation, as other ports quote them.
        for (key, n, shard_of) in [
            (1, 1, 0),
            (42, 57, 43),
            (0xDEAD_10CC, 1, 0),
            (0xDEAD_10CC, 666, 361),
            (256, 1024, 520),
        ] {
            assert_eq!(shard(Position::from_bits(key), n), shard_of, "{key} of {n}");
        }
    }

    #[test]
    fn one_shard_more_takes_from_all_and_moves_nothing_else() {
        let n_keys = 20_000_u64;
        let mut n_moved = 0;
        for i in 0..n_keys {
            let position = Position::of_key(&i.to_le_bytes());
            let (before, after) = (shard(position, 9), shard(position, 10));
            assert!(after == before || after == 9);
            n_moved += u32::from(after != before);
        }
        assert!((1_800..2_200).contains(&n_moved), "{n_moved}");
    }

    #[test]
    fn pairs_of_shards_come_as_often_as_is_said() {
        let n_keys = 200_000_u64;
        for (n, m) in [(5_u32, 8_u32), (8, 5), (3, 3), (1, 4)] {
            let mut counts = std::collections::BTreeMap::new();
            for i in 0..n_keys {
                let position = Position::of_key(&i.to_le_bytes());
                let pair = (shard(position, n), shard(position, m));
                *counts.entry(pair).or_insert(0_u32) += 1;
            }
            let mut whole = 0;
            for (from, to, parts) in pairs(n, m) {
                whole += parts;
                let expected = f64::from(parts) / f64::from(n * m);
                let seen = counts.remove(&(from, to)).unwrap_or(0);
                let seen = f64::from(seen) / n_keys as f64;
                assert!((seen - expected).abs() < 0.004, "{n} {m}: {from} {to}");
            }
            assert_eq!(whole, n * m);
            assert!(counts.is_empty(), "{counts:?}");
        }
    }
}
