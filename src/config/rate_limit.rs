//! How often clients, or keys, may ask.

use core::time::Duration;
use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Sequence, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::values::Whole;
use crate::wire::{Faults, fields, number, shown};

/// The most rules.
const RULES_MAX: usize = 8;

/// The limits on how often a client, or a key, may ask: one rule or a list of
/// up to 8, all of which must admit a request. Without any, the default, nobody
/// is limited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RateLimit(Vec<RateLimitRule>);

impl RateLimit {
    /// The rules in the order in which they are asked.
    pub fn rules(&self) -> &[RateLimitRule] {
        &self.0
    }
}

fields! {
    /// One limit on how often may be asked: so many requests a second in the long
    /// run, and so many at once.
    #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct RateLimitRule {
        /// Whose requests are counted together.
        pub per: LimitedBy,
        /// Requests a second in the long run, 0.001 to 1000000.
        #[cfg_attr(test, ts(type = "number"))]
        pub requests_per_second: Rate,
        /// Requests that may come at once after a pause, 1 to 1000000; default
        /// null: those of one second, at least 1.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(type = "number | null", optional))]
        pub burst: Option<Whole<1, 1_000_000>>,
        /// How many clients or keys are remembered, 8 to 10000000, at 16 bytes each;
        /// default 100000. When more come, who has been idle longest is forgotten.
        #[deserr(default = Self::MAX_KEYS)]
        #[schemars(default = "default_max_keys")]
        #[cfg_attr(test, ts(type = "number", optional))]
        pub max_keys: Whole<8, 10_000_000>,
        /// The leading bits of an IPv6 address that are one client, 1 to 128;
        /// default 64, which is what one household or machine has.
        #[deserr(default = Self::IPV6_PREFIX)]
        #[schemars(default = "default_ipv6_prefix")]
        #[cfg_attr(test, ts(type = "number", optional))]
        pub ipv6_prefix: Whole<1, 128>,
        /// Whether answers to admitted requests carry RateLimit fields too; those to
        /// refused ones always do. Default false.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(as = "Option<bool>", optional))]
        pub headers: bool,
    }
}

impl RateLimitRule {
    const MAX_KEYS: Whole<8, 10_000_000> = Whole::new(100_000);
    const IPV6_PREFIX: Whole<1, 128> = Whole::new(64);

    /// The requests that may come at once.
    pub fn burst(&self) -> u32 {
        let burst = self.burst.map_or_else(
            || self.requests_per_second.0.ceil() as u64,
            super::values::Whole::number,
        );
        // The ranges of the fields make this lossless.
        u32::try_from(burst.max(1)).unwrap_or(u32::MAX)
    }
}

const fn default_max_keys() -> Whole<8, 10_000_000> {
    RateLimitRule::MAX_KEYS
}

const fn default_ipv6_prefix() -> Whole<1, 128> {
    RateLimitRule::IPV6_PREFIX
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// Those from one IP address, or one IPv6 network.
    #[deserr(rename = "client_ip")]
    ClientIp,
    /// Those of one key, as `routing.hash_key` has it; without a key there is
    /// no limit.
    #[deserr(rename = "hash_key")]
    HashKey,
}

impl LimitedBy {
    /// All, in the order of [`LimitedBy::index`].
    pub const ALL: [Self; 2] = [Self::ClientIp, Self::HashKey];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClientIp => "client_ip",
            Self::HashKey => "hash_key",
        }
    }

    /// Its place in lists.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// So many a second: 0.001 to 1000000.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(f64);

impl Rate {
    /// How long it takes until there is one more.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }
}

impl Deserr<Faults> for Rate {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let number = number(&value);
        if (0.001..=1e6).contains(&number) {
            return Ok(Self(number));
        }
        let allowed = &"a number from 0.001 to 1000000";
        Err(Faults::refusal(location, &shown(&value), allowed))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0.001, "maximum": 1_000_000 })
    }
}

impl Deserr<Faults> for RateLimit {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        match value {
            Value::Map(_) => {
                RateLimitRule::deserialize_from_value(value, location).map(|rule| Self(vec![rule]))
            }
            Value::Sequence(list) if list.len() > RULES_MAX => {
                let n = list.len();
                Err(Faults::at(
                    location,
                    format_args!("{n} rules are not allowed; give at most {RULES_MAX}"),
                ))
            }
            Value::Sequence(_) => Vec::deserialize_from_value(value, location).map(Self),
            other => Err(Faults::at(
                location,
                format_args!(
                    "{} is not allowed; give a rule, as {{\"per\": \"client_ip\", \
                     \"requests_per_second\": 10}}, or a list of rules",
                    shown(&other)
                ),
            )),
        }
    }
}

impl Serialize for RateLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for RateLimit {
    fn schema_name() -> Cow<'static, str> {
        "RateLimit".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<RateLimitRule>();
        json_schema!({
            "description": "The limits on how often a client, or a key, may ask.",
            "anyOf": [rule, { "type": "array", "maxItems": RULES_MAX, "items": rule }]
        })
    }
}
