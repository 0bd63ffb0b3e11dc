//! What is told of a running fleet as it goes: the state once, then what
//! happens, and figures each second. Lines of a recording and of the live
//! stream are these, an object each.

use core::time::Duration;

use serde::Serialize;

use super::{COUNT_MAX, EventView, ServerSpec, ServerView, StandingWord, rfc3339};
use crate::engine::{Event, Figures, ProbeOutcome, Snapshot, Timestamp};

/// What a snapshot says of the format of all lines after it.
const FORMAT: &str = "ringway-events";
const VERSION: u32 = 2;

/// The whole state; what comes after it begins there.
#[derive(Debug, Serialize)]
pub struct FeedSnapshot<'a, C, R> {
    event: &'static str,
    seq: u64,
    time: String,
    format: &'static str,
    version: u32,
    boot: &'a str,
    program: &'static str,
    generation: u64,
    fingerprint: String,
    fail_open: bool,
    config: &'a C,
    servers: Vec<ServerView>,
    since_s: Vec<f64>,
    routing: R,
}

/// What a shell knows of the state beside the engine.
#[derive(Debug)]
pub struct FeedState<'a, C, R> {
    /// The name of the process.
    pub boot: &'a str,
    /// How many configurations have been in effect in this process, this one
    /// included.
    pub generation: u64,
    /// The configuration, secrets left out.
    pub config: &'a C,
    /// Since when the servers stand as they do, in their order.
    pub since: &'a [Timestamp],
    /// What another engine needs to route as this one does at this moment.
    pub routing: R,
}

impl<'a, C: Serialize, R: Serialize> FeedSnapshot<'a, C, R> {
    /// The name of such lines.
    pub const NAME: &'static str = "snapshot";

    /// The state of `snapshot`, which has everything up to the line `seq` in it.
    pub fn new(
        seq: u64,
        fingerprint: u64,
        snapshot: &Snapshot,
        state: FeedState<'a, C, R>,
    ) -> Self {
        let Snapshot { at, servers, .. } = snapshot;
        let since = state.since.iter();
        Self {
            event: Self::NAME,
            seq,
            time: rfc3339(at.as_millis()),
            format: FORMAT,
            version: VERSION,
            boot: state.boot,
            program: env!("CARGO_PKG_VERSION"),
            generation: state.generation,
            fingerprint: format!("{fingerprint:016x}"),
            fail_open: snapshot.fail_open,
            config: state.config,
            servers: servers
                .iter()
                .map(|server| ServerView::new(server, *at))
                .collect(),
            since_s: since.map(|&since| seconds(at.since(since))).collect(),
            routing: state.routing,
        }
    }
}

/// Something that happened.
#[derive(Debug, Serialize)]
pub struct FeedEvent {
    seq: u64,
    time: String,
    /// What.
    #[serde(flatten)]
    pub event: EventView,
    /// The server, when it joined or is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<ServerSpec>,
    /// What part of all keys it moved, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<f64>,
}

impl FeedEvent {
    /// The line `seq`, about what happened `at` and moved so much.
    pub fn new(seq: u64, event: &Event, at: Timestamp, moved: Option<f64>) -> Self {
        let spec = match event {
            Event::ServerAdded { server, .. } | Event::ServerChanged { server } => {
                Some(server.into())
            }
            _ => None,
        };
        Self {
            seq,
            time: rfc3339(at.as_millis()),
            event: EventView::new(event, at),
            spec,
            moved,
        }
    }

    /// What it is called, which is its member `event` too.
    pub fn name(&self) -> &'static str {
        self.event.name()
    }
}

impl EventView {
    /// What it is called, which is its member `event` too.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ServerAdded { .. } => "server-added",
            Self::ServerRemoved { .. } => "server-removed",
            Self::WeightChanged { .. } => "weight-changed",
            Self::ServerChanged { .. } => "server-changed",
            Self::StateChanged { .. } => "state-changed",
            Self::HealthChanged { .. } => "health-changed",
            Self::HealthForgotten { .. } => "health-forgotten",
            Self::Ejected { .. } => "ejected",
            Self::TrialBegan { .. } => "trial-began",
            Self::Readmitted { .. } => "readmitted",
            Self::SlowStarted { .. } => "slow-started",
            Self::SlowStartEnded { .. } => "slow-start-ended",
            Self::Drained { .. } => "drained",
            Self::FailOpen { .. } => "fail-open",
            Self::Reconfigured { .. } => "reconfigured",
            Self::ProbeDue { .. } => "probe-due",
        }
    }
}

/// The figures of a moment, a column for each; the n-th entry is the n-th server's.
#[derive(Debug, Serialize)]
pub struct FeedTick<'a> {
    event: &'static str,
    seq: u64,
    time: String,
    total: TotalTick,
    /// The servers of the columns, when they are others than in the line before
    /// that named them.
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<&'a str>>,
    in_flight: Vec<u64>,
    requests: Vec<u64>,
    errors: Vec<u64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    /// What is other than in the tick before.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<ChangedTick<'a>>,
}

/// All servers together.
#[derive(Debug, Serialize)]
struct TotalTick {
    in_flight: u64,
    requests: u64,
    errors: u64,
    p50_ms: f64,
    p99_ms: f64,
    /// Requests that went to another server since theirs was at its bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    overflowed: Option<u64>,
}

/// What changes seldom, of the servers for which it did; columns, too.
#[derive(Debug, Default, Serialize)]
struct ChangedTick<'a> {
    /// Places in the other columns, from 0.
    server: Vec<usize>,
    standing: Vec<StandingWord>,
    /// For how many seconds it has stood so.
    since_s: Vec<f64>,
    /// How many seconds ago its last probe finished; null before the first.
    probe_ago_s: Vec<Option<f64>>,
    probe_took_ms: Vec<Option<f64>>,
    /// Why that failed, as a place in `reasons`; null when it went well.
    probe_why: Vec<Option<usize>>,
    /// Each once: of a fleet that dies, all die of the same.
    reasons: Vec<&'a str>,
}

impl<'a> FeedTick<'a> {
    /// The name of such lines.
    pub const NAME: &'static str = "tick";

    /// The line `seq`. Counts are since the start (of the server), so that a
    /// line that is missed loses nothing; times are of the last minute.
    ///
    /// `are_others` says that its servers are not those of the last tick; `changed`
    /// has the places of those that are not as they were in it, and since when they
    /// stand as they do. `overflowed` is `None` without bounded loads.
    pub fn new(
        seq: u64,
        figures: &'a Figures<'a>,
        are_others: bool,
        changed: &[(usize, Timestamp)],
        overflowed: Option<u64>,
    ) -> Self {
        let Figures { at, servers, total } = figures;
        let loads = || servers.iter().map(|server| server.load);
        Self {
            event: Self::NAME,
            seq,
            time: rfc3339(at.as_millis()),
            total: TotalTick {
                in_flight: total.in_flight,
                requests: total.requests.min(COUNT_MAX),
                errors: total.errors.min(COUNT_MAX),
                p50_ms: millis(total.p50),
                p99_ms: millis(total.p99),
                overflowed: overflowed.map(|n| n.min(COUNT_MAX)),
            },
            servers: are_others.then(|| servers.iter().map(|s| s.name.as_str()).collect()),
            in_flight: loads().map(|load| load.in_flight).collect(),
            requests: loads().map(|load| load.requests.min(COUNT_MAX)).collect(),
            errors: loads().map(|load| load.errors.min(COUNT_MAX)).collect(),
            p50_ms: loads().map(|load| millis(load.p50)).collect(),
            p99_ms: loads().map(|load| millis(load.p99)).collect(),
            changed: (!changed.is_empty()).then(|| ChangedTick::new(figures, changed)),
        }
    }
}

impl<'a> ChangedTick<'a> {
    fn new(figures: &'a Figures<'a>, changed: &[(usize, Timestamp)]) -> Self {
        let mut columns = Self::default();
        for &(place, since) in changed {
            let Some(server) = figures.servers.get(place) else {
                continue;
            };
            let probe = server.last_probe;
            columns.server.push(place);
            columns.standing.push(server.standing.into());
            columns.since_s.push(seconds(figures.at.since(since)));
            let ago = probe.map(|probe| seconds(figures.at.since(probe.at)));
            columns.probe_ago_s.push(ago);
            let took = probe.map(|probe| millis(probe.took));
            columns.probe_took_ms.push(took);
            let why = probe.and_then(|probe| columns.reason(&probe.outcome));
            columns.probe_why.push(why);
        }
        columns
    }

    /// The place of why a probe failed.
    fn reason(&mut self, outcome: &'a ProbeOutcome) -> Option<usize> {
        let ProbeOutcome::Failed(why) = outcome else {
            return None;
        };
        // Mostly there is one, and never more than servers.
        let known = self.reasons.iter().rposition(|reason| reason == why);
        Some(known.unwrap_or_else(|| {
            self.reasons.push(why);
            self.reasons.len() - 1
        }))
    }
}

/// In milliseconds, to the microsecond: ticks are short.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

/// In seconds, to the millisecond.
fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1e3
}
