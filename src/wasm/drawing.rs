//! The ring as numbers, for those who draw it: a hundred thousand points are
//! too many for an object each. They go out as they lie in memory.

use super::{Engine, answer};
use crate::engine::{Position, Rank, Ring, Window};
use crate::wire::PointView;

impl Engine {
    /// Of each point of the ring, in order, the upper and the lower half of its
    /// position; then of each the rank of its server.
    pub(super) fn points(&self) -> Vec<u8> {
        let points = || self.drawn().into_iter().flat_map(Ring::points);
        let halves = points().flat_map(|point| {
            let bits = point.position().bits();
            [(bits >> 32) as u32, bits as u32]
        });
        let ranks = points().map(|point| point.server);
        halves.chain(ranks).flat_map(u32::to_le_bytes).collect()
    }

    /// [`PointView`] of the point with this index.
    pub(super) fn point(&self, index: usize) -> Option<Vec<u8>> {
        let ring = self.drawn()?;
        let arc = ring.arcs().nth(index)?;
        Some(answer(&PointView::new(ring, &arc)))
    }

    /// Which of its server's virtual nodes that point is.
    pub(super) fn virtual_node(&self, index: usize) -> Option<u32> {
        let ring = self.drawn()?;
        ring.virtual_node(*ring.points().get(index)?)
    }

    /// For each of `n` equal cells of the `length` units of 2^-64 that begin at a
    /// position: which part of it the server of a rank owns, or, without one, how
    /// many points stand there. `input` has the halves of the position, upper
    /// first, and the rank, if there is one.
    pub(super) fn cells(&self, input: &[u8], n: usize, length: f64) -> Vec<u8> {
        let numbers: Vec<u32> = input
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect();
        let cells = match (self.drawn(), &numbers[..]) {
            (Some(ring), &[upper, lower, ref rank @ ..]) => {
                let from = Position::from_bits(u64::from(upper) << 32 | u64::from(lower));
                let window = Window::new(from, length as u128);
                match rank.first() {
                    Some(&rank) => ring.coverage(rank as Rank, window, n),
                    None => ring.density(window, n),
                }
            }
            _ => vec![0.0; n],
        };
        cells.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    /// The ring of the primary servers, if there is one.
    fn drawn(&self) -> Option<&Ring> {
        self.balancer.table().primary().ring()
    }
}
