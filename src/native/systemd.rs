//! Word to systemd, if it started the program: that it is ready, that it
//! reloads or stops, that it lives. Without systemd nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::shared::Shared;

/// Says that requests are served, and by how many servers.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the configuration is read anew; [`ready`] has to follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "cannot tell systemd of the reload"),
    }
}

/// Says that no new requests are wanted.
pub fn stopping() {
    let status = NotifyState::Status("stopping: requests in flight may end");
    tell(&[NotifyState::Stopping, status]);
}

/// Says that another process is the program now.
pub fn succeeded_by(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Says that the control thread lives and gets the lock of the fleet, twice as
/// often as systemd wants to hear it; until `stop` is cancelled.
pub async fn watch(shared: Arc<Shared>, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                shared.tick();
                tell(&[NotifyState::Watchdog]);
            }
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd cannot be told");
    }
}
