//! The rule by which keys go to servers, by name, and how far it may load them.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::RoutingConfig;
use crate::engine::{
    Algorithm, Compat, EnvoyRing, Haproxy, HaproxyHash, HaproxyHashKey, KeyHash, Keyless,
    Libmemcached, LoadFactor, Twemproxy,
};
use crate::wire::{Faults, named, number, shown};

/// The name of a rule; options of some are in sections of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum AlgorithmName {
    /// Points on a ring.
    #[default]
    #[deserr(rename = "ring")]
    Ring,
    /// The best of the next eight points.
    #[deserr(rename = "local-rendezvous")]
    LocalRendezvous,
    /// A table of slots.
    #[deserr(rename = "maglev")]
    Maglev,
    /// The best draw of all servers.
    #[deserr(rename = "rendezvous")]
    Rendezvous,
    /// Numbered shards.
    #[deserr(rename = "jump")]
    Jump,
    /// As nginx: `hash … consistent`.
    #[deserr(rename = "nginx")]
    Nginx,
    /// As libketama.
    #[deserr(rename = "ketama")]
    Ketama,
    /// As libmemcached.
    #[deserr(rename = "libmemcached")]
    Libmemcached,
    /// As twemproxy: `distribution: ketama`.
    #[deserr(rename = "twemproxy")]
    Twemproxy,
    /// As Envoy: `ring_hash`.
    #[deserr(rename = "envoy-ring")]
    EnvoyRing,
    /// As Envoy: `maglev`.
    #[deserr(rename = "envoy-maglev")]
    EnvoyMaglev,
    /// As HAProxy: `hash-type consistent`.
    #[deserr(rename = "haproxy")]
    Haproxy,
    /// Without keys: of two drawn, the one with fewer requests in flight.
    #[deserr(rename = "least-connections")]
    LeastConnections,
    /// Without keys: of two drawn, the one expected to answer sooner.
    #[deserr(rename = "response-time")]
    ResponseTime,
    /// Without keys: one after the other.
    #[deserr(rename = "round-robin")]
    RoundRobin,
    /// Without keys: by chance.
    #[deserr(rename = "random")]
    Random,
}

/// What of a server HAProxy hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum ServerKey {
    /// Its id.
    #[default]
    #[deserr(rename = "id")]
    Id,
    /// Its IP address.
    #[deserr(rename = "addr")]
    Addr,
    /// Its IP address and port.
    #[deserr(rename = "addr-port")]
    AddrPort,
}

impl RoutingConfig {
    /// The rule by which keys go to servers, with its options.
    ///
    /// # Errors
    /// What is wrong with `compat.key_hash`, which not every rule has.
    pub(super) fn algorithm(&self) -> Result<Algorithm, String> {
        self.algorithm_called(self.routing.algorithm)
    }

    /// The rule of this name, with its options.
    ///
    /// # Errors
    /// As [`Self::algorithm`].
    pub(super) fn algorithm_called(&self, name: AlgorithmName) -> Result<Algorithm, String> {
        let options = &self.compat;
        let given = options.key_hash.as_deref();
        let product = match name {
            AlgorithmName::Ring => return Ok(Algorithm::Ring),
            AlgorithmName::LocalRendezvous => return Ok(Algorithm::LocalRendezvous),
            AlgorithmName::Rendezvous => return Ok(Algorithm::Rendezvous),
            AlgorithmName::Jump => return Ok(Algorithm::Jump),
            AlgorithmName::LeastConnections => {
                return Ok(Algorithm::Keyless(Keyless::LeastConnections));
            }
            AlgorithmName::ResponseTime => return Ok(Algorithm::Keyless(Keyless::ResponseTime)),
            AlgorithmName::RoundRobin => return Ok(Algorithm::Keyless(Keyless::RoundRobin)),
            AlgorithmName::Random => return Ok(Algorithm::Keyless(Keyless::Random)),
            AlgorithmName::Maglev => return Ok(Algorithm::Maglev(self.routing.table_size)),
            AlgorithmName::EnvoyMaglev => Compat::EnvoyMaglev(self.routing.table_size),
            AlgorithmName::Nginx => Compat::Nginx,
            AlgorithmName::Ketama => Compat::Ketama,
            AlgorithmName::Libmemcached => Compat::Libmemcached(Libmemcached {
                hash: match given {
                    Some(given) => named(&KeyHash::NAMES, given)?,
                    None => KeyHash::Md5,
                },
                is_weighted: options.weighted,
                is_spy: options.spy,
            }),
            AlgorithmName::Twemproxy => Compat::Twemproxy(Twemproxy {
                hash: match given {
                    Some(given) => named(&KeyHash::NAMES, given)?,
                    None => KeyHash::Fnv1a64,
                },
            }),
            AlgorithmName::EnvoyRing => Compat::EnvoyRing(EnvoyRing {
                min: options.ring_size_min,
                max: options.ring_size_max,
            }),
            AlgorithmName::Haproxy => Compat::Haproxy(Haproxy {
                hash_key: match options.server_key {
                    ServerKey::Id => HaproxyHashKey::Id,
                    ServerKey::Addr => HaproxyHashKey::Addr,
                    ServerKey::AddrPort => HaproxyHashKey::AddrPort,
                },
                hash: match given {
                    Some(given) => named(&HaproxyHash::NAMES, given)?,
                    None => HaproxyHash::Unnamed,
                },
                avalanche: options.avalanche,
            }),
        };
        Ok(Algorithm::Compat(product))
    }
}

impl Deserr<Faults> for LoadFactor {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let refuse = |_| Faults::refusal(location, &shown(&value), &Self::ALLOWED);
        Self::new(number(&value)).map_err(refuse)
    }
}

impl Serialize for LoadFactor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.number())
    }
}

impl JsonSchema for LoadFactor {
    fn schema_name() -> Cow<'static, str> {
        "LoadFactor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 1.001, "maximum": 100 })
    }
}
