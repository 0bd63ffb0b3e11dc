//! Configuration: parsed once, into a typed and complete [`Config`].
//!
//! Every fault is reported at once, each with its JSON path. Each setting
//! stands here once, with its default and reason; the parser, the JSON Schema
//! and the TypeScript type are made from that. Rules that join several
//! settings are where a configuration is checked as a whole, and nowhere else.
//!
//! What the engine goes by is a configuration of its own, [`RoutingConfig`];
//! [`Config`] has it all. The package reads only the former, so what stands
//! here and not there is the proxy's, and no part of the package.

use deserr::{Deserr, IntoValue};
use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{self, Port, Server, Settings};
use crate::wire::{self, Fault, Faults, ServerSpec, ServerTls, fields};

mod algorithm;
pub use algorithm::{AlgorithmName, ServerKey};

mod cookie;
pub use cookie::{CookieIssue, CookiePath, SameSite};

mod forwarding;
pub use forwarding::{ForwardedHost, Forwarding, TrustedField, Via};

mod hash_key;
pub use hash_key::{HashKey, KeySource};

mod health_check;
pub use health_check::{
    Authority, BodyPart, HealthCheck, HealthRules, ProbeHeaders, ProbeKind, ProbeMethod, ProbeTls,
    Statuses,
};

mod hot_keys;
pub use hot_keys::{HotKeys, Multiple};

mod http2;
pub use http2::Http2;

mod listen;
pub use listen::{
    CertificateFiles, ClientCertificates, ExpectedHeader, Listen, ListenTls, TlsVersion,
};

mod plan;
pub use plan::{ChangeSpec, PlanSpec, StateChange, WeightChange};

mod queue;
pub use queue::{AfterQueue, Queue};

mod rate_limit;
pub use rate_limit::{LimitedBy, Rate, RateLimit, RateLimitRule};

mod retries;
pub use retries::Retries;

mod routing;
pub use routing::{CompatOptions, Ejection, Routing, RoutingConfig, RoutingRules};

mod section;
use section::section;

mod snapshot;
pub use snapshot::SnapshotView;

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
        /// How HTTP/2 is spoken with clients.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub http2: Http2,
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
        /// Requests that wait for a place at a full server.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub queue: Queue,
        /// What servers are told of clients, and who is believed about them.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub forwarding: Forwarding,
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
        /// What speaks HTTP/1.1 to servers: own, which is cheaper and stricter
        /// in what it takes for an answer; or hyper. Default own.
        http1_codec: Http1Codec ["Http1Codec"] = Http1Codec::Own,
    }
}

/// What speaks HTTP/1.1 to servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum Http1Codec {
    /// The codec of the proxy itself.
    #[default]
    #[deserr(rename = "own")]
    Own,
    /// The client of the library hyper.
    #[deserr(rename = "hyper")]
    Hyper,
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
        /// Of h2: the most connections, for each server and worker; 1 to 1000,
        /// default 8. A further one is made when all are full.
        max_connections: Whole<1, 1000> ["number"] = Whole::new(8),
        /// Of h2: the most requests side by side on one connection, if the server
        /// takes as many; 1 to 1000, default 100.
        max_streams: Whole<1, 1000> ["number"] = Whole::new(100),
        /// Of h2: seconds after which a server from which nothing comes over a
        /// connection with requests on it is asked whether it is still there; default
        /// 310, since gRPC servers take more than one in 300 for an attack. Null: never.
        ping: Option<Seconds> ["number | null"] = Some(Seconds::whole(310)),
    }
}

impl Pool {
    /// The same where one idle connection is kept at most.
    pub fn of_one(&self) -> Self {
        Self {
            max_idle: Whole::new(self.max_idle.number().min(1)),
            ..self.clone()
        }
    }
}

section! {
    /// How much the proxy takes from clients. What is over is refused.
    pub struct Limits {
        /// Bytes of a request's head; 1024 to 1048576, default 16384.
        header_bytes: Whole<1024, 1_048_576> ["number"] = Whole::new(16_384),
        /// Header fields of a request; 1 to 1000, default 100.
        headers: Whole<1, 1000> ["number"] = Whole::new(100),
        /// Connections of clients at a time, all workers together; for a further
        /// one another that rests is ended, or it is refused with 503. 1 to
        /// 1000000, default 10000.
        connections: Whole<1, 1_000_000> ["number"] = Whole::new(10_000),
        /// Bytes of a request's body; 0 to 2^50. Default null: any number.
        request_body: Option<Whole<0, 1_125_899_906_842_624>> ["number | null"] = None,
        /// Bytes a second that a client must move while it is waited for: of a
        /// body that it sends, or of an answer that it reads; 1 to 1000000,
        /// default 50. Null: no matter how few.
        min_rate: Option<Whole<1, 1_000_000>> ["number | null"] = Some(Whole::new(50)),
        /// Seconds of such waiting in which it must have moved as much on
        /// average; default 60.
        min_rate_window: Seconds ["number"] = Seconds::whole(60),
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

    /// What of it the engine goes by.
    pub fn rules(&self) -> RoutingConfig {
        RoutingConfig {
            servers: self.servers.clone(),
            routing: self.routing.rules(),
            compat: self.compat.clone(),
            health_check: self.health_check.rules(),
            ejection: self.ejection.clone(),
            hot_keys: self.hot_keys.clone(),
        }
    }

    /// What the engine is made with.
    pub fn settings(&self) -> Settings {
        self.rules().settings()
    }

    /// The files that a running proxy reads with the configuration, so that a
    /// change of one is a change of it.
    pub fn files_read(&self) -> impl Iterator<Item = &str> {
        let of_servers = self.servers.iter().filter_map(|server| server.tls.as_ref());
        let of_servers = of_servers.flat_map(ServerTls::files_read);
        self.listen.files_read().chain(of_servers)
    }

    /// The servers as the engine takes them.
    pub fn servers(&self) -> Vec<Server> {
        self.servers.iter().cloned().map(Server::from).collect()
    }

    /// Checks the rules that join several settings.
    fn checked(self) -> Result<Self, Faults> {
        let mut faults = self.rules().faults();
        let mut fault = |path: &str, message: String| {
            faults.push(Fault {
                path: path.to_owned(),
                message,
            });
        };
        self.listen.check(&mut fault);
        self.http2.check(&mut fault);
        self.health_check.check(&mut fault);
        self.forwarding.check(&mut fault);
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
        let expects_header = self.listen.proxy_protocol != ExpectedHeader::Off;
        if expects_header && self.forwarding.trusted_proxies.is_empty() {
            fault(
                "listen.proxy_protocol",
                "nobody is believed who sends a PROXY header; give forwarding.trusted_proxies"
                    .to_owned(),
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
