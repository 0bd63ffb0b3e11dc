//! What servers are told of clients, and who is believed about them.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::health_check::Authority;
use super::section::section;
use super::values::Network;
use crate::engine::Quoted;
use crate::wire::{Faults, shown, shown_text};

/// The most networks of trusted proxies: a cloud's whole list fits, and looking
/// an address up in it stays short.
const NETWORKS_MAX: usize = 1000;

section! {
    /// What servers are told of clients, and who is believed about them.
    pub struct Forwarding {
        /// Networks, as 10.0.0.0/8, of proxies that stand before this one and
        /// are believed when they say for whom they ask; at most 1000. Default
        /// none: who connects is the client.
        trusted_proxies: Vec<Network> ["string[]"] = Vec::new(),
        /// By which field trusted proxies say for whom they ask: the first of
        /// these that a request has. Name only what they really set, as they
        /// may pass on the other as a client sent it. Default x-forwarded-for,
        /// then forwarded.
        trusted_fields: Vec<TrustedField> ["TrustedField[]"] =
            vec![TrustedField::XForwardedFor, TrustedField::Forwarded],
        /// Whether servers get the field Forwarded (RFC 7239) besides
        /// X-Forwarded-For, -Proto and -Host; default false.
        forwarded: bool ["boolean"] = false,
        /// What Host says to servers: client, as the client sent it; server, the
        /// address and port of the server; or {"name": "shop.internal"}, always
        /// this. Default client. X-Forwarded-Host has what the client sent.
        host: ForwardedHost ["'client' | 'server' | Record<'name', string>"] = ForwardedHost::Client,
        /// Which messages get the field Via: requests, answers too (both), or
        /// none. Default requests.
        via: Via ["Via"] = Via::Requests,
    }
}

impl Forwarding {
    /// Tells `fault` of settings that cannot be, each with its path.
    pub(super) fn check(&self, fault: &mut impl FnMut(&str, String)) {
        let n = self.trusted_proxies.len();
        if n > NETWORKS_MAX {
            fault(
                "forwarding.trusted_proxies",
                format!("{n} entries are not allowed; give at most {NETWORKS_MAX}"),
            );
        }
    }
}

/// A field in which a proxy says for whom it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum TrustedField {
    /// `X-Forwarded-For`, and with it `X-Forwarded-Proto` and `-Host`.
    #[deserr(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `Forwarded`, of RFC 7239.
    #[deserr(rename = "forwarded")]
    Forwarded,
}

/// Which messages get the field Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Requests.
    #[deserr(rename = "requests")]
    Requests,
    /// Requests and answers.
    #[deserr(rename = "both")]
    Both,
    /// None. Requests that go round in a circle are not noticed then.
    #[deserr(rename = "none")]
    None,
}

/// What `Host` says to servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedHost {
    /// `"client"`: what the client asked for.
    Client,
    /// `"server"`: the server's own address and port.
    Server,
    /// `{"name": …}`: always this.
    Name(Authority),
}

impl Deserr<Faults> for ForwardedHost {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let refuse = |given: &str| {
            let allowed = &"\"client\", \"server\" or {\"name\": …}";
            Err(Faults::refusal(location, given, allowed))
        };
        match value {
            Value::String(word) => match word.as_str() {
                "client" => Ok(Self::Client),
                "server" => Ok(Self::Server),
                _ => refuse(&shown_text(&word)),
            },
            Value::Map(map) if map.len() == 1 => match map.into_iter().next() {
                Some((kind, value)) if kind == "name" => {
                    let location = location.push_key(&kind);
                    Authority::deserialize_from_value(value.into_value(), location).map(Self::Name)
                }
                Some((kind, _)) => refuse(&format!("{{{}: …}}", Quoted(&kind))),
                None => refuse("an empty object"),
            },
            other => refuse(&shown(&other)),
        }
    }
}

impl Serialize for ForwardedHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client => serializer.serialize_str("client"),
            Self::Server => serializer.serialize_str("server"),
            Self::Name(name) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("name", name)?;
                map.end()
            }
        }
    }
}

impl JsonSchema for ForwardedHost {
    fn schema_name() -> Cow<'static, str> {
        "ForwardedHost".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Authority>();
        json_schema!({
            "description": "What Host says to servers.",
            "oneOf": [
                { "type": "string", "enum": ["client", "server"] },
                {
                    "type": "object", "required": ["name"], "additionalProperties": false,
                    "properties": { "name": name }
                }
            ]
        })
    }
}
