//! Bounded loads: a key's first candidate that is below its bound.

use super::{Loads, Reason, RoutingTable, ServerIndex, unbounded};
use crate::engine::load_factor::LoadFactor;
use crate::engine::ring::Position;

impl RoutingTable {
    /// The first usable candidate below its bound, with that bound.
    pub(super) fn first_below(
        &self,
        position: Position,
        factor: LoadFactor,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Option<(ServerIndex, Option<u32>)> {
        // Every bound is at least 1, so that an idle owner needs no sum of all.
        let owner = self.layout.owner(position)?;
        if let Some(server) = self.admitting(owner, position, tried)
            && loads.in_flight(server) == 0
        {
            return Some((server, Some(1)));
        }
        if !self.is_any_untried(tried) {
            return None;
        }
        let n_in_flight = self.n_in_flight(loads);
        let below = |server: ServerIndex| {
            let bound = factor.bound(
                n_in_flight,
                self.server(server).capacity(),
                self.usable_capacity,
            );
            (loads.in_flight(server) < bound).then_some((server, Some(bound)))
        };
        let admitting = |rank| self.admitting(rank, position, tried).and_then(below);
        let staying = |rank| self.staying(rank, tried).and_then(below);
        self.layout
            .first(position, admitting)
            .or_else(|| self.layout.first(position, staying))
            // Only when servers were tried can all others be at their bounds.
            .or_else(|| self.least_loaded(loads, tried).map(unbounded))
    }

    /// Requests in flight at all usable servers.
    pub(super) fn n_in_flight(&self, loads: &impl Loads) -> u64 {
        let usable = self.usable.iter().flatten();
        usable
            .map(|&server| u64::from(loads.in_flight(server)))
            .sum()
    }

    pub(super) fn above_bound(
        &self,
        server: ServerIndex,
        loads: &impl Loads,
        n_in_flight: u64,
    ) -> Option<Reason> {
        let factor = self.rules.load_factor?;
        let capacity = self.server(server).capacity();
        let bound = factor.bound(n_in_flight, capacity, self.usable_capacity);
        let in_flight = loads.in_flight(server);
        (in_flight >= bound).then_some(Reason::AboveBound { in_flight, bound })
    }
}
