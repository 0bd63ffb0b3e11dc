//! Which rule shares keys among servers, and how keys are hashed for it.

use super::compat::Compat;
use super::keyless::Keyless;
use super::maglev::TableSize;
use super::ring::Position;

/// A rule by which keys go to servers.
///
/// Each is a kind of [`Layout`](super::Layout): what is built for it, and how
/// a key finds its candidates there. `docs/algorithms.md` compares them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Algorithm {
    /// Points on a ring (Karger et al. 1997); `docs/ring-format.md`.
    #[default]
    Ring,
    /// The best of the next eight points of that ring.
    LocalRendezvous,
    /// A table of slots (Eisenbud et al. 2016).
    Maglev(TableSize),
    /// The best draw of all servers (Thaler and Ravishankar 1996).
    Rendezvous,
    /// Numbered shards (Lamping and Veach 2014).
    Jump,
    /// As another product does.
    Compat(Compat),
    /// By something else than keys.
    Keyless(Keyless),
}

impl Algorithm {
    /// Where `key` stands. The rules of our own take XXH3-64 of its bytes;
    /// those that follow a product hash as that product does.
    #[inline(always)]
    pub fn position(&self, key: &[u8]) -> Position {
        match self {
            Self::Compat(product) => product.position(key),
            _ => Position::of_key(key),
        }
    }

    /// What tells `key`, which stands at `position`, from other keys: XXH3-64 of
    /// its bytes, which is the position already for rules of our own. Those of
    /// products may have 32 bits, too few to tell millions of keys apart.
    #[inline]
    pub(super) fn key_id(&self, key: &[u8], position: Position) -> u64 {
        match self {
            Self::Compat(_) => Position::of_key(key).bits(),
            _ => position.bits(),
        }
    }

    /// Whether `other` hashes every key as this rule does, so that a position
    /// says the same by both. Two hashes that differ do so on some of these keys
    /// at the latest.
    pub(super) fn hashes_like(&self, other: &Self) -> bool {
        let keys: [&[u8]; 4] = [b"", b"a", b"/users/42?page=7", b"\xc3\xa9-0123456789abcdef"];
        keys.iter()
            .all(|key| self.position(key) == other.position(key))
    }

    /// Whether keys come to stand anywhere, so that an arc's length says how many
    /// there are.
    pub(super) const fn spreads_keys(&self) -> bool {
        match self {
            Self::Compat(product) => product.spreads_keys(),
            _ => true,
        }
    }

    /// Its name in configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::LocalRendezvous => "local-rendezvous",
            Self::Maglev(_) => "maglev",
            Self::Rendezvous => "rendezvous",
            Self::Jump => "jump",
            Self::Compat(product) => product.name(),
            Self::Keyless(rule) => rule.name(),
        }
    }

    /// What tells this rule's fleets apart from those of others, for the
    /// fingerprint: its name and every option that decides a route.
    pub(super) fn identity(&self) -> Vec<u8> {
        let mut identity = format!("ringway-{}-1\0", self.name()).into_bytes();
        let mut number = |n: u32| identity.extend(n.to_le_bytes());
        match self {
            Self::Maglev(size) | Self::Compat(Compat::EnvoyMaglev(size)) => number(size.number()),
            Self::Compat(Compat::EnvoyRing(options)) => {
                number(options.min.number());
                number(options.max.number());
            }
            Self::Compat(Compat::Libmemcached(options)) => {
                number(options.hash as u32);
                number(options.is_weighted.into());
                number(options.is_spy.into());
            }
            Self::Compat(Compat::Twemproxy(options)) => number(options.hash as u32),
            Self::Compat(Compat::Haproxy(options)) => {
                number(options.hash_key as u32);
                number(options.hash as u32);
                number(options.avalanche.map_or(2, u32::from));
            }
            Self::Ring
            | Self::LocalRendezvous
            | Self::Rendezvous
            | Self::Jump
            | Self::Keyless(_)
            | Self::Compat(Compat::Nginx | Compat::Ketama) => {}
        }
        identity
    }

    /// Whether routes depend on more of a server than its name and weight.
    pub(super) const fn goes_by_address(&self) -> bool {
        matches!(self, Self::Compat(_))
    }

    /// Whether routes depend on the servers' numbers.
    pub const fn goes_by_number(&self) -> bool {
        matches!(self, Self::Jump | Self::Compat(_))
    }
}
