//! The one pinned hash: XXH3-64 with seed 0, over explicit bytes.
//!
//! Everything that decides a route is hashed here and nowhere else, from bytes
//! whose order is written down in `docs/ring-format.md`. `std`'s hashers are
//! banned in the engine: their algorithm is unspecified and `usize` lengths
//! differ between targets.

use xxhash_rust::xxh3::xxh3_64;

/// XXH3-64 of a key's bytes.
#[inline(always)]
pub(crate) fn of_key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The longest server name in bytes; bounds the buffer of [`PointHasher`].
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// Hashes the points of one server: `name ‖ 0x00 ‖ i as 4 little-endian bytes`.
///
/// A name has no control characters, so the zero byte cannot occur in one and
/// no two (name, i) pairs share their bytes.
pub(crate) struct PointHasher {
    bytes: [u8; NAME_BYTES_MAX + 5],
    name_len: usize,
}

impl PointHasher {
    /// A hasher for the server called `name`, which holds at most
    /// [`NAME_BYTES_MAX`] bytes (`ServerName` guarantees it).
    pub(crate) fn new(name: &str) -> Self {
        let name_len = name.len().min(NAME_BYTES_MAX);
        let mut bytes = [0; NAME_BYTES_MAX + 5];
        bytes[..name_len].copy_from_slice(&name.as_bytes()[..name_len]);
        Self { bytes, name_len }
    }

    /// The position of point `i`.
    pub(crate) fn point(&mut self, i: u32) -> u64 {
        let end = self.name_len + 5;
        self.bytes[end - 4..end].copy_from_slice(&i.to_le_bytes());
        xxh3_64(&self.bytes[..end])
    }
}

/// A number in `0..bound` that depends on `identity` and `round` alone: the
/// engine's stand-in for randomness in jitter, the same on every target.
pub(crate) fn spread(identity: u64, round: u64, bound: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&identity.to_le_bytes());
    bytes[8..].copy_from_slice(&round.to_le_bytes());
    // Multiply-shift instead of a remainder: no bias towards small numbers.
    ((u128::from(xxh3_64(&bytes)) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_xxh3() {
        // From the reference implementation, seed 0.
        assert_eq!(of_key(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(of_key(b"a"), 0xe6c6_32b6_1e96_4e1f);
        assert_eq!(of_key(b"abc"), 0x78af_5f94_892f_3950);
    }

    #[test]
    fn a_point_hashes_name_zero_and_index() {
        let mut hasher = PointHasher::new("server1");
        assert_eq!(
            hasher.point(0x0102_0304),
            of_key(b"server1\0\x04\x03\x02\x01")
        );
        assert_eq!(hasher.point(0), of_key(b"server1\0\0\0\0\0"));
    }

    #[test]
    fn spread_stays_below_its_bound() {
        assert!((0..1000).all(|round| spread(7, round, 10) < 10));
        assert_eq!(spread(7, 1, 0), 0);
    }
}
