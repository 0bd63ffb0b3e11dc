//! What an engine needs to route as another does at this moment, and nothing
//! that is secret: `GET /api/snapshot`, and `snapshot()` of the package.

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};
use schemars::JsonSchema;
use serde::Serialize;

use super::{CompatOptions, Config, Ejection, HealthCheck, HotKeys, ProbeHeaders, Routing};
use crate::engine::{LoadBalancer, Memory, Server, ServerNumber, Timestamp, sort};
use crate::wire::{Fault, Faults, ServerMemory, ServerSpec, fields, shown, shown_text};

/// The version of the document that is written, and the only one that is read.
const VERSION: u64 = 1;

fields! {
    /// What another engine needs to route as this one does at this moment.
    #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct SnapshotView {
        /// The version of this document's form: 1.
        #[deserr(default = VERSION)]
        #[cfg_attr(test, ts(type = "number"))]
        pub version: u64,
        /// Sixteen hexadecimal digits that are equal when two fleets route alike
        /// while every server is eligible.
        pub fingerprint: String,
        /// The settings that decide, and the servers.
        pub config: RoutingConfig,
        /// What is known of the servers, by name. Times are from the moment of
        /// asking.
        pub servers: Vec<ServerMemory>,
    }
}

fields! {
    /// What of a configuration decides where keys go. The header fields of probes
    /// are left out, since they may be secret.
    #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct RoutingConfig {
        /// The servers. Where the rule goes by their ids, all have one.
        pub servers: Vec<ServerSpec>,
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
    }
}

impl SnapshotView {
    /// That of a balancer at `now`, which was made with `config`.
    pub fn new(config: &Config, balancer: &LoadBalancer, now: Timestamp) -> Self {
        let table = balancer.table();
        let goes_by_number = balancer.settings().algorithm.goes_by_number();
        let numbered = |server: &Server| {
            let of_table = table.servers();
            let place = of_table.binary_search_by(|entry| entry.server.name.cmp(&server.name));
            let number = place.ok().map(|i| u64::from(of_table[i].number));
            ServerSpec {
                id: match number.filter(|_| goes_by_number) {
                    Some(number) => ServerNumber::new(number).ok(),
                    None => server.id,
                },
                ..server.into()
            }
        };
        let servers = balancer.roster();
        Self {
            version: VERSION,
            fingerprint: format!("{:016x}", table.fingerprint()),
            config: RoutingConfig {
                servers: servers.iter().map(|(server, _)| numbered(server)).collect(),
                routing: config.routing.clone(),
                compat: config.compat.clone(),
                health_check: HealthCheck {
                    headers: ProbeHeaders::default(),
                    ..config.health_check.clone()
                },
                ejection: config.ejection.clone(),
                hot_keys: config.hot_keys.clone(),
            },
            servers: balancer
                .memories(now)
                .into_iter()
                .map(ServerMemory::from)
                .collect(),
        }
    }

    /// Reads a parsed document.
    ///
    /// # Errors
    /// That its version is not known here, or else every fault of its shape.
    pub fn read(document: impl IntoValue) -> Result<Self, Faults> {
        let mut document = document.into_value();
        // First of all: one of another version may have anything else.
        if let Value::Map(map) = &mut document {
            let version = map.remove("version").map(IntoValue::into_value);
            let version = version.unwrap_or(Value::Null);
            if !matches!(version, Value::Integer(VERSION)) {
                let given = shown(&version);
                let message = format_args!("{given} is not known here; known is {VERSION}");
                return Err(Faults::new("version", message));
            }
        }
        Self::deserialize_from_value(document, ValuePointerRef::Origin)
    }

    /// Its configuration, and what is known of the servers.
    ///
    /// # Errors
    /// Every fault of the configuration, and every server that is not in it.
    pub fn into_parts(self) -> Result<(Config, Vec<Memory>), Faults> {
        let mut faults = Vec::new();
        let servers = self.config.servers.iter();
        let mut names: Vec<_> = servers.map(|server| server.name.clone()).collect();
        sort::by(&mut names, |a, b| a < b);
        for (i, memory) in self.servers.iter().enumerate() {
            let name = &memory.server.name;
            if names.binary_search(name).is_err() {
                let name = shown_text(name.as_str());
                faults.push(Fault {
                    path: format!("servers[{i}].server.name"),
                    message: format!("{name} is not the name of a server in config.servers"),
                });
            }
        }
        let config = Config::from(self.config).checked();
        if let Err(found) = &config {
            faults.extend(found.as_slice().iter().map(|fault| Fault {
                path: format!("config.{}", fault.path),
                message: fault.message.clone(),
            }));
        }
        Faults::check(faults)?;
        let memories = self.servers.into_iter().map(Memory::from);
        Ok((config?, memories.collect()))
    }
}

impl From<RoutingConfig> for Config {
    fn from(config: RoutingConfig) -> Self {
        let RoutingConfig {
            servers,
            routing,
            compat,
            health_check,
            ejection,
            hot_keys,
        } = config;
        Self {
            servers,
            routing,
            compat,
            health_check,
            ejection,
            hot_keys,
            ..Self::default()
        }
    }
}
