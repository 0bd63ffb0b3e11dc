//! Who is at the other end of a connection: what all requests that come over it
//! have in common, however many there are at a time.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use http::{HeaderValue, request};

use super::hash_key::KeyParts;
use super::headers::ClientFields;
use super::worker::{Worker, WorkerFleet};
use crate::engine::{Position, Spread};

/// The client at the other end of a connection.
pub(super) struct Client {
    /// The thread that serves it.
    pub(super) worker: Rc<Worker>,
    /// Its IP address; an IPv4 address that came in an IPv6 one is given as IPv4.
    pub(super) address: IpAddr,
    /// The same in the canonical text form.
    pub(super) ip: Box<str>,
    /// What every request of it is given.
    pub(super) fields: ClientFields,
}

impl Client {
    /// A client that has connected from `ip`.
    pub(super) fn new(ip: IpAddr, worker: Rc<Worker>) -> Self {
        let address = ip.to_canonical();
        let ip = address.to_string().into_boxed_str();
        Self {
            fields: ClientFields {
                // An address has only characters that a header may have.
                forwarded_for: HeaderValue::from_str(&ip)
                    .unwrap_or(HeaderValue::from_static("unknown")),
                forwarded_proto: HeaderValue::from_static("http"),
            },
            address,
            ip,
            worker,
        }
    }

    /// Where a request of this client stands in `fleet`, if it has a key and the
    /// rule looks at keys.
    pub(super) fn key(&self, fleet: &WorkerFleet, head: &request::Parts) -> Option<Position> {
        let table = fleet.table();
        let hash_key = &fleet.rules().hash_key;
        match table.keyless() {
            None => hash_key.position(table, self.key_parts(head)),
            Some(_) => None,
        }
    }

    /// The same, and counts the request for its key; how that is spread, if it is.
    pub(super) fn counted_key(
        &self,
        fleet: &WorkerFleet,
        head: &request::Parts,
    ) -> (Option<Position>, Option<Spread>) {
        let table = fleet.table();
        if table.keyless().is_some() {
            return (None, None);
        }
        let Some(key) = fleet.rules().hash_key.key(self.key_parts(head)) else {
            return (None, None);
        };
        let position = table.position(&key);
        let mut hot_keys = self.worker.hot_keys.borrow_mut();
        let spread = hot_keys.observe(table, position, &key);
        (Some(position), spread)
    }

    /// The bytes of a request's key, if it has one.
    pub(super) fn key_bytes<'a>(
        &'a self,
        fleet: &WorkerFleet,
        head: &'a request::Parts,
    ) -> Option<Cow<'a, [u8]>> {
        fleet.rules().hash_key.key(self.key_parts(head))
    }

    /// The source of a request's key, in words; `None` where the rule looks at none.
    pub(super) fn key_source(&self, fleet: &WorkerFleet, head: &request::Parts) -> Option<String> {
        if fleet.table().keyless().is_some() {
            return None;
        }
        let found = fleet.rules().hash_key.explain(self.key_parts(head)).ok();
        found.map(|(_, key_from)| key_from.source)
    }

    fn key_parts<'a>(&'a self, head: &'a request::Parts) -> KeyParts<'a> {
        KeyParts {
            headers: &head.headers,
            uri: &head.uri,
            client_ip: &self.ip,
        }
    }
}
