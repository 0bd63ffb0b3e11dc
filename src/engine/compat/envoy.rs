//! Envoy: the load balancing policies `ring_hash` and `maglev`.

use crate::engine::sort;
use core::fmt;

use xxhash_rust::xxh64::xxh64;

use super::{CompatError, CompatPoint, Numbered, authority, hash_name, within_limit};
use crate::engine::maglev::{Filler, Maglev, TableSize};
use crate::engine::ring::Position;
use crate::engine::server::Server;

/// How many points a ring of Envoy's should have: 1 to 1,048,576 (Envoy allows
/// 8,388,608; ours end there).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RingSize(u32);

impl RingSize {
    /// The range, in words.
    pub const ALLOWED: &'static str = "1 to 8388608";
    /// Envoy's largest.
    pub const MAX: u32 = 8_388_608;

    /// Accepts 1 to 8,388,608.
    ///
    /// # Errors
    /// When `size` is outside that range.
    pub fn new(size: u64) -> Result<Self, RingSizeError> {
        match u32::try_from(size) {
            Ok(n @ 1..=Self::MAX) => Ok(Self(n)),
            _ => Err(RingSizeError { given: size }),
        }
    }

    /// A size that is known to be right.
    pub(crate) const fn known(size: u32) -> Self {
        Self(size)
    }

    /// The size as a number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// A number that is no [`RingSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizeError {
    given: u64,
}

impl fmt::Display for RingSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = RingSize::ALLOWED;
        write!(f, "{} is not allowed; give {allowed}", self.given)
    }
}

impl std::error::Error for RingSizeError {}

/// `ring_hash` with its default function, xxHash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvoyRing {
    /// `minimum_ring_size`; default 1024.
    pub min: RingSize,
    /// `maximum_ring_size`; default 8,388,608, at least `min`.
    pub max: RingSize,
}

impl Default for EnvoyRing {
    fn default() -> Self {
        Self {
            min: RingSize(1024),
            max: RingSize(RingSize::MAX),
        }
    }
}

pub(super) fn hash(bytes: &[u8]) -> u64 {
    xxh64(bytes, 0)
}

/// Envoy hashes `ip:port`, or a host name where it is told to.
fn text(server: &Server, rule: &'static str) -> Result<String, CompatError> {
    if server.hash_name.is_none() && server.address.ip().is_none() {
        return Err(CompatError::NeedsIpAddress {
            name: server.name.clone(),
            rule,
            remedy: "give its hash_name: the host name where use_hostname_for_hashing is set, or the hash_key of its metadata",
        });
    }
    Ok(hash_name(server, || authority(server)))
}

/// Weights as fractions of their sum, in doubles as Envoy has them.
fn normalised(servers: &[Numbered<'_>]) -> Vec<f64> {
    let weight = |s: &Numbered<'_>| s.server.weight.number();
    let all: u32 = servers.iter().map(weight).sum();
    servers
        .iter()
        .map(|server| f64::from(weight(server)) / f64::from(all))
        .collect()
}

impl EnvoyRing {
    pub(super) fn points(self, servers: &[Numbered<'_>]) -> Result<Vec<CompatPoint>, CompatError> {
        let weights = normalised(servers);
        let Some(least) = weights.iter().copied().reduce(f64::min) else {
            return Ok(Vec::new());
        };
        // So large that the lightest server has a whole number of points, if
        // that is allowed.
        let scale = ((least * f64::from(self.min.0)).ceil() / least).min(f64::from(self.max.0));
        let mut points = Vec::with_capacity(within_limit(scale.ceil() as u64)?);
        let (mut current, mut target) = (0.0_f64, 0.0_f64);
        for (i, (&Numbered { server, .. }, weight)) in servers.iter().zip(weights).enumerate() {
            let text = text(server, "envoy-ring")?;
            target += scale * weight;
            let mut n = 0_u32;
            while current < target {
                points.push((
                    Position::from_bits(hash(format!("{text}_{n}").as_bytes())),
                    i,
                ));
                n += 1;
                current += 1.0;
            }
        }
        Ok(points)
    }
}

/// Envoy's Maglev table of `servers`, and for each of its fillers the index of
/// its server: they fill in the order of what is hashed for them.
pub(crate) fn maglev(
    size: TableSize,
    servers: &[Numbered<'_>],
) -> Result<(Maglev, Vec<usize>), CompatError> {
    let weights = normalised(servers);
    let mut texts = Vec::with_capacity(servers.len());
    for (i, (numbered, weight)) in servers.iter().zip(weights).enumerate() {
        texts.push((text(numbered.server, "envoy-maglev")?, weight, i));
    }
    sort::by(&mut texts, |a, b| a.0 < b.0);
    let fillers: Vec<Filler> = texts
        .iter()
        .map(|(text, weight, _)| Filler {
            offset: hash(text.as_bytes()),
            skip: xxh64(text.as_bytes(), 1),
            weight: *weight,
        })
        .collect();
    let order = texts.into_iter().map(|(_, _, i)| i).collect();
    Ok((Maglev::new(size, &fillers), order))
}
