//! A layout: how one tier of servers, the primaries or the backups, shares
//! all keys by one [`Algorithm`].
//!
//! Immutable and pure like the ring, and like it without health: a key's
//! candidates depend on who the servers are and never on how they do. What is
//! asked of it is the first candidate that its caller accepts, so that nothing
//! is allocated for a route.

use crate::engine::quoted::Quoted;
use crate::engine::sort;
use core::fmt;

use super::algorithm::Algorithm;
use super::compat::{self, Compat, CompatError, Numbered};
use super::hash::PointHasher;
use super::maglev::{Filler, Maglev, TableSize};
use super::rendezvous::Rendezvous;
use super::ring::{self, Balance, Position, Rank, Ring, RingServer, Share, TooManyPoints};
use super::server::{Server, ServerName, Weight};
use super::settings::Settings;
use super::{jump, local_rendezvous};

mod at_rest;
mod moved;
pub(super) use at_rest::AtRest;

/// How one tier of servers shares all keys.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Points on a ring, ours or a product's: the first clockwise from a key is
    /// its owner's.
    Ring(Ring),
    /// Points on a ring, of which a key chooses among the next few.
    LocalRendezvous(Ring),
    /// Draws of all servers.
    Rendezvous(Rendezvous),
    /// A table of slots, or numbered shards: who owns a key is looked up, and
    /// who comes after is drawn for, so that a failed server's keys are spread
    /// over all others.
    Table(Table),
    /// Nothing: no key has a server, by rules without keys.
    Keyless(Vec<RingServer>),
}

/// An owner for each slot or shard, and draws for the rest.
#[derive(Clone, Debug)]
pub struct Table {
    kind: TableKind,
    /// By filler or shard: whose it is.
    ranks: Vec<Rank>,
    draws: Rendezvous,
}

#[derive(Clone, Debug)]
enum TableKind {
    Slots(Maglev),
    Shards,
}

impl Table {
    #[inline]
    fn owner(&self, position: Position) -> Option<Rank> {
        let n = self.ranks.len() as u32;
        if n == 0 {
            return None;
        }
        let owner = match &self.kind {
            TableKind::Slots(slots) => slots.owner(position),
            TableKind::Shards => jump::shard(position, n),
        };
        self.ranks.get(owner as usize).copied()
    }

    fn shares(&self) -> Vec<Share> {
        let mut shares = vec![Share::NONE; self.ranks.len()];
        match &self.kind {
            TableKind::Slots(slots) if !shares.is_empty() => {
                for (filler, share) in slots.parts() {
                    shares[self.ranks[filler as usize] as usize] += share;
                }
                shares
            }
            _ => Share::apportioned(&vec![1; self.ranks.len()]),
        }
    }
}

/// A server to be laid out.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The server.
    pub server: &'a Server,
    /// Lower for those that joined the fleet before: the order of the
    /// configuration, which some products' rules depend on.
    pub order: u64,
    /// The number it has or was given.
    pub number: u32,
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
    /// A table has no slot for so many servers.
    TooManyServers {
        /// How many there are.
        servers: usize,
        /// How many there may be.
        allowed: usize,
    },
    /// Shards have no weights.
    WeightedShard {
        /// The server with one.
        name: ServerName,
    },
    /// Only the last shard may leave, and a new one must come last.
    NotLastShard {
        /// The server that would come or go.
        name: ServerName,
        /// The one with the highest number.
        last: ServerName,
    },
    /// The product that is followed could not have such servers.
    Compat(CompatError),
}

impl LayoutError {
    /// Whose fault it is, and which field of that server would have to be
    /// another, where there is just one.
    pub fn place(&self) -> Option<(&ServerName, &'static str)> {
        match self {
            Self::WeightedShard { name } => Some((name, "weight")),
            Self::Compat(error) => error.place(),
            Self::TooManyPoints(_) | Self::TooManyServers { .. } | Self::NotLastShard { .. } => {
                None
            }
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyPoints(error) => error.fmt(f),
            Self::TooManyServers { servers, allowed } => write!(
                f,
                "{servers} servers are too many for the table; {allowed} are allowed"
            ),
            Self::WeightedShard { name } => write!(
                f,
                "{} has a weight, but the shards of jump are all equal; give 1",
                Quoted(name.as_str())
            ),
            Self::NotLastShard { name, last } => write!(
                f,
                "{} is not the last shard, which is {}; shards of jump come and go at \
                 the end only, or the keys of all those behind would move",
                Quoted(name.as_str()),
                Quoted(last.as_str())
            ),
            Self::Compat(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LayoutError {}

impl From<TooManyPoints> for LayoutError {
    fn from(error: TooManyPoints) -> Self {
        Self::TooManyPoints(error)
    }
}

impl From<CompatError> for LayoutError {
    fn from(error: CompatError) -> Self {
        Self::Compat(error)
    }
}

impl Layout {
    /// Lays out `servers`, which are sorted by name: a [`Rank`] is an index
    /// there.
    ///
    /// # Errors
    /// When the algorithm cannot have such servers, or so many.
    pub fn new(settings: &Settings, servers: &[Placed<'_>]) -> Result<Self, LayoutError> {
        let members = || servers.iter().map(RingServer::from).collect();
        let ring = || Ring::of(settings.virtual_nodes, members());
        match &settings.algorithm {
            Algorithm::Ring => Ok(Self::Ring(ring()?)),
            Algorithm::LocalRendezvous => Ok(Self::LocalRendezvous(ring()?)),
            Algorithm::Rendezvous => Ok(Self::Rendezvous(Rendezvous::new(members()))),
            Algorithm::Maglev(size) => maglev(*size, servers, members()),
            Algorithm::Jump => shards(servers, members()),
            Algorithm::Keyless(_) => Ok(Self::Keyless(members())),
            Algorithm::Compat(Compat::EnvoyMaglev(size)) => {
                within_table(*size, servers.len())?;
                let (in_order, ranks) = by_order(servers);
                let (slots, fillers) = compat::maglev(*size, &in_order)?;
                Ok(Self::Table(Table {
                    kind: TableKind::Slots(slots),
                    ranks: fillers.into_iter().map(|filler| ranks[filler]).collect(),
                    draws: Rendezvous::new(members()),
                }))
            }
            Algorithm::Compat(product) => {
                let (in_order, ranks) = by_order(servers);
                let points = product.points(&in_order)?;
                let ranked = points.into_iter().map(|(at, i)| (at, ranks[i]));
                let ring = Ring::of_points(settings.virtual_nodes, members(), ranked);
                Ok(Self::Ring(ring))
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
        servers: &[Placed<'_>],
    ) -> Result<Self, LayoutError> {
        let merged = |ring: &Ring| match difference {
            Difference::Added(server) => ring.with_server(&server.name, server.weight),
            Difference::Removed(name) => Ok(ring.without_server(name)),
            Difference::Reweighed(server) => ring.with_weight(&server.name, server.weight),
        };
        match (self, &settings.algorithm) {
            (Self::Ring(ring), Algorithm::Ring) => Ok(Self::Ring(merged(ring)?)),
            (Self::LocalRendezvous(ring), Algorithm::LocalRendezvous) => {
                Ok(Self::LocalRendezvous(merged(ring)?))
            }
            (Self::Table(before), Algorithm::Jump) => {
                let after = Self::new(settings, servers)?;
                before.refuse_reshuffling(difference, &after)?;
                Ok(after)
            }
            _ => Self::new(settings, servers),
        }
    }

    /// The ring, if it is one.
    pub fn ring(&self) -> Option<&Ring> {
        match self {
            Self::Ring(ring) | Self::LocalRendezvous(ring) => Some(ring),
            Self::Rendezvous(_) | Self::Table(_) | Self::Keyless(_) => None,
        }
    }

    /// The servers, sorted by name; a [`Rank`] is an index here.
    pub fn servers(&self) -> &[RingServer] {
        match self {
            Self::Ring(ring) | Self::LocalRendezvous(ring) => ring.servers(),
            Self::Rendezvous(draws) => draws.servers(),
            Self::Table(table) => table.draws.servers(),
            Self::Keyless(servers) => servers,
        }
    }

    /// How many points there are, of those that count towards the limit.
    pub fn n_points(&self) -> usize {
        self.ring().map_or(0, |ring| ring.points().len())
    }

    /// The first candidate of the key at `position`; `None` without servers, and
    /// by rules without keys.
    #[inline(always)]
    pub fn owner(&self, position: Position) -> Option<Rank> {
        match self {
            Self::Ring(ring) => ring.owner(position),
            _ => self.owner_by_draw(position),
        }
    }

    /// The same where it is not looked up on a ring.
    fn owner_by_draw(&self, position: Position) -> Option<Rank> {
        match self {
            Self::LocalRendezvous(ring) => local_rendezvous::owner(ring, position),
            Self::Rendezvous(draws) => draws.owner(position),
            Self::Table(table) => table.owner(position),
            Self::Ring(_) | Self::Keyless(_) => None,
        }
    }

    /// The first candidate of the key at `position` that `accept` answers for.
    /// It may be asked for one server more than once.
    pub fn first<T>(
        &self,
        position: Position,
        mut accept: impl FnMut(Rank) -> Option<T>,
    ) -> Option<T> {
        // Of several that are accepted the last one is the best.
        let mut answer = None;
        self.first_accepted(position, &mut |rank| match accept(rank) {
            None => false,
            accepted => {
                answer = accepted;
                true
            }
        });
        answer
    }

    /// The same for all kinds of answers. Each server that is accepted is better
    /// than those before it.
    #[inline(never)]
    fn first_accepted(
        &self,
        position: Position,
        accept: &mut dyn FnMut(Rank) -> bool,
    ) -> Option<Rank> {
        match self {
            Self::Ring(ring) => {
                let mut servers = ring.walk(position).map(|point| point.server);
                servers.find(|&server| accept(server))
            }
            Self::LocalRendezvous(ring) => local_rendezvous::first(ring, position, accept),
            Self::Rendezvous(draws) => draws.first(position, accept),
            Self::Table(table) => {
                let owner = table.owner(position)?;
                if accept(owner) {
                    return Some(owner);
                }
                table.draws.first(position, accept)
            }
            Self::Keyless(_) => None,
        }
    }

    /// All servers in the order the key at `position` prefers them; none by rules
    /// without keys.
    pub fn candidates(&self, position: Position) -> Vec<Rank> {
        match self {
            Self::Ring(ring) => ring.candidates(position).collect(),
            Self::LocalRendezvous(ring) => local_rendezvous::candidates(ring, position),
            Self::Rendezvous(draws) => draws.candidates(position),
            Self::Table(table) => {
                let mut candidates = table.draws.candidates(position);
                let owner = table.owner(position);
                // Stable: the others stay in the order of their draws.
                sort::by(&mut candidates, |&a, _| Some(a) == owner);
                candidates
            }
            Self::Keyless(_) => Vec::new(),
        }
    }

    /// What part of all keys each server owns, by [`Rank`]; adds up to exactly
    /// [`Share::WHOLE`] unless there are no servers. Where servers draw for
    /// keys it is the part that is expected: see [`Self::shares_are_expected`];
    /// by rules without keys it is the part of all requests that weights expect.
    pub fn shares(&self) -> Vec<Share> {
        match self {
            Self::Ring(ring) => ring.shares(),
            Self::LocalRendezvous(ring) => local_rendezvous::shares(ring),
            Self::Rendezvous(_) | Self::Keyless(_) => {
                let weight = |server: &RingServer| u128::from(server.weight.number());
                let weights: Vec<u128> = self.servers().iter().map(weight).collect();
                Share::apportioned(&weights)
            }
            Self::Table(table) => table.shares(),
        }
    }

    /// What [`Self::shares`] says of the server of this rank.
    pub fn share(&self, rank: Rank) -> Share {
        match self {
            Self::Ring(ring) => ring.share(rank),
            _ => self
                .shares()
                .get(rank as usize)
                .copied()
                .unwrap_or_default(),
        }
    }

    /// The rank of the server called `name`.
    pub fn rank(&self, name: &ServerName) -> Option<Rank> {
        let found = self
            .servers()
            .binary_search_by(|server| server.name.cmp(name));
        found.ok().map(|rank| rank as Rank)
    }

    /// Whether shares are what draws make expected, and not counted exactly.
    pub fn shares_are_expected(&self) -> bool {
        match self {
            Self::Ring(_) => false,
            Self::LocalRendezvous(_) | Self::Rendezvous(_) | Self::Keyless(_) => true,
            Self::Table(table) => matches!(table.kind, TableKind::Shards),
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
}

impl Table {
    /// Holds shards to what jump can do without moving most keys.
    fn refuse_reshuffling(
        &self,
        difference: Difference<'_>,
        after: &Layout,
    ) -> Result<(), LayoutError> {
        let Layout::Table(after) = after else {
            return Ok(());
        };
        let (name, longer) = match difference {
            Difference::Added(server) => (&server.name, after),
            Difference::Removed(name) => (name, self),
            Difference::Reweighed(_) => return Ok(()),
        };
        let last = longer.ranks.last().map(|&rank| rank as usize);
        match last.map(|rank| &longer.draws.servers()[rank].name) {
            Some(last) if last != name => Err(LayoutError::NotLastShard {
                name: name.clone(),
                last: last.clone(),
            }),
            _ => Ok(()),
        }
    }
}

fn maglev(
    size: TableSize,
    servers: &[Placed<'_>],
    members: Vec<RingServer>,
) -> Result<Layout, LayoutError> {
    within_table(size, servers.len())?;
    let fillers: Vec<Filler> = members
        .iter()
        .map(|server| {
            let mut hasher = PointHasher::new(server.name.as_str());
            Filler {
                offset: hasher.point(0),
                skip: hasher.point(1),
                weight: f64::from(server.weight.number()),
            }
        })
        .collect();
    Ok(Layout::Table(Table {
        kind: TableKind::Slots(Maglev::new(size, &fillers)),
        ranks: (0..members.len() as Rank).collect(),
        draws: Rendezvous::new(members),
    }))
}

fn shards(servers: &[Placed<'_>], members: Vec<RingServer>) -> Result<Layout, LayoutError> {
    if let Some(placed) = servers.iter().find(|p| p.server.weight != Weight::ONE) {
        return Err(LayoutError::WeightedShard {
            name: placed.server.name.clone(),
        });
    }
    let mut ranks: Vec<Rank> = (0..members.len() as Rank).collect();
    sort::by_number(&mut ranks, |&rank| servers[rank as usize].number.into());
    Ok(Layout::Table(Table {
        kind: TableKind::Shards,
        ranks,
        draws: Rendezvous::new(members),
    }))
}

/// Servers in the order of the configuration, with their ranks.
fn by_order<'a>(servers: &[Placed<'a>]) -> (Vec<Numbered<'a>>, Vec<Rank>) {
    let mut ranks: Vec<Rank> = (0..servers.len() as Rank).collect();
    sort::by_number(&mut ranks, |&rank| servers[rank as usize].order);
    let numbered = ranks.iter().map(|&rank| {
        let Placed { server, number, .. } = servers[rank as usize];
        Numbered { server, number }
    });
    (numbered.collect(), ranks)
}

fn within_table(size: TableSize, servers: usize) -> Result<(), LayoutError> {
    let allowed = Maglev::FILLERS_MAX.min(size.number() as usize);
    if servers > allowed {
        return Err(LayoutError::TooManyServers { servers, allowed });
    }
    Ok(())
}

impl From<&Placed<'_>> for RingServer {
    fn from(placed: &Placed<'_>) -> Self {
        Self {
            name: placed.server.name.clone(),
            weight: placed.server.weight,
        }
    }
}
