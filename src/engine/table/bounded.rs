//! Bounded loads: a key's first candidate that is below its bound.

use super::{Loads, Reason, Route, RoutingTable, ServerIndex};
use crate::engine::load_factor::LoadFactor;
use crate::engine::ring::{Position, Rank};

/// The most candidates at their bounds that are told apart for one request.
const AT_BOUND_MAX: usize = 32;

/// The candidates of one request that were asked and are at their bounds.
pub(super) struct AtBound {
    servers: [ServerIndex; AT_BOUND_MAX],
    n: usize,
}

impl AtBound {
    pub(super) const fn none() -> Self {
        Self {
            servers: [ServerIndex(0); AT_BOUND_MAX],
            n: 0,
        }
    }

    fn has(&self, server: ServerIndex) -> bool {
        self.servers[..self.n].contains(&server)
    }

    fn is_full(&self) -> bool {
        self.n == AT_BOUND_MAX
    }

    /// Takes note of a server at its bound, which may be known already.
    fn note(&mut self, server: ServerIndex) {
        if !self.has(server)
            && let Some(place) = self.servers.get_mut(self.n)
        {
            *place = server;
            self.n += 1;
        }
    }

    /// The answer `route`, after these and with this bound.
    fn then(&self, route: Route, bound: Option<u32>) -> Route {
        Route {
            bound: bound.or(route.bound),
            n_asked: self.n as u32 + u32::from(!self.has(route.server)),
            // The first one asked is where it would have gone without bounds.
            overflowed: self.servers[..self.n]
                .first()
                .is_some_and(|first| *first != route.server),
            ..route
        }
    }
}

impl RoutingTable {
    /// The first usable candidate below its bound, after those `at_bound` that
    /// were asked before.
    pub(super) fn first_below(
        &self,
        position: Position,
        factor: LoadFactor,
        loads: &impl Loads,
        tried: &[ServerIndex],
        at_bound: &mut AtBound,
    ) -> Option<Route> {
        // Every bound is at least 1, so that an idle owner needs no sum of all.
        let owner = self.layout.owner(position)?;
        if let Some(server) = self.admitting(owner, position, tried)
            && loads.in_flight(server) == 0
        {
            return Some(at_bound.then(self.unbounded(server), Some(1)));
        }
        if !self.is_any_untried(tried) {
            return None;
        }
        let n_in_flight = self.n_in_flight(loads);
        // One after the other, since a layout asks for servers in no order.
        let admitting = |rank| self.admitting(rank, position, tried);
        let staying = |rank| self.staying(rank, tried);
        while let Some(server) = self
            .next_untold(position, at_bound, admitting)
            .or_else(|| self.next_untold(position, at_bound, staying))
        {
            let found = self.below_bound(server, factor, n_in_flight, loads, at_bound);
            if found.is_some() {
                return found;
            }
        }
        // More are at their bounds than are told apart.
        let mut below =
            |server| self.below_bound(server, factor, n_in_flight, loads, &mut *at_bound);
        let found = self
            .layout
            .first(position, |rank| admitting(rank).and_then(&mut below))
            .or_else(|| {
                self.layout
                    .first(position, |rank| staying(rank).and_then(&mut below))
            });
        found.or_else(|| {
            // Below its bound, unless servers were tried, when all others can be
            // at theirs, or more came while they were asked. Then the bound is
            // kept: whoever counts the request in is refused, and asks again.
            let server = self.least_loaded(loads, tried)?;
            let found = self.below_bound(server, factor, n_in_flight, loads, at_bound);
            found.or_else(|| {
                let bound = self.bound(server, factor, n_in_flight);
                let bound = tried.is_empty().then_some(bound);
                Some(at_bound.then(self.unbounded(server), bound))
            })
        })
    }

    /// The first candidate that `may` be the answer and is not `at_bound` as far
    /// as is told apart.
    fn next_untold(
        &self,
        position: Position,
        at_bound: &AtBound,
        may: impl Fn(Rank) -> Option<ServerIndex>,
    ) -> Option<ServerIndex> {
        if at_bound.is_full() {
            return None;
        }
        self.layout.first(position, |rank| {
            may(rank).filter(|server| !at_bound.has(*server))
        })
    }

    /// The answer `server`, if it is below its bound while `n_in_flight` are in
    /// flight at all; else it is noted.
    pub(super) fn below_bound(
        &self,
        server: ServerIndex,
        factor: LoadFactor,
        n_in_flight: u64,
        loads: &impl Loads,
        at_bound: &mut AtBound,
    ) -> Option<Route> {
        let bound = self.bound(server, factor, n_in_flight);
        if loads.in_flight(server) < bound {
            return Some(at_bound.then(self.unbounded(server), Some(bound)));
        }
        at_bound.note(server);
        None
    }

    /// The most requests that `server` may have while `n_in_flight` are in flight
    /// at all: its part of them, and never more than its own limit.
    fn bound(&self, server: ServerIndex, factor: LoadFactor, n_in_flight: u64) -> u32 {
        let capacity = self.server(server).capacity();
        let bound = factor.bound(n_in_flight, capacity, self.usable_capacity);
        let max = self.max_in_flight(server);
        max.map_or(bound, |max| bound.min(max))
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
        let bound = self.bound(server, factor, n_in_flight);
        let in_flight = loads.in_flight(server);
        (in_flight >= bound).then_some(Reason::AboveBound { in_flight, bound })
    }
}
