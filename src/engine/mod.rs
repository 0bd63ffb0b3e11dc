//! The routing engine: pure, and the same bits on every target.
//!
//! It has two halves. The **control half** is [`LoadBalancer`], a state
//! machine: [`Command`]s and [`Observation`]s go in with a [`Timestamp`],
//! [`Events`] and a next deadline come out. The **data half** is the immutable
//! [`RoutingTable`] it derives: routing a key is a pure function of it.
//!
//! There is no I/O here, no clock, thread, lock, log, `async`, randomness,
//! unordered map or platform-dependent float function, and no knowledge of
//! JSON, HTTP or JavaScript. The shells (`native`, `wasm`) do all of that.
//!
//! In reading order:

#![deny(clippy::disallowed_types)]

mod time;
pub use time::Timestamp;

mod hash;

pub(crate) mod sort;

mod ledger;

mod quoted;
pub(crate) use quoted::Quoted;

mod server;
pub use server::{
    Address, AddressError, AdminState, MaxInFlight, NameError, OutOfRange, Port, Server,
    ServerName, ServerNumber, VirtualNodes, Weight,
};

mod link;
pub use link::{Identity, Link, LinkTls, MinTls, ProxyProtocol, ServerProtocol};

mod ring;
pub use ring::{
    Balance, Basis, Flow, Moved, OwnedArc, POINTS_MAX, Point, Position, Rank, Ring, RingServer,
    Share, TooManyPoints, Window,
};

mod jump;
mod local_rendezvous;
mod log2;
mod rendezvous;
pub use rendezvous::Rendezvous;

mod maglev;
pub use maglev::{TableSize, TableSizeError};

mod compat;
pub use compat::{
    Compat, CompatError, EnvoyRing, Haproxy, HaproxyHash, HaproxyHashKey, KeyHash, Libmemcached,
    RingSize, RingSizeError, Twemproxy,
};

mod peak_ewma;
pub use peak_ewma::PeakEwma;

mod keyless;
pub use keyless::{Keyless, Picker};

mod algorithm;
pub use algorithm::Algorithm;

mod admission;
pub use admission::Admission;

mod load_factor;
pub use load_factor::{LoadFactor, LoadFactorError};

mod layout;
pub use layout::{Difference, Layout, LayoutError, Placed, Table};

mod settings;
pub use settings::{Ejection, HealthCheck, HotKeys, Settings};

mod metrics;
pub use metrics::{
    BUCKETS, CLASSES, Counters, Histogram, Outcome, Traffic, bucket_end_micros, bucket_of,
};

mod bounded_counters;
pub use bounded_counters::BoundedCounters;

mod health;
pub use health::{EjectionMemory, Health, Standing, Verdict};

mod message;
pub use message::{
    Command, CommandError, Event, Events, Observation, ProbeId, ProbeOutcome, ServerId, Term,
};

mod table;
pub use table::{
    Candidate, Idle, Loads, NoServer, Reason, Route, RoutingTable, SPREAD_MAX, ServerIndex, Spread,
    TableServer,
};

mod hot_keys;
pub use hot_keys::{KEY_BYTES_SHOWN, KeyCount, KeyCounts, KeySketch};

mod snapshot;
pub use snapshot::{Figures, FleetHealth, ProbeRecord, ServerFigures, ServerSnapshot, Snapshot};

mod timers;

mod balancer;
pub use balancer::{LoadBalancer, Memory};

mod plan;
pub use plan::{Change, Load, Plan};
