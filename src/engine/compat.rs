//! Rules that give the same answers as other products, so that a fleet behind
//! one of them can be joined or replaced without moving a key.
//!
//! Each product hashes something of a server to points of its own; what it
//! makes is an ordinary [`Ring`](super::Ring) then, with shares, plans and
//! pictures like any other. Products of 32 bits stand in the upper half of a
//! position, which keeps their order and their distances.
//! `docs/compatibility.md` says which setting of which product each one is.

use crate::engine::quoted::Quoted;
use crate::engine::sort;
use core::fmt;

use super::maglev::TableSize;
use super::ring::{POINTS_MAX, Position};
use super::server::{Server, ServerName};

mod envoy;
mod haproxy;
mod hashes;
mod ketama;
mod md5;
mod nginx;

pub use envoy::{EnvoyRing, RingSize, RingSizeError};
pub use haproxy::{Haproxy, HaproxyHash, HaproxyHashKey};
pub use hashes::KeyHash;
pub use ketama::{Libmemcached, Twemproxy};

pub(super) use envoy::maglev;

/// A product whose rule is followed, with the options that decide its answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Compat {
    /// nginx: `hash KEY consistent`.
    Nginx,
    /// libketama, as by its ketama.c.
    Ketama,
    /// libmemcached: `KETAMA_WEIGHTED` and its kin.
    Libmemcached(Libmemcached),
    /// twemproxy (nutcracker): `distribution: ketama`.
    Twemproxy(Twemproxy),
    /// Envoy: `ring_hash` with XX_HASH.
    EnvoyRing(EnvoyRing),
    /// Envoy: `maglev`.
    EnvoyMaglev(TableSize),
    /// HAProxy: `hash-type consistent`.
    Haproxy(Haproxy),
}

/// A point of one of the servers given, by their index.
pub(super) type CompatPoint = (Position, usize);

/// Why a product could not have such servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompatError {
    /// Its address is a host name where the product hashes IP addresses.
    NeedsIpAddress {
        /// The server.
        name: ServerName,
        /// The rule.
        rule: &'static str,
        /// What to do about it, in words.
        remedy: &'static str,
    },
    /// The text that is hashed is longer than the product takes.
    HashNameTooLong {
        /// The server.
        name: ServerName,
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// There would be more points than any layout may have.
    TooManyPoints {
        /// How many, if they can be counted.
        points: u64,
    },
}

impl CompatError {
    /// Whose fault it is, and which field of that server.
    pub(super) fn place(&self) -> Option<(&ServerName, &'static str)> {
        match self {
            Self::NeedsIpAddress { name, .. } => Some((name, "address")),
            Self::HashNameTooLong { name, .. } => Some((name, "hash_name")),
            Self::TooManyPoints { .. } => None,
        }
    }
}

impl fmt::Display for CompatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsIpAddress { name, rule, remedy } => write!(
                f,
                "{rule} hashes IP addresses, but that of {} is a host name; {remedy}",
                Quoted(name.as_str())
            ),
            Self::HashNameTooLong {
                name,
                bytes,
                allowed,
            } => write!(
                f,
                "what is hashed for {} has {bytes} bytes; {allowed} are allowed",
                Quoted(name.as_str())
            ),
            Self::TooManyPoints { points } => write!(
                f,
                "{points} points are too many; {POINTS_MAX} are allowed, so lower the weights"
            ),
        }
    }
}

impl std::error::Error for CompatError {}

impl Compat {
    /// Its name in configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Ketama => "ketama",
            Self::Libmemcached(_) => "libmemcached",
            Self::Twemproxy(_) => "twemproxy",
            Self::EnvoyRing(_) => "envoy-ring",
            Self::EnvoyMaglev(_) => "envoy-maglev",
            Self::Haproxy(_) => "haproxy",
        }
    }

    /// Where `key` stands, by the product's hash.
    pub fn position(&self, key: &[u8]) -> Position {
        match self {
            Self::Nginx => upper(hashes::crc32(key)),
            Self::Ketama => upper(hashes::md5_words(key)[0]),
            Self::Libmemcached(options) => upper(options.hash.of(key)),
            Self::Twemproxy(options) => upper(options.key(key)),
            Self::EnvoyRing(_) | Self::EnvoyMaglev(_) => Position::from_bits(envoy::hash(key)),
            Self::Haproxy(options) => upper(options.key(key)),
        }
    }

    /// Whether keys come to stand anywhere on the ring. By the CRC-32 of
    /// Cache::Memcached, which is cut to 15 bits, they all stand at its beginning.
    pub(super) const fn spreads_keys(&self) -> bool {
        let (Self::Libmemcached(Libmemcached { hash, .. }) | Self::Twemproxy(Twemproxy { hash })) =
            self
        else {
            return true;
        };
        !matches!(hash, KeyHash::Crc32)
    }

    /// The points of `servers`, which are in the order of the configuration, in
    /// order of position: the first at or after a key is its owner's. Of points
    /// at one position only the one is there that the product would find.
    ///
    /// # Errors
    /// When the product could not have such servers.
    pub(super) fn points(&self, servers: &[Numbered<'_>]) -> Result<Vec<CompatPoint>, CompatError> {
        let mut points = match self {
            Self::Nginx => nginx::points(servers),
            Self::Ketama => ketama::libketama(servers),
            Self::Libmemcached(options) => options.points(servers),
            Self::Twemproxy(options) => options.points(servers),
            Self::EnvoyRing(options) => options.points(servers),
            Self::Haproxy(options) => options.points(servers),
            // Slots and no points; see `envoy::maglev`.
            Self::EnvoyMaglev(_) => Ok(Vec::new()),
        }?;
        // Stable: of equal positions the first server's stays.
        sort::by_number(&mut points, |(position, _)| position.bits());
        points.dedup_by_key(|(position, _)| *position);
        Ok(points)
    }
}

/// A server with the number it has or was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered<'a> {
    pub(super) server: &'a Server,
    pub(super) number: u32,
}

/// Thirty-two bits as a position.
const fn upper(hash: u32) -> Position {
    Position::from_bits((hash as u64) << 32)
}

/// `address:port`, with an IPv6 address in brackets.
fn authority(server: &Server) -> String {
    format!("{}:{}", server.address.in_authority(), server.port.number())
}

/// The text that is hashed for a server: its own, or what the rule makes.
fn hash_name(server: &Server, otherwise: impl FnOnce() -> String) -> String {
    match &server.hash_name {
        Some(name) => name.as_str().to_owned(),
        None => otherwise(),
    }
}

/// Refuses to make so many points.
fn within_limit(points: u64) -> Result<usize, CompatError> {
    if points > u64::from(POINTS_MAX) {
        return Err(CompatError::TooManyPoints { points });
    }
    Ok(points as usize)
}
