//! The rule by which keys go to servers, by name, and how far it may load them.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::engine::LoadFactor;
use crate::wire::{Faults, shown};

/// The name of a rule; its options are in sections of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults, rename_all = camelCase)]
#[serde(rename_all = "kebab-case")]
pub enum AlgorithmName {
    /// Points on a ring.
    #[default]
    #[deserr(rename = "ring")]
    Ring,
}

impl Deserr<Faults> for LoadFactor {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let factor = match value {
            Value::Integer(n) => n as f64,
            Value::Float(n) => n,
            _ => {
                let allowed = Self::ALLOWED;
                let given = shown(&value);
                return Err(Faults::at(
                    location,
                    format_args!("{given} is not allowed; give {allowed}"),
                ));
            }
        };
        Self::new(factor).map_err(|error| Faults::at(location, error))
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
