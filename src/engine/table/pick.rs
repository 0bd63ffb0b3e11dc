//! Picking a server without a key, by one of the rules that have none.

use super::{Candidate, Loads, NoServer, Reason, Route, RoutingTable, ServerIndex, TableServer};
use crate::engine::algorithm::Algorithm;
use crate::engine::keyless::{Keyless, Picker};

/// What a request is expected to take where one is in flight and none has ended:
/// more than any that is known, so that an unknown server is tried by one request.
const UNKNOWN: u64 = u64::MAX;

/// The servers that may be picked, with their capacities added up, so that one
/// is drawn by halving.
#[derive(Clone, Debug)]
pub(super) struct Lots {
    servers: Box<[ServerIndex]>,
    /// By place in `servers`: the capacities up to and with that one.
    ends: Box<[u64]>,
}

impl Lots {
    pub(super) fn new(usable: &[Option<ServerIndex>], servers: &[TableServer]) -> Self {
        let usable: Box<[ServerIndex]> = usable.iter().copied().flatten().collect();
        let mut end = 0;
        let ends = usable.iter().map(|server| {
            end += u64::from(servers[server.as_usize()].capacity());
            end
        });
        Self {
            ends: ends.collect(),
            servers: usable,
        }
    }
}

impl RoutingTable {
    /// Its rule, if that is one without keys; a request's server is then
    /// [`Self::pick`]ed.
    #[inline]
    pub fn keyless(&self) -> Option<Keyless> {
        match self.rules.algorithm {
            Algorithm::Keyless(rule) => Some(rule),
            _ => None,
        }
    }

    /// Where a request without a key goes now, of the servers that were not
    /// `tried`. By a rule without keys what `picker` draws and remembers decides,
    /// with the `loads` where the rule asks for them; by other rules it is the one
    /// with the fewest requests in flight for its capacity. A server on trial
    /// comes first, if it has no request.
    ///
    /// # Errors
    /// When there is none.
    pub fn pick(
        &self,
        picker: &mut Picker,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Result<Route, NoServer> {
        if let Some(trial) = self.trial(None, loads, tried) {
            return Ok(trial);
        }
        let found = match self.keyless() {
            Some(Keyless::LeastConnections) => {
                let fewer = |a, b| self.has_fewer(a, b, loads);
                self.better_of_two(picker, loads, tried, fewer)
            }
            Some(Keyless::ResponseTime) => {
                let sooner = |a, b| self.ends_sooner(a, b, loads);
                self.better_of_two(picker, loads, tried, sooner)
            }
            Some(Keyless::RoundRobin) => self.next_turn(picker, loads, tried),
            Some(Keyless::Random) => self.drawn(picker, loads, tried, None),
            None => self.least_loaded(loads, tried),
        };
        found
            .map(|server| self.unbounded(server))
            .map_or_else(|| self.last_resort(loads, tried), Ok)
    }

    /// By a rule without keys: all servers by name, the primaries first, and
    /// whether each may get a request that was `tried` at these.
    pub(super) fn explain_keyless(
        &self,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Vec<Candidate> {
        let mut candidates = Vec::with_capacity(self.servers.len());
        for is_backup in [false, true] {
            let members = self.members(is_backup);
            candidates.extend(members.into_iter().map(|server| {
                let may_use = self.usable.contains(&Some(server));
                let reason = match may_use {
                    true if tried.contains(&server) => Reason::Tried,
                    true => self.full(server, loads).unwrap_or(Reason::Usable),
                    false => self.why_not_usable(server),
                };
                Candidate { server, reason }
            }));
        }
        candidates
    }

    /// Draws two, and takes the second if it `is_better` than the first.
    fn better_of_two(
        &self,
        picker: &mut Picker,
        loads: &impl Loads,
        tried: &[ServerIndex],
        is_better: impl Fn(ServerIndex, ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let first = self.drawn(picker, loads, tried, None)?;
        let Some(second) = self.drawn(picker, loads, tried, Some(first)) else {
            return Some(first);
        };
        Some(if is_better(second, first) {
            second
        } else {
            first
        })
    }

    /// Whether `a` has fewer requests in flight for its capacity than `b`.
    fn has_fewer(&self, a: ServerIndex, b: ServerIndex, loads: &impl Loads) -> bool {
        let in_flight = |server| u64::from(loads.in_flight(server));
        let capacity = |server| u64::from(self.server(server).capacity());
        in_flight(a) * capacity(b) < in_flight(b) * capacity(a)
    }

    /// Whether one more request would end sooner at `a` than at `b`.
    fn ends_sooner(&self, a: ServerIndex, b: ServerIndex, loads: &impl Loads) -> bool {
        let time = |server| {
            let in_flight = loads.in_flight(server);
            let mean = match loads.latency(server) {
                0 if in_flight > 0 => UNKNOWN,
                mean => mean,
            };
            u128::from(mean) * (u128::from(in_flight) + 1)
        };
        let capacity = |server| u128::from(self.server(server).capacity());
        // At most 64, 33 and 26 bits.
        time(a) * capacity(b) < time(b) * capacity(a)
    }

    /// Each saves up its capacity; who has most has its turn and pays for all.
    fn next_turn(
        &self,
        picker: &mut Picker,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Option<ServerIndex> {
        picker.follow(self);
        let mut all = 0;
        let mut most: Option<(ServerIndex, i64)> = None;
        for &server in self.usable.iter().flatten() {
            if tried.contains(&server) || !self.has_place(server, loads) {
                continue;
            }
            let capacity = i64::from(self.server(server).capacity());
            all += capacity;
            let saved = picker.saved(server);
            *saved += capacity;
            if most.is_none_or(|(_, most)| *saved > most) {
                most = Some((server, *saved));
            }
        }
        let (server, _) = most?;
        *picker.saved(server) -= all;
        Some(server)
    }

    /// A server drawn in proportion to the capacities, of those that were not
    /// `tried`, are not full and are not `but`.
    fn drawn(
        &self,
        picker: &mut Picker,
        loads: &impl Loads,
        tried: &[ServerIndex],
        but: Option<ServerIndex>,
    ) -> Option<ServerIndex> {
        let is_out = |server: ServerIndex| but == Some(server) || tried.contains(&server);
        let drawn = self.drawn_among(picker.draw(), tried.is_empty(), but, is_out)?;
        if self.has_place(drawn, loads) {
            return Some(drawn);
        }
        // It is full: once more, among those that are not.
        let is_out = |server| is_out(server) || !self.has_place(server, loads);
        self.drawn_among(picker.draw(), false, but, is_out)
    }

    /// The server that `draw` falls on, of those that are not out; `by_halving`
    /// where at most the one server `but` is.
    fn drawn_among(
        &self,
        draw: u64,
        by_halving: bool,
        but: Option<ServerIndex>,
        is_out: impl Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let lots = self.lots.as_ref()?;
        let capacity = |server: ServerIndex| u64::from(self.server(server).capacity());
        let mut all = self.usable_capacity;
        if by_halving {
            // Without the stretch of the one that is out.
            let stretch = but.and_then(|but| {
                let place = lots.servers.binary_search(&but).ok()?;
                Some((lots.ends[place] - capacity(but), capacity(but)))
            });
            let (start, length) = stretch.unwrap_or((all, 0));
            all -= length;
            let at = below(draw, all)?;
            let at = if at < start { at } else { at + length };
            let place = lots.ends.partition_point(|&end| end <= at);
            return lots.servers.get(place).copied();
        }
        let left = || {
            lots.servers
                .iter()
                .copied()
                .filter(|&server| !is_out(server))
        };
        all = left().map(capacity).sum();
        let mut at = below(draw, all)?;
        left().find(|&server| match at.checked_sub(capacity(server)) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        })
    }
}

/// A number from 0 to `n` - 1 made of 64 random bits; `None` when there is none.
fn below(draw: u64, n: u64) -> Option<u64> {
    (n > 0).then(|| ((u128::from(draw) * u128::from(n)) >> 64) as u64)
}
