//! The engine's events as log lines.

use tracing::{info, warn};

use crate::engine::{Event, Timestamp};
use crate::wire::EventView;

/// Logs `event`, which happened at `now`: bad news as a warning.
pub fn log(event: &Event, now: Timestamp) {
    let view = EventView::new(event, now);
    match view {
        EventView::ServerAdded { server } => info!(server, "server added"),
        EventView::ServerRemoved { server } => info!(server, "server removed"),
        EventView::WeightChanged { server, weight } => info!(server, weight, "weight changed"),
        EventView::ServerChanged { server } => info!(server, "server changed"),
        EventView::HealthForgotten { server } => {
            info!(server, "health forgotten: probing was switched off");
        }
        EventView::Reconfigured {
            added,
            removed,
            changed,
        } => info!(added, removed, changed, "reconfigured"),
        EventView::StateChanged { server, state } => {
            info!(server, ?state, "admin state changed");
        }
        EventView::HealthChanged {
            server, why: None, ..
        } => info!(server, "server is healthy"),
        EventView::HealthChanged {
            server,
            why: Some(why),
            ..
        } => {
            warn!(server, why, "server is unhealthy");
        }
        EventView::Ejected { server, for_s, why } => warn!(server, for_s, why, "server ejected"),
        EventView::TrialBegan { server } => info!(server, "server on trial"),
        EventView::Readmitted { server } => info!(server, "server re-admitted"),
        EventView::SlowStarted { server, for_s } => info!(server, for_s, "slow start begun"),
        EventView::SlowStartEnded { server } => info!(server, "slow start ended"),
        EventView::Drained { server } => info!(server, "server drained: no keys left"),
        EventView::FailOpen { on: true } => {
            warn!("no server is eligible: failing open, all servers get their keys");
        }
        EventView::FailOpen { on: false } => info!("a server is eligible again"),
        EventView::ProbeDue { .. } => {}
    }
}
