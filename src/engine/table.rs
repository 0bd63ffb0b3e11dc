//! The data half: an immutable answer to every key.
//!
//! The control half makes a new [`RoutingTable`] whenever a fact that changes
//! routing changes; nobody patches one in place. Routing is a pure function of
//! the table, the key, the loads and the servers tried before: no allocation,
//! no lock, no time.

use core::fmt;
use std::sync::Arc;

use super::admission::{Admission, Gate};
use super::algorithm::Algorithm;
use super::hash;
use super::health::Standing;
use super::layout::Layout;
use super::load_factor::LoadFactor;
use super::message::{ServerId, Term};
use super::ring::{Moved, Position, Rank};
use super::server::{Server, ServerName, VirtualNodes};
use super::settings::Settings;

mod backup;
mod bounded;
use bounded::AtBound;
mod full;
mod pick;
use pick::Lots;
mod spread;
pub use spread::{SPREAD_MAX, Spread};
mod trial;
use trial::Trials;

/// A server's place in one [`RoutingTable`]: 0 to n − 1, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerIndex(u32);

impl ServerIndex {
    /// The place as an index.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// How many requests each server has in flight, as the shell counts them.
pub trait Loads {
    /// Requests in flight at `server`.
    fn in_flight(&self, server: ServerIndex) -> u32;

    /// How long `server` takes to answer, as [`PeakEwma::mean`] has it now; 0 where
    /// that is not known or, as is the default, not measured.
    ///
    /// [`PeakEwma::mean`]: super::PeakEwma::mean
    fn latency(&self, server: ServerIndex) -> u64 {
        let _ = server;
        0
    }

    /// Whether `server`, which may have `max` requests in flight, may be the
    /// answer to one more. A shell whose requests can wait for a place asks with
    /// loads that say yes where it wants to know whose place that would be.
    fn has_place(&self, server: ServerIndex, max: u32) -> bool {
        self.in_flight(server) < max
    }

    /// Whether a request is in flight at `server` that was sent in `term`, where
    /// it is on trial: it gets no other one meanwhile. Requests of earlier terms
    /// may be in flight for hours and say nothing; who does not tell them apart
    /// waits for them too.
    fn has_trial(&self, server: ServerIndex, term: Term) -> bool {
        let _ = term;
        self.in_flight(server) > 0
    }
}

/// Nothing is in flight: for asking where keys go at rest.
#[derive(Clone, Copy, Debug)]
pub struct Idle;

impl Loads for Idle {
    fn in_flight(&self, _: ServerIndex) -> u32 {
        0
    }
}

/// The answer for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it goes.
    pub server: ServerIndex,
    /// Whether nobody was eligible and the answer is a guess.
    pub fail_open: bool,
    /// With bounded loads, or where the server has a limit: it may take the
    /// request only while it has fewer than these in flight. A shell whose workers share the loads makes
    /// sure of that when it counts the request in, and asks again if not.
    pub bound: Option<u32>,
    /// With bounded loads: how many candidates were asked whether they are below
    /// their bounds, this one included; at most 33 are counted. 0 without
    /// bounded loads, and for a request without a key.
    pub n_asked: u32,
    /// Whether bounded loads sent it past the server that it would have gone to
    /// without them.
    pub overflowed: bool,
    /// The server's term: what the request says of the server counts only while
    /// that lasts.
    pub term: Term,
    /// Whether the server is on trial and this is to be its only request. A
    /// shell whose workers share the loads makes sure of that when it counts the
    /// request in, and asks again if not.
    pub is_trial: bool,
}

/// There is nowhere to send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoServer {
    /// The fleet is empty.
    Empty,
    /// Every server is draining, or none is eligible and failing open is off.
    NoneEligible,
    /// Every server that may be used was tried.
    AllTried,
    /// Every server that may be used, and was not tried, has as many requests in
    /// flight as it may have.
    AllFull,
}

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there are no servers",
            Self::NoneEligible => "no server is eligible",
            Self::AllTried => "every eligible server was tried",
            Self::AllFull => "as many requests are in flight as may be",
        })
    }
}

/// One server of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableServer {
    /// Its stay in the fleet.
    pub id: ServerId,
    /// Its present term.
    pub term: Term,
    /// The server.
    pub server: Server,
    /// The number it has or was given.
    pub number: u32,
    /// Whether it may get a request.
    pub standing: Standing,
    /// Whether probes or traffic have taken it out, be it drained or not: what
    /// waits for its answer may wait in vain.
    pub is_out: bool,
    /// What part of its keys it takes when it is eligible, or still has while
    /// it is drained.
    pub admission: Admission,
}

impl TableServer {
    /// Whether it is drained and has keys left.
    fn is_leaving(&self) -> bool {
        self.standing == Standing::Draining && self.admission > Admission::NONE
    }

    /// How much of the load it should bear, relative to the others: its weight
    /// times the part of its keys that it takes.
    fn capacity(&self) -> u32 {
        // At most 1000 times 2^16.
        self.server.weight.number() * self.admission.parts()
    }
}

/// A server in the order a key prefers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The server.
    pub server: ServerIndex,
    /// Why it is the answer, or why not.
    pub reason: Reason,
}

/// Why a candidate is the answer, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the answer.
    Chosen,
    /// It would be the answer if those before it were not there.
    Next,
    /// By a rule without keys: any request may go to it.
    Usable,
    /// It may not be used while others may.
    NotUsable(Standing),
    /// It is a backup, and a primary server can be used.
    Backup,
    /// It comes back and does not admit this key yet.
    NotAdmitted {
        /// What part of its keys it admits.
        admission: Admission,
    },
    /// The request was sent to it before.
    Tried,
    /// It has as many requests in flight as it may have.
    Full {
        /// Requests in flight.
        in_flight: u32,
        /// The most that it may have.
        max: u32,
    },
    /// It has as many requests in flight as bounded loads let it have.
    AboveBound {
        /// Requests in flight.
        in_flight: u32,
        /// It takes one only while it has fewer.
        bound: u32,
    },
}

/// Everything that decides where keys go, at one moment.
#[derive(Clone, Debug)]
pub struct RoutingTable {
    version: u64,
    /// Sorted by name.
    servers: Arc<[TableServer]>,
    rules: TableRules,
    primary: Arc<Layout>,
    backup: Arc<Layout>,
    /// The layout in use: one of the two.
    layout: Arc<Layout>,
    /// By rank in `layout`: where in `servers`, or `None` where it may not be used.
    usable: Box<[Option<ServerIndex>]>,
    /// By rank in `layout`: which keys are admitted; `None` while every usable
    /// server admits all of its keys, which is nearly always.
    gates: Option<Box<[Gate]>>,
    /// By a rule without keys: who is drawn how often.
    lots: Option<Lots>,
    /// Who is on trial beside the usable servers; mostly nobody.
    trials: Option<Box<Trials>>,
    /// The capacities of the usable servers together.
    usable_capacity: u64,
    n_usable: u32,
    /// Whether any server has a limit on its requests in flight.
    is_limited: bool,
    fail_open: bool,
}

/// The settings that decide routes.
#[derive(Clone, Debug)]
struct TableRules {
    algorithm: Algorithm,
    virtual_nodes: VirtualNodes,
    load_factor: Option<LoadFactor>,
}

impl RoutingTable {
    /// Derives the table from the state, whole. `servers` is sorted by name;
    /// the layouts hold just the primary and just the backup ones of them.
    ///
    /// The first tier with anybody in it is used: eligible primaries, eligible
    /// backups, unproven primaries, unproven backups, primaries on trial, backups
    /// on trial; then, if it may fail open, the primaries that are not draining,
    /// and the backups that are not. Beside eligible servers those stay in use
    /// that are drained and have keys left. Who is on trial while others are used
    /// gets one request at a time.
    pub(super) fn new(
        version: u64,
        settings: &Settings,
        servers: Vec<TableServer>,
        primary: Arc<Layout>,
        backup: Arc<Layout>,
    ) -> Self {
        let may_fail_open = settings.fail_open;
        let tier = |is_backup: bool, is_in: fn(&TableServer) -> bool, fail_open: bool| {
            let may_use = |entry: &TableServer| is_in(entry) || (!fail_open && entry.is_leaving());
            let members = || {
                let entries = servers.iter().zip(0..);
                entries.filter(|(entry, _)| entry.server.backup == is_backup)
            };
            let usable: Box<[Option<ServerIndex>]> = members()
                .map(|(entry, i)| may_use(entry).then_some(ServerIndex(i)))
                .collect();
            let is_used = members().any(|(entry, _)| is_in(entry));
            is_used.then_some((is_backup, usable, fail_open))
        };
        let eligible = |entry: &TableServer| entry.standing == Standing::Eligible;
        let unproven = |entry: &TableServer| entry.standing == Standing::Unproven;
        let on_trial = |entry: &TableServer| entry.standing == Standing::OnTrial;
        let undrained = |entry: &TableServer| entry.standing != Standing::Draining;
        let in_turn: [fn(&TableServer) -> bool; 4] = [eligible, unproven, on_trial, undrained];
        let chosen = in_turn.into_iter().zip(0..).find_map(|(is_in, turn)| {
            let fail_open = turn == 3;
            if fail_open && !may_fail_open {
                return None;
            }
            tier(false, is_in, fail_open).or_else(|| tier(true, is_in, fail_open))
        });
        let n_primaries = servers.iter().filter(|entry| !entry.server.backup).count();
        let (uses_backup, usable, fail_open) =
            chosen.unwrap_or_else(|| (false, vec![None; n_primaries].into(), false));
        let trials = Trials::new(&servers, uses_backup, &usable);
        let in_use = || {
            let usable = usable.iter().flatten();
            usable.map(|index| &servers[index.as_usize()])
        };
        let usable_capacity = in_use().map(|entry| u64::from(entry.capacity())).sum();
        let is_gated = in_use().any(|entry| entry.admission != Admission::FULL);
        let gates = is_gated.then(|| {
            let members = servers
                .iter()
                .filter(|entry| entry.server.backup == uses_backup);
            members
                .map(|entry| Gate::new(&entry.server.name, entry.admission))
                .collect()
        });
        let is_keyless = matches!(settings.algorithm, Algorithm::Keyless(_));
        Self {
            version,
            rules: TableRules {
                algorithm: settings.algorithm.clone(),
                virtual_nodes: settings.virtual_nodes,
                // A bound sends requests on to the next candidate of their key.
                load_factor: settings.load_factor.filter(|_| !is_keyless),
            },
            lots: is_keyless.then(|| Lots::new(&usable, &servers)),
            is_limited: servers
                .iter()
                .any(|entry| entry.server.max_in_flight.is_some()),
            layout: Arc::clone(if uses_backup { &backup } else { &primary }),
            servers: servers.into(),
            primary,
            backup,
            n_usable: usable.iter().flatten().count() as u32,
            usable,
            gates,
            trials,
            usable_capacity,
            fail_open,
        }
    }

    /// Grows with every table the control half makes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The servers, sorted by name; a [`ServerIndex`] is an index here.
    pub fn servers(&self) -> &[TableServer] {
        &self.servers
    }

    /// The server at `index`, which must be of this table.
    pub fn server(&self, index: ServerIndex) -> &TableServer {
        &self.servers[index.as_usize()]
    }

    /// The place of the server called `name`.
    pub fn find(&self, name: &ServerName) -> Option<ServerIndex> {
        let found = self
            .servers
            .binary_search_by(|entry| entry.server.name.cmp(name));
        found.ok().map(|i| ServerIndex(i as u32))
    }

    /// The place of the `n`-th server by name, from 0.
    pub fn index(&self, n: usize) -> Option<ServerIndex> {
        let index = u32::try_from(n).ok().map(ServerIndex);
        index.filter(|_| n < self.servers.len())
    }

    /// The rule by which keys go to servers.
    pub fn algorithm(&self) -> &Algorithm {
        &self.rules.algorithm
    }

    /// Points for each unit of weight, where the rule is a ring of ours.
    pub fn virtual_nodes(&self) -> VirtualNodes {
        self.rules.virtual_nodes
    }

    /// Where `key` stands: what [`Self::route`] takes.
    #[inline(always)]
    pub fn position(&self, key: &[u8]) -> Position {
        self.rules.algorithm.position(key)
    }

    /// The layout of the primary servers.
    pub fn primary(&self) -> &Arc<Layout> {
        &self.primary
    }

    /// The layout of the backup servers.
    pub fn backup(&self) -> &Arc<Layout> {
        &self.backup
    }

    /// Whether nobody is eligible and everybody is used.
    pub fn is_fail_open(&self) -> bool {
        self.fail_open
    }

    /// Where a request goes now: the first candidate of its key that is usable,
    /// admits the key, was not `tried`, is not full and, with bounded loads, is
    /// below its bound. Where nobody admits the key, it is the first that is eligible; for
    /// a request without a key, and where all are at their bounds, the usable
    /// one with the fewest requests in flight for its capacity (the first by
    /// name of equals). So it is by a rule without keys, too: those are asked by
    /// [`Self::pick`].
    ///
    /// A server on trial gets the first request of its own keys, or without a
    /// key, and no other before that has ended.
    ///
    /// # Errors
    /// When there is none.
    #[inline]
    pub fn route(
        &self,
        key: Option<Position>,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Result<Route, NoServer> {
        if let Some(trial) = self.trial(key, loads, tried) {
            return Ok(trial);
        }
        let found = match (key, self.rules.load_factor) {
            (Some(position), None) => self.first_usable(position, loads, tried),
            (Some(position), Some(factor)) => {
                let found = self.first_below(position, factor, loads, tried, &mut AtBound::none());
                return found.map_or_else(|| self.last_resort(loads, tried), Ok);
            }
            (None, _) => self.least_loaded(loads, tried),
        };
        found
            .or_else(|| self.without_keys(loads, tried))
            .map(|server| self.unbounded(server))
            .map_or_else(|| self.last_resort(loads, tried), Ok)
    }

    /// All servers in the order the key at `position` prefers them, with the
    /// reason why each is the answer or not, for a request that was `tried`
    /// before at these: the primaries in the key's order, then the backups. By a
    /// rule without keys they are in order of their names, and none is the answer.
    pub fn explain(
        &self,
        position: Position,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Vec<Candidate> {
        if self.keyless().is_some() {
            return self.explain_keyless(loads, tried);
        }
        let route = self.route(Some(position), loads, tried);
        let chosen = route.map(|route| route.server).ok();
        let uses_backup = Arc::ptr_eq(&self.layout, &self.backup);
        let n_in_flight = self.n_in_flight(loads);
        let mut candidates = Vec::with_capacity(self.servers.len());
        for (is_backup, layout) in [(false, &self.primary), (true, &self.backup)] {
            let members = self.members(is_backup);
            candidates.extend(layout.candidates(position).into_iter().map(|rank| {
                let server = members[rank as usize];
                let standing = self.server(server).standing;
                let may_use = uses_backup == is_backup && self.usable[rank as usize].is_some();
                let reason = if chosen == Some(server) {
                    Reason::Chosen
                } else if may_use && tried.contains(&server) {
                    Reason::Tried
                } else if may_use && !self.admits(rank, position) {
                    match standing {
                        Standing::Draining => Reason::NotUsable(standing),
                        _ => Reason::NotAdmitted {
                            admission: self.server(server).admission,
                        },
                    }
                } else if may_use {
                    self.full(server, loads)
                        .or_else(|| self.above_bound(server, loads, n_in_flight))
                        .unwrap_or(Reason::Next)
                } else {
                    self.why_not_usable(server)
                };
                Candidate { server, reason }
            }));
        }
        candidates
    }

    fn why_not_usable(&self, server: ServerIndex) -> Reason {
        let TableServer {
            server, standing, ..
        } = self.server(server);
        if server.backup && *standing == Standing::Eligible {
            Reason::Backup
        } else {
            Reason::NotUsable(*standing)
        }
    }

    /// What changed hands since the table `before` while everybody is eligible:
    /// among the primaries or, where those are as they were, among the backups.
    pub fn moved_since(&self, before: &Self) -> Moved {
        if Arc::ptr_eq(&before.primary, &self.primary) {
            before.backup.moved_to(&self.backup)
        } else {
            before.primary.moved_to(&self.primary)
        }
    }

    /// Eight bytes that are equal for two fleets just when (for all practical
    /// purposes) they route alike while everybody is eligible: over the format,
    /// the virtual nodes, and each server's name, weight and backup flag.
    /// `docs/ring-format.md` has the bytes.
    pub fn fingerprint(&self) -> u64 {
        let mut bytes = self.rules.algorithm.identity();
        bytes.extend(self.rules.virtual_nodes.number().to_le_bytes());
        for TableServer { server, number, .. } in self.servers.iter() {
            bytes.extend(server.name.as_str().as_bytes());
            bytes.push(0);
            bytes.extend(server.weight.number().to_le_bytes());
            bytes.push(u8::from(server.backup));
            if self.rules.algorithm.goes_by_number() {
                bytes.extend(number.to_le_bytes());
            }
            if self.rules.algorithm.goes_by_address() {
                let text = server.hash_name.as_ref().map_or("", ServerName::as_str);
                let port = server.port.number();
                bytes.extend(format!("{text}\0{}\0{port}\0", server.address).bytes());
            }
        }
        hash::of_key(&bytes)
    }

    /// By rank in the primary or the backup layout: where in `servers`.
    pub fn members(&self, is_backup: bool) -> Vec<ServerIndex> {
        self.servers
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.server.backup == is_backup)
            .map(|(i, _)| ServerIndex(i as u32))
            .collect()
    }

    #[inline(always)]
    fn first_usable(
        &self,
        position: Position,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Option<ServerIndex> {
        // The owner is the answer in all but troubled times: look there before
        // setting up a walk.
        let owner = self.layout.owner(position)?;
        self.admitting(owner, position, tried)
            .filter(|&server| self.has_place(server, loads))
            .or_else(|| self.next_usable(position, loads, tried))
    }

    /// The same where the owner is not the answer.
    #[inline(never)]
    fn next_usable(
        &self,
        position: Position,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Option<ServerIndex> {
        if !self.is_any_untried(tried) {
            return None;
        }
        let layout = &self.layout;
        let has_place = |server: &ServerIndex| self.has_place(*server, loads);
        let admitting = |rank| self.admitting(rank, position, tried).filter(has_place);
        let staying = |rank| self.staying(rank, tried).filter(has_place);
        layout
            .first(position, admitting)
            .or_else(|| layout.first(position, staying))
    }

    /// The server of this rank, if it is usable, admits the key and was not tried.
    #[inline(always)]
    fn admitting(
        &self,
        rank: Rank,
        position: Position,
        tried: &[ServerIndex],
    ) -> Option<ServerIndex> {
        self.untried(rank, tried)
            .filter(|_| self.admits(rank, position))
    }

    /// The server of this rank, if it is usable, not drained, and was not tried.
    fn staying(&self, rank: Rank, tried: &[ServerIndex]) -> Option<ServerIndex> {
        self.untried(rank, tried)
            .filter(|&server| !self.server(server).is_leaving())
    }

    #[inline(always)]
    fn admits(&self, rank: Rank, position: Position) -> bool {
        let gates = self.gates.as_ref();
        gates.is_none_or(|gates| gates[rank as usize].admits(position))
    }

    /// The server of this rank, if it is usable and was not tried.
    #[inline(always)]
    fn untried(&self, rank: Rank, tried: &[ServerIndex]) -> Option<ServerIndex> {
        self.usable[rank as usize].filter(|server| tried.is_empty() || !tried.contains(server))
    }

    fn is_any_untried(&self, tried: &[ServerIndex]) -> bool {
        let mut usable = self.usable.iter().flatten();
        usable.any(|server| !tried.contains(server))
    }

    /// What [`Self::route`] answers by a rule without keys.
    #[cold]
    fn without_keys(&self, loads: &impl Loads, tried: &[ServerIndex]) -> Option<ServerIndex> {
        self.keyless().and_then(|_| self.least_loaded(loads, tried))
    }

    fn least_loaded(&self, loads: &impl Loads, tried: &[ServerIndex]) -> Option<ServerIndex> {
        // In flight over capacity, compared by cross-multiplication.
        let mut least: Option<(ServerIndex, u64, u64)> = None;
        for &server in self.usable.iter().flatten() {
            if tried.contains(&server) || !self.has_place(server, loads) {
                continue;
            }
            let load = u64::from(loads.in_flight(server));
            let capacity = u64::from(self.server(server).capacity());
            if least.is_none_or(|(_, load_least, capacity_least)| {
                load * capacity_least < load_least * capacity
            }) {
                least = Some((server, load, capacity));
            }
        }
        least.map(|(server, _, _)| server)
    }

    /// An answer that no bound goes with but the server's own limit.
    #[inline(always)]
    fn unbounded(&self, server: ServerIndex) -> Route {
        Route {
            server,
            fail_open: self.fail_open,
            bound: if self.is_limited {
                self.max_in_flight(server)
            } else {
                None
            },
            n_asked: 0,
            overflowed: false,
            term: self.server(server).term,
            is_trial: false,
        }
    }
}

#[cfg(test)]
mod tests;
