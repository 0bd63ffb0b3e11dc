//! The kinds of value that configuration has besides the engine's own.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::number::parse;
use crate::wire::{Faults, number, schema, shown, shown_text, whole};

/// A length of time, in seconds in JSON (fractions are allowed): 0.001 to 86400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(Duration);

impl Seconds {
    const MIN: f64 = 0.001;
    const MAX: f64 = 86_400.0;

    /// `seconds`, which the caller keeps within the range.
    pub(super) const fn whole(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// `millis` thousandths, which the caller keeps within the range.
    pub(super) const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The time as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Deserr<Faults> for Seconds {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let seconds = number(&value);
        if (Self::MIN..=Self::MAX).contains(&seconds) {
            return Ok(Self(Duration::from_secs_f64(seconds)));
        }
        let allowed = &"seconds, 0.001 to 86400";
        Err(Faults::refusal(location, &shown(&value), allowed))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole seconds stay whole, as they are mostly written.
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_secs_f64())
        }
    }
}

schema!(Seconds, {
    "type": "number", "minimum": 0.001, "maximum": 86400,
    "description": "Seconds; fractions are allowed."
});

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// `n`, which the caller keeps within the range.
    pub(super) const fn new(n: u64) -> Self {
        assert!(MIN <= n && n <= MAX);
        Self(n)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Deserr<Faults> for Whole<MIN, MAX> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        within(&value, location, MIN, MAX).map(Self)
    }
}

/// A whole number from `min` to `max`.
#[inline(never)]
fn within<V: IntoValue>(
    value: &Value<V>,
    location: ValuePointerRef<'_>,
    min: u64,
    max: u64,
) -> Result<u64, Faults> {
    match whole(value) {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => {
            let allowed = format_args!("a whole number, {min} to {max}");
            Err(Faults::refusal(location, &shown(value), &allowed))
        }
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Whole<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Whole<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A text that is never shown again: not in logs, not by the API.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What is allowed, in words.
    pub const ALLOWED: &'static str = "at least 16 printable ASCII characters without spaces";

    /// Accepts `text`, or says nothing of it.
    pub fn new(text: String) -> Option<Self> {
        let is_good = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_graphic());
        is_good.then_some(Self(text))
    }

    /// The text itself, for comparing.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Deserr<Faults> for Secret {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let text = match value {
            Value::String(text) => text,
            // Not shown: it may be the secret, wrongly quoted.
            _ => return Err(Faults::at(location, "give a text")),
        };
        Self::new(text).ok_or_else(|| Faults::at(location, format_args!("give {}", Self::ALLOWED)))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

schema!(Secret, {
    "type": "string", "minLength": 16, "pattern": "^[!-~]+$",
    "description": "At least 16 printable ASCII characters; never shown again."
});

/// A network of IP addresses: `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// `address/length`, or an address.
    fn parse(text: &str) -> Option<Self> {
        let Some((address, length)) = text.split_once('/') else {
            let address: IpAddr = text.parse().ok()?;
            return Some(Self(address.to_canonical().into()));
        };
        // Digits alone: numbers may have signs.
        let is_number = length.bytes().all(|b| b.is_ascii_digit());
        let length = is_number.then(|| length.parse().ok()).flatten()?;
        IpNet::new(address.parse().ok()?, length).ok().map(Self)
    }

    /// Whether `ip` is in it. An IPv4 address in its IPv6 form counts as itself.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }
}

impl Deserr<Faults> for Network {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let text = String::deserialize_from_value(value, location)?;
        match Self::parse(&text) {
            Some(network) => Ok(network),
            None => {
                let allowed = &"a network such as 10.0.0.0/8, or an IP address";
                Err(Faults::refusal(location, &shown_text(&text), allowed))
            }
        }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

schema!(Network, {
    "type": "string", "maxLength": 43,
    "description": "A network such as 10.0.0.0/8, or an IP address."
});

/// A part of all keys, in JSON a number from 0 to 1 or a text such as `"5%"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Part(f64);

impl Part {
    /// What is allowed, in words.
    pub const ALLOWED: &'static str = "give a part: 0% to 100%, or 0 to 1";

    /// A part as people write it: `5%` or `0.05`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, divisor) = match text.strip_suffix('%') {
            Some(percent) => (percent, 100.0),
            None => (text, 1.0),
        };
        let number: f64 = parse(number.trim())?;
        Self::new(number / divisor)
    }

    /// `fraction`, which the caller keeps within the range.
    pub(super) const fn known(fraction: f64) -> Self {
        Self(fraction)
    }

    fn new(fraction: f64) -> Option<Self> {
        (0.0..=1.0).contains(&fraction).then_some(Self(fraction))
    }

    /// The part as a fraction.
    pub const fn fraction(self) -> f64 {
        self.0
    }
}

impl Deserr<Faults> for Part {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let part = match &value {
            Value::Integer(n) => Self::new(*n as f64),
            Value::Float(n) => Self::new(*n),
            Value::String(text) => Self::parse(text),
            _ => None,
        };
        part.ok_or_else(|| {
            Faults::at(
                location,
                format_args!("{} is not allowed; {}", shown(&value), Self::ALLOWED),
            )
        })
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

schema!(Part, {
    "anyOf": [
        { "type": "number", "minimum": 0, "maximum": 1 },
        { "type": "string", "pattern": "^[0-9.]+%?$" }
    ],
    "description": "A part: a fraction, or a text such as 5%."
});
