//! Where the key of a request is taken from, as configuration says it.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Map, Sequence, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::cookie::CookieIssue;
use crate::engine::Quoted;
use crate::wire::{Faults, shown, shown_text};

/// One part of a request that can be its key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeySource {
    /// `{"header": "x-user-id"}`: the values of a header field, by its name in
    /// lower case.
    Header(String),
    /// `{"cookie": "session"}`: the value of a cookie, by its name; one that a
    /// client without it is given when there is `"issue"`.
    Cookie(String, Option<CookieIssue>),
    /// `{"query": "id"}`: the value of a parameter of the query.
    Query(String),
    /// `"path"`: the path, without the query.
    Path,
    /// `"uri"`: the path and the query.
    Uri,
    /// `"client_ip"`: the client's IP address.
    ClientIp,
    /// `{"join": […]}`: several of these together, present when all are.
    Join(Vec<KeySource>),
}

/// The most parts in a list of sources or a join.
const PARTS_MAX: usize = 16;

impl KeySource {
    /// How many cookies in it are issued.
    fn n_issued(&self) -> usize {
        match self {
            Self::Cookie(_, Some(_)) => 1,
            Self::Join(parts) => parts.iter().map(Self::n_issued).sum(),
            _ => 0,
        }
    }
}

const ALLOWED: &str = "\"path\", \"uri\", \"client_ip\", {\"header\": …}, {\"cookie\": …}, \
    {\"query\": …} or {\"join\": […]}";

impl Deserr<Faults> for KeySource {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let refuse = |given: &str| {
            Err(Faults::at(
                location,
                format_args!("{given} is not allowed; give {ALLOWED}"),
            ))
        };
        match value {
            Value::String(word) => match word.as_str() {
                "path" => Ok(Self::Path),
                "uri" => Ok(Self::Uri),
                "client_ip" => Ok(Self::ClientIp),
                _ => refuse(&shown_text(&word)),
            },
            Value::Map(mut map) => {
                if let Some(name) = map.remove("cookie") {
                    return cookie(name.into_value(), map, location);
                }
                let mut entries = map.into_iter();
                let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
                    return refuse("an object");
                };
                let value = value.into_value();
                let inner = location.push_key(&kind);
                match kind.as_str() {
                    "header" => Ok(Self::Header(token(value, inner)?.to_ascii_lowercase())),
                    "query" => Ok(Self::Query(parameter(value, inner)?)),
                    "join" => Ok(Self::Join(sources(value, inner)?)),
                    _ => refuse(&format!("{{{}: …}}", Quoted(&kind))),
                }
            }
            other => refuse(&shown(&other)),
        }
    }
}

/// A cookie of this `name`; `rest` may say how it is issued. All of it is read,
/// so that all faults are told.
fn cookie<V: IntoValue>(
    name: Value<V>,
    mut rest: V::Map,
    location: ValuePointerRef<'_>,
) -> Result<KeySource, Faults> {
    let mut faults = Vec::new();
    let mut note = |found: Faults| faults.extend(found.into_vec());
    let name = token(name, location.push_key("cookie"))
        .map_err(&mut note)
        .ok();
    let issue = rest.remove("issue").and_then(|issue| {
        let location = location.push_key("issue");
        let read = CookieIssue::deserialize_from_value(issue.into_value(), location);
        let checked = read.and_then(|issue| match issue.contradiction() {
            Some(why) => Err(Faults::at(location, why)),
            None => Ok(issue),
        });
        checked.map_err(&mut note).ok()
    });
    for (name, _) in rest.into_iter() {
        let message = "this name is not known here; known are cookie, issue";
        note(Faults::at(location.push_key(&name), message));
    }
    Faults::check(faults)?;
    // There is one, or that would be a fault.
    Ok(KeySource::Cookie(name.unwrap_or_default(), issue))
}

/// A list of 1 to [`PARTS_MAX`] sources.
fn sources<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
) -> Result<Vec<KeySource>, Faults> {
    if let Value::Sequence(list) = &value
        && !(1..=PARTS_MAX).contains(&list.len())
    {
        let n = list.len();
        return Err(Faults::at(
            location,
            format_args!("{n} entries are not allowed; give 1 to {PARTS_MAX}"),
        ));
    }
    Vec::deserialize_from_value(value, location)
}

/// The name of a header field or a cookie: a token of RFC 9110, section 5.6.2.
fn token<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<String, Faults> {
    let text = String::deserialize_from_value(value, location)?;
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=256).contains(&text.len()) && text.bytes().all(is_token_byte) {
        return Ok(text);
    }
    Err(Faults::at(
        location,
        format_args!(
            "{} is not allowed; give a name of letters, digits, - and _",
            Quoted(&text)
        ),
    ))
}

/// The name of a query parameter as it stands in a request target.
fn parameter<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
) -> Result<String, Faults> {
    let text = String::deserialize_from_value(value, location)?;
    let is_allowed = |b: u8| b.is_ascii_graphic() && !b"&=#".contains(&b);
    if (1..=256).contains(&text.len()) && text.bytes().all(is_allowed) {
        return Ok(text);
    }
    Err(Faults::at(
        location,
        format_args!(
            "{} is not allowed; give the name as it stands in the URL, without & = #",
            Quoted(&text)
        ),
    ))
}

impl Serialize for KeySource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Path => serializer.serialize_str("path"),
            Self::Uri => serializer.serialize_str("uri"),
            Self::ClientIp => serializer.serialize_str("client_ip"),
            Self::Header(name) => single(serializer, "header", name),
            Self::Cookie(name, None) => single(serializer, "cookie", name),
            Self::Cookie(name, Some(issue)) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("cookie", name)?;
                map.serialize_entry("issue", issue)?;
                map.end()
            }
            Self::Query(name) => single(serializer, "query", name),
            Self::Join(parts) => single(serializer, "join", parts),
        }
    }
}

fn single<S: Serializer>(
    serializer: S,
    kind: &str,
    value: &impl Serialize,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(kind, value)?;
    map.end()
}

/// The chain of sources: the first that is present is the key.
#[derive(Clone, Debug, PartialEq)]
pub struct HashKey(Vec<KeySource>);

impl HashKey {
    /// The sources in the order they are tried; at least one.
    pub fn sources(&self) -> &[KeySource] {
        &self.0
    }
}

impl Default for HashKey {
    fn default() -> Self {
        Self(vec![
            KeySource::Header("x-ringway-key".to_owned()),
            KeySource::ClientIp,
        ])
    }
}

impl Deserr<Faults> for HashKey {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let sources = sources(value, location)?;
        if sources.iter().map(KeySource::n_issued).sum::<usize>() > 1 {
            let message = "only one cookie can be issued; leave out the others' issue";
            return Err(Faults::at(location, message));
        }
        Ok(Self(sources))
    }
}

impl Serialize for HashKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for KeySource {
    fn schema_name() -> Cow<'static, str> {
        "KeySource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<HashKey>();
        let issue = generator.subschema_for::<CookieIssue>();
        let named = |kind: &str| {
            json_schema!({
                "type": "object", "required": [kind], "additionalProperties": false,
                "properties": { kind: { "type": "string", "minLength": 1, "maxLength": 256 } }
            })
        };
        json_schema!({
            "description": "A part of a request that can be its key.",
            "oneOf": [
                { "type": "string", "enum": ["path", "uri", "client_ip"] },
                named("header"), named("query"),
                {
                    "type": "object", "required": ["cookie"], "additionalProperties": false,
                    "properties": {
                        "cookie": { "type": "string", "minLength": 1, "maxLength": 256 },
                        "issue": issue
                    }
                },
                {
                    "type": "object", "required": ["join"], "additionalProperties": false,
                    "properties": { "join": list }
                }
            ]
        })
    }
}

impl JsonSchema for HashKey {
    fn schema_name() -> Cow<'static, str> {
        "HashKey".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let source = generator.subschema_for::<KeySource>();
        json_schema!({
            "type": "array", "minItems": 1, "maxItems": PARTS_MAX, "items": source
        })
    }
}
