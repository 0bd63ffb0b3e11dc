//! Spreading a hot key: its requests go round its first few candidates.

use super::bounded::AtBound;
use super::{Loads, NoServer, Route, RoutingTable, ServerIndex};
use crate::engine::ring::Position;

/// The most candidates that a key is spread over.
pub const SPREAD_MAX: u8 = 8;

/// That a request's key is hot and spread, and which of its requests this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many of its requests were counted before this one.
    pub nth: u32,
    /// Over how many candidates it is spread, at most [`SPREAD_MAX`].
    pub over: u8,
}

impl RoutingTable {
    /// How many servers may be used.
    pub fn n_usable(&self) -> u32 {
        self.n_usable
    }

    /// The same as [`Self::route`], for a key that may be spread: of its first
    /// r usable candidates, from 0, its nth request goes to candidate n mod r;
    /// where that one was tried, is full or at its bound, to the next of them round,
    /// and behind them in the key's own order.
    ///
    /// # Errors
    /// When there is no server.
    #[inline]
    pub fn route_spread(
        &self,
        key: Option<Position>,
        spread: Option<Spread>,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Result<Route, NoServer> {
        let (Some(position), Some(spread)) = (key, spread) else {
            return self.route(key, loads, tried);
        };
        if let Some(trial) = self.trial(key, loads, tried) {
            return Ok(trial);
        }
        let mut at_bound = AtBound::none();
        if let Some(route) = self.round(position, spread, loads, tried, &mut at_bound) {
            return Ok(route);
        }
        let Some(factor) = self.rules.load_factor else {
            return self.route(key, loads, tried);
        };
        self.first_below(position, factor, loads, tried, &mut at_bound)
            .map_or_else(|| self.last_resort(loads, tried), Ok)
    }

    /// The first `over` usable candidates of the key at `position`.
    pub fn spread_over(&self, position: Position, over: u8) -> Vec<ServerIndex> {
        let mut few = Few::default();
        (0..over)
            .map_while(|n| self.nth_usable(position, n, &mut few))
            .collect()
    }

    fn round(
        &self,
        position: Position,
        spread: Spread,
        loads: &impl Loads,
        tried: &[ServerIndex],
        at_bound: &mut AtBound,
    ) -> Option<Route> {
        let mut few = Few::default();
        let mut over = u32::from(spread.over.min(SPREAD_MAX)).min(self.n_usable);
        if self.gates.is_some() && over > 0 {
            // Fewer may admit the key: go round those evenly.
            let _ = self.nth_usable(position, over as u8 - 1, &mut few);
            over = over.min(few.n as u32);
        }
        let bounds = self.rules.load_factor;
        let bounds = bounds.map(|factor| (factor, self.n_in_flight(loads)));
        (0..over).find_map(|step| {
            // One after the other, though nth may be near the end of its range.
            let n = (spread.nth % over + step) % over;
            let server = self.nth_usable(position, n as u8, &mut few)?;
            if tried.contains(&server) {
                return None;
            }
            match bounds {
                Some((factor, n)) => self.below_bound(server, factor, n, loads, at_bound),
                None if self.is_full(server, loads) => None,
                None => Some(self.unbounded(server)),
            }
        })
    }

    /// The usable candidate after `n` others, with those before it in `few`.
    fn nth_usable(&self, position: Position, n: u8, few: &mut Few) -> Option<ServerIndex> {
        while few.n <= usize::from(n) {
            let next = self.layout.first(position, |rank| {
                self.admitting(rank, position, &[])
                    .filter(|server| !few.has(*server))
            })?;
            *few.servers.get_mut(few.n)? = Some(next);
            few.n += 1;
        }
        few.servers[usize::from(n)]
    }
}

/// The first few usable candidates of a key that admit it, as far as they were asked for.
#[derive(Default)]
struct Few {
    servers: [Option<ServerIndex>; SPREAD_MAX as usize],
    n: usize,
}

impl Few {
    fn has(&self, server: ServerIndex) -> bool {
        self.servers[..self.n].contains(&Some(server))
    }
}

#[cfg(test)]
mod tests;
