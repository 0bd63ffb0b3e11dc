//! What becomes of requests whose server is full.

use deserr::Deserr;
use schemars::JsonSchema;
use serde::Serialize;

use super::section::section;
use super::{Seconds, Whole};
use crate::wire::Faults;

section! {
    /// Requests that wait for a place at a server with as many in flight as its
    /// `max_in_flight`.
    pub struct Queue {
        /// The most requests that wait for one server, all workers together; 0,
        /// for none, to 100000. Default null: as many as it may have in flight,
        /// so that who waits at the end waits for about one answer.
        length: Option<Whole<0, 100_000>> ["number | null"] = None,
        /// Seconds that a request waits at most; default 1.
        timeout: Seconds ["number"] = Seconds::whole(1),
        /// What becomes of a request that has waited in vain, or found the queue
        /// full: `overflow`, the default, sends it to the next candidate of its
        /// key that has a place; `refuse` answers 503.
        then: AfterQueue ["AfterQueue"] = AfterQueue::Overflow,
    }
}

/// What becomes of a request that got no place at its key's server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[deserr(error = Faults)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum AfterQueue {
    /// It goes to the next candidate with a place: any answer is better than none.
    #[default]
    #[deserr(rename = "overflow")]
    Overflow,
    /// It is refused with 503: no other server is to answer it.
    #[deserr(rename = "refuse")]
    Refuse,
}
