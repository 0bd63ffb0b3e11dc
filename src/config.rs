//! Configuration: parsed once, into a typed and complete [`Config`].
//!
//! Every fault is reported at once, each with its JSON path. Each setting
//! stands here once, with its default and reason; the parser, the JSON Schema
//! and the TypeScript type are made from that. Rules that join several
//! settings are in [`Config::parse`] and nowhere else.

use core::cmp::Ordering;

use deserr::IntoValue;
use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{
    self, Algorithm, LoadBalancer, LoadFactor, POINTS_MAX, Port, RingSize, Server, ServerNumber,
    Settings, TableSize, Timestamp, VirtualNodes, sort,
};
use crate::wire::{self, Fault, Faults, ServerSpec, fields, shown_text};

mod algorithm;
pub use algorithm::{AlgorithmName, ServerKey};

mod hash_key;
pub use hash_key::{HashKey, KeySource};

mod health_check;
pub use health_check::{
    Authority, BodyPart, HealthCheck, ProbeHeaders, ProbeKind, ProbeMethod, ProbeTls, Statuses,
};

mod hot_keys;
pub use hot_keys::{HotKeys, Multiple};

mod listen;
pub use listen::{CertificateFiles, ClientCertificates, Listen, ListenTls, TlsVersion};

mod plan;
pub use plan::{ChangeSpec, PlanSpec, StateChange, WeightChange};

mod rate_limit;
pub use rate_limit::{LimitedBy, Rate, RateLimit, RateLimitRule};

mod retries;
pub use retries::Retries;

mod section;
use section::section;

mod snapshot;
pub use snapshot::{RoutingConfig, SnapshotView};

mod telemetry;
pub use telemetry::{AccessLog, AccessLogFormat, OtlpUrl, Tracing};

mod upgrades;
pub use upgrades::{Protocol, Upgrades};

mod values;
pub use crate::wire::RequestPath;
pub use values::{Network, Part, Seconds, Secret, Whole};

mod difference;
pub use difference::Difference;

fields! {
    /// The whole configuration.
    #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct Config {
        /// The servers at start; may be empty, they can be added through the API.
        pub servers: Vec<ServerSpec>,
        /// Where the proxy listens for clients.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub listen: Listen,
        /// How the proxy runs.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub process: Process,
        /// Which server a request goes to.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub routing: Routing,
        /// What the product is set to whose rule is followed.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub compat: CompatOptions,
        /// Judging servers by probes.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub health_check: HealthCheck,
        /// Judging servers by their traffic.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub ejection: Ejection,
        /// Counting the hottest keys, and spreading them.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub hot_keys: HotKeys,
        /// When and how often a request is tried again.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub retries: Retries,
        /// How long the proxy waits for what.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub timeouts: Timeouts,
        /// Kept connections to servers.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub pool: Pool,
        /// How much the proxy takes from clients.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub limits: Limits,
        /// How often a client, or a key, may ask: a rule, or a list of rules that
        /// must all admit a request. Default none.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(type = "RateLimitRule | RateLimitRule[]", optional))]
        pub rate_limit: RateLimit,
        /// Connections that change over to another protocol.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub upgrades: Upgrades,
        /// A line for each request.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub access_log: AccessLog,
        /// Traces of requests, sent to a collector.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub tracing: Tracing,
        /// The listener for operators.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub api: Api,
    }
}

section! {
    /// How the proxy runs.
    pub struct Process {
        /// Worker threads, each with its own listener and connections; 0, the
        /// default, is one for each core. At most 256.
        workers: Whole<0, 256> ["number"] = Whole::new(0),
        /// On SIGTERM: how long connections are still taken, while `/readyz` says
        /// that none should be sent; default null: none are.
        shutdown_delay: Option<Seconds> ["number | null"] = None,
        /// On SIGTERM: how long requests in flight may take to end; default 30.
        shutdown_grace: Seconds ["number"] = Seconds::whole(30),
        /// Whether the configuration is read anew when its file changes; default
        /// false. It is looked at once a second.
        watch_config: bool ["boolean"] = false,
        /// The most of all keys that a reload may move, as 0.05 or "5%"; one that
        /// would move more is refused. What counts is what is in effect before
        /// it. Default null: no limit.
        max_moved: Option<Part> ["number | string | null"] = None,
        /// A file that keeps what is changed through the API, so that it
        /// survives a restart; default null: nothing is kept.
        state_file: Option<String> ["string | null"] = None,
    }
}

section! {
    /// Which server a request goes to.
    pub struct Routing {
        /// The rule by which keys go to servers, or one without keys by which
        /// requests do; default ring.
        algorithm: AlgorithmName ["AlgorithmName"] = AlgorithmName::Ring,
        /// Points on the ring for each unit of weight, 1 to 10000; default 100.
        /// All servers together may have 2^20.
        virtual_nodes: VirtualNodes ["number"] = VirtualNodes::DEFAULT,
        /// Slots of the table of maglev and envoy-maglev, a prime number from 2
        /// to 5000011; default 65537.
        table_size: TableSize ["number"] = TableSize::DEFAULT,
        /// Bounded loads: how many times its fair part of all requests in flight
        /// a server may have, 1.001 to 100, before further ones go to the next
        /// candidate of their key; 1.25 is the advice. Default null: no bound. Not
        /// for rules without keys.
        load_factor: Option<LoadFactor> ["number | null"] = None,
        /// Seconds in which a server that comes back, or joins a running fleet,
        /// gets its keys: a tenth at once, the others bit by bit, each key once.
        /// Default null: all at once.
        slow_start: Option<Seconds> ["number | null"] = None,
        /// Seconds in which a drained server loses its keys, bit by bit. Default
        /// null: all at once.
        drain: Option<Seconds> ["number | null"] = None,
        /// What is tried as the key of a request; the first that is present
        /// wins. Default: the header x-ringway-key, then the client's IP
        /// address. Without any, the server with the fewest requests in flight
        /// for its weight is taken.
        hash_key: HashKey ["KeySource[]"] = HashKey::default(),
        /// When no server is eligible: route by the ring as if all were; default
        /// true. Otherwise such requests are answered with 503.
        fail_open: bool ["boolean"] = true,
        /// Whether answers carry `x-ringway-server`, `x-ringway-attempts` and
        /// `x-ringway-explain`; default false, since they tell clients what
        /// stands behind.
        debug_header: bool ["boolean"] = false,
    }
}

section! {
    /// What the product is set to whose rule is followed: the options that
    /// decide its answers. docs/compatibility.md names each product's own.
    pub struct CompatOptions {
        /// How keys are hashed. For libmemcached and twemproxy: fnv1a_64,
        /// fnv1_64, fnv1a_32, fnv1_32, md5, crc32, crc32a or one_at_a_time; for
        /// haproxy: sdbm, djb2, wt6 or crc32. Default null: as the product does
        /// when it is not told (for libmemcached md5, as KETAMA_WEIGHTED).
        key_hash: Option<String> ["string | null"] = None,
        /// libmemcached: whether points go by weights, as with KETAMA_WEIGHTED;
        /// default true. A weight above 1 switches it on.
        weighted: bool ["boolean"] = true,
        /// libmemcached: whether servers are named as spymemcached names them;
        /// default false.
        spy: bool ["boolean"] = false,
        /// envoy-ring: minimum_ring_size, 1 to 8388608; default 1024.
        ring_size_min: RingSize ["number"] = RingSize::known(1024),
        /// envoy-ring: maximum_ring_size, 1 to 8388608 and at least the minimum;
        /// default 8388608.
        ring_size_max: RingSize ["number"] = RingSize::known(RingSize::MAX),
        /// haproxy: hash-key, what of a server is hashed, id, addr or addr-port;
        /// default id.
        server_key: ServerKey ["ServerKey"] = ServerKey::Id,
        /// haproxy: whether a key's hash is mixed once more; default null: just
        /// when key_hash is not given, as in hash-type.
        avalanche: Option<bool> ["boolean | null"] = None,
    }
}

section! {
    /// Judging servers by their traffic: failures in a row take one out for a
    /// time.
    pub struct Ejection {
        /// 5xx answers in a row; 0 switches this off. Default 5.
        consecutive_5xx: Whole<0, 10_000> ["number"] = Whole::new(5),
        /// Connect errors in a row; 0 switches this off. Default 3.
        consecutive_connect_errors: Whole<0, 10_000> ["number"] = Whole::new(3),
        /// Seconds of a first ejection; the n-th in a row is n times as long.
        /// Default 30.
        base: Seconds ["number"] = Seconds::whole(30),
        /// Seconds of the longest ejection; default 300, at least `base`.
        cap: Seconds ["number"] = Seconds::whole(300),
        /// How much longer an ejection may be, in percent, so that servers do
        /// not come back together; 0 to 100, default 10.
        jitter_percent: Whole<0, 100> ["number"] = Whole::new(10),
        /// The most servers ejected or on trial at a time, in percent; one may always be,
        /// but never the last eligible one. 0 to 100, default 50.
        max_percent: Whole<0, 100> ["number"] = Whole::new(50),
    }
}

section! {
    /// How long the proxy waits for what, in seconds.
    pub struct Timeouts {
        /// For a connection to a server; default 3.
        connect: Seconds ["number"] = Seconds::whole(3),
        /// From sending a request to the head of its answer; default 30.
        response_header: Seconds ["number"] = Seconds::whole(30),
        /// Between two pieces of a body, in either direction; default 300.
        stream_idle: Seconds ["number"] = Seconds::whole(300),
        /// For a client to agree on TLS, from when it has connected; default 10.
        tls_handshake: Seconds ["number"] = Seconds::whole(10),
        /// For the head of a client's request, from its first byte; default 10.
        client_header: Seconds ["number"] = Seconds::whole(10),
        /// For the next request on a client's connection; default 60.
        client_idle: Seconds ["number"] = Seconds::whole(60),
        /// For a byte in either direction on a connection that has changed over
        /// to another protocol; default 3600.
        tunnel_idle: Seconds ["number"] = Seconds::whole(3600),
    }
}

section! {
    /// Kept connections to servers.
    pub struct Pool {
        /// The most idle connections kept, for each server and worker; 0 to
        /// 10000, default 32.
        max_idle: Whole<0, 10_000> ["number"] = Whole::new(32),
        /// Seconds an idle connection is kept; default 60.
        idle: Seconds ["number"] = Seconds::whole(60),
        /// Seconds after which a connection is not used again; default 3600.
        max_age: Seconds ["number"] = Seconds::whole(3600),
    }
}

section! {
    /// How much the proxy takes from clients. What is over is refused.
    pub struct Limits {
        /// Bytes of a request's head; 1024 to 1048576, default 16384.
        header_bytes: Whole<1024, 1_048_576> ["number"] = Whole::new(16_384),
        /// Header fields of a request; 1 to 1000, default 100.
        headers: Whole<1, 1000> ["number"] = Whole::new(100),
        /// Connections of clients at a time, all workers together; further ones
        /// wait to be accepted. 1 to 1000000, default 10000.
        connections: Whole<1, 1_000_000> ["number"] = Whole::new(10_000),
    }
}

section! {
    /// The listener for operators: REST API, metrics and page.
    pub struct Api {
        /// An IP address or host name of this machine; default localhost. Any
        /// that is not loopback needs a token.
        host: engine::Address ["string"] = known_address("localhost"),
        /// A TCP port; default 9090.
        port: Port ["number"] = known_port(9090),
        /// What clients must send as `Authorization: Bearer …`; default none.
        token: Option<Secret> ["string"] = None,
        /// A file that holds the token instead.
        token_file: Option<String> ["string"] = None,
        /// Further names under which clients may address the API in `Host`,
        /// besides `host`, localhost and loopback addresses.
        allowed_hosts: Vec<engine::Address> ["string[]"] = Vec::new(),
        /// Networks, as 169.254.10.0/24, in which a server added through the
        /// API may stand although it is link-local, a metadata service,
        /// unspecified, multicast, broadcast, or the proxy or the API itself.
        /// Default none.
        allow_targets: Vec<Network> ["string[]"] = Vec::new(),
    }
}

impl Config {
    /// Parses a JSON document.
    ///
    /// # Errors
    /// Where the text stops being JSON, or every fault of the document.
    pub fn parse(text: &[u8]) -> Result<Self, Faults> {
        wire::parse::<Self>(text)?.checked()
    }

    /// Reads a parsed document.
    ///
    /// # Errors
    /// Every fault of the document.
    pub fn read(document: impl IntoValue) -> Result<Self, Faults> {
        wire::read::<Self>(document)?.checked()
    }

    /// The JSON Schema of the document.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }

    /// What the engine is made with.
    pub fn settings(&self) -> Settings {
        let (check, ejection) = (&self.health_check, &self.ejection);
        // The ranges of the fields make these lossless.
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let percent = |n: u64| u8::try_from(n).unwrap_or(u8::MAX);
        let seconds = |given: Option<Seconds>| given.map(Seconds::duration).unwrap_or_default();
        Settings {
            // Checked when the configuration was parsed.
            algorithm: self.algorithm().unwrap_or_default(),
            virtual_nodes: self.routing.virtual_nodes,
            load_factor: self.routing.load_factor,
            slow_start: seconds(self.routing.slow_start),
            drain: seconds(self.routing.drain),
            fail_open: self.routing.fail_open,
            health_check: engine::HealthCheck {
                enabled: check.enabled,
                interval: check.interval.duration(),
                fast_interval: check.fast_interval(),
                jitter_percent: percent(check.jitter_percent.number()),
                fall: small(check.fall.number()),
                rise: small(check.rise.number()),
            },
            ejection: engine::Ejection {
                consecutive_5xx: small(ejection.consecutive_5xx.number()),
                consecutive_connect_errors: small(ejection.consecutive_connect_errors.number()),
                base: ejection.base.duration(),
                cap: ejection.cap.duration(),
                jitter_percent: percent(ejection.jitter_percent.number()),
                max_percent: percent(ejection.max_percent.number()),
            },
            hot_keys: self.hot_keys.settings(),
        }
    }

    /// The files that a running proxy reads with the configuration, so that a
    /// change of one is a change of it.
    pub fn files_read(&self) -> impl Iterator<Item = &str> {
        self.listen.files_read()
    }

    /// The servers as the engine takes them.
    pub fn servers(&self) -> Vec<Server> {
        self.servers.iter().cloned().map(Server::from).collect()
    }

    /// Checks the rules that join several settings.
    fn checked(self) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, message: String| {
            faults.push(Fault {
                path: path.to_owned(),
                message,
            });
        };
        let servers = &self.servers;
        let by_name = |a: usize, b: usize| servers[a].name.cmp(&servers[b].name);
        for (i, other) in twice((0..servers.len()).collect(), &by_name) {
            fault(
                &format!("servers[{i}].name"),
                format!(
                    "{} is also the name of servers[{other}]; names are unique",
                    shown_text(servers[i].name.as_str())
                ),
            );
        }
        let by_id = |a: usize, b: usize| servers[a].id.cmp(&servers[b].id);
        let numbered = (0..servers.len()).filter(|&i| servers[i].id.is_some());
        for (i, other) in twice(numbered.collect(), &by_id) {
            let id = servers[i].id.map_or(0, ServerNumber::number);
            fault(
                &format!("servers[{i}].id"),
                format!("{id} is also the id of servers[{other}]; ids are unique"),
            );
        }
        if self.compat.ring_size_max < self.compat.ring_size_min {
            fault(
                "compat.ring_size_max",
                "give at least compat.ring_size_min".to_owned(),
            );
        }
        if let Err(message) = self.algorithm() {
            fault("compat.key_hash", message);
        }
        let virtual_nodes = u64::from(self.routing.virtual_nodes.number());
        let weights = self
            .servers
            .iter()
            .map(|server| u64::from(server.weight.number()));
        let n_points: u64 = weights.sum::<u64>() * virtual_nodes;
        let is_ring = matches!(
            self.routing.algorithm,
            AlgorithmName::Ring | AlgorithmName::LocalRendezvous
        );
        if is_ring && n_points > u64::from(POINTS_MAX) {
            fault(
                "servers",
                engine::TooManyPoints { points: n_points }.to_string(),
            );
        }
        if let Ok(Algorithm::Keyless(rule)) = self.algorithm() {
            let rule = rule.name();
            if self.routing.load_factor.is_some() {
                fault(
                    "routing.load_factor",
                    format!(
                        "routing.algorithm is {rule}, which has no keys whose requests could go \
                         on to their next candidate; leave this out, or give a rule with keys"
                    ),
                );
            }
            if self.hot_keys.spread.number() > 1 {
                fault(
                    "hot_keys.spread",
                    format!(
                        "routing.algorithm is {rule}, which has no keys that could be hot; leave \
                         this out, or give a rule with keys"
                    ),
                );
            }
        }
        // What no ring of ours is must be laid out to be checked: not every
        // product can have every server.
        if !is_ring && faults.is_empty() {
            let fleet = LoadBalancer::new(self.settings(), self.servers(), Timestamp::ZERO);
            if let Err(error) = fleet {
                let place = error.place().and_then(|(name, field)| {
                    let i = self.servers.iter().position(|s| s.name == *name)?;
                    Some(format!("servers[{i}].{field}"))
                });
                faults.push(Fault {
                    path: place.unwrap_or_else(|| "servers".to_owned()),
                    message: error.to_string(),
                });
            }
        }
        let mut fault = |path: &str, message: String| {
            faults.push(Fault {
                path: path.to_owned(),
                message,
            });
        };
        self.listen.check(&mut fault);
        self.health_check.check(&mut fault);
        if self.ejection.cap < self.ejection.base {
            fault("ejection.cap", "give at least ejection.base".to_owned());
        }
        if self.retries.backoff_max < self.retries.backoff {
            fault(
                "retries.backoff_max",
                "give at least retries.backoff".to_owned(),
            );
        }
        let per_try = self.retries.per_try_timeout;
        if per_try.is_some_and(|per_try| per_try >= self.timeouts.response_header) {
            fault(
                "retries.per_try_timeout",
                "give less than timeouts.response_header".to_owned(),
            );
        }
        if self.hot_keys.spread.number() > 1 && self.hot_keys.capacity.number() == 0 {
            fault(
                "hot_keys.spread",
                "only keys that are counted can be spread; give hot_keys.capacity too".to_owned(),
            );
        }
        if self.listen.port == self.api.port && self.listen.host == self.api.host {
            fault(
                "api.port",
                "listen has the same host and port; give another".to_owned(),
            );
        }
        if self.process.state_file.as_deref() == Some("") {
            fault(
                "process.state_file",
                "\"\" is not allowed; give the path of a file, or null".to_owned(),
            );
        }
        if self.api.token.is_some() && self.api.token_file.is_some() {
            fault(
                "api.token_file",
                "api.token is given too; give one of them".to_owned(),
            );
        }
        if !self.api.is_loopback() && self.api.token.is_none() && self.api.token_file.is_none() {
            fault(
                "api.token",
                format!(
                    "api.host {} can be reached from other machines; give a token (or token_file) of at least 16 characters",
                    self.api.host
                ),
            );
        }
        Faults::check(faults)?;
        Ok(self)
    }
}

/// Those of `places` that are alike, each with the one before it, in order.
fn twice(
    mut places: Vec<usize>,
    compare: &dyn Fn(usize, usize) -> Ordering,
) -> Vec<(usize, usize)> {
    sort::by(&mut places, |&a, &b| compare(a, b).is_lt());
    let both = places.windows(2).map(|both| (both[1], both[0]));
    let mut found: Vec<_> = both.filter(|&(a, b)| compare(a, b).is_eq()).collect();
    sort::by_number(&mut found, |&(place, _)| place as u64);
    found
}

impl Api {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.as_str();
        host == "localhost"
            || host
                .parse()
                .is_ok_and(|ip: core::net::IpAddr| ip.is_loopback())
    }
}

/// A default that is a good address.
fn known_address(address: &'static str) -> engine::Address {
    engine::Address::new(address).expect("the default is good")
}

/// A default that is a good port.
fn known_port(port: u16) -> Port {
    Port::new(port.into()).expect("the default is good")
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod typescript;
