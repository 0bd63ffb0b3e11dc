//! What is told of a running fleet as it goes: the state once, then what
//! happens, and figures each second. Lines of a recording and of the live
//! stream are these, an object each.

use serde::Serialize;

use super::{
    COUNT_MAX, EventView, ServerSpec, ServerView, StandingWord, TimesView, TrafficView, rfc3339,
};
use crate::engine::{Event, Snapshot, Timestamp};

/// What a snapshot says of the format of all lines after it.
const FORMAT: &str = "ringway-events";
const VERSION: u32 = 1;

/// The whole state; what comes after it begins there.
#[derive(Debug, Serialize)]
pub struct FeedSnapshot<'a, C> {
    event: &'static str,
    seq: u64,
    time: String,
    format: &'static str,
    version: u32,
    boot: &'a str,
    program: &'static str,
    fingerprint: String,
    fail_open: bool,
    config: &'a C,
    servers: Vec<ServerView>,
}

impl<'a, C: Serialize> FeedSnapshot<'a, C> {
    /// The name of such lines.
    pub const NAME: &'static str = "snapshot";

    /// The state of `snapshot`, which has everything up to the line `seq` in it,
    /// of the process `boot`.
    pub fn new(
        seq: u64,
        boot: &'a str,
        fingerprint: u64,
        config: &'a C,
        snapshot: &Snapshot,
    ) -> Self {
        let servers = snapshot.servers.iter();
        Self {
            event: Self::NAME,
            seq,
            time: rfc3339(snapshot.at.as_millis()),
            format: FORMAT,
            version: VERSION,
            boot,
            program: env!("CARGO_PKG_VERSION"),
            fingerprint: format!("{fingerprint:016x}"),
            fail_open: snapshot.fail_open,
            config,
            servers: servers
                .map(|server| ServerView::new(server, snapshot.at))
                .collect(),
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
    servers: Vec<&'a str>,
    standing: Vec<StandingWord>,
    in_flight: Vec<u32>,
    requests: Vec<u64>,
    errors: Vec<u64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

/// All servers together.
#[derive(Debug, Serialize)]
struct TotalTick {
    in_flight: u64,
    requests: u64,
    errors: u64,
    p50_ms: f64,
    p99_ms: f64,
}

impl<'a> FeedTick<'a> {
    /// The name of such lines.
    pub const NAME: &'static str = "tick";

    /// The line `seq`. Counts are since the start (of the server), so that a
    /// line that is missed loses nothing; times are of the last minute.
    pub fn new(seq: u64, snapshot: &'a Snapshot) -> Self {
        let servers = &snapshot.servers;
        let times = |counters| -> TimesView { TrafficView::from(counters).response_time_ms };
        let total_times = times(&snapshot.last_minute);
        let of_servers: Vec<TimesView> = servers
            .iter()
            .map(|server| times(&server.last_minute))
            .collect();
        Self {
            event: Self::NAME,
            seq,
            time: rfc3339(snapshot.at.as_millis()),
            total: TotalTick {
                in_flight: servers.iter().map(|s| u64::from(s.in_flight)).sum(),
                requests: snapshot.total.requests().min(COUNT_MAX),
                errors: snapshot.total.errors.min(COUNT_MAX),
                p50_ms: total_times.p50,
                p99_ms: total_times.p99,
            },
            servers: servers.iter().map(|s| s.server.name.as_str()).collect(),
            standing: servers.iter().map(|s| s.standing.into()).collect(),
            in_flight: servers.iter().map(|s| s.in_flight).collect(),
            requests: servers
                .iter()
                .map(|s| s.total.requests().min(COUNT_MAX))
                .collect(),
            errors: servers
                .iter()
                .map(|s| s.total.errors.min(COUNT_MAX))
                .collect(),
            p50_ms: of_servers.iter().map(|times| times.p50).collect(),
            p99_ms: of_servers.iter().map(|times| times.p99).collect(),
        }
    }
}
