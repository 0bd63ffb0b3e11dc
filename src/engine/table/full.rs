//! Servers that are full: they have as many requests in flight as they may have.

use super::{Loads, NoServer, Reason, RoutingTable, ServerIndex};
use crate::engine::server::MaxInFlight;

impl RoutingTable {
    /// Whether any server has a limit on its requests in flight.
    #[inline(always)]
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Whether loads are bounded: a request then goes to the next candidate when
    /// its own is full.
    pub fn is_bounded(&self) -> bool {
        self.rules.load_factor.is_some()
    }

    /// The most requests that `server` may have in flight.
    pub fn max_in_flight(&self, server: ServerIndex) -> Option<u32> {
        let max = self.server(server).server.max_in_flight;
        max.map(MaxInFlight::number)
    }

    /// Whether `server` has as many requests in flight as it may have.
    pub fn is_full(&self, server: ServerIndex, loads: &impl Loads) -> bool {
        let max = self.max_in_flight(server);
        max.is_some_and(|max| loads.in_flight(server) >= max)
    }

    /// Whether `server` may be the answer, full or not: see [`Loads::has_place`].
    #[inline(always)]
    pub(super) fn has_place(&self, server: ServerIndex, loads: &impl Loads) -> bool {
        !self.is_limited || self.has_place_below(server, loads)
    }

    #[inline(never)]
    fn has_place_below(&self, server: ServerIndex, loads: &impl Loads) -> bool {
        let max = self.max_in_flight(server);
        max.is_none_or(|max| loads.has_place(server, max))
    }

    /// Why a server that may be used is passed over, if it is full.
    pub(super) fn full(&self, server: ServerIndex, loads: &impl Loads) -> Option<Reason> {
        let max = self.max_in_flight(server)?;
        let in_flight = loads.in_flight(server);
        (in_flight >= max).then_some(Reason::Full { in_flight, max })
    }

    /// Why no server was found. The loads are not asked again: who was full when it
    /// was passed over may have a place by now.
    pub(super) fn why_none(&self, tried: &[ServerIndex]) -> NoServer {
        let mut usable = self.usable.iter().flatten();
        let is_limited = |server| self.max_in_flight(server).is_some();
        if self.servers.is_empty() {
            NoServer::Empty
        } else if self.usable.iter().all(Option::is_none) {
            NoServer::NoneEligible
        } else if usable.any(|&server| !tried.contains(&server) && is_limited(server)) {
            NoServer::AllFull
        } else if tried.is_empty() {
            NoServer::NoneEligible
        } else {
            NoServer::AllTried
        }
    }
}
