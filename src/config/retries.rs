//! When a request is tried again.

use super::section::section;
use super::{Seconds, Whole};

section! {
    /// When and how often a request is tried again.
    pub struct Retries {
        /// Further attempts after a first one that failed, each at the key's next
        /// candidate; 0 to 10, default 2.
        attempts: Whole<0, 10> ["number"] = Whole::new(2),
        /// How many retries may be under way at a time, in percent of all requests
        /// in flight; 0 to 100, default 20. Failovers that add no load (after a
        /// failed connect, or away from a server that was taken out) do not
        /// count.
        budget_percent: Whole<0, 100> ["number"] = Whole::new(20),
        /// How many may be under way however few requests are in flight, all
        /// workers together; 0 to 100000, default 3.
        budget_min: Whole<0, 100_000> ["number"] = Whole::new(3),
        /// Seconds: a retry waits a random time up to this, the next one up to
        /// twice this, and so on; default 0.025. The first failover after a
        /// failed connect does not wait.
        backoff: Seconds ["number"] = Seconds::millis(25),
        /// The longest of these waits in seconds, and of the Retry-After that is
        /// heeded; default 0.25, at least `backoff`.
        backoff_max: Seconds ["number"] = Seconds::millis(250),
        /// Answers with these statuses, 400 to 599, are no answers to idempotent
        /// requests while another server can be asked; default 502, 503 and 504.
        on_status: Vec<Whole<400, 599>> ["number[]"] =
            vec![Whole::new(502), Whole::new(503), Whole::new(504)],
        /// Bytes of a request's body that are kept so that it can be sent again;
        /// more is not tried again. 0, for none, to 16777216, default 65536.
        replay_buffer: Whole<0, 16_777_216> ["number"] = Whole::new(65_536),
        /// Answers to idempotent requests that say that they have at most so
        /// many bytes are awaited whole before the client gets the first, so
        /// that another server can be asked when they break off. 0, for none,
        /// to 16777216, default 65536.
        hold_answer: Whole<0, 16_777_216> ["number"] = Whole::new(65_536),
        /// Seconds after which an idempotent request is tried elsewhere although
        /// its server may still answer; less than `timeouts.response_header`.
        /// Default null: never.
        per_try_timeout: Option<Seconds> ["number | null"] = None,
    }
}
