//! The fleet as a whole: health, metrics, ring, configuration, and whether
//! this proxy lives.

use std::sync::atomic::Ordering::Relaxed;

use http::StatusCode;

use super::call::{Answer, Call, answer, json};
use super::problem::{Kind, Problem};
use crate::config::Config;
use crate::engine::{FleetHealth, Position};
use crate::native::queue::Queued;
use crate::native::retries::RetryCounts;
use crate::native::state::FileFigures;
use crate::native::telemetry::prometheus::{self, QueueFigures};
use crate::wire::{
    Fault, Faults, HealthView, MetricsView, QueueView, RetriesView, RingView, StateFileView,
};

/// Points on a page of the ring: by default, and at most.
pub(super) const PAGE: usize = 1000;
pub(super) const PAGE_MAX: usize = 10_000;

pub(super) fn health(call: &Call) -> Answer {
    let snapshot = call.admin.shared.snapshot();
    let status = match snapshot.health() {
        FleetHealth::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        FleetHealth::Healthy | FleetHealth::Degraded => StatusCode::OK,
    };
    let view = HealthView {
        state_file: state_file(call).as_ref().map(StateFileView::from),
        ..HealthView::from(&snapshot)
    };
    Ok(json(status, &view))
}

/// What became of the state file, where there is one.
fn state_file(call: &Call) -> Option<FileFigures> {
    let shared = &call.admin.shared;
    let has_file = shared.config().process.state_file.is_some();
    has_file.then(|| shared.keeper().figures())
}

impl From<&FileFigures> for StateFileView {
    fn from(figures: &FileFigures) -> Self {
        Self {
            stored: figures.is_good,
            set_aside: figures.is_set_aside,
        }
    }
}

pub(super) fn metrics(call: &Call) -> Answer {
    let shared = &call.admin.shared;
    let is_bounded = shared.config().routing.load_factor.is_some();
    let fleet = shared.fleet().load();
    let mut snapshot = MetricsView::from(&shared.snapshot());
    for server in fleet.servers.iter().filter(|server| server.is_limited()) {
        let name = server.server.name.as_str();
        let view = snapshot.servers.iter_mut().find(|view| view.name == name);
        if let Some(view) = view {
            view.queue = Some(queue(server.waiting.queued()));
        }
    }
    let view = MetricsView {
        queue: fleet.table.is_limited().then(|| queue(shared.queued())),
        bounded_loads: is_bounded.then(|| (&shared.bounded_counters()).into()),
        retries: Some(retries(&shared.retries().counts())),
        ..snapshot
    };
    Ok(json(StatusCode::OK, &view))
}

fn retries(counts: &RetryCounts) -> RetriesView {
    let [connect, broken, status, timeout, taken_out] = counts.by_reason;
    RetriesView {
        connect,
        broken,
        status,
        timeout,
        taken_out,
        budget_exhausted: counts.budget_exhausted,
    }
}

fn queue(queued: Queued) -> QueueView {
    QueueView {
        waiting: queued.waiting,
        waited: queued.waited,
        timed_out: queued.timed_out,
        turned_away: queued.turned_away,
    }
}

pub(super) fn prometheus(call: &Call) -> Answer {
    let shared = &call.admin.shared;
    let figures = prometheus::Figures {
        snapshot: shared.snapshot(),
        table: shared.table(),
        reports_dropped: shared.reports_dropped(),
        hot_keys: shared.hot_keys(),
        bounded: shared.bounded_counters(),
        done: prometheus::Done::new(&shared.operations, state_file(call)),
        retries: shared.retries().counts(),
        rate_limits: shared.rate_limit_counters(),
        queue: QueueFigures::new(shared),
        n_tunnels: shared.n_tunnels(),
        connections: shared.connection_counts(),
        tls: prometheus::TlsFigures::new(&shared.tls),
    };
    let text = prometheus::text(figures, shared.told());
    Ok(answer(StatusCode::OK, prometheus::CONTENT_TYPE, text))
}

pub(super) fn ring(call: &Call) -> Answer {
    let mut faults = Vec::new();
    let mut fault = |path: &str, message: String| {
        faults.push(Fault {
            path: path.to_owned(),
            message,
        });
    };
    let limit = call.text("limit").map_or(PAGE, |text| {
        let limit = text.parse().ok().filter(|n| (1..=PAGE_MAX).contains(n));
        limit.unwrap_or_else(|| {
            let allowed = format!("give a whole number, 1 to {PAGE_MAX}");
            fault("limit", format!("{text:?} is not allowed; {allowed}"));
            PAGE
        })
    });
    let after = call.text("after").and_then(|text| {
        let position = position(&text);
        if position.is_none() {
            let allowed = "give a position: sixteen hexadecimal digits";
            fault("after", format!("{text:?} is not allowed; {allowed}"));
        }
        position
    });
    Faults::check(faults)?;
    let view = RingView::new(&call.admin.shared.table(), after, limit);
    Ok(json(StatusCode::OK, &view))
}

fn position(text: &str) -> Option<Position> {
    let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let bits = u64::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
    Some(Position::from_bits(bits))
}

/// The configuration in effect, with the servers that there are now.
pub(super) fn config(call: &Call) -> Answer {
    Ok(json(StatusCode::OK, &call.admin.shared.config_now()))
}

pub(super) fn schema(_: &Call) -> Answer {
    Ok(json(StatusCode::OK, &Config::schema()))
}

pub(super) fn alive(_: &Call) -> Answer {
    Ok(answer(StatusCode::OK, TEXT, "alive\n"))
}

pub(super) fn ready(call: &Call) -> Answer {
    if call.admin.is_stopping.load(Relaxed) {
        let detail = "requests in flight are finished; send no new ones";
        return Err(Problem::new(Kind::Stopping, detail));
    }
    Ok(answer(StatusCode::OK, TEXT, "ready\n"))
}

const TEXT: &str = "text/plain; charset=utf-8";
