//! The data half: an immutable answer to every key.
//!
//! The control half makes a new [`RoutingTable`] whenever a fact that changes
//! routing changes; nobody patches one in place. Routing is a pure function of
//! the table, the key, the loads and the servers tried before: no allocation,
//! no lock, no time.

use core::fmt;
use std::sync::Arc;

use super::hash;
use super::health::Standing;
use super::message::ServerId;
use super::ring::{Position, Ring};
use super::server::Server;

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
}

/// The answer for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it goes.
    pub server: ServerIndex,
    /// Whether nobody was eligible and the answer is a guess.
    pub fail_open: bool,
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
}

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there are no servers",
            Self::NoneEligible => "no server is eligible",
            Self::AllTried => "every eligible server was tried",
        })
    }
}

/// One server of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableServer {
    /// Its stay in the fleet.
    pub id: ServerId,
    /// The server.
    pub server: Server,
    /// Whether it may get a request.
    pub standing: Standing,
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
    /// It may not be used while others may.
    NotUsable(Standing),
    /// It is a backup, and a primary server can be used.
    Backup,
}

/// Everything that decides where keys go, at one moment.
#[derive(Clone, Debug)]
pub struct RoutingTable {
    version: u64,
    /// Sorted by name.
    servers: Arc<[TableServer]>,
    primary: Arc<Ring>,
    backup: Arc<Ring>,
    /// The ring in use: one of the two.
    ring: Arc<Ring>,
    /// By rank in `ring`: where in `servers`, or `None` where it may not be used.
    usable: Box<[Option<ServerIndex>]>,
    fail_open: bool,
}

impl RoutingTable {
    /// Derives the table from the state, whole. `servers` is sorted by name;
    /// the rings hold just the primary and just the backup ones of them.
    ///
    /// The first tier with anybody in it is used: eligible primaries, eligible
    /// backups, unproven primaries, unproven backups; then, if `may_fail_open`,
    /// the primaries that are not draining, and the backups that are not.
    pub(super) fn new(
        version: u64,
        servers: Vec<TableServer>,
        primary: Arc<Ring>,
        backup: Arc<Ring>,
        may_fail_open: bool,
    ) -> Self {
        let tier = |is_backup: bool, may_use: fn(Standing) -> bool, fail_open: bool| {
            let usable: Box<[Option<ServerIndex>]> = servers
                .iter()
                .enumerate()
                .filter(|(_, entry)| entry.server.backup == is_backup)
                .map(|(i, entry)| may_use(entry.standing).then_some(ServerIndex(i as u32)))
                .collect();
            let is_used = usable.iter().any(Option::is_some);
            is_used.then_some((is_backup, usable, fail_open))
        };
        let eligible = |standing| standing == Standing::Eligible;
        let unproven = |standing| standing == Standing::Unproven;
        let undrained = |standing| standing != Standing::Draining;
        let chosen = None
            .or_else(|| tier(false, eligible, false))
            .or_else(|| tier(true, eligible, false))
            .or_else(|| tier(false, unproven, false))
            .or_else(|| tier(true, unproven, false))
            .or_else(|| {
                may_fail_open
                    .then(|| tier(false, undrained, true))
                    .flatten()
            })
            .or_else(|| may_fail_open.then(|| tier(true, undrained, true)).flatten());
        let n_primaries = servers.iter().filter(|entry| !entry.server.backup).count();
        let (uses_backup, usable, fail_open) =
            chosen.unwrap_or_else(|| (false, vec![None; n_primaries].into(), false));
        Self {
            version,
            ring: Arc::clone(if uses_backup { &backup } else { &primary }),
            servers: servers.into(),
            primary,
            backup,
            usable,
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

    /// The ring of the primary servers.
    pub fn primary(&self) -> &Arc<Ring> {
        &self.primary
    }

    /// The ring of the backup servers.
    pub fn backup(&self) -> &Arc<Ring> {
        &self.backup
    }

    /// Whether nobody is eligible and everybody is used.
    pub fn is_fail_open(&self) -> bool {
        self.fail_open
    }

    /// Where a request goes now: the first usable server clockwise from its
    /// key that was not `tried`; for a request without a key, the usable one
    /// with the fewest requests in flight for its weight (the first by name of
    /// equals).
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
        let found = match key {
            Some(position) => self.first_clockwise(position, tried),
            None => self.least_loaded(loads, tried),
        };
        match found {
            Some(server) => Ok(Route {
                server,
                fail_open: self.fail_open,
            }),
            None => Err(self.why_none(tried)),
        }
    }

    /// All servers in the order the key at `position` prefers them, with the
    /// reason why each is the answer or not: the primaries clockwise, then the
    /// backups clockwise.
    pub fn explain(&self, position: Position) -> Vec<Candidate> {
        let uses_backup = Arc::ptr_eq(&self.ring, &self.backup);
        let mut is_chosen = false;
        let mut candidates = Vec::with_capacity(self.servers.len());
        for (is_backup, ring) in [(false, &self.primary), (true, &self.backup)] {
            let members = self.members(is_backup);
            candidates.extend(ring.candidates(position).map(|rank| {
                let server = members[rank as usize];
                let standing = self.server(server).standing;
                let may_use = uses_backup == is_backup && self.usable[rank as usize].is_some();
                let reason = if may_use && !is_chosen {
                    is_chosen = true;
                    Reason::Chosen
                } else if may_use {
                    Reason::Next
                } else if is_backup && standing == Standing::Eligible {
                    Reason::Backup
                } else {
                    Reason::NotUsable(standing)
                };
                Candidate { server, reason }
            }));
        }
        candidates
    }

    /// Eight bytes that are equal for two fleets just when (for all practical
    /// purposes) they route alike while everybody is eligible: over the format,
    /// the virtual nodes, and each server's name, weight and backup flag.
    /// `docs/ring-format.md` has the bytes.
    pub fn fingerprint(&self) -> u64 {
        let mut bytes = b"ringway-ring-1\0".to_vec();
        bytes.extend(self.primary.virtual_nodes().number().to_le_bytes());
        for TableServer { server, .. } in self.servers.iter() {
            bytes.extend(server.name.as_str().as_bytes());
            bytes.push(0);
            bytes.extend(server.weight.number().to_le_bytes());
            bytes.push(u8::from(server.backup));
        }
        hash::of_key(&bytes)
    }

    /// By rank in the primary or the backup ring: where in `servers`.
    pub fn members(&self, is_backup: bool) -> Vec<ServerIndex> {
        self.servers
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.server.backup == is_backup)
            .map(|(i, _)| ServerIndex(i as u32))
            .collect()
    }

    fn first_clockwise(&self, position: Position, tried: &[ServerIndex]) -> Option<ServerIndex> {
        let may_get =
            |rank: u32| self.usable[rank as usize].filter(|server| !tried.contains(server));
        // The owner is the answer in all but troubled times: look there before
        // setting up a walk.
        let owner = self.ring.owner(position)?;
        may_get(owner).or_else(|| {
            if !self
                .usable
                .iter()
                .flatten()
                .any(|server| !tried.contains(server))
            {
                return None;
            }
            self.ring
                .walk(position)
                .find_map(|point| may_get(point.server))
        })
    }

    fn least_loaded(&self, loads: &impl Loads, tried: &[ServerIndex]) -> Option<ServerIndex> {
        // In flight over weight, compared by cross-multiplication.
        let mut least: Option<(ServerIndex, u64, u64)> = None;
        for &server in self.usable.iter().flatten() {
            if tried.contains(&server) {
                continue;
            }
            let load = u64::from(loads.in_flight(server));
            let weight = u64::from(self.server(server).server.weight.number());
            if least.is_none_or(|(_, load_least, weight_least)| {
                load * weight_least < load_least * weight
            }) {
                least = Some((server, load, weight));
            }
        }
        least.map(|(server, _, _)| server)
    }

    fn why_none(&self, tried: &[ServerIndex]) -> NoServer {
        if self.servers.is_empty() {
            NoServer::Empty
        } else if tried.is_empty() || self.usable.iter().all(Option::is_none) {
            NoServer::NoneEligible
        } else {
            NoServer::AllTried
        }
    }
}

#[cfg(test)]
mod tests;
