//! Requests that were sent again, a part of `GET /api/metrics`.

use schemars::JsonSchema;
use serde::Serialize;

shape! { out
    /// Retries since the start. One that goes to the same server again, over
    /// another connection, is none.
    pub struct RetriesView {
        /// After a server that could not be connected to.
        #[cfg_attr(test, ts(type = "number"))]
        pub connect: u64,
        /// After one that broke off before its answer, or the part of it that is
        /// awaited, was whole; or whose answer was none.
        #[cfg_attr(test, ts(type = "number"))]
        pub broken: u64,
        /// After one that answered with a status in `retries.on_status`.
        #[cfg_attr(test, ts(type = "number"))]
        pub status: u64,
        /// After one that took longer than `retries.per_try_timeout`.
        #[cfg_attr(test, ts(type = "number"))]
        pub timeout: u64,
        /// Away from one that probes or ejection took out meanwhile.
        #[cfg_attr(test, ts(type = "number"))]
        pub taken_out: u64,
        /// Requests that were not sent again because the budget was used up.
        #[cfg_attr(test, ts(type = "number"))]
        pub budget_exhausted: u64,
    }
}
