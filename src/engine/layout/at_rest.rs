//! A layout whose servers all take keys or are drained: who gets which key
//! while nothing is wrong.

use super::Layout;
use super::moved::{self, Side};
use crate::engine::algorithm::Algorithm;
use crate::engine::ring::{self, Moved, Share};

/// A tier as an operator left it.
#[derive(Clone, Debug)]
pub(in crate::engine) struct AtRest<'a> {
    /// By which keys are hashed.
    algorithm: &'a Algorithm,
    layout: &'a Layout,
    /// By rank: whether it takes keys.
    takes: Vec<bool>,
}

impl<'a> AtRest<'a> {
    /// `takes` says of each server, by rank, whether it takes keys.
    pub(in crate::engine) fn new(
        algorithm: &'a Algorithm,
        layout: &'a Layout,
        takes: Vec<bool>,
    ) -> Self {
        Self {
            algorithm,
            layout,
            takes,
        }
    }

    pub(in crate::engine) fn layout(&self) -> &Layout {
        self.layout
    }

    fn side(&self) -> Side<'_> {
        Side {
            layout: self.layout,
            takes: &self.takes,
        }
    }

    /// What would be fair for each server, by rank: its weight over the sum of
    /// the weights of all that take keys.
    pub(in crate::engine) fn fair_shares(&self) -> Vec<f64> {
        let mut shares = ring::expected_shares(self.layout.servers());
        let mut sum = 0.0;
        for (share, takes) in shares.iter_mut().zip(&self.takes) {
            *share = if *takes { *share } else { 0.0 };
            sum += *share;
        }
        shares
            .iter()
            .map(|share| if sum > 0.0 { share / sum } else { 0.0 })
            .collect()
    }

    /// What part of all keys goes to each server, by rank: exactly, or as
    /// expected over the draws.
    pub(in crate::engine) fn shares(&self) -> Vec<Share> {
        if self.algorithm.spreads_keys() {
            return self.side().shares();
        }
        let position = |key: &[u8]| self.algorithm.position(key);
        self.side().sampled_shares(position)
    }

    /// What changes hands when `after` follows. Where the two hash keys
    /// differently, or not all over the ring, positions say nothing, and keys
    /// are asked for.
    pub(in crate::engine) fn moved_to(&self, after: &AtRest<'_>) -> Moved {
        let (old, new) = (self.algorithm, after.algorithm);
        let (hashes_alike, spreads) = (old.hashes_like(new), old.spreads_keys());
        moved::between(
            &self.side(),
            &after.side(),
            hashes_alike && spreads,
            |key| {
                let position = old.position(key);
                if hashes_alike {
                    return (position, position);
                }
                (position, new.position(key))
            },
        )
    }
}
