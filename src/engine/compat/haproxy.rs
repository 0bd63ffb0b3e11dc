//! HAProxy: `hash-type consistent`.

use crate::engine::sort;
use core::net::IpAddr;

use xxhash_rust::xxh32::xxh32;

use super::hashes::crc32;
use super::{CompatError, CompatPoint, Numbered, upper, within_limit};

/// Points for each unit of weight.
const POINTS: u32 = 16;

/// HAProxy's consistent hashing, and how its backend is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Haproxy {
    /// `hash-key`: what of a server is hashed. Default its id.
    pub hash_key: HaproxyHashKey,
    /// The function of `hash-type`. Default sdbm.
    pub hash: HaproxyHash,
    /// Whether the key's hash is mixed once more: `None` is HAProxy's default,
    /// which is yes just while no function is named.
    pub avalanche: Option<bool>,
}

/// What of a server is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HaproxyHashKey {
    /// Its number.
    #[default]
    Id,
    /// Its IP address.
    Addr,
    /// Its IP address and port.
    AddrPort,
}

/// A function of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HaproxyHash {
    /// Not named in `hash-type`: sdbm.
    #[default]
    Unnamed,
    /// sdbm.
    Sdbm,
    /// djb2.
    Djb2,
    /// wt6.
    Wt6,
    /// CRC-32.
    Crc32,
}

impl HaproxyHashKey {
    /// All of them with their names in configuration, which are HAProxy's.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("id", Self::Id),
        ("addr", Self::Addr),
        ("addr-port", Self::AddrPort),
    ];
}

impl HaproxyHash {
    /// Those that have a name, which are HAProxy's.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("sdbm", Self::Sdbm),
        ("djb2", Self::Djb2),
        ("wt6", Self::Wt6),
        ("crc32", Self::Crc32),
    ];
}

impl Haproxy {
    /// The hash of `key`.
    pub(super) fn key(self, key: &[u8]) -> u32 {
        let hash = match self.hash {
            HaproxyHash::Unnamed | HaproxyHash::Sdbm => sdbm(key),
            HaproxyHash::Djb2 => djb2(key),
            HaproxyHash::Wt6 => wt6(key),
            HaproxyHash::Crc32 => crc32(key),
        };
        let mixes = self.avalanche.unwrap_or(self.hash == HaproxyHash::Unnamed);
        if mixes { full_hash(hash) } else { hash }
    }

    /// HAProxy takes the nearest of the two nodes beside a key; the first node
    /// at or after it and the one before, if that is no farther. Whose a key is
    /// changes in the middle between two nodes, so that is where the points
    /// are. Of nodes at one place a key from below finds the first, a key from
    /// above the last.
    pub(super) fn points(self, servers: &[Numbered<'_>]) -> Result<Vec<CompatPoint>, CompatError> {
        let weights = servers.iter().map(|s| u64::from(s.server.weight.number()));
        let n_nodes = within_limit(weights.sum::<u64>() * u64::from(POINTS))?;
        let mut nodes: Vec<(u32, usize)> = Vec::with_capacity(n_nodes);
        for (i, numbered) in servers.iter().enumerate() {
            let key = self.server_key(numbered)?;
            let n = numbered.server.weight.number() * POINTS;
            nodes.extend((0..n).map(|j| (full_hash(key.wrapping_add(j)), i)));
        }
        // Stable: equal nodes stay in the order in which they were made.
        sort::by_number(&mut nodes, |&(key, _)| key.into());
        let groups: Vec<&[(u32, usize)]> = nodes.chunk_by(|a, b| a.0 == b.0).collect();
        let mut points = Vec::with_capacity(groups.len());
        for (i, group) in groups.iter().enumerate() {
            let (key, first) = group[0];
            let last = group[group.len() - 1].1;
            let next = groups[(i + 1) % groups.len()][0].0;
            if first != last {
                points.push((upper(key), first));
            }
            let half = match next.wrapping_sub(key) {
                // There is no other node: all the way round.
                0 => 1 << 31,
                gap => gap / 2,
            };
            points.push((upper(key.wrapping_add(half)), last));
        }
        Ok(points)
    }

    /// What a server's nodes are hashed from.
    fn server_key(self, numbered: &Numbered<'_>) -> Result<u32, CompatError> {
        let Numbered { server, number } = *numbered;
        let rule = match self.hash_key {
            HaproxyHashKey::Id => return Ok(number.wrapping_mul(1 << 12)),
            HaproxyHashKey::Addr => "haproxy with server_key addr",
            HaproxyHashKey::AddrPort => "haproxy with server_key addr-port",
        };
        let seed = match self.hash_key {
            HaproxyHashKey::AddrPort => full_hash(server.port.number().into()),
            _ => 0,
        };
        match server.address.ip() {
            Some(IpAddr::V4(ip)) => {
                // As four bytes of memory read as a number, on a machine that
                // begins with the lowest.
                let ip = u32::from_le_bytes(ip.octets());
                Ok(full_hash(seed.wrapping_add(ip)))
            }
            Some(IpAddr::V6(ip)) => Ok(xxh32(&ip.octets(), seed)),
            None => Err(CompatError::NeedsIpAddress {
                name: server.name.clone(),
                rule,
                remedy: "give its IP address, or use server_key id",
            }),
        }
    }
}

/// HAProxy's avalanche: Jenkins's six shifts, then a product.
const fn full_hash(mut a: u32) -> u32 {
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

fn sdbm(key: &[u8]) -> u32 {
    key.iter().fold(0, |hash: u32, &byte| {
        u32::from(byte)
            .wrapping_add(hash << 6)
            .wrapping_add(hash << 16)
            .wrapping_sub(hash)
    })
}

fn djb2(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, &byte| {
        (hash << 5).wrapping_add(hash).wrapping_add(u32::from(byte))
    })
}

fn wt6(key: &[u8]) -> u32 {
    let (mut a, mut b) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut turn_a, mut turn_b) = (6_u32, 18_u32);
    for &byte in key {
        let next_b = !(a ^ u32::from(byte));
        let next_a = !b.wrapping_add(u32::from(byte));
        a = next_a.rotate_left(turn_a);
        b = next_b.rotate_left(turn_b);
        let turns = ((a >> 16) ^ b) & 0xffff;
        turn_a = turns & 0x1f;
        turn_b = turns >> 11;
    }
    a ^ b
}
