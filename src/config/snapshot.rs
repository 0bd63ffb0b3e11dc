//! What an engine needs to route as another does at this moment, and nothing
//! that is secret: `GET /api/snapshot`, and `snapshot()` of the package.

use schemars::JsonSchema;
use serde::Serialize;

use super::RoutingConfig;
use crate::engine::{LoadBalancer, Server, ServerNumber, Timestamp};
use crate::wire::{ServerMemory, ServerSpec};

/// The version of the document; `core.js` knows which it can read.
const VERSION: u32 = 1;

/// What another engine needs to route as this one does at this moment.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SnapshotView {
    /// The version of this document's form: 1.
    #[cfg_attr(test, ts(type = "number"))]
    pub version: u32,
    /// Sixteen hexadecimal digits that are equal when two fleets route alike
    /// while every server is eligible.
    pub fingerprint: String,
    /// The settings that decide, and the servers.
    pub config: RoutingConfig,
    /// What is known of the servers, by name. Times are from the moment of
    /// asking.
    pub servers: Vec<ServerMemory>,
}

impl SnapshotView {
    /// That of a balancer at `now`, which was made with `config`.
    pub fn new(config: &RoutingConfig, balancer: &LoadBalancer, now: Timestamp) -> Self {
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
                health_check: config.health_check.clone(),
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
}
