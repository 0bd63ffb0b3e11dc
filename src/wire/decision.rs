//! `POST /api/route`: where a key goes, and what came back from there.

use std::collections::BTreeMap;

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Faults, RequestPath};
use crate::engine::{Loads, RoutingTable, ServerIndex, TableServer};

shape! { in
    /// The body of `POST /api/route`.
    pub struct RouteSpec {
        /// The key; any text.
        pub key: String,
        /// The path, and query, of the request to be routed; default /.
        #[deserr(default = RequestPath::root())]
        #[schemars(default = "RequestPath::root")]
        #[cfg_attr(test, ts(type = "string", optional))]
        pub path: RequestPath,
        /// Whether a request is really sent to the server; default false.
        #[deserr(default = false)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, as = "Option<_>"))]
        pub forward: bool,
        /// With `forward`: the method of that request; default GET.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional))]
        pub method: Option<String>,
        /// With `forward`: header fields of that request. `host` is the
        /// server's own unless given here.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional, type = "Record<string, string>"))]
        pub headers: Option<GivenHeaders>,
        /// With `forward`: the body of that request.
        #[deserr(default)]
        #[schemars(default)]
        #[cfg_attr(test, ts(optional))]
        pub body: Option<String>,
    }
}

/// Names and values of header fields, as an object has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct GivenHeaders(BTreeMap<String, String>);

impl GivenHeaders {
    /// The fields by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

// deserr has this for maps, but takes no notice of faults inside of them.
impl Deserr<Faults> for GivenHeaders {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let Value::Map(map) = value else {
            return Err(Faults::at(location, "give an object of texts"));
        };
        let mut faults = Vec::new();
        let mut fields = BTreeMap::new();
        for (name, value) in map.into_iter() {
            match String::deserialize_from_value(value.into_value(), location.push_key(&name)) {
                Ok(value) => {
                    fields.insert(name, value);
                }
                Err(found) => {
                    let found: Faults = found;
                    faults.extend_from_slice(found.as_slice());
                }
            }
        }
        Faults::check(faults).map(|()| Self(fields))
    }
}

shape! { out
    /// `POST /api/route`: where a key goes now.
    pub struct RouteView {
        /// The key.
        pub key: String,
        /// The server's name.
        pub server: String,
        /// Where the request goes, or would go.
        pub url: String,
        /// Where the key stands: sixteen hexadecimal digits; null by rules without
        /// keys.
        pub position: Option<String>,
        /// The names of all servers in the order the key prefers them, health
        /// ignored; `GET /api/explain` has the reasons. By rules without keys in
        /// order of their names.
        pub candidates: Vec<String>,
        /// Whether nobody is eligible and the answer is a guess.
        pub fail_open: bool,
        /// What came back, if the request was to be forwarded.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        pub forwarded: Option<ForwardView>,
    }
}

shape! { out
    /// What came back from a server.
    #[derive(Default)]
    pub struct ForwardView {
        /// Its answer's status; null when there was no answer.
        pub status: Option<u16>,
        /// The header fields of its answer, in order.
        pub headers: Vec<HeaderView>,
        /// The body of its answer; null when there was no answer.
        pub body: Option<String>,
        /// How `body` has it: `text`, or `base64` when it is not UTF-8.
        #[cfg_attr(test, ts(type = "'text' | 'base64' | null"))]
        pub body_encoding: Option<&'static str>,
        /// Whether the body was longer than the 1 MiB that are passed on, or
        /// broke off.
        pub truncated: bool,
        /// How long it took.
        pub took_ms: TookView,
        /// What went wrong; null when nothing did.
        pub error: Option<String>,
    }
}

shape! { out
    /// A header field.
    pub struct HeaderView {
        /// Its name, in lower case.
        pub name: String,
        /// Its value (bytes that are not UTF-8 replaced).
        pub value: String,
    }
}

shape! { out
    /// Milliseconds since the start of a forwarded request.
    #[derive(Copy, Default)]
    pub struct TookView {
        /// Until there was a connection; null when there was none.
        pub connect: Option<f64>,
        /// Until the head of the answer; null when there was none.
        pub head: Option<f64>,
        /// Until the end.
        pub total: f64,
    }
}

impl RouteView {
    /// The decision of `table` to send a request for `path` with this key to
    /// `server`.
    pub fn new(
        table: &RoutingTable,
        loads: &impl Loads,
        server: ServerIndex,
        key: String,
        path: &RequestPath,
    ) -> Self {
        let position = table.position(key.as_bytes());
        let name = |entry: &TableServer| entry.server.name.to_string();
        let chosen = table.server(server);
        let candidates = table.explain(position, loads, &[]);
        Self {
            key,
            server: name(chosen),
            url: format!(
                "http://{}:{}{}",
                chosen.server.address.in_authority(),
                chosen.server.port.number(),
                path.as_str()
            ),
            position: (table.keyless().is_none()).then(|| position.to_string()),
            candidates: candidates
                .iter()
                .map(|candidate| name(table.server(candidate.server)))
                .collect(),
            fail_open: table.is_fail_open(),
            forwarded: None,
        }
    }
}
