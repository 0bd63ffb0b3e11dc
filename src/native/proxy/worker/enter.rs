//! How a request enters: which server it goes to at this moment, and that it is
//! counted in there; or that it has to wait.

use super::{Worker, WorkerFleet};
use crate::engine::{
    Keyless, Loads, NoServer, Position, Route, ServerIndex, Spread, Term, Timestamp,
};
use crate::native::clock;
use crate::native::proxy::body::InFlight;
use crate::native::proxy::line::At;
use crate::native::shared::Fleet;

/// The loads as one worker sees them at a time.
struct Seen<'a> {
    fleet: &'a Fleet,
    worker: usize,
    now: Timestamp,
    /// Whether full servers may be the answer, since the request would wait there.
    is_patient: bool,
}

/// Why a request did not enter.
pub(in crate::native::proxy) enum NoEntry {
    /// There is no server for it.
    NoServer(NoServer),
    /// It is to wait for a place there, or to go elsewhere.
    Full(At),
}

/// Who has looked for a place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::native::proxy) enum Turn {
    /// The request has just come: it waits behind those that do.
    Last,
    /// It has waited for as long as all before it.
    First,
    /// It has waited in vain, and goes wherever there is a place.
    Over,
}

impl Loads for Seen<'_> {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.fleet.in_flight(server)
    }

    fn has_place(&self, server: ServerIndex, max: u32) -> bool {
        self.is_patient || self.fleet.has_place(server, max)
    }

    fn has_trial(&self, server: ServerIndex, term: Term) -> bool {
        self.fleet.has_trial(server, term)
    }

    fn latency(&self, server: ServerIndex) -> u64 {
        let latencies = &self.fleet.servers[server.as_usize()].latencies;
        latencies[self.worker].read().mean(self.now)
    }
}

impl WorkerFleet {
    /// Where a request goes now, of the servers not yet tried, counted in
    /// there; a backup one when all others were tried. With bounded loads
    /// another worker may take the last place between the question and the
    /// answer, and so with the one place at a server on trial; then it is asked
    /// again, and somebody has gone on. What bounded loads did is counted for
    /// `worker`.
    pub(in crate::native::proxy) fn enter(
        &self,
        key: Option<Position>,
        spread: Option<Spread>,
        tried: &[ServerIndex],
        worker: &Worker,
    ) -> Result<(ServerIndex, InFlight), NoEntry> {
        let table = &self.fleet.table;
        if table.is_limited() {
            return self.enter_in_turn(key, spread, tried, worker, Turn::Last);
        }
        let mut n_asked_before = 0;
        loop {
            let route = match table.keyless() {
                None => table.route_spread(key, spread, &*self.fleet, tried),
                Some(rule) => self.pick(rule, tried),
            };
            let route = match route {
                Ok(route) => route,
                Err(why) => return self.enter_backup(key, tried).ok_or(NoEntry::NoServer(why)),
            };
            let server = &self.servers[route.server.as_usize()];
            if let Some(in_flight) = InFlight::enter(server, &route) {
                worker.bounded().record(&route, n_asked_before);
                return Ok((route.server, in_flight));
            }
            n_asked_before += route.n_asked;
        }
    }

    /// The same where servers have limits on their requests in flight. A request
    /// with a key waits for a place at its own server, unless it is spread or
    /// its loads are bounded and it so goes to the next anyway; any other, when
    /// there is no place anywhere.
    #[inline(never)]
    pub(in crate::native::proxy) fn enter_in_turn(
        &self,
        key: Option<Position>,
        spread: Option<Spread>,
        tried: &[ServerIndex],
        worker: &Worker,
        turn: Turn,
    ) -> Result<(ServerIndex, InFlight), NoEntry> {
        let table = &self.fleet.table;
        let waits_for_one = key.is_some() && table.keyless().is_none() && !table.is_bounded();
        let seen = Seen {
            fleet: &self.fleet,
            worker: self.worker,
            now: Timestamp::ZERO,
            is_patient: waits_for_one && turn != Turn::Over,
        };
        if turn == Turn::Last && !waits_for_one && worker.lines.anywhere().number() > 0 {
            return Err(NoEntry::Full(At::Anywhere));
        }
        let mut n_asked_before = 0;
        loop {
            let route = match table.keyless() {
                None => table.route_spread(key, spread, &seen, tried),
                Some(rule) => self.pick(rule, tried),
            };
            let route = match route {
                Ok(route) => route,
                Err(NoServer::AllFull) if turn != Turn::Over => {
                    return Err(NoEntry::Full(At::Anywhere));
                }
                Err(NoServer::AllFull) => return Err(NoEntry::NoServer(NoServer::AllFull)),
                Err(why) => return self.enter_backup(key, tried).ok_or(NoEntry::NoServer(why)),
            };
            let server = &self.servers[route.server.as_usize()];
            let runtime = &server.runtime;
            let is_behind = seen.is_patient && turn == Turn::Last && runtime.waiting.number() > 0;
            if is_behind && !route.is_trial {
                return Err(NoEntry::Full(At::Server(runtime.id)));
            }
            if let Some(in_flight) = InFlight::enter(server, &route) {
                worker.bounded().record(&route, n_asked_before);
                return Ok((route.server, in_flight));
            }
            if seen.is_patient && table.is_full(route.server, &*self.fleet) {
                return Err(NoEntry::Full(At::Server(runtime.id)));
            }
            n_asked_before += route.n_asked;
        }
    }

    /// Where a request goes now by a rule without keys.
    fn pick(&self, rule: Keyless, tried: &[ServerIndex]) -> Result<Route, NoServer> {
        let seen = Seen {
            fleet: &self.fleet,
            worker: self.worker,
            now: match rule {
                Keyless::ResponseTime => clock::now(),
                _ => Timestamp::ZERO,
            },
            is_patient: false,
        };
        let mut picker = self.picker.borrow_mut();
        self.fleet.table.pick(&mut picker, &seen, tried)
    }

    #[cold]
    fn enter_backup(
        &self,
        key: Option<Position>,
        tried: &[ServerIndex],
    ) -> Option<(ServerIndex, InFlight)> {
        let route = self.fleet.table.route_backup(key, tried)?;
        let in_flight = InFlight::enter(self.server(route.server), &route)?;
        Some((route.server, in_flight))
    }
}
