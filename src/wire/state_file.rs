//! What became of the state file, a part of `GET /api/health`.

use schemars::JsonSchema;
use serde::Serialize;

shape! { out
    /// Whether what is changed through the API survives a restart.
    pub struct StateFileView {
        /// False when the file could not be written the last time: until it can,
        /// changes are refused.
        pub stored: bool,
        /// Whether the file found at start was of no use and was renamed: what
        /// had been changed before is in effect no more.
        pub set_aside: bool,
    }
}
