//! Counting the hottest keys, and spreading them.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::section::section;
use super::values::{Seconds, Whole};
use crate::engine;
use crate::wire::{Faults, number, shown};

section! {
    /// Counting the hottest keys, and spreading them.
    pub struct HotKeys {
        /// How many keys each worker counts, 0 to 1024; 0 counts none. Every key
        /// with more than 1/capacity of the requests is among them. Default 256.
        capacity: Whole<0, 1024> ["number"] = Whole::new(256),
        /// Seconds after which a request counts half; default 60.
        half_life: Seconds ["number"] = Seconds::whole(60),
        /// Over how many of its candidates a hot key is spread, 2 to 8; 1, the
        /// default, spreads none.
        spread: Whole<1, 8> ["number"] = Whole::new(1),
        /// From how many times the traffic of one server, were all even, a key
        /// is hot; 0.01 to 100, default 0.5.
        spread_above: Multiple ["number"] = Multiple(0.5),
    }
}

/// So many times something: 0.01 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multiple(f64);

impl Deserr<Faults> for Multiple {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let number = number(&value);
        if (0.01..=100.0).contains(&number) {
            return Ok(Self(number));
        }
        let allowed = &"a number from 0.01 to 100";
        Err(Faults::refusal(location, &shown(&value), allowed))
    }
}

impl Serialize for Multiple {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl JsonSchema for Multiple {
    fn schema_name() -> Cow<'static, str> {
        "Multiple".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0.01, "maximum": 100 })
    }
}

impl HotKeys {
    /// As the engine takes it; the ranges of the fields make it lossless.
    pub fn settings(&self) -> engine::HotKeys {
        engine::HotKeys {
            capacity: self.capacity.number() as u32,
            half_life: self.half_life.duration(),
            spread: self.spread.number() as u8,
            spread_above: self.spread_above.0,
        }
    }
}
