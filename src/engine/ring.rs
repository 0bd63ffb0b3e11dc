//! The ring: every server's points, sorted by position, and who owns what.
//!
//! Karger et al., «Consistent hashing and random trees», STOC 1997; the layout
//! of this one is published in `docs/ring-format.md`. A ring is immutable: a
//! change of one server makes a new ring by merging that server's points into
//! (or out of) the sorted rest. It knows names and weights only: no address,
//! no health, no order of insertion.
//!
//! Lookup is a bucket index on a position's top bits, then two comparisons
//! without a branch: most buckets hold no more points than that, and a branch
//! on random keys would be mispredicted half of the time. What is not found by
//! then is searched by halving inside the bucket, so that names chosen to crowd
//! one bucket cannot make a lookup linear.

use core::cmp::Ordering;
use core::fmt;
use std::collections::BTreeMap;

use super::hash::{self, PointHasher};
use super::server::{ServerName, VirtualNodes, Weight};

mod cells;
mod moved;

mod sorted;
use sorted::sort_points;

pub use cells::Window;
pub use moved::{Basis, Flow, Moved};

/// The most points a fleet may have, primaries and backups together: 2^20,
/// which is 12 MiB.
pub const POINTS_MAX: u32 = 1 << 20;

/// From here on, points and their index are larger than what is near a processor.
const MANY: usize = 1 << 15;

/// How many points of a bucket are compared without a branch.
const GLANCE: usize = 2;

/// A place on the ring: 64 bits, clockwise is upwards, wrapping at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// Where `key` stands: XXH3-64 of its bytes.
    #[inline(always)]
    pub fn of_key(key: &[u8]) -> Self {
        Self(hash::of_key(key))
    }

    /// The position with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The position as an integer.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The position as a fraction of the ring in `0..1`; for drawing only.
    pub fn turn(self) -> f64 {
        // The top 53 bits: what an f64 holds without rounding up to 1.
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl fmt::Display for Position {
    /// Sixteen hexadecimal digits, as positions are written everywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The rank of a server among the servers of one [`Ring`], by name.
pub type Rank = u32;

/// A virtual node as it stands on the ring.
///
/// Its position is kept in halves: whole it would have to stand at a multiple of
/// eight bytes, and a quarter of all points would be nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    low: u32,
    high: u32,
    /// Whose it is. Points at one position are ordered by it, which is by name.
    pub server: Rank,
}

impl Point {
    /// The point of `server` at `position`.
    #[inline(always)]
    pub const fn new(position: Position, server: Rank) -> Self {
        Self {
            low: position.0 as u32,
            high: (position.0 >> 32) as u32,
            server,
        }
    }

    /// Where it stands.
    #[inline(always)]
    pub const fn position(&self) -> Position {
        Position((self.high as u64) << 32 | self.low as u64)
    }
}

impl Ord for Point {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        (self.position(), self.server).cmp(&(other.position(), other.server))
    }
}

impl PartialOrd for Point {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One server as the ring knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingServer {
    /// Its identity.
    pub name: ServerName,
    /// Its number of points is this times the virtual nodes.
    pub weight: Weight,
}

/// An exact part of the ring, from nothing to all of it, in units of 2^-64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u128);

impl Share {
    /// No part of the ring.
    pub const NONE: Self = Self(0);
    /// The whole ring: 2^64 units.
    pub const WHOLE: Self = Self(1 << 64);

    /// So many units of 2^-64; at most 2^64.
    pub(super) const fn from_units(units: u128) -> Self {
        Self(units)
    }

    /// The whole in parts as `sums` are to each other, which adds up to exactly
    /// the whole; nothing for each when all are 0.
    pub(super) fn apportioned(sums: &[u128]) -> Vec<Self> {
        let total: u128 = sums.iter().sum();
        // So few bits that a product with the whole is held.
        let excess = (128 - total.leading_zeros()).saturating_sub(63);
        let total = (total >> excess).max(1);
        let (mut sum, mut before) = (0, 0);
        let parts = sums.iter().map(|part| {
            sum += part;
            let upto = ((sum >> excess) << 64) / total;
            let share = Self(upto - before);
            before = upto;
            share
        });
        parts.collect()
    }

    /// The share in units of 2^-64 of the ring; 0 to 2^64.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// The share as a fraction in `0..=1`, rounded; for reading, not deciding.
    pub fn fraction(self) -> f64 {
        self.0 as f64 / Self::WHOLE.0 as f64
    }
}

impl core::ops::AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl core::iter::Sum for Share {
    fn sum<I: Iterator<Item = Self>>(shares: I) -> Self {
        Self(shares.map(|share| share.0).sum())
    }
}

/// A stretch of the ring and its owner: every position after `after`, up to
/// and including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedArc {
    /// The position before its first one.
    pub after: Position,
    /// Its last position, where the owner's point stands.
    pub end: Position,
    /// The owner.
    pub server: Rank,
    /// Its length.
    pub share: Share,
}

/// How evenly the ring is shared, relative to the weights. No servers: all 1 and 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// The largest ratio of a server's share to its fair share; 1 is even.
    pub peak_to_mean: f64,
    /// Standard deviation of those ratios, each counted by its fair share: the
    /// coefficient of variation. Theory for S equal servers of V points:
    /// `sqrt((S - 1) / (S * V + 1))`.
    pub cv: f64,
}

impl Balance {
    /// How even `shares` are where `expected` (fractions) would be fair.
    pub(super) fn of(shares: &[Share], expected: &[f64]) -> Self {
        let mut balance = Self {
            peak_to_mean: if shares.is_empty() { 1.0 } else { 0.0 },
            cv: 0.0,
        };
        for (share, expected) in shares.iter().zip(expected) {
            let ratio = share.fraction() / expected;
            balance.peak_to_mean = balance.peak_to_mean.max(ratio);
            balance.cv += expected * (ratio - 1.0) * (ratio - 1.0);
        }
        balance.cv = balance.cv.sqrt();
        balance
    }
}

/// More points were asked for than [`POINTS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPoints {
    /// How many were asked for.
    pub points: u64,
}

impl fmt::Display for TooManyPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} points (weights x virtual nodes, over all servers) are not allowed; \
             give at most {POINTS_MAX}: lower the weights or the virtual nodes",
            self.points
        )
    }
}

impl std::error::Error for TooManyPoints {}

/// All points of all servers, sorted by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    virtual_nodes: VirtualNodes,
    /// Sorted by name; a [`Rank`] is an index here.
    servers: Vec<RingServer>,
    /// Sorted by (position, server). Behind the last one stands the first one's
    /// server [`GLANCE`] + 1 times at the end of the ring, so that a lookup
    /// neither wraps nor looks too far.
    points: Vec<Point>,
    /// `buckets[b]` is the index of the first point whose position's top bits
    /// are `b` or more; one entry more than there are buckets.
    buckets: Vec<u32>,
    /// A position's bucket is its bits shifted right by this.
    shift: u32,
}

impl Ring {
    /// Builds the ring of `servers` at once.
    ///
    /// # Errors
    /// When there would be more than [`POINTS_MAX`] points.
    pub fn new(
        virtual_nodes: VirtualNodes,
        servers: &BTreeMap<ServerName, Weight>,
    ) -> Result<Self, TooManyPoints> {
        let servers = servers.iter().map(|(name, &weight)| RingServer {
            name: name.clone(),
            weight,
        });
        Self::of(virtual_nodes, servers.collect())
    }

    /// Builds the ring of `servers`, sorted by name, at once.
    ///
    /// # Errors
    /// When there would be more than [`POINTS_MAX`] points.
    pub(super) fn of(
        virtual_nodes: VirtualNodes,
        servers: Vec<RingServer>,
    ) -> Result<Self, TooManyPoints> {
        let n_points = count_points(virtual_nodes, &servers)?;
        let mut points = Vec::with_capacity(n_points as usize + GLANCE + 1);
        for (rank, server) in servers.iter().enumerate() {
            let n = server.weight.number() * virtual_nodes.number();
            push_points(&mut points, &server.name, rank as Rank, 0..n);
        }
        sort_points(&mut points);
        Ok(Self::index(virtual_nodes, servers, points))
    }

    /// The ring of these points, in order of position, which are not of our
    /// making: it cannot be merged with others.
    pub(super) fn of_points(
        virtual_nodes: VirtualNodes,
        servers: Vec<RingServer>,
        points: impl IntoIterator<Item = (Position, Rank)>,
    ) -> Self {
        let mut points: Vec<Point> = points
            .into_iter()
            .map(|(position, server)| Point::new(position, server))
            .collect();
        points.reserve_exact(GLANCE + 1);
        Self::index(virtual_nodes, servers, points)
    }

    /// This ring with one server more; `self` again when it already has one
    /// of that name.
    ///
    /// # Errors
    /// When there would be more than [`POINTS_MAX`] points.
    pub fn with_server(&self, name: &ServerName, weight: Weight) -> Result<Self, TooManyPoints> {
        let Err(rank) = self.search(name) else {
            return Ok(self.clone());
        };
        let mut servers = self.servers.clone();
        servers.insert(
            rank,
            RingServer {
                name: name.clone(),
                weight,
            },
        );
        count_points(self.virtual_nodes, &servers)?;
        let n = weight.number() * self.virtual_nodes.number();
        let added = sorted_points(name, rank as Rank, 0..n);
        let rerank = Rerank { from: rank, by: 1 };
        Ok(self.merge(servers, rerank, &[], &added))
    }

    /// This ring without the server called `name`; `self` again when it has none.
    #[must_use]
    pub fn without_server(&self, name: &ServerName) -> Self {
        let Ok(rank) = self.search(name) else {
            return self.clone();
        };
        let mut servers = self.servers.clone();
        let gone = servers.remove(rank);
        let n = gone.weight.number() * self.virtual_nodes.number();
        let dropped = sorted_points(name, rank as Rank, 0..n);
        let rerank = Rerank {
            from: rank + 1,
            by: -1,
        };
        self.merge(servers, rerank, &dropped, &[])
    }

    /// This ring with another weight for one server, which adds that server's
    /// next points or drops its last ones; `self` again when it has no such server.
    ///
    /// # Errors
    /// When there would be more than [`POINTS_MAX`] points.
    pub fn with_weight(&self, name: &ServerName, weight: Weight) -> Result<Self, TooManyPoints> {
        let Ok(rank) = self.search(name) else {
            return Ok(self.clone());
        };
        let mut servers = self.servers.clone();
        let before = servers[rank].weight.number() * self.virtual_nodes.number();
        servers[rank].weight = weight;
        count_points(self.virtual_nodes, &servers)?;
        let after = weight.number() * self.virtual_nodes.number();
        // One of the two ranges is empty.
        let dropped = sorted_points(name, rank as Rank, after..before);
        let added = sorted_points(name, rank as Rank, before..after);
        Ok(self.merge(servers, Rerank { from: 0, by: 0 }, &dropped, &added))
    }

    /// Points for each unit of weight.
    pub fn virtual_nodes(&self) -> VirtualNodes {
        self.virtual_nodes
    }

    /// The servers, sorted by name; a [`Rank`] is an index here.
    pub fn servers(&self) -> &[RingServer] {
        &self.servers
    }

    /// The points, sorted by position.
    pub fn points(&self) -> &[Point] {
        &self.points[..self.n_points()]
    }

    /// The first server clockwise from `position`; `None` on an empty ring.
    #[inline(always)]
    pub fn owner(&self, position: Position) -> Option<Rank> {
        self.points
            .get(self.first_at_or_after(position))
            .map(|point| point.server)
    }

    /// Every point once, clockwise from `position`.
    pub fn walk(&self, position: Position) -> impl Iterator<Item = &Point> {
        let first = self.first_at_or_after(position).min(self.n_points());
        let (before, after) = self.points().split_at(first);
        after.iter().chain(before)
    }

    /// The next `N` points clockwise from `position`, unless they wrap.
    #[inline]
    pub(super) fn next_points<const N: usize>(&self, position: Position) -> Option<&[Point; N]> {
        let first = self.first_at_or_after(position);
        self.points().get(first..)?.first_chunk()
    }

    /// The distinct servers clockwise from `position`, owner first.
    pub fn candidates(&self, position: Position) -> impl Iterator<Item = Rank> {
        let mut seen = vec![false; self.servers.len()];
        self.walk(position)
            .map(|point| point.server)
            .filter(move |&server| !core::mem::replace(&mut seen[server as usize], true))
            .take(self.servers.len())
    }

    /// The arcs in order of position, the one that wraps first.
    pub fn arcs(&self) -> impl Iterator<Item = OwnedArc> {
        let last = self
            .points()
            .last()
            .map_or(Position(0), |point| point.position());
        self.points()
            .iter()
            .scan(last, |after, point| {
                let arc = OwnedArc {
                    after: *after,
                    end: point.position(),
                    server: point.server,
                    share: Share(u128::from(point.position().0.wrapping_sub(after.0))),
                };
                *after = point.position();
                Some(arc)
            })
            .enumerate()
            .map(|(i, mut arc)| {
                // Only a ring whose points all stand at one position has an empty
                // first arc; it is the whole ring then.
                if i == 0 && arc.share == Share::NONE {
                    arc.share = Share::WHOLE;
                }
                arc
            })
    }

    /// What each server owns, by [`Rank`]; adds up to exactly [`Share::WHOLE`]
    /// unless the ring is empty.
    pub fn shares(&self) -> Vec<Share> {
        let mut shares = vec![Share::NONE; self.servers.len()];
        for arc in self.arcs() {
            shares[arc.server as usize] += arc.share;
        }
        shares
    }

    /// What the server of this rank owns.
    pub fn share(&self, server: Rank) -> Share {
        let arcs = self.arcs().filter(|arc| arc.server == server);
        arcs.map(|arc| arc.share).sum()
    }

    /// The part each server would own in a perfect world, as a fraction: its
    /// weight over the sum of weights; by [`Rank`].
    pub fn expected_shares(&self) -> Vec<f64> {
        expected_shares(&self.servers)
    }

    /// How even the shares are.
    pub fn balance(&self) -> Balance {
        Balance::of(&self.shares(), &self.expected_shares())
    }

    /// The index of the first point at or after `position`, of those that stand
    /// for the wrap if there is no other; out of range on an empty ring.
    #[inline(always)]
    fn first_at_or_after(&self, position: Position) -> usize {
        let bucket = (position.0 >> self.shift) as usize;
        let from = self.buckets[bucket] as usize;
        let Some(glance) = self.points.get(from..from + GLANCE) else {
            return 0;
        };
        let mut i = from;
        for point in glance {
            i += usize::from(point.position() < position);
        }
        if self.points[i].position() < position {
            i = self.search_bucket(bucket, position);
        }
        i
    }

    /// The same, by halving the bucket.
    #[cold]
    fn search_bucket(&self, bucket: usize, position: Position) -> usize {
        let (from, to) = (
            self.buckets[bucket] as usize,
            self.buckets[bucket + 1] as usize,
        );
        from + self.points[from..to].partition_point(|point| point.position() < position)
    }

    /// How many points there are, those that stand for the wrap not counted.
    fn n_points(&self) -> usize {
        self.points.len().saturating_sub(GLANCE + 1)
    }

    /// Where `name` is among the servers, or where it would be.
    fn search(&self, name: &ServerName) -> Result<usize, usize> {
        self.servers
            .binary_search_by(|server| server.name.cmp(name))
    }

    /// Wraps sorted points with a fresh bucket index.
    fn index(virtual_nodes: VirtualNodes, servers: Vec<RingServer>, points: Vec<Point>) -> Self {
        let shift = shift_for(points.len());
        let n_buckets = 1_usize << (64 - shift);
        let mut buckets = vec![points.len() as u32; n_buckets + 1];
        let mut n_begun = 0;
        for (i, point) in points.iter().enumerate() {
            let bucket = (point.position().0 >> shift) as usize;
            while n_begun <= bucket {
                buckets[n_begun] = i as u32;
                n_begun += 1;
            }
        }
        Self {
            virtual_nodes,
            servers,
            points: wrapped(points),
            buckets,
            shift,
        }
    }

    /// A new ring: these points without `dropped` (ranks of before), renumbered
    /// by `rerank`, with `added` (ranks of after). Both lists are sorted, and
    /// every dropped point is there. Everything between two edits is copied in
    /// one go, which is what makes a change cheaper than a build.
    fn merge(
        &self,
        servers: Vec<RingServer>,
        rerank: Rerank,
        dropped: &[Point],
        added: &[Point],
    ) -> Self {
        let old = self.points();
        let n_points = old.len() + added.len() - dropped.len();
        let keeps_index = shift_for(n_points) == self.shift;
        let mut points = Vec::with_capacity(n_points + GLANCE + 1);
        let mut buckets = Vec::with_capacity(if keeps_index { self.buckets.len() } else { 0 });
        let (mut rest, mut dropped, mut added) = (old, dropped, added);
        loop {
            // The next edit is the lower of the two; `true` means it is a drop.
            let (edit, is_drop) = match (dropped.first(), added.first()) {
                (None, None) => break,
                (Some(&drop), None) => (drop, true),
                (None, Some(&add)) => (add, false),
                (Some(&drop), Some(&add)) => {
                    if drop.position() <= add.position() {
                        (drop, true)
                    } else {
                        (add, false)
                    }
                }
            };
            let n_before = if is_drop {
                rest.partition_point(|&point| point < edit)
            } else {
                rest.partition_point(|&point| {
                    (point.position(), rerank.of(point.server)) < (edit.position(), edit.server)
                })
            };
            let (before, after) = rest.split_at(n_before);
            points.extend(
                before
                    .iter()
                    .map(|point| Point::new(point.position(), rerank.of(point.server))),
            );
            if keeps_index {
                // Buckets up to the edit's own begin where they began, shifted
                // by the edits so far.
                let offset = (points.len() as u32).wrapping_sub((old.len() - after.len()) as u32);
                let upto = (edit.position().0 >> self.shift) as usize + 1;
                extend_shifted(&mut buckets, &self.buckets, upto, offset);
            }
            if is_drop {
                rest = &after[1..];
                dropped = &dropped[1..];
            } else {
                points.push(edit);
                rest = after;
                added = &added[1..];
            }
        }
        points.extend(
            rest.iter()
                .map(|point| Point::new(point.position(), rerank.of(point.server))),
        );
        if !keeps_index {
            return Self::index(self.virtual_nodes, servers, points);
        }
        let offset = (n_points as u32).wrapping_sub(old.len() as u32);
        extend_shifted(&mut buckets, &self.buckets, self.buckets.len(), offset);
        Self {
            virtual_nodes: self.virtual_nodes,
            servers,
            points: wrapped(points),
            buckets,
            shift: self.shift,
        }
    }
}

/// The part of all keys each of `servers` would own in a perfect world, as a
/// fraction: its weight over the sum of weights.
pub(super) fn expected_shares(servers: &[RingServer]) -> Vec<f64> {
    let weight = |server: &RingServer| server.weight.number();
    let total: u64 = servers.iter().map(|s| u64::from(weight(s))).sum();
    let share = |server| f64::from(weight(server)) / total as f64;
    servers.iter().map(share).collect()
}

/// Points of all `servers` together.
fn count_points(virtual_nodes: VirtualNodes, servers: &[RingServer]) -> Result<u32, TooManyPoints> {
    let points = servers
        .iter()
        .map(|server| u64::from(server.weight.number()) * u64::from(virtual_nodes.number()))
        .sum();
    u32::try_from(points)
        .ok()
        .filter(|&n| n <= POINTS_MAX)
        .ok_or(TooManyPoints { points })
}

/// How ranks change when a server comes or goes.
#[derive(Clone, Copy)]
struct Rerank {
    /// The first that does.
    from: usize,
    by: i32,
}

impl Rerank {
    fn of(self, server: Rank) -> Rank {
        let by = if server as usize >= self.from {
            self.by
        } else {
            0
        };
        server.wrapping_add_signed(by)
    }
}

/// Appends the points `indexes` of one server, unsorted.
fn push_points(
    points: &mut Vec<Point>,
    name: &ServerName,
    server: Rank,
    indexes: core::ops::Range<u32>,
) {
    let mut hasher = PointHasher::new(name.as_str());
    points.extend(indexes.map(|i| Point::new(Position(hasher.point(i)), server)));
}

/// The points `indexes` of one server, sorted.
fn sorted_points(name: &ServerName, server: Rank, indexes: core::ops::Range<u32>) -> Vec<Point> {
    let mut points = Vec::with_capacity(indexes.len());
    push_points(&mut points, name, server, indexes);
    sort_points(&mut points);
    points
}

/// Sorted points with what stands behind the last one: see [`Ring::points`].
fn wrapped(mut points: Vec<Point>) -> Vec<Point> {
    if let Some(first) = points.first() {
        let again = Point::new(Position(u64::MAX), first.server);
        points.resize(points.len() + GLANCE + 1, again);
    }
    points
}

/// How far to shift a position to get its bucket: two buckets for each of
/// `n_points`, or one for two of them where they are many and memory is what a
/// lookup waits for; rounded up to a power of two, and never fewer than two.
fn shift_for(n_points: usize) -> u32 {
    let n = if n_points > MANY {
        n_points / 2
    } else {
        2 * n_points
    };
    let bits = n.next_power_of_two().trailing_zeros().max(1);
    64 - bits
}

/// Appends `old[new.len()..upto]` to `new`, each plus `offset` (wrapping, so
/// that an offset can be negative).
fn extend_shifted(new: &mut Vec<u32>, old: &[u32], upto: usize, offset: u32) {
    if upto > new.len() {
        let from = new.len();
        new.extend(
            old[from..upto]
                .iter()
                .map(|&first| first.wrapping_add(offset)),
        );
    }
}

#[cfg(test)]
mod tests;
