//! Connections that change over to another protocol.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::section::section;
use crate::wire::{Faults, schema};

section! {
    /// Connections that change over to another protocol, at a client's request
    /// and with a server's consent: tunnels.
    pub struct Upgrades {
        /// To which protocols, by the names in `Upgrade`; default websocket. An
        /// empty list forwards no request to change over. Never h2c.
        protocols: Vec<Protocol> ["string[]"] = vec![Protocol("websocket".to_owned())],
    }
}

/// A protocol as `Upgrade` names it, in lower case: a name, and perhaps a
/// version after a slash (RFC 9110, section 7.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol(String);

impl Protocol {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<Faults> for Protocol {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let text = String::deserialize_from_value(value, location)?.to_ascii_lowercase();
        let is_token = |part: &str| {
            let is_token_byte =
                |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            !part.is_empty() && part.bytes().all(is_token_byte)
        };
        let n_parts = text.split('/').count();
        if text.len() > 64 || n_parts > 2 || !text.split('/').all(is_token) {
            return Err(Faults::at(
                location,
                format_args!("{text:?} is not allowed; give a name such as websocket"),
            ));
        }
        // Requests inside of it would pass every rule of the proxy unseen.
        if text == "h2c" || text.starts_with("http/") || text.starts_with("tls/") {
            return Err(Faults::at(
                location,
                format_args!("{text:?} is not allowed: requests would pass unseen"),
            ));
        }
        Ok(Self(text))
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

schema!(Protocol, {
    "type": "string", "minLength": 1, "maxLength": 64,
    "description": "A protocol as Upgrade names it; not h2c."
});
