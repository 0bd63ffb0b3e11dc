//! The ring as numbers, for those who draw it: a hundred thousand points are
//! too many for an object each.

use wasm_bindgen::prelude::wasm_bindgen;

use super::{Engine, answer};
use crate::engine::{Position, Rank, Ring, Window};
use crate::wire::PointView;

#[wasm_bindgen]
impl Engine {
    /// Of each point of the ring, in order: the upper and the lower half of its
    /// position, and the rank of its server.
    pub fn points(&self) -> Vec<u32> {
        let points = self.drawn().into_iter().flat_map(Ring::points);
        let halves = |bits: u64| [(bits >> 32) as u32, bits as u32];
        points
            .flat_map(|point| {
                let [upper, lower] = halves(point.position.bits());
                [upper, lower, point.server]
            })
            .collect()
    }

    /// [`PointView`] of the point with this index.
    pub fn point(&self, index: usize) -> Option<Vec<u8>> {
        let ring = self.drawn()?;
        let arc = ring.arcs().nth(index)?;
        Some(answer(&PointView::new(ring, &arc)))
    }

    /// Which of its server's virtual nodes the point with this index is.
    pub fn virtual_node(&self, index: usize) -> Option<u32> {
        let ring = self.drawn()?;
        ring.virtual_node(*ring.points().get(index)?)
    }

    /// For each of `n` equal cells of the `length` units of 2^-64 that begin at a
    /// position, given by halves: which part of it the server of this rank owns,
    /// or, without one, how many points stand there.
    pub fn cells(
        &self,
        upper: u32,
        lower: u32,
        length: f64,
        n: usize,
        rank: Option<Rank>,
    ) -> Vec<f32> {
        let Some(ring) = self.drawn() else {
            return vec![0.0; n];
        };
        let window = Window::new(
            Position::from_bits(u64::from(upper) << 32 | u64::from(lower)),
            length as u128,
        );
        match rank {
            Some(rank) => ring.coverage(rank, window, n),
            None => ring.density(window, n),
        }
    }
}

impl Engine {
    /// The ring of the primary servers, if there is one.
    fn drawn(&self) -> Option<&Ring> {
        self.balancer.table().primary().ring()
    }
}
