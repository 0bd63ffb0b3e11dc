//! The one reader of a clock.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::engine::Timestamp;

/// The time now, counted from the UNIX epoch.
///
/// Anchored to the system's clock once, at the first call, and to the
/// monotonic clock from then on: a clock that is set does not disturb waits.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one clock everybody else asks"
)]
pub fn now() -> Timestamp {
    static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();
    let (anchor, epoch_nanos) = ANCHOR.get_or_init(|| {
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        (
            Instant::now(),
            u64::try_from(epoch.as_nanos()).unwrap_or(u64::MAX),
        )
    });
    Timestamp::from_nanos(*epoch_nanos).after(anchor.elapsed())
}
