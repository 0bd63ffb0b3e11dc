//! Plain views of the state at an instant, for shells to show.

use core::time::Duration;

use super::admission::Admission;
use super::health::{Health, Standing};
use super::message::{ProbeOutcome, ServerId};
use super::metrics::{Counters, LoadFigures};
use super::ring::Share;
use super::server::{AdminState, Server, ServerName};
use super::time::Timestamp;

/// The whole state at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// The servers, by name.
    pub servers: Vec<ServerSnapshot>,
    /// All requests since the start, those of removed servers and those that
    /// no server got included.
    pub total: Counters,
    /// The same over the last minute.
    pub last_minute: Counters,
    /// Whether nobody is eligible and everybody is used.
    pub fail_open: bool,
}

/// One server at one instant.
#[derive(Clone, Debug)]
pub struct ServerSnapshot {
    /// Its stay in the fleet.
    pub id: ServerId,
    /// The server.
    pub server: Server,
    /// What operators say.
    pub state: AdminState,
    /// What probes say.
    pub health: Health,
    /// What traffic says: ejected until then.
    pub ejected_until: Option<Timestamp>,
    /// Its ejection is over, and it is not re-admitted yet.
    pub is_on_trial: bool,
    /// What follows from these.
    pub standing: Standing,
    /// What part of its keys it takes: less than all while it comes back or is
    /// drained over some time, none while it is not eligible.
    pub admission: Admission,
    /// The fraction of keys its weight entitles it to, among the primary or
    /// the backup servers.
    pub share_expected: f64,
    /// The part of that ring it owns.
    pub share_actual: Share,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests since it was added.
    pub total: Counters,
    /// Requests over the last minute.
    pub last_minute: Counters,
    /// Its last finished probe.
    pub last_probe: Option<ProbeRecord>,
}

/// The figures of an instant: of all there is to show, what changes from second
/// to second. Cheap beside a [`Snapshot`], which copies histograms and asks for
/// shares.
#[derive(Clone, Debug)]
pub struct Figures<'a> {
    /// When.
    pub at: Timestamp,
    /// The servers, by name.
    pub servers: Vec<ServerFigures<'a>>,
    /// All requests, those of removed servers and those that no server got
    /// included.
    pub total: LoadFigures,
}

/// One server's part of [`Figures`].
#[derive(Clone, Debug)]
pub struct ServerFigures<'a> {
    /// Its stay in the fleet.
    pub id: ServerId,
    /// Its name.
    pub name: &'a ServerName,
    /// Whether it may get a new request, or why not.
    pub standing: Standing,
    /// What it does.
    pub load: LoadFigures,
    /// Its last finished probe.
    pub last_probe: Option<&'a ProbeRecord>,
}

/// A finished probe.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeRecord {
    /// When its result came in.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: ProbeOutcome,
    /// How long it took.
    pub took: Duration,
}

/// The fleet in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetHealth {
    /// Every server is eligible.
    Healthy,
    /// Some are.
    Degraded,
    /// None is.
    Unhealthy,
}

impl Snapshot {
    /// How many servers are eligible.
    pub fn n_eligible(&self) -> usize {
        self.servers
            .iter()
            .filter(|server| server.standing == Standing::Eligible)
            .count()
    }

    /// The fleet in a word. Draining servers are left out of account: an
    /// operator's wish is not an illness.
    pub fn health(&self) -> FleetHealth {
        let n_wanted = self
            .servers
            .iter()
            .filter(|server| server.standing != Standing::Draining)
            .count();
        match self.n_eligible() {
            0 => FleetHealth::Unhealthy,
            n if n == n_wanted => FleetHealth::Healthy,
            _ => FleetHealth::Degraded,
        }
    }
}
