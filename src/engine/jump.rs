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
}
