//! Every JSON shape, once: what REST bodies, JavaScript values and the
//! TypeScript declarations are made of.
//!
//! Shapes that come in are read by `deserr`, which reports all faults at once;
//! shapes that go out are plain structs built from the engine's views. 64-bit
//! positions go out as sixteen hexadecimal digits, since a JavaScript number
//! is exact only to 2^53.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue};
use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{
    Address, AdminState, Counters, Event, FleetHealth, Health, MaxInFlight, Moved, NoServer,
    OwnedArc, Position, ProbeOutcome, ProbeRecord, ProxyProtocol, Quoted, Ring, RoutingTable,
    Server, ServerName, ServerNumber, ServerProtocol, ServerSnapshot, Share, Snapshot, Standing,
    Timestamp, Verdict, Weight,
};

mod link;
pub use link::ServerTls;

mod access_log;
pub use access_log::{AccessLogLine, common_log_time, rfc3339};

mod feed;
pub use feed::{FeedEvent, FeedSnapshot, FeedState, FeedTick};

mod faults;
use faults::one_of;
pub use faults::{Fault, Faults};
pub(crate) use faults::{shown, shown_text};

mod fields;
pub(crate) use fields::{Fields, Given, Slot, fields, read_fields};

mod otlp;
pub use otlp::{AttributeValue, OtlpTraces, Span, SpanKind};

mod scalars;
pub use scalars::RequestPath;
pub(crate) use scalars::{number, schema, text, whole};

/// Derives what a shape needs: in for what users write, out for what they read.
/// TypeScript is rendered by a test, so that derive stands under `cfg(test)`.
macro_rules! shape {
    (in $(#[$attr:meta])* pub struct $($rest:tt)*) => {
        crate::wire::fields! {
            #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
            #[cfg_attr(test, derive(ts_rs::TS))]
            $(#[$attr])*
            #[schemars(deny_unknown_fields)]
            pub struct $($rest)*
        }
    };
    (out $(#[$attr:meta])* pub $kind:ident $($rest:tt)*) => {
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        $(#[$attr])*
        pub $kind $($rest)*
    };
}

mod plan;
pub use plan::{BasisWord, LoadShareView, LoadSharesView, PlanView};

mod plan_keys;
pub use plan_keys::{KeyCountView, KeySourceCountView, PlanKeysView, PlanLogView, SkippedLineView};

mod explain;
pub use explain::{CandidateView, ExplainView, KeyFromView, KeyPartView, ReasonWord, RequestSpec};

mod reload;
pub use reload::{ReloadServerView, ReloadServersView, ReloadView, SettingView};

mod fleet_state;
pub use fleet_state::{ChangedServer, FleetState, JoinedServer};

mod handover;
pub use handover::{Handover, ServerMemory};

mod bounded_loads;
pub use bounded_loads::BoundedLoadsView;

mod queue;
pub use queue::QueueView;

mod retries;
pub use retries::RetriesView;

mod state_file;
pub use state_file::StateFileView;

mod hot_keys;
pub use hot_keys::{HotKeyView, HotKeysView, HotShareView};

mod decision;
pub use decision::{ForwardView, GivenHeaders, HeaderView, RouteSpec, RouteView, TookView};

// === In ===

shape! { in
    /// A server as configuration, `POST /api/servers` and `addServer` take it.
    pub struct ServerSpec {
        /// Its unique name, which decides where it stands on the ring.
        #[cfg_attr(test, ts(type = "string"))]
        pub name: ServerName,
        /// An IP address or a host name.
        #[cfg_attr(test, ts(type = "string"))]
        pub address: Address,
        /// Its TCP port, 1 to 65535.
        #[cfg_attr(test, ts(type = "number"))]
        pub port: crate::engine::Port,
        /// Relative capacity, 1 to 1000; default 1.
        #[deserr(default = Weight::ONE)]
        #[schemars(default = "weight_one")]
        #[cfg_attr(test, ts(type = "number", optional))]
        pub weight: Weight,
        /// Whether it gets keys only when no other server is eligible; default false.
        #[deserr(default = false)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub backup: bool,
        /// Its unique number, 1 to 2147483647, by which `jump` orders servers and
        /// `haproxy` hashes them; default the lowest that no other has.
        #[deserr(default)]
        #[schemars(extend("default" = null))]
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "number | null", optional))]
        pub id: Option<ServerNumber>,
        /// What a rule that follows another product hashes instead of what it
        /// makes of the address and the port; 1 to 255 bytes.
        #[deserr(default)]
        #[schemars(extend("default" = null))]
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string | null", optional))]
        pub hash_name: Option<ServerName>,
        /// The most requests it may have in flight, 1 to 1000000; further ones
        /// wait for a place, or go elsewhere. Default null: any number.
        #[deserr(default)]
        #[schemars(extend("default" = null))]
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "number | null", optional))]
        pub max_in_flight: Option<MaxInFlight>,
        /// What is spoken to it, `http/1.1` or `h2` (HTTP/2); default http/1.1. To an
        /// h2 server requests go side by side over few connections.
        #[deserr(default)]
        #[schemars(default, extend("default" = "http/1.1"))]
        #[serde(skip_serializing_if = "link::is_default")]
        #[cfg_attr(test, ts(type = "'http/1.1' | 'h2'", optional))]
        pub protocol: ServerProtocol,
        /// TLS towards it: true, or how. Default null: none.
        #[deserr(default)]
        #[schemars(default, schema_with = "link::tls_schema", extend("default" = null))]
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "ServerTls | true | null", optional))]
        pub tls: Option<ServerTls>,
        /// By which version of the PROXY protocol it is told for whom each
        /// connection is, `v1` or `v2`; default null: it is not told. A connection
        /// is for one client alone then.
        #[deserr(default)]
        #[schemars(extend("default" = null))]
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "'v1' | 'v2' | null", optional))]
        pub proxy_protocol: Option<ProxyProtocol>,
    }
}

fn weight_one() -> Weight {
    Weight::ONE
}

impl From<ServerSpec> for Server {
    fn from(spec: ServerSpec) -> Self {
        Self {
            name: spec.name,
            address: spec.address,
            port: spec.port,
            weight: spec.weight,
            backup: spec.backup,
            id: spec.id,
            hash_name: spec.hash_name,
            max_in_flight: spec.max_in_flight,
            link: link::link(spec.protocol, spec.tls, spec.proxy_protocol),
        }
    }
}

impl From<&Server> for ServerSpec {
    #[inline(never)]
    fn from(server: &Server) -> Self {
        let server = server.clone();
        let (protocol, tls, proxy_protocol) = link::fields(server.link);
        Self {
            name: server.name,
            address: server.address,
            port: server.port,
            weight: server.weight,
            backup: server.backup,
            id: server.id,
            hash_name: server.hash_name,
            max_in_flight: server.max_in_flight,
            protocol,
            tls,
            proxy_protocol,
        }
    }
}

shape! { in
    /// The body of `PUT /api/servers/{name}/weight`.
    pub struct WeightSpec {
        /// The new weight, 1 to 1000.
        #[cfg_attr(test, ts(type = "number"))]
        pub weight: Weight,
    }
}

shape! { in
    /// The body of `PUT /api/servers/{name}/state`.
    pub struct StateSpec {
        /// `active`, or `draining`: no new requests.
        #[cfg_attr(test, ts(type = "'active' | 'draining'"))]
        pub state: AdminState,
    }
}

/// Reads a shape from a parsed document.
///
/// # Errors
/// Every fault of the document.
pub fn read<T: Deserr<Faults>>(document: impl IntoValue) -> Result<T, Faults> {
    deserr::deserialize(document)
}

/// Parses JSON text and reads a shape from it.
///
/// # Errors
/// Where the text stops being JSON, or every fault of the document.
pub fn parse<T: Deserr<Faults>>(text: &[u8]) -> Result<T, Faults> {
    read(document(text)?)
}

fn document(text: &[u8]) -> Result<serde_json::Value, Faults> {
    serde_json::from_slice(text)
        .map_err(|error| Faults::new("", format_args!("this is not JSON: {error}")))
}

/// The same of a document that names the version of its form; of another one
/// than `known`, `whose` may say more.
fn read_version<T: Deserr<Faults>>(
    text: &[u8],
    known: u64,
    whose: impl FnOnce(u64) -> &'static str,
) -> Result<T, Faults> {
    let document = document(text)?;
    match document.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version != known => {
            let whose = whose(version);
            let message = format!("{version} is not known here; known is {known}{whose}");
            Err(Faults::new("version", message))
        }
        _ => read(document),
    }
}

// === Out ===

shape! { out
    /// A server and everything known about it.
    pub struct ServerView {
        /// Its unique name.
        pub name: String,
        /// An IP address or a host name.
        pub address: String,
        /// Its TCP port.
        pub port: u16,
        /// Relative capacity.
        pub weight: u32,
        /// Whether it gets keys only when no primary server is eligible.
        pub backup: bool,
        /// What is spoken to it.
        #[cfg_attr(test, ts(type = "'http/1.1' | 'h2'"))]
        pub protocol: ServerProtocol,
        /// TLS towards it; null when there is none.
        pub tls: Option<ServerTls>,
        /// By which version of the PROXY protocol it is told for whom each
        /// connection is; null when it is not told.
        #[cfg_attr(test, ts(type = "'v1' | 'v2' | null"))]
        pub proxy_protocol: Option<ProxyProtocol>,
        /// Why there was no TLS with it at the last attempt; null when there was,
        /// and in the package, which connects to nobody.
        pub tls_trouble: Option<String>,
        /// What operators say.
        #[cfg_attr(test, ts(type = "'active' | 'draining'"))]
        pub state: AdminState,
        /// What probes say.
        pub health: HealthWord,
        /// Whether traffic took it out.
        pub ejected: bool,
        /// Seconds until its trial begins, when ejected.
        pub ejected_for_s: Option<f64>,
        /// Whether its ejection is over and it gets one request at a time, until
        /// one is answered well: half-open, as circuit breakers have it.
        pub on_trial: bool,
        /// What follows from the three: may it get a new request?
        pub eligible: bool,
        /// The same with the reason.
        pub standing: StandingWord,
        /// What part of its keys it takes, as a fraction: less than 1 while it
        /// comes back or is drained over some time, 0 while it takes none.
        pub admission: f64,
        /// Fractions of all keys.
        pub share: ShareView,
        /// Requests sent to it whose answer has not ended.
        #[cfg_attr(test, ts(type = "number"))]
        pub in_flight: u32,
        /// The most that it may have; null for any number.
        #[cfg_attr(test, ts(type = "number | null"))]
        pub max_in_flight: Option<u32>,
        /// Finished requests since it was added.
        #[cfg_attr(test, ts(type = "number"))]
        pub requests: u64,
        /// Those that ended with a 5xx or without an answer.
        #[cfg_attr(test, ts(type = "number"))]
        pub errors: u64,
        /// The last finished probe; null before.
        pub last_probe: Option<ProbeView>,
    }
}

shape! { out
    /// `GET /api/servers`.
    pub struct ServersView {
        /// The servers, by name.
        pub servers: Vec<ServerView>,
    }
}

shape! { out
    /// A server's part of the ring, as fractions of it.
    pub struct ShareView {
        /// What its weight entitles it to.
        pub expected: f64,
        /// What its points own.
        pub actual: f64,
    }
}

shape! { out
    /// What probes say of a server.
    #[serde(rename_all = "lowercase")]
    #[derive(Copy, Eq)]
    pub enum HealthWord {
        /// No probe of it has finished.
        Unknown,
        /// It answers its probes.
        Healthy,
        /// It does not.
        Unhealthy,
    }
}

shape! { out
    /// Whether a server may get a new request, and if not, why.
    #[serde(rename_all = "kebab-case")]
    #[derive(Copy, Eq)]
    pub enum StandingWord {
        /// It may.
        Eligible,
        /// No probe has vouched for it yet while others are vouched for.
        Unproven,
        /// Its probes fail.
        Unhealthy,
        /// Its traffic failed.
        Ejected,
        /// Its ejection is over, and no request was answered well since: it gets
        /// one at a time.
        OnTrial,
        /// An operator is draining it.
        Draining,
    }
}

shape! { out
    /// A finished probe.
    pub struct ProbeView {
        /// Whether it was as expected.
        pub ok: bool,
        /// What was wrong; null when nothing was.
        pub why: Option<String>,
        /// How long ago its result came in, in seconds.
        pub ago_s: f64,
        /// How long it took, in milliseconds.
        pub took_ms: f64,
    }
}

shape! { out
    /// `GET /api/health`.
    pub struct HealthView {
        /// The fleet in a word.
        pub status: FleetWord,
        /// Whether nobody is eligible and requests are routed by the ring all the same.
        pub fail_open: bool,
        /// How many servers there are.
        pub n_servers: usize,
        /// How many of them may get new requests.
        pub n_eligible: usize,
        /// What became of the state file; null without one, and in the package.
        pub state_file: Option<StateFileView>,
        /// The servers, by name.
        pub servers: Vec<ServerHealthView>,
    }
}

shape! { out
    /// The fleet in a word; draining servers are left out of account.
    #[serde(rename_all = "lowercase")]
    #[derive(Copy, Eq)]
    pub enum FleetWord {
        /// Every server is eligible.
        Healthy,
        /// Some are.
        Degraded,
        /// None is.
        Unhealthy,
    }
}

shape! { out
    /// One server's part of [`HealthView`].
    pub struct ServerHealthView {
        /// Its name.
        pub name: String,
        /// What probes say.
        pub health: HealthWord,
        /// May it get a new request, and why not?
        pub standing: StandingWord,
        /// The last finished probe; null before.
        pub last_probe: Option<ProbeView>,
    }
}

shape! { out
    /// `GET /api/metrics`.
    pub struct MetricsView {
        /// All requests, those that no server got included.
        pub total: LoadView,
        /// What bounded loads did; null while `routing.load_factor` is, and in
        /// the package, which does not bound loads.
        pub bounded_loads: Option<BoundedLoadsView>,
        /// Requests that were sent again; null in the package, which sends none.
        pub retries: Option<RetriesView>,
        /// Requests that waited for a place, at any server; null while none has a
        /// `max_in_flight`, and in the package, where none waits.
        pub queue: Option<QueueView>,
        /// The servers, by name.
        pub servers: Vec<ServerMetricsView>,
    }
}

shape! { out
    /// One server's part of [`MetricsView`].
    pub struct ServerMetricsView {
        /// Its name.
        pub name: String,
        /// Its requests.
        #[serde(flatten)]
        pub load: LoadView,
        /// Those that waited for a place at it; null while it has no
        /// `max_in_flight`, and in the package.
        pub queue: Option<QueueView>,
    }
}

shape! { out
    /// Requests now, since the start and over the last minute.
    pub struct LoadView {
        /// Requests sent whose answer has not ended.
        #[cfg_attr(test, ts(type = "number"))]
        pub in_flight: u64,
        /// Since the start (of the server, for a server).
        pub since_start: TrafficView,
        /// Over the last 55 to 60 seconds.
        pub last_minute: TrafficView,
    }
}

shape! { out
    /// Sums over finished requests.
    pub struct TrafficView {
        /// How many.
        #[cfg_attr(test, ts(type = "number"))]
        pub requests: u64,
        /// Those that ended with a 5xx or without an answer.
        #[cfg_attr(test, ts(type = "number"))]
        pub errors: u64,
        /// `errors / requests`; 0 without requests.
        pub error_rate: f64,
        /// From sending a request to the head of its answer.
        pub response_time_ms: TimesView,
        /// Requests by the class of their answer.
        pub by_class: ClassesView,
    }
}

shape! { out
    /// Response times in milliseconds; all 0 without answers.
    pub struct TimesView {
        /// The mean.
        pub mean: f64,
        /// Half of the answers were as fast.
        pub p50: f64,
        /// 90 % were.
        pub p90: f64,
        /// 99 % were.
        pub p99: f64,
    }
}

shape! { out
    /// Requests by the class of their answer.
    pub struct ClassesView {
        /// 100 to 199.
        #[serde(rename = "1xx")]
        #[cfg_attr(test, ts(type = "number"))]
        pub informational: u64,
        /// 200 to 299.
        #[serde(rename = "2xx")]
        #[cfg_attr(test, ts(type = "number"))]
        pub success: u64,
        /// 300 to 399.
        #[serde(rename = "3xx")]
        #[cfg_attr(test, ts(type = "number"))]
        pub redirection: u64,
        /// 400 to 499.
        #[serde(rename = "4xx")]
        #[cfg_attr(test, ts(type = "number"))]
        pub client_error: u64,
        /// 500 to 599.
        #[serde(rename = "5xx")]
        #[cfg_attr(test, ts(type = "number"))]
        pub server_error: u64,
        /// No answer, or one of another status.
        #[cfg_attr(test, ts(type = "number"))]
        pub none: u64,
    }
}

shape! { out
    /// `GET /api/ring`: how the primary servers share all keys.
    pub struct RingView {
        /// Equal for two fleets just when they route alike while everybody is
        /// eligible: sixteen hexadecimal digits.
        pub fingerprint: String,
        /// The rule by which keys go to servers; only rings have points.
        #[cfg_attr(test, ts(as = "crate::config::AlgorithmName"))]
        pub algorithm: &'static str,
        /// Points for each unit of weight, where the rule is a ring of ours.
        pub virtual_nodes: u32,
        /// How many points there are in all.
        pub n_points: usize,
        /// How even the shares are.
        pub balance: BalanceView,
        /// The servers on it, by name.
        pub servers: Vec<RingServerView>,
        /// One page of points, in order of position.
        pub points: Vec<PointView>,
        /// The position to ask for the points `after`, if there are more; else null.
        pub next: Option<String>,
    }
}

shape! { out
    /// How evenly the ring is shared, relative to the weights.
    pub struct BalanceView {
        /// The largest ratio of a server's share to its fair one; 1 is even.
        pub peak_to_mean: f64,
        /// The standard deviation of these ratios.
        pub cv: f64,
    }
}

shape! { out
    /// A server on the ring.
    pub struct RingServerView {
        /// Its name.
        pub name: String,
        /// Relative capacity.
        pub weight: u32,
        /// How many points it has.
        #[cfg_attr(test, ts(type = "number"))]
        pub n_points: u32,
        /// Fractions of the ring.
        pub share: ShareView,
    }
}

shape! { out
    /// A point, and the arc that ends in it.
    pub struct PointView {
        /// Where it stands: sixteen hexadecimal digits.
        pub position: String,
        /// The same as a fraction of the ring, for drawing.
        pub turn: f64,
        /// Whose it is.
        pub server: String,
        /// The position of the point before it, where its arc begins.
        pub after: String,
        /// The length of the arc, as a fraction of the ring.
        pub share: f64,
    }
}

shape! { out
    /// Where one key goes: a line of `ringway route`.
    pub struct RoutedView<'a> {
        /// The key, as text (bytes that are not UTF-8 replaced).
        pub key: Cow<'a, str>,
        /// The server; null when there is none.
        pub server: Option<&'a str>,
        /// Where the key stands: sixteen hexadecimal digits.
        pub position: String,
    }
}

impl<'a> RoutedView<'a> {
    /// Where `key`, which stands at `position`, goes.
    pub fn new(key: &'a [u8], position: Position, server: Option<&'a str>) -> Self {
        Self {
            key: String::from_utf8_lossy(key),
            server,
            position: position.to_string(),
        }
    }
}

shape! { out
    /// The answer to a write: the server, and what it moved.
    pub struct ChangeView {
        /// The server after the change; null when it was removed.
        pub server: Option<ServerView>,
        /// What changed hands on the ring. Health and admin state move keys
        /// too, but leave the ring as it is.
        pub moved: MovedView,
    }
}

shape! { out
    /// The part of the ring whose owner changed.
    pub struct MovedView {
        /// How much of it, as a fraction.
        pub fraction: f64,
        /// The same by giver and taker.
        pub flows: Vec<FlowView>,
    }
}

shape! { out
    /// A part of the ring that changed hands.
    pub struct FlowView {
        /// Who owned it before.
        pub from: String,
        /// Who owns it now.
        pub to: String,
        /// How much, as a fraction of the ring.
        pub fraction: f64,
    }
}

shape! { out
    /// Something that happened to the fleet.
    #[serde(tag = "event", rename_all = "kebab-case")]
    pub enum EventView {
        /// A server joined.
        ServerAdded {
            /// Its name.
            server: String,
        },
        /// A server left.
        ServerRemoved {
            /// Its name.
            server: String,
        },
        /// A server's weight changed.
        WeightChanged {
            /// Its name.
            server: String,
            /// The new weight.
            weight: u32,
        },
        /// More of a server changed than its weight; it stays the same server.
        ServerChanged {
            /// Its name.
            server: String,
        },
        /// A server's admin state changed.
        StateChanged {
            /// Its name.
            server: String,
            /// The new state.
            #[cfg_attr(test, ts(type = "'active' | 'draining'"))]
            state: AdminState,
        },
        /// Probes changed their verdict on a server.
        HealthChanged {
            /// Its name.
            server: String,
            /// The new health.
            health: HealthWord,
            /// What the last probe found wrong; null when it was good.
            why: Option<String>,
        },
        /// Probing was switched off: what probes said of a server holds no longer.
        HealthForgotten {
            /// Its name.
            server: String,
        },
        /// Traffic took a server out.
        Ejected {
            /// Its name.
            server: String,
            /// For how many seconds.
            for_s: f64,
            /// What the last request met.
            why: String,
        },
        /// An ejection ended: the server gets one request at a time until one is
        /// answered well.
        TrialBegan {
            /// Its name.
            server: String,
        },
        /// A server on trial answered well, and is let back in.
        Readmitted {
            /// Its name.
            server: String,
        },
        /// A server comes back and gets its keys bit by bit.
        SlowStarted {
            /// Its name.
            server: String,
            /// In how many seconds it will have them all.
            for_s: f64,
        },
        /// It has all of its keys.
        SlowStartEnded {
            /// Its name.
            server: String,
        },
        /// A server that was drained over some time has no keys left.
        Drained {
            /// Its name.
            server: String,
        },
        /// Nobody is eligible and all are used (`on`), or that is over.
        FailOpen {
            /// Which of the two.
            on: bool,
        },
        /// Another configuration is in effect; the events after this one say
        /// what it changed.
        Reconfigured {
            /// How many servers joined.
            added: usize,
            /// How many servers left.
            removed: usize,
            /// How many servers stayed and are no longer what they were.
            changed: usize,
        },
        /// A probe is to be sent.
        ProbeDue {
            /// Whom to probe.
            server: String,
            /// The number of the probe among that server's.
            #[cfg_attr(test, ts(type = "number"))]
            round: u64,
        },
    }
}

shape! { out
    /// A probe to send, as JavaScript gets it.
    pub struct ProbeDueView {
        /// What to report its end by.
        pub id: String,
        /// Whom to probe.
        pub server: ServerSpec,
    }
}

shape! { out
    /// The servers in the order of the routing table, for JavaScript to know
    /// them by number.
    pub struct DirectoryView {
        /// Their stays in the fleet.
        #[cfg_attr(test, ts(type = "number[]"))]
        pub ids: Vec<u64>,
        /// What `route` answers.
        pub servers: Vec<ServerSpec>,
    }
}

shape! { out
    /// `application/problem+json` (RFC 9457).
    pub struct ProblemView {
        /// A name for the kind of problem.
        #[serde(rename = "type")]
        pub kind: String,
        /// The kind in words.
        pub title: String,
        /// The HTTP status.
        pub status: u16,
        /// What went wrong this time.
        pub detail: String,
        /// Every fault of the input, if that was it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub errors: Vec<FaultView>,
    }
}

shape! { out
    /// Why JavaScript was refused something.
    pub struct RefusalView {
        /// A short name for the reason.
        pub code: &'static str,
        /// What went wrong.
        pub message: String,
        /// Every fault of the input, if that was it.
        pub errors: Vec<FaultView>,
    }
}

shape! { out
    /// One fault of an input.
    pub struct FaultView {
        /// Where: `servers[2].weight`.
        pub path: String,
        /// What was given and what is allowed.
        pub message: String,
    }
}

// === Engine views to shapes ===

/// The most a JavaScript number counts exactly; counters stop there.
const COUNT_MAX: u64 = (1 << 53) - 1;

impl ServerView {
    /// The shape of one server at `now`.
    pub fn new(server: &ServerSnapshot, now: Timestamp) -> Self {
        let (protocol, tls, proxy_protocol) = link::fields(server.server.link.clone());
        Self {
            name: server.server.name.to_string(),
            address: server.server.address.to_string(),
            port: server.server.port.number(),
            weight: server.server.weight.number(),
            backup: server.server.backup,
            protocol,
            tls,
            proxy_protocol,
            tls_trouble: None,
            state: server.state,
            health: server.health.into(),
            ejected: server.ejected_until.is_some(),
            ejected_for_s: server
                .ejected_until
                .map(|until| until.since(now).as_secs_f64()),
            on_trial: server.is_on_trial,
            eligible: server.standing == Standing::Eligible,
            standing: server.standing.into(),
            admission: server.admission.fraction(),
            share: ShareView {
                expected: server.share_expected,
                actual: server.share_actual.fraction(),
            },
            in_flight: server.in_flight,
            max_in_flight: server.server.max_in_flight.map(MaxInFlight::number),
            requests: server.total.requests().min(COUNT_MAX),
            errors: server.total.errors.min(COUNT_MAX),
            last_probe: server
                .last_probe
                .as_ref()
                .map(|probe| ProbeView::new(probe, now)),
        }
    }
}

impl From<&Snapshot> for ServersView {
    fn from(snapshot: &Snapshot) -> Self {
        let servers = snapshot.servers.iter();
        Self {
            servers: servers
                .map(|server| ServerView::new(server, snapshot.at))
                .collect(),
        }
    }
}

impl ProbeView {
    fn new(probe: &ProbeRecord, now: Timestamp) -> Self {
        Self {
            ok: probe.outcome == ProbeOutcome::Good,
            why: why(&probe.outcome),
            ago_s: now.since(probe.at).as_secs_f64(),
            took_ms: probe.took.as_nanos() as f64 / 1e6,
        }
    }
}

fn why(outcome: &ProbeOutcome) -> Option<String> {
    match outcome {
        ProbeOutcome::Good => None,
        ProbeOutcome::Failed(why) => Some(why.clone()),
    }
}

impl From<&Snapshot> for HealthView {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            status: match snapshot.health() {
                FleetHealth::Healthy => FleetWord::Healthy,
                FleetHealth::Degraded => FleetWord::Degraded,
                FleetHealth::Unhealthy => FleetWord::Unhealthy,
            },
            fail_open: snapshot.fail_open,
            n_servers: snapshot.servers.len(),
            n_eligible: snapshot.n_eligible(),
            state_file: None,
            servers: snapshot
                .servers
                .iter()
                .map(|server| ServerHealthView {
                    name: server.server.name.to_string(),
                    health: server.health.into(),
                    standing: server.standing.into(),
                    last_probe: server
                        .last_probe
                        .as_ref()
                        .map(|probe| ProbeView::new(probe, snapshot.at)),
                })
                .collect(),
        }
    }
}

impl From<&Snapshot> for MetricsView {
    fn from(snapshot: &Snapshot) -> Self {
        let servers = &snapshot.servers;
        Self {
            total: LoadView {
                in_flight: servers
                    .iter()
                    .map(|server| u64::from(server.in_flight))
                    .sum(),
                since_start: (&snapshot.total).into(),
                last_minute: (&snapshot.last_minute).into(),
            },
            bounded_loads: None,
            retries: None,
            queue: None,
            servers: servers
                .iter()
                .map(|server| ServerMetricsView {
                    name: server.server.name.to_string(),
                    load: LoadView {
                        in_flight: server.in_flight.into(),
                        since_start: (&server.total).into(),
                        last_minute: (&server.last_minute).into(),
                    },
                    queue: None,
                })
                .collect(),
        }
    }
}

impl From<&Counters> for TrafficView {
    fn from(counters: &Counters) -> Self {
        let requests = counters.requests();
        let millis = |time: core::time::Duration| time.as_nanos() as f64 / 1e6;
        let class = |i: usize| counters.by_class[i].min(COUNT_MAX);
        Self {
            requests: requests.min(COUNT_MAX),
            errors: counters.errors.min(COUNT_MAX),
            error_rate: counters.errors as f64 / requests.max(1) as f64,
            response_time_ms: TimesView {
                mean: millis(counters.latency.mean()),
                p50: millis(counters.latency.percentile(50)),
                p90: millis(counters.latency.percentile(90)),
                p99: millis(counters.latency.percentile(99)),
            },
            by_class: ClassesView {
                informational: class(1),
                success: class(2),
                redirection: class(3),
                client_error: class(4),
                server_error: class(5),
                none: class(0),
            },
        }
    }
}

impl PointView {
    /// The point of `ring` in which `arc` ends.
    pub fn new(ring: &Ring, arc: &OwnedArc) -> Self {
        Self {
            position: arc.end.to_string(),
            turn: arc.end.turn(),
            server: ring.servers()[arc.server as usize].name.to_string(),
            after: arc.after.to_string(),
            share: arc.share.fraction(),
        }
    }
}

impl RingView {
    /// The primary ring of `table`, with at most `limit` of the points that
    /// stand after `after` (all points at one position come on one page).
    pub fn new(table: &RoutingTable, after: Option<Position>, limit: usize) -> Self {
        let layout = table.primary();
        let balance = layout.balance();
        let all_points = layout.ring().map_or(&[][..], Ring::points);
        let mut n_points_of = vec![0; layout.servers().len()];
        for point in all_points {
            n_points_of[point.server as usize] += 1;
        }
        let from = after.map_or(0, |after| {
            all_points.partition_point(|point| point.position() <= after)
        });
        let arcs = layout.ring().into_iter();
        let arcs = arcs.flat_map(|ring| ring.arcs().map(move |arc| (ring, arc)));
        let mut arcs = arcs.skip(from).peekable();
        let mut points = Vec::with_capacity(limit.min(all_points.len() - from));
        let mut last = None;
        while let Some((ring, arc)) =
            arcs.next_if(|(_, arc)| points.len() < limit || last == Some(arc.end))
        {
            last = Some(arc.end);
            points.push(PointView::new(ring, &arc));
        }
        Self {
            fingerprint: format!("{:016x}", table.fingerprint()),
            algorithm: table.algorithm().name(),
            virtual_nodes: table.virtual_nodes().number(),
            n_points: all_points.len(),
            balance: BalanceView {
                peak_to_mean: balance.peak_to_mean,
                cv: balance.cv,
            },
            servers: layout
                .servers()
                .iter()
                .zip(n_points_of)
                .zip(layout.shares())
                .zip(layout.expected_shares())
                .map(|(((server, n_points), actual), expected)| RingServerView {
                    name: server.name.to_string(),
                    weight: server.weight.number(),
                    n_points,
                    share: ShareView {
                        expected,
                        actual: actual.fraction(),
                    },
                })
                .collect(),
            points,
            next: arcs.peek().and(last).map(|position| position.to_string()),
        }
    }
}

impl From<&Moved> for MovedView {
    fn from(moved: &Moved) -> Self {
        let fraction = |share: Share| share.fraction();
        Self {
            fraction: fraction(moved.total),
            flows: moved
                .flows
                .iter()
                .map(|flow| FlowView {
                    from: flow.from.to_string(),
                    to: flow.to.to_string(),
                    fraction: fraction(flow.share),
                })
                .collect(),
        }
    }
}

impl EventView {
    /// The shape of an event that happened at `now`.
    pub fn new(event: &Event, now: Timestamp) -> Self {
        match event {
            Event::ServerAdded { server, .. } => Self::ServerAdded {
                server: server.name.to_string(),
            },
            Event::ServerRemoved { name } => Self::ServerRemoved {
                server: name.to_string(),
            },
            Event::WeightChanged { name, weight } => Self::WeightChanged {
                server: name.to_string(),
                weight: weight.number(),
            },
            Event::ServerChanged { server } => Self::ServerChanged {
                server: server.name.to_string(),
            },
            Event::HealthForgotten { name } => Self::HealthForgotten {
                server: name.to_string(),
            },
            Event::Reconfigured {
                added,
                removed,
                changed,
            } => Self::Reconfigured {
                added: *added,
                removed: *removed,
                changed: *changed,
            },
            Event::StateChanged { name, state } => Self::StateChanged {
                server: name.to_string(),
                state: *state,
            },
            Event::HealthChanged {
                name,
                health,
                why: outcome,
            } => Self::HealthChanged {
                server: name.to_string(),
                health: (*health).into(),
                why: why(outcome),
            },
            Event::Ejected {
                name,
                until,
                verdict,
            } => Self::Ejected {
                server: name.to_string(),
                for_s: until.since(now).as_secs_f64(),
                why: match verdict {
                    Verdict::ConnectError => "connect errors in a row",
                    Verdict::Failed | Verdict::Good => "failed requests in a row",
                }
                .to_owned(),
            },
            Event::TrialBegan { name } => Self::TrialBegan {
                server: name.to_string(),
            },
            Event::Readmitted { name } => Self::Readmitted {
                server: name.to_string(),
            },
            Event::SlowStarted { name, until } => Self::SlowStarted {
                server: name.to_string(),
                for_s: until.since(now).as_secs_f64(),
            },
            Event::SlowStartEnded { name } => Self::SlowStartEnded {
                server: name.to_string(),
            },
            Event::Drained { name } => Self::Drained {
                server: name.to_string(),
            },
            Event::FailOpen(on) => Self::FailOpen { on: *on },
            Event::ProbeDue { probe, server } => Self::ProbeDue {
                server: server.name.to_string(),
                round: probe.round,
            },
        }
    }
}

impl From<Health> for HealthWord {
    fn from(health: Health) -> Self {
        match health {
            Health::Unknown => Self::Unknown,
            Health::Healthy => Self::Healthy,
            Health::Unhealthy => Self::Unhealthy,
        }
    }
}

impl From<Standing> for StandingWord {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Eligible => Self::Eligible,
            Standing::Unproven => Self::Unproven,
            Standing::Unhealthy => Self::Unhealthy,
            Standing::Ejected => Self::Ejected,
            Standing::OnTrial => Self::OnTrial,
            Standing::Draining => Self::Draining,
        }
    }
}

impl From<&Faults> for Vec<FaultView> {
    fn from(faults: &Faults) -> Self {
        faults
            .as_slice()
            .iter()
            .map(|fault| FaultView {
                path: fault.path.clone(),
                message: fault.message.clone(),
            })
            .collect()
    }
}

/// A short name for each reason there is no server, for `code`s and `type`s.
pub fn no_server_code(reason: NoServer) -> &'static str {
    match reason {
        NoServer::Empty => "no-servers",
        NoServer::NoneEligible => "none-eligible",
        NoServer::AllTried => "all-tried",
        NoServer::AllFull => "all-full",
    }
}

/// The value called `text` in a table of names.
pub(crate) fn named<T: Copy>(table: &[(&str, T)], text: &str) -> Result<T, String> {
    table
        .iter()
        .find(|(name, _)| *name == text)
        .map(|&(_, value)| value)
        .ok_or_else(|| {
            let names: Vec<&str> = table.iter().map(|&(name, _)| name).collect();
            format!("{} is not allowed; give {}", Quoted(text), one_of(&names))
        })
}

/// The name of `value` in a table that has every value.
pub(crate) fn name_in<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, other)| other == value)
        .map_or("", |&(name, _)| name)
}
