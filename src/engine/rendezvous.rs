//! Rendezvous hashing: every server draws a number for a key, the best wins.
//!
//! Thaler and Ravishankar, «A name-based mapping scheme for rendezvous», 1996;
//! weights after Schindelhauer and Schomaker, 2005: a draw `u` counts as
//! `-log2(u) / weight`, and the least wins. Shares are then exactly in
//! proportion to the weights, and a change of one server moves only keys that
//! it gains or loses. A lookup asks every server.

use super::hash;
use super::log2::Logarithm;
use super::ring::{Position, Rank, RingServer};
use crate::engine::sort;

/// The top bits of a draw that its logarithm is taken of: so few that
/// neighbours differ by more than the logarithm's error, which keeps its order
/// that of the draws.
const DRAW_BITS: u32 = 48;

/// Servers that are drawn for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendezvous {
    servers: Vec<RingServer>,
    /// XXH3-64 of each name.
    seeds: Vec<u64>,
    /// By rank, beside each other.
    weights: Vec<u32>,
    /// None where all weights are equal: the greatest draw wins then.
    logarithm: Option<Logarithm>,
}

/// A server's draw for a key, made comparable: the least is the best.
#[derive(Clone, Copy, Debug)]
struct Bid {
    /// −log2 of the draw; 0 where all weights are equal.
    cost: u64,
    weight: u32,
    draw: u64,
}

impl Bid {
    /// Whether this one wins over `other`: by cost for its weight, then by draw.
    fn beats(self, other: Self) -> bool {
        let mine = u128::from(self.cost) * u128::from(other.weight);
        let others = u128::from(other.cost) * u128::from(self.weight);
        mine < others || (mine == others && self.draw > other.draw)
    }
}

impl Rendezvous {
    /// Draws for `servers`, sorted by name.
    pub(super) fn new(servers: Vec<RingServer>) -> Self {
        let is_even = servers.windows(2).all(|w| w[0].weight == w[1].weight);
        let seed = |server: &RingServer| hash::of_key(server.name.as_str().as_bytes());
        Self {
            seeds: servers.iter().map(seed).collect(),
            weights: servers.iter().map(|s| s.weight.number()).collect(),
            servers,
            logarithm: (!is_even).then(Logarithm::new),
        }
    }

    /// The servers, sorted by name.
    pub fn servers(&self) -> &[RingServer] {
        &self.servers
    }

    /// The best of all servers; `None` without any.
    pub(super) fn owner(&self, position: Position) -> Option<Rank> {
        if self.logarithm.is_some() {
            return self.first(position, &mut |_| true);
        }
        let (&first, rest) = self.seeds.split_first()?;
        let (mut best, mut owner) = (draw(position, first), 0);
        for (&seed, rank) in rest.iter().zip(1..) {
            // Without a branch: random draws would have it mispredicted.
            let draw = draw(position, seed);
            owner = if draw > best { rank } else { owner };
            best = best.max(draw);
        }
        Some(owner)
    }

    /// The best of the servers that are accepted. Equal bids, which hardly
    /// exist, go to the first name.
    pub(super) fn first(
        &self,
        position: Position,
        accept: &mut dyn FnMut(Rank) -> bool,
    ) -> Option<Rank> {
        let mut best: Option<(Bid, Rank)> = None;
        for (rank, &seed) in self.seeds.iter().enumerate() {
            let draw = draw(position, seed);
            if let Some((best, _)) = &best
                && self.surely_loses(rank, draw, *best)
            {
                continue;
            }
            // Whether a bid wins is cheaper to say than whether it may.
            let bid = self.bid(rank, draw);
            if best.as_ref().is_none_or(|(best, _)| bid.beats(*best)) && accept(rank as Rank) {
                best = Some((bid, rank as Rank));
            }
        }
        best.map(|(_, rank)| rank)
    }

    /// All servers, the best first.
    pub(super) fn candidates(&self, position: Position) -> Vec<Rank> {
        let mut bids: Vec<(Bid, Rank)> = self
            .seeds
            .iter()
            .enumerate()
            .map(|(rank, &seed)| (self.bid(rank, draw(position, seed)), rank as Rank))
            .collect();
        // Stable, so that equal bids stay in order of names.
        sort::by(&mut bids, |(a, _), (b, _)| a.beats(*b));
        bids.into_iter().map(|(_, rank)| rank).collect()
    }

    /// Whether a draw is so low that it needs no logarithm to lose to `best`:
    /// most are. `-log2(u)` is at least `(1 - u) / ln 2`, which is 184.66 units
    /// of a cost for each 2^-49 of `1 - u`; 182 leaves room for the error of a
    /// cost, which is 2.
    fn surely_loses(&self, rank: usize, draw: u64, best: Bid) -> bool {
        if self.logarithm.is_none() {
            return draw < best.draw;
        }
        let rest = (1 << (DRAW_BITS + 1)) - (2 * (draw >> (64 - DRAW_BITS)) + 1);
        let least_cost = u128::from(182 * rest);
        least_cost * u128::from(best.weight)
            > u128::from(best.cost) * u128::from(self.weights[rank])
    }

    fn bid(&self, rank: usize, draw: u64) -> Bid {
        let negative_log2 = |by: &Logarithm| by.negative_log2(draw >> (64 - DRAW_BITS), DRAW_BITS);
        let cost = self.logarithm.as_ref().map_or(0, negative_log2);
        Bid {
            cost,
            weight: self.weights[rank],
            draw,
        }
    }
}

/// What a participant with this seed draws for a key: both are hashes already,
/// so their difference needs mixing only (Maiga's `moremur`, a bijection).
pub(super) fn draw(position: Position, seed: u64) -> u64 {
    let mut x = position.bits() ^ seed;
    x = (x ^ (x >> 27)).wrapping_mul(0x3c79_ac49_2ba7_b653);
    x = (x ^ (x >> 33)).wrapping_mul(0x1c69_b3f7_4ac4_ae35);
    x ^ (x >> 27)
}
