//! The kinds of value that only probes have.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Sequence, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use crate::engine::{Address, Port};
use crate::wire::{Faults, GivenHeaders, schema, shown, shown_text};

/// How a server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// By an HTTP request.
    #[default]
    #[deserr(rename = "http")]
    Http,
    /// By an HTTP request over TLS.
    #[deserr(rename = "https")]
    Https,
    /// By connecting.
    #[deserr(rename = "tcp")]
    Tcp,
    /// By gRPC's health service.
    #[deserr(rename = "grpc")]
    Grpc,
}

/// A text that is checked when it is read, and shown as it is.
macro_rules! checked_text {
    ($type:ident, $allowed:literal, $is_good:expr, $schema:tt) => {
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deserr<Faults> for $type {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, Faults> {
                let text = String::deserialize_from_value(value, location)?;
                let is_good: fn(&str) -> bool = $is_good;
                if is_good(&text) {
                    return Ok(Self(text));
                }
                let given = shown_text(&text);
                let message = format_args!(concat!("{} is not allowed; give ", $allowed), given);
                Err(Faults::at(location, message))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        schema!($type, $schema);
    };
}

/// The method of a probe: one without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeMethod(String);

impl ProbeMethod {
    /// `method`, which the caller knows to be good.
    pub(super) fn known(method: &str) -> Self {
        Self(method.to_owned())
    }
}

checked_text!(
    ProbeMethod,
    "a method such as GET, HEAD or OPTIONS: 1 to 20 capital letters, but not CONNECT",
    |text| {
        let is_word = text.bytes().all(|b| b.is_ascii_uppercase());
        is_word && (1..=20).contains(&text.len()) && text != "CONNECT"
    },
    { "type": "string", "pattern": "^[A-Z]{1,20}$", "description": "A method of HTTP, but not CONNECT." }
);

/// A host, perhaps with a port, as `Host` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(String);

impl Authority {
    /// The host without the port, and an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        split(&self.0).0
    }
}

/// A host, and the port behind it if there is a colon for one.
fn split(authority: &str) -> (&str, Option<&str>) {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').unwrap_or((rest, ""));
        return (host, rest.strip_prefix(':'));
    }
    match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

checked_text!(
    Authority,
    "a host name or IP address, perhaps with a port, as example.com or [::1]:8080",
    |text| {
        let (host, port) = split(text);
        let number = port.map(|port| port.parse().ok().and_then(|n| Port::new(n).ok()));
        // An IPv6 address in brackets, and nothing else in them or without.
        let is_v6 = host.parse::<core::net::Ipv6Addr>().is_ok();
        let bracketed = match port {
            Some(port) => format!("[{host}]:{port}"),
            None => format!("[{host}]"),
        };
        Address::new(host).is_ok() && number != Some(None) && is_v6 == (bracketed == text)
    },
    { "type": "string", "minLength": 1, "maxLength": 261, "description": "A host name or IP address, perhaps with a port." }
);

/// A text that a body must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyPart(String);

checked_text!(
    BodyPart,
    "a text of 1 to 1024 bytes",
    |text| (1..=1024).contains(&text.len()),
    { "type": "string", "minLength": 1, "maxLength": 1024 }
);

/// Names and values of header fields; what only their owner should know is not
/// shown again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeHeaders(GivenHeaders);

impl ProbeHeaders {
    /// The fields by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter()
    }
}

impl Deserr<Faults> for ProbeHeaders {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        GivenHeaders::deserialize_from_value(value, location).map(Self)
    }
}

impl Serialize for ProbeHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.iter() {
            let is_secret = ["authorization", "proxy-authorization", "cookie"]
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret));
            map.serialize_entry(name, if is_secret { "[redacted]" } else { value })?;
        }
        map.end()
    }
}

schema!(ProbeHeaders, {
    "type": "object", "additionalProperties": { "type": "string", "maxLength": 4096 },
    "description": "Header fields by name."
});

/// Which statuses are good: single ones and ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    const ALLOWED: &str = "a status, 100 to 599, or a range such as \"200-299\"";

    /// 200 to 299.
    pub(super) fn success() -> Self {
        Self(vec![(200, 299)])
    }

    /// Whether `status` is one of them.
    pub fn have(&self, status: u16) -> bool {
        self.0
            .iter()
            .any(|&(first, last)| (first..=last).contains(&status))
    }

    fn parse(text: &str) -> Option<(u16, u16)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| {
            let is_number = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
            let n = text.parse().ok().filter(|_| is_number)?;
            (100..=599).contains(&n).then_some(n)
        };
        let (first, last) = (status(first)?, status(last)?);
        (first <= last).then_some((first, last))
    }
}

impl Deserr<Faults> for Statuses {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let Value::Sequence(list) = value else {
            let given = shown(&value);
            let message =
                format_args!("{given} is not allowed; give a list, as [\"200-299\", 404]");
            return Err(Faults::at(location, message));
        };
        let (mut ranges, mut faults) = (Vec::new(), Vec::new());
        for (i, entry) in list.into_iter().enumerate() {
            let entry = entry.into_value();
            let range = match &entry {
                Value::Integer(n) => Self::parse(&n.to_string()),
                Value::String(text) => Self::parse(text),
                _ => None,
            };
            match range {
                Some(range) => ranges.push(range),
                None => {
                    let message =
                        format!("{} is not allowed; give {}", shown(&entry), Self::ALLOWED);
                    let fault = Faults::at(location.push_index(i), message);
                    faults.extend_from_slice(fault.as_slice());
                }
            }
        }
        Faults::check(faults)?;
        if ranges.is_empty() {
            let message = format_args!("give at least one: {}", Self::ALLOWED);
            return Err(Faults::at(location, message));
        }
        Ok(Self(ranges))
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for &(first, last) in &self.0 {
            if first == last {
                list.serialize_element(&first)?;
            } else {
                list.serialize_element(&format!("{first}-{last}"))?;
            }
        }
        list.end()
    }
}

schema!(Statuses, {
    "type": "array", "minItems": 1,
    "items": { "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$" }
    ] },
    "description": "Statuses, 100 to 599, and ranges of them such as \"200-299\"."
});
