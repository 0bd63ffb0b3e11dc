//! The ketama family: libketama, libmemcached, twemproxy.
//!
//! All hash numbered texts by MD5 and take four points from each sum; they
//! differ in the texts, in how many a server gets, and in how keys are hashed.
//! How many is computed in single precision by all three, and must be here.

use super::hashes::{KeyHash, md5_words};
use super::{CompatError, CompatPoint, Numbered, authority, hash_name, upper, within_limit};
use crate::engine::server::Server;

/// The port that libmemcached and twemproxy leave out of a server's text.
const MEMCACHED_PORT: u32 = 11_211;

/// libmemcached's consistent distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Libmemcached {
    /// How keys are hashed. Default MD5, as `KETAMA_WEIGHTED` sets it; with
    /// plain `KETAMA` it is one at a time.
    pub hash: KeyHash,
    /// Whether points go by weights: default yes, as with `KETAMA_WEIGHTED`. Any
    /// weight above 1 switches it on. Otherwise each server has 100.
    pub is_weighted: bool,
    /// Whether the texts are those of spymemcached. Default no.
    pub is_spy: bool,
}

impl Default for Libmemcached {
    fn default() -> Self {
        Self {
            hash: KeyHash::Md5,
            is_weighted: true,
            is_spy: false,
        }
    }
}

/// twemproxy's `distribution: ketama`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Twemproxy {
    /// The pool's `hash`. Default fnv1a_64, as twemproxy's.
    pub hash: KeyHash,
}

/// libketama's ketama.c: forty sums for a server of mean weight.
pub(super) fn libketama(servers: &[Numbered<'_>]) -> Result<Vec<CompatPoint>, CompatError> {
    let all = total(servers);
    summed(servers, |server| {
        let part = server.weight.number() as f32 / all as f32;
        let n_sums = (f64::from(part) * 40.0 * servers.len() as f64) as f32;
        (
            hash_name(server, || authority(server)),
            n_sums.floor() as u32,
        )
    })
}

impl Libmemcached {
    pub(super) fn points(self, servers: &[Numbered<'_>]) -> Result<Vec<CompatPoint>, CompatError> {
        let all = total(servers);
        let heavy = servers.iter().any(|s| s.server.weight.number() > 1);
        if self.is_weighted || heavy {
            return summed(servers, |server| {
                (self.text(server), sums_of(server, all, servers.len()))
            });
        }
        let mut points = Vec::with_capacity(within_limit(servers.len() as u64 * 100)?);
        for (i, &Numbered { server, .. }) in servers.iter().enumerate() {
            let text = self.text(server);
            points.extend((0..100).map(|n| {
                let hash = self.hash.of(format!("{text}-{n}").as_bytes());
                (upper(hash), i)
            }));
        }
        Ok(points)
    }

    fn text(self, server: &Server) -> String {
        let host = hash_name(server, || server.address.to_string());
        match server.port.number() {
            port if self.is_spy => format!("/{host}:{port}"),
            port if u32::from(port) == MEMCACHED_PORT => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl Twemproxy {
    /// The longest text, in bytes: with its number it must fit the 85
    /// characters that twemproxy formats.
    const TEXT_MAX: usize = 75;

    pub(super) fn points(self, servers: &[Numbered<'_>]) -> Result<Vec<CompatPoint>, CompatError> {
        let all = total(servers);
        let text = |server: &Server| {
            hash_name(server, || match server.port.number() {
                port if u32::from(port) == MEMCACHED_PORT => server.address.to_string(),
                port => format!("{}:{port}", server.address),
            })
        };
        for &Numbered { server, .. } in servers {
            let bytes = text(server).len();
            if bytes > Self::TEXT_MAX {
                return Err(CompatError::HashNameTooLong {
                    name: server.name.clone(),
                    bytes,
                    allowed: Self::TEXT_MAX,
                });
            }
        }
        summed(servers, |server| {
            (text(server), sums_of(server, all, servers.len()))
        })
    }

    /// An empty key is not hashed, and stands at the start.
    pub(super) fn key(self, key: &[u8]) -> u32 {
        if key.is_empty() { 0 } else { self.hash.of(key) }
    }
}

fn total(servers: &[Numbered<'_>]) -> u32 {
    servers.iter().map(|s| s.server.weight.number()).sum()
}

/// How many sums a server gets from libmemcached and twemproxy.
fn sums_of(server: &Server, all: u32, n_servers: usize) -> u32 {
    let part = server.weight.number() as f32 / all as f32;
    let n_sums = part * 160.0 / 4.0 * n_servers as f32;
    // The small number is a double, and what it is added to becomes one.
    ((f64::from(n_sums) + 0.000_000_000_1) as f32).floor() as u32
}

/// Four points of each sum of `text-0`, `text-1` and so on.
fn summed(
    servers: &[Numbered<'_>],
    text_and_sums: impl Fn(&Server) -> (String, u32),
) -> Result<Vec<CompatPoint>, CompatError> {
    let texts: Vec<(String, u32)> = servers.iter().map(|s| text_and_sums(s.server)).collect();
    let n_sums: u64 = texts.iter().map(|&(_, n)| u64::from(n)).sum();
    let mut points = Vec::with_capacity(within_limit(4 * n_sums)?);
    for (i, (text, n_sums)) in texts.iter().enumerate() {
        for n in 0..*n_sums {
            let words = md5_words(format!("{text}-{n}").as_bytes());
            points.extend(words.map(|word| (upper(word), i)));
        }
    }
    Ok(points)
}
