//! The hash functions that those products place keys and servers by.
//!
//! Where a product reads a key through C's `char`, which has a sign on the
//! machines it runs on, bytes from 0x80 are extended with it; so they are here.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The checksum of zip and Ethernet, a byte at a time: its table takes 1 KiB.
pub(super) const CRC_32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// A hash function of keys, by twemproxy's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHash {
    /// Fowler, Noll, Vo: the «1a» order, cut to 32 bits. twemproxy's default.
    #[default]
    Fnv1a64,
    /// The same, multiplied first.
    Fnv164,
    /// The «1a» order of 32 bits.
    Fnv1a32,
    /// The same, multiplied first.
    Fnv132,
    /// The first word of an MD5 sum.
    Md5,
    /// A CRC-32 as Cache::Memcached takes it: fifteen of its bits.
    Crc32,
    /// A whole CRC-32.
    Crc32a,
    /// Jenkins's one at a time.
    OneAtATime,
}

impl KeyHash {
    /// All of them with their names in configuration.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("fnv1a_64", Self::Fnv1a64),
        ("fnv1_64", Self::Fnv164),
        ("fnv1a_32", Self::Fnv1a32),
        ("fnv1_32", Self::Fnv132),
        ("md5", Self::Md5),
        ("crc32", Self::Crc32),
        ("crc32a", Self::Crc32a),
        ("one_at_a_time", Self::OneAtATime),
    ];

    /// The hash of `key`.
    pub(super) fn of(self, key: &[u8]) -> u32 {
        // The 64-bit functions' lower halves depend on lower halves only.
        const BASIS_64: u32 = 0xcbf2_9ce4_8422_2325_u64 as u32;
        const PRIME_64: u32 = 0x0000_0100_0000_01b3_u64 as u32;
        const BASIS_32: u32 = 2_166_136_261;
        const PRIME_32: u32 = 16_777_619;
        let fnv1a = |basis, prime: u32| {
            let step = |hash: u32, &byte: &u8| (hash ^ signed(byte)).wrapping_mul(prime);
            key.iter().fold(basis, step)
        };
        let fnv1 = |basis, prime: u32| {
            let step = |hash: u32, &byte: &u8| hash.wrapping_mul(prime) ^ signed(byte);
            key.iter().fold(basis, step)
        };
        match self {
            Self::Fnv1a64 => fnv1a(BASIS_64, PRIME_64),
            Self::Fnv164 => fnv1(BASIS_64, PRIME_64),
            Self::Fnv1a32 => fnv1a(BASIS_32, PRIME_32),
            Self::Fnv132 => fnv1(BASIS_32, PRIME_32),
            Self::Md5 => md5_words(key)[0],
            Self::Crc32 => (crc32(key) >> 16) & 0x7fff,
            Self::Crc32a => crc32(key),
            Self::OneAtATime => one_at_a_time(key),
        }
    }
}

/// A byte as C's signed `char`, extended to 32 bits.
fn signed(byte: u8) -> u32 {
    i32::from(byte.cast_signed()).cast_unsigned()
}

fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = 0_u32;
    for &byte in key {
        hash = hash.wrapping_add(signed(byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

/// CRC-32 of `bytes`.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    CRC_32.checksum(bytes)
}

pub(super) use super::md5::md5_words;
