//! Requests that found their server full, a part of `GET /api/metrics`.

use schemars::JsonSchema;
use serde::Serialize;

shape! { out
    /// Requests that waited for a place at a full server, since the start.
    #[derive(Copy)]
    pub struct QueueView {
        /// Those that wait now.
        #[cfg_attr(test, ts(type = "number"))]
        pub waiting: u32,
        /// Those that waited, or still do.
        #[cfg_attr(test, ts(type = "number"))]
        pub waited: u64,
        /// Those that waited for `queue.timeout` in vain.
        #[cfg_attr(test, ts(type = "number"))]
        pub timed_out: u64,
        /// Those that found `queue.length` requests waiting.
        #[cfg_attr(test, ts(type = "number"))]
        pub turned_away: u64,
    }
}
