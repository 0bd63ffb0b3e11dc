//! What bounded loads did, a part of `GET /api/metrics`.

use schemars::JsonSchema;
use serde::Serialize;

use super::COUNT_MAX;
use crate::engine::BoundedCounters;

shape! { out
    /// What bounded loads did since the start. A request that is tried again at
    /// another server counts again.
    pub struct BoundedLoadsView {
        /// Requests that had a key and went where bounded loads said.
        #[cfg_attr(test, ts(type = "number"))]
        pub requests: u64,
        /// Those of them that went to another server than without bounds.
        #[cfg_attr(test, ts(type = "number"))]
        pub overflowed: u64,
        /// How many candidates were asked for them whether they are below their
        /// bounds.
        #[cfg_attr(test, ts(type = "number"))]
        pub asked: u64,
        /// The most that were asked for one request.
        #[cfg_attr(test, ts(type = "number"))]
        pub asked_max: u64,
    }
}

impl From<&BoundedCounters> for BoundedLoadsView {
    fn from(counters: &BoundedCounters) -> Self {
        Self {
            requests: counters.requests.min(COUNT_MAX),
            overflowed: counters.overflowed.min(COUNT_MAX),
            asked: counters.asked.min(COUNT_MAX),
            asked_max: counters.asked_max.min(COUNT_MAX),
        }
    }
}
