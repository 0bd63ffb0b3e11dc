//! How the engine's own types stand in JSON: a text, or a whole number.
//!
//! The engine does not know serde; what it accepts is decided by its own
//! constructors, and only carried across here.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::faults::{Faults, shown, shown_text};
use crate::engine::{
    Address, AdminState, MaxInFlight, Port, RingSize, ServerName, ServerNumber, TableSize,
    VirtualNodes, Weight,
};

/// A type made from a text by `new` and shown by `as_str`.
macro_rules! text {
    ($type:ident, $schema:tt) => {
        impl Deserr<Faults> for $type {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, Faults> {
                let text = String::deserialize_from_value(value, location)?;
                Self::new(&text).map_err(|error| Faults::at(location, error))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        schema!($type, $schema);
    };
}
pub(crate) use text;

/// A type made from a whole number by `new` and shown by `number`.
macro_rules! number {
    ($type:ident, $schema:tt) => {
        impl Deserr<Faults> for $type {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, Faults> {
                match whole(&value) {
                    Ok(n) => Self::new(n).map_err(|error| Faults::at(location, error)),
                    Err(given) => {
                        let allowed = format_args!("a whole number, {}", Self::ALLOWED);
                        Err(Faults::refusal(location, &given, &allowed))
                    }
                }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u32(u32::from(self.number()))
            }
        }

        schema!($type, $schema);
    };
}

/// The whole number that was given, from 0, or what else was.
#[inline(never)]
pub(crate) fn whole<V: IntoValue>(value: &Value<V>) -> Result<u64, String> {
    match value {
        Value::Integer(n) => Ok(*n),
        other => Err(shown(other)),
    }
}

/// The number that was given, or no number.
pub(crate) fn number<V: IntoValue>(value: &Value<V>) -> f64 {
    match value {
        Value::Integer(n) => *n as f64,
        Value::Float(n) => *n,
        _ => f64::NAN,
    }
}

macro_rules! schema {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}
pub(crate) use schema;

text!(ServerName, {
    "type": "string", "minLength": 1, "maxLength": 255,
    "description": "A unique name: 1 to 255 bytes of UTF-8 without control characters. It decides where the server stands on the ring."
});
text!(Address, {
    "type": "string", "minLength": 1, "maxLength": 253,
    "description": "An IP address or a host name, without scheme and port."
});
number!(Port, { "type": "integer", "minimum": 1, "maximum": 65535 });
number!(Weight, {
    "type": "integer", "minimum": 1, "maximum": 1000,
    "description": "Relative capacity."
});
number!(ServerNumber, { "type": "integer", "minimum": 1, "maximum": 2147483647 });
number!(MaxInFlight, { "type": "integer", "minimum": 1, "maximum": 1_000_000 });
number!(TableSize, { "type": "integer", "minimum": 2, "maximum": 5_000_011, "description": "A prime number." });
number!(RingSize, { "type": "integer", "minimum": 1, "maximum": 8_388_608 });
number!(VirtualNodes, { "type": "integer", "minimum": 1, "maximum": 10000 });

const STATES: [(&str, AdminState); 2] = [
    ("active", AdminState::Active),
    ("draining", AdminState::Draining),
];

impl Deserr<Faults> for AdminState {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let text = String::deserialize_from_value(value, location)?;
        super::named(&STATES, &text).map_err(|message| Faults::at(location, message))
    }
}

impl Serialize for AdminState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(super::name_in(&STATES, self))
    }
}

schema!(AdminState, { "type": "string", "enum": ["active", "draining"] });

/// The path and query of a request target: begins with `/`, printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath(String);

impl RequestPath {
    /// `/`, where a request goes that says nothing else.
    pub(crate) fn root() -> Self {
        Self::known("/")
    }

    /// `path`, which the caller knows to be good.
    pub(crate) fn known(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// A path that begins with / and has no spaces, with its query; at most
    /// 2048 bytes.
    ///
    /// # Errors
    /// When it is something else; says what is allowed.
    pub fn new(path: &str) -> Result<Self, String> {
        let is_good = path.starts_with('/')
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
            && path.len() <= 2048;
        if is_good {
            return Ok(Self(path.to_owned()));
        }
        let given = shown_text(path);
        Err(format!(
            "{given} is not allowed; give a path that begins with / and has no spaces"
        ))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text!(RequestPath, { "type": "string", "pattern": "^/[!-\"$-~]*$", "maxLength": 2048 });
