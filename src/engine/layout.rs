//! A layout: how one tier of servers, the primaries or the backups, shares
//! all keys by one [`Algorithm`].
//!
//! Immutable and pure like the ring, and like it without health: a key's
//! candidates depend on who the servers are and never on how they do. What is
//! asked of it is the first candidate that its caller accepts, so that nothing
//! is allocated for a route.

use core::fmt;

use super::algorithm::Algorithm;
use super::ring::{self, Balance, Moved, Position, Rank, Ring, RingServer, Share, TooManyPoints};
use super::server::{Server, ServerName};
use super::settings::Settings;

/// How one tier of servers shares all keys.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Points on a ring: the first clockwise from a key is its owner's.
    Ring(Ring),
}

/// A server to be laid out.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The server.
    pub server: &'a Server,
    /// Lower for those that joined the fleet before: the order of the
    /// configuration, which some products' rules depend on.
    pub order: u64,
}

/// How a tier differs from the one before.
#[derive(Clone, Copy, Debug)]
pub enum Difference<'a> {
    /// This server has come.
    Added(&'a Server),
    /// The server of this name has left.
    Removed(&'a ServerName),
    /// This server has another weight, which is the one it has here.
    Reweighed(&'a Server),
}

/// Why servers cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// There would be too many points.
    TooManyPoints(TooManyPoints),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyPoints(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LayoutError {}

impl From<TooManyPoints> for LayoutError {
    fn from(error: TooManyPoints) -> Self {
        Self::TooManyPoints(error)
    }
}

impl Layout {
    /// Lays out `servers`, which are sorted by name: a [`Rank`] is an index
    /// there.
    ///
    /// # Errors
    /// When the algorithm cannot have such servers, or so many.
    pub fn new(settings: &Settings, servers: &[Placed<'_>]) -> Result<Self, LayoutError> {
        match &settings.algorithm {
            Algorithm::Ring => {
                let servers = servers.iter().map(RingServer::from).collect();
                Ok(Self::Ring(Ring::of(settings.virtual_nodes, servers)?))
            }
        }
    }

    /// The layout of `servers` (as for [`Self::new`]), of which this one
    /// differs by one server. Rings are merged and not built anew.
    ///
    /// # Errors
    /// As [`Self::new`]; also when the algorithm refuses such a change.
    pub fn after(
        &self,
        settings: &Settings,
        difference: Difference<'_>,
        _servers: &[Placed<'_>],
    ) -> Result<Self, LayoutError> {
        match (self, &settings.algorithm) {
            (Self::Ring(ring), Algorithm::Ring) => Ok(Self::Ring(match difference {
                Difference::Added(server) => ring.with_server(&server.name, server.weight)?,
                Difference::Removed(name) => ring.without_server(name),
                Difference::Reweighed(server) => ring.with_weight(&server.name, server.weight)?,
            })),
        }
    }

    /// The ring, if it is one.
    pub fn ring(&self) -> Option<&Ring> {
        match self {
            Self::Ring(ring) => Some(ring),
        }
    }

    /// The servers, sorted by name; a [`Rank`] is an index here.
    pub fn servers(&self) -> &[RingServer] {
        match self {
            Self::Ring(ring) => ring.servers(),
        }
    }

    /// How many points there are, of those that count towards the limit.
    pub fn n_points(&self) -> usize {
        self.ring().map_or(0, |ring| ring.points().len())
    }

    /// The first candidate of the key at `position`; `None` without servers.
    #[inline]
    pub fn owner(&self, position: Position) -> Option<Rank> {
        match self {
            Self::Ring(ring) => ring.owner(position),
        }
    }

    /// The first candidate of the key at `position` that `accept` answers for.
    /// It may be asked for one server more than once.
    pub fn first<T>(
        &self,
        position: Position,
        mut accept: impl FnMut(Rank) -> Option<T>,
    ) -> Option<T> {
        match self {
            Self::Ring(ring) => ring.walk(position).find_map(|point| accept(point.server)),
        }
    }

    /// All servers in the order the key at `position` prefers them.
    pub fn candidates(&self, position: Position) -> Vec<Rank> {
        match self {
            Self::Ring(ring) => ring.candidates(position).collect(),
        }
    }

    /// What part of all keys each server owns, by [`Rank`]; adds up to exactly
    /// [`Share::WHOLE`] unless there are no servers.
    pub fn shares(&self) -> Vec<Share> {
        match self {
            Self::Ring(ring) => ring.shares(),
        }
    }

    /// The part each server would own in a perfect world, as a fraction: its
    /// weight over the sum of weights; by [`Rank`].
    pub fn expected_shares(&self) -> Vec<f64> {
        ring::expected_shares(self.servers())
    }

    /// How even the shares are.
    pub fn balance(&self) -> Balance {
        Balance::of(&self.shares(), &self.expected_shares())
    }

    /// What changes hands when `after` follows this layout.
    pub fn moved_to(&self, after: &Self) -> Moved {
        match (self, after) {
            (Self::Ring(before), Self::Ring(after)) => Moved::between(before, after),
        }
    }
}

impl From<&Placed<'_>> for RingServer {
    fn from(placed: &Placed<'_>) -> Self {
        Self {
            name: placed.server.name.clone(),
            weight: placed.server.weight,
        }
    }
}
