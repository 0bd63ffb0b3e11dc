//! Which rule shares keys among servers, and how keys are hashed for it.

use super::ring::Position;

/// A rule by which keys go to servers.
///
/// Each is a kind of [`Layout`](super::Layout): what is built for it, and how
/// a key finds its candidates there.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Algorithm {
    /// Points on a ring (Karger et al. 1997); `docs/ring-format.md`.
    #[default]
    Ring,
}

impl Algorithm {
    /// Where `key` stands. The rules of our own take XXH3-64 of its bytes;
    /// those that follow a product hash as that product does.
    #[inline]
    pub fn position(&self, key: &[u8]) -> Position {
        match self {
            Self::Ring => Position::of_key(key),
        }
    }

    /// Its name in configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ring => "ring",
        }
    }

    /// What tells this rule's fleets apart from those of others, for the
    /// fingerprint: its name and every option that decides a route.
    pub(super) fn identity(&self) -> Vec<u8> {
        match self {
            Self::Ring => b"ringway-ring-1\0".to_vec(),
        }
    }
}
