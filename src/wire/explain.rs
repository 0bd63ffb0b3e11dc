//! `GET` and `POST /api/explain`: why a key, or a request, goes where it goes.

use schemars::JsonSchema;
use serde::Serialize;

use super::{GivenHeaders, RequestPath};

use crate::engine::{
    Admission, Candidate, Loads, PeakEwma, Reason, RoutingTable, ServerIndex, Standing,
};

shape! { in
    /// The body of `POST /api/explain`: a request that is only asked about.
    pub struct RequestSpec {
        /// Its path and query; default /.
        #[deserr(default = RequestPath::root())]
        #[schemars(default = "RequestPath::root")]
        #[cfg_attr(test, ts(type = "string", optional))]
        pub path: RequestPath,
        /// Its header fields; default none.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, type = "Record<string, string>"))]
        pub headers: Option<GivenHeaders>,
        /// Its client's IP address; default null: unknown.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional))]
        pub client_ip: Option<String>,
    }
}

shape! { out
    /// `GET /api/explain`: why a key goes where it goes.
    pub struct ExplainView {
        /// The key, as text (bytes that are not UTF-8 replaced).
        pub key: String,
        /// Of a request: what its key was made of, by `routing.hash_key`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        pub key_from: Option<KeyFromView>,
        /// The rule by which keys go to servers.
        #[cfg_attr(test, ts(as = "crate::config::AlgorithmName"))]
        pub algorithm: &'static str,
        /// Where it stands: sixteen hexadecimal digits; null by rules without keys.
        pub position: Option<String>,
        /// The same as a fraction of the ring, for drawing.
        pub turn: Option<f64>,
        /// The first server clockwise, health ignored; null without servers, and
        /// by rules without keys.
        pub owner: Option<String>,
        /// Where it goes now; null when it can go nowhere, and by rules without
        /// keys, by which it may go to any usable server.
        pub server: Option<String>,
        /// Whether nobody is eligible and the answer is a guess.
        pub fail_open: bool,
        /// All servers in the order the key prefers them; by rules without keys in
        /// order of their names.
        pub candidates: Vec<CandidateView>,
    }
}

shape! { out
    /// What the key of a request was made of. Sources are named as
    /// `header x-user-id`, `cookie session`, `query id`, `path`, `uri`,
    /// `client_ip`, `join`.
    pub struct KeyFromView {
        /// The source that was found.
        pub source: String,
        /// What it held: one part, or those of a join in their order.
        pub parts: Vec<KeyPartView>,
        /// The sources that come before it and were not there.
        pub absent: Vec<String>,
    }
}

shape! { out
    /// A part of a key.
    pub struct KeyPartView {
        /// Its source.
        pub source: String,
        /// Its bytes, as text (bytes that are not UTF-8 replaced).
        pub value: String,
    }
}

shape! { out
    /// A server in the order a key prefers them.
    pub struct CandidateView {
        /// Its name.
        pub server: String,
        /// Why it is the answer, or why not.
        pub reason: ReasonWord,
        /// Of one that is full or above its bound, or usable by a rule without
        /// keys: requests in flight there.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "number", optional))]
        pub in_flight: Option<u32>,
        /// Of one that is full or above its bound: it takes a request only while
        /// it has fewer.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "number", optional))]
        pub bound: Option<u32>,
        /// Of one that does not admit the key yet: what part of its keys it
        /// admits, as a fraction. By a rule without keys: what part of its weight
        /// counts, where that is not all of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        pub admission: Option<f64>,
        /// By response-time: how long it takes to answer, as the rule has it; left
        /// out while nothing is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        pub latency_ms: Option<f64>,
    }
}

shape! { out
    /// Why a candidate is the answer, or why it is not.
    #[serde(rename_all = "kebab-case")]
    #[derive(Copy, Eq)]
    pub enum ReasonWord {
        /// It is the answer.
        Chosen,
        /// It would be if those before it were not there.
        Next,
        /// By a rule without keys: any request may go to it.
        Usable,
        /// No probe has vouched for it yet while others are vouched for.
        Unproven,
        /// Its probes fail.
        Unhealthy,
        /// Its traffic failed.
        Ejected,
        /// Its ejection is over: it gets one request at a time, until one is
        /// answered well.
        OnTrial,
        /// An operator is draining it.
        Draining,
        /// It comes back by slow start and does not admit this key yet.
        NotAdmitted,
        /// It is a backup, and a primary server can be used.
        Backup,
        /// The request was sent to it before.
        Tried,
        /// It has as many requests in flight as it may have.
        Full,
        /// It has as many requests in flight as bounded loads let it have.
        AboveBound,
    }
}

impl ExplainView {
    /// Why `key` goes where it goes by `table` under these loads.
    pub fn new(
        table: &RoutingTable,
        loads: &impl Loads,
        key: &[u8],
        key_from: Option<KeyFromView>,
    ) -> Self {
        let has_keys = table.keyless().is_none();
        let position = table.position(key);
        let candidates = table.explain(position, loads, &[]);
        let name = |index: ServerIndex| table.server(index).server.name.to_string();
        let chosen = candidates
            .iter()
            .find(|candidate| candidate.reason == Reason::Chosen);
        Self {
            key: String::from_utf8_lossy(key).into_owned(),
            key_from,
            algorithm: table.algorithm().name(),
            position: has_keys.then(|| position.to_string()),
            turn: has_keys.then(|| position.turn()),
            owner: (candidates.first().filter(|_| has_keys)).map(|owner| name(owner.server)),
            server: chosen.map(|chosen| name(chosen.server)),
            fail_open: table.is_fail_open(),
            candidates: candidates
                .iter()
                .map(|candidate| CandidateView::new(table, loads, candidate))
                .collect(),
        }
    }
}

impl CandidateView {
    fn new(table: &RoutingTable, loads: &impl Loads, candidate: &Candidate) -> Self {
        let entry = table.server(candidate.server);
        let mut view = Self {
            server: entry.server.name.to_string(),
            reason: candidate.reason.into(),
            in_flight: None,
            bound: None,
            admission: None,
            latency_ms: None,
        };
        match candidate.reason {
            Reason::AboveBound { in_flight, bound }
            | Reason::Full {
                in_flight,
                max: bound,
            } => {
                (view.in_flight, view.bound) = (Some(in_flight), Some(bound));
            }
            Reason::NotAdmitted { admission } => view.admission = Some(admission.fraction()),
            Reason::Usable => {
                let mean = loads.latency(candidate.server);
                view.in_flight = Some(loads.in_flight(candidate.server));
                view.admission =
                    (entry.admission != Admission::FULL).then(|| entry.admission.fraction());
                view.latency_ms = (mean > 0).then(|| PeakEwma::duration(mean).as_secs_f64() * 1e3);
            }
            _ => {}
        }
        view
    }
}

impl ReasonWord {
    /// The word as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Next => "next",
            Self::Usable => "usable",
            Self::Unproven => "unproven",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::OnTrial => "on-trial",
            Self::Draining => "draining",
            Self::NotAdmitted => "not-admitted",
            Self::Backup => "backup",
            Self::Tried => "tried",
            Self::Full => "full",
            Self::AboveBound => "above-bound",
        }
    }
}

impl From<Reason> for ReasonWord {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Chosen => Self::Chosen,
            Reason::Next => Self::Next,
            Reason::Usable => Self::Usable,
            Reason::NotAdmitted { .. } => Self::NotAdmitted,
            Reason::Backup => Self::Backup,
            Reason::Tried => Self::Tried,
            Reason::Full { .. } => Self::Full,
            Reason::AboveBound { .. } => Self::AboveBound,
            Reason::NotUsable(Standing::Unproven) => Self::Unproven,
            Reason::NotUsable(Standing::Unhealthy) => Self::Unhealthy,
            Reason::NotUsable(Standing::Ejected) => Self::Ejected,
            Reason::NotUsable(Standing::OnTrial) => Self::OnTrial,
            Reason::NotUsable(Standing::Draining | Standing::Eligible) => Self::Draining,
        }
    }
}
