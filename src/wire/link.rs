//! How a server is spoken to: parts of [`ServerSpec`](super::ServerSpec).

use std::borrow::Cow;
use std::sync::Arc;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::faults::Faults;
use super::{Given, name_in, named, read_fields, schema};
use crate::engine::{Address, Identity, Link, LinkTls, MinTls, ProxyProtocol, ServerProtocol};

const PROTOCOLS: [(&str, ServerProtocol); 2] = [
    ("http/1.1", ServerProtocol::Http1),
    ("h2", ServerProtocol::Http2),
];

const PROXY_PROTOCOLS: [(&str, ProxyProtocol); 2] =
    [("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)];

const VERSIONS: [(&str, MinTls); 2] = [("1.2", MinTls::V12), ("1.3", MinTls::V13)];

/// A type whose values have names, in a table.
macro_rules! word {
    ($type:ident, $table:ident, $schema:tt) => {
        impl Deserr<Faults> for $type {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, Faults> {
                let text = String::deserialize_from_value(value, location)?;
                named(&$table, &text).map_err(|message| Faults::at(location, message))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(name_in(&$table, self))
            }
        }

        schema!($type, $schema);
    };
}

word!(ServerProtocol, PROTOCOLS, { "type": "string", "enum": ["http/1.1", "h2"] });
word!(ProxyProtocol, PROXY_PROTOCOLS, { "type": "string", "enum": ["v1", "v2"] });
word!(MinTls, VERSIONS, { "type": "string", "enum": ["1.2", "1.3"] });

/// TLS towards a server. `true` is all of it by default.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[schemars(deny_unknown_fields, default)]
pub struct ServerTls {
    /// For whom the server's certificate must be, which is also the name that it
    /// is asked for. Default null: the server's address.
    #[cfg_attr(test, ts(type = "string | null", optional))]
    pub server_name: Option<Address>,
    /// A file with certificates in PEM: only who has one that these vouch for is
    /// trusted. Default null: those that the system trusts.
    #[cfg_attr(test, ts(type = "string | null", optional))]
    pub ca_file: Option<String>,
    /// Whether the server's certificate is checked; default true. Without that,
    /// anybody between can read and change everything.
    #[cfg_attr(test, ts(type = "boolean", optional))]
    pub verify: bool,
    /// A file with the certificate, in PEM, that the proxy shows where it is asked
    /// for one, and after it those that vouch for it; needs key_file. Default null: none.
    #[cfg_attr(test, ts(type = "string | null", optional))]
    pub cert_file: Option<String>,
    /// A file with the private key of that certificate, in PEM.
    #[cfg_attr(test, ts(type = "string | null", optional))]
    pub key_file: Option<String>,
    /// The oldest version that is spoken; default 1.2.
    #[cfg_attr(test, ts(type = "'1.2' | '1.3'", optional))]
    pub min_version: MinTls,
}

impl Default for ServerTls {
    fn default() -> Self {
        LinkTls::default().into()
    }
}

impl ServerTls {
    /// The files that are read with it.
    pub fn files_read(&self) -> impl Iterator<Item = &str> {
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        files.into_iter().filter_map(|file| file.as_deref())
    }
}

impl Deserr<Faults> for ServerTls {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let mut read = Self::default();
        match value {
            Value::Boolean(true) => return Ok(read),
            Value::Boolean(false) => {
                return Err(Faults::at(
                    location,
                    "false is not allowed; give true, an object, or null, which is no TLS",
                ));
            }
            value => read_fields(
                value,
                location,
                &mut [
                    ("server_name", &mut Given(&mut read.server_name)),
                    ("ca_file", &mut Given(&mut read.ca_file)),
                    ("verify", &mut Given(&mut read.verify)),
                    ("cert_file", &mut Given(&mut read.cert_file)),
                    ("key_file", &mut Given(&mut read.key_file)),
                    ("min_version", &mut Given(&mut read.min_version)),
                ],
                &[],
            )?,
        }
        let mut faults = Vec::new();
        let mut fault = |name, message: &str| {
            faults.extend(Faults::at(location.push_key(name), message).into_vec());
        };
        if read.ca_file.is_some() && !read.verify {
            fault("ca_file", "verify is false: nothing would be checked by it");
        }
        match (&read.cert_file, &read.key_file) {
            (Some(_), None) => fault("cert_file", "it goes with key_file; give both"),
            (None, Some(_)) => fault("key_file", "it goes with cert_file; give both"),
            _ => {}
        }
        Faults::check(faults)?;
        Ok(read)
    }
}

/// The schema of `tls`, which may be `true`.
pub(super) fn tls_schema(generator: &mut SchemaGenerator) -> Schema {
    let section = generator.subschema_for::<ServerTls>();
    json_schema!({ "anyOf": [section, { "const": true }, { "type": "null" }] })
}

impl From<LinkTls> for ServerTls {
    fn from(tls: LinkTls) -> Self {
        let (cert_file, key_file) = match tls.identity {
            Some(Identity {
                cert_file,
                key_file,
            }) => (Some(cert_file), Some(key_file)),
            None => (None, None),
        };
        Self {
            server_name: tls.server_name,
            ca_file: tls.ca_file,
            verify: tls.verify,
            cert_file,
            key_file,
            min_version: tls.min_version,
        }
    }
}

impl From<ServerTls> for LinkTls {
    fn from(tls: ServerTls) -> Self {
        let files = tls.cert_file.zip(tls.key_file);
        Self {
            server_name: tls.server_name,
            ca_file: tls.ca_file,
            verify: tls.verify,
            // One without the other is refused when it is read.
            identity: files.map(|(cert_file, key_file)| Identity {
                cert_file,
                key_file,
            }),
            min_version: tls.min_version,
        }
    }
}

/// Whether it is what servers speak that say nothing of it.
pub(super) fn is_default(protocol: &ServerProtocol) -> bool {
    *protocol == ServerProtocol::default()
}

/// What the fields of a server make of its link.
pub(super) fn link(
    protocol: ServerProtocol,
    tls: Option<ServerTls>,
    proxy_protocol: Option<ProxyProtocol>,
) -> Option<Arc<Link>> {
    let tls = tls.map(LinkTls::from);
    Link {
        protocol,
        tls,
        proxy_protocol,
    }
    .shared()
}

/// The fields of a server that its link makes.
pub(super) fn fields(
    link: Option<Arc<Link>>,
) -> (ServerProtocol, Option<ServerTls>, Option<ProxyProtocol>) {
    let Link {
        protocol,
        tls,
        proxy_protocol,
    } = link.map_or(Link::PLAIN, Arc::unwrap_or_clone);
    (protocol, tls.map(ServerTls::from), proxy_protocol)
}
