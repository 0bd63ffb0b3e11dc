//! Who is at the other end of a connection: what all requests that come over it
//! have in common, however many there are at a time.

use std::rc::Rc;

use http::HeaderMap;

use super::asker::Asker;
use super::conn::Peer;
use super::cookie::Issue;
use super::hash_key::KeyParts;
use super::tls::ClientCert;
use super::worker::{Rules, Worker, WorkerFleet};
use crate::engine::{Position, Spread};

/// The client at the other end of a connection.
pub(super) struct Client {
    /// The thread that serves it.
    pub(super) worker: Rc<Worker>,
    /// What servers are told of the certificate that it has proven to have.
    pub(super) certificate: ClientCert,
    /// The client itself, as all its requests come from it but those in which it
    /// asks for others.
    peer: Rc<Asker>,
}

impl Client {
    /// A client that has connected, over TLS if `certificate` says what servers
    /// are told of its certificate.
    pub(super) fn new(mut peer: Peer, certificate: Option<ClientCert>, worker: Rc<Worker>) -> Self {
        peer.is_over_tls |= certificate.is_some();
        Self {
            certificate: certificate.unwrap_or(ClientCert::AsItCame),
            peer: Rc::new(Asker::peer(peer)),
            worker,
        }
    }

    /// Who a request with these header fields comes from.
    pub(super) fn asker(&self, rules: &Rules, headers: &HeaderMap) -> Rc<Asker> {
        Asker::of(&self.peer, rules.trust.as_ref(), headers)
    }

    /// Where a request stands in `fleet`, if it has a key and the rule looks at
    /// keys. Counts the request for its key; how that is spread, if it is.
    pub(super) fn counted_key(
        &self,
        fleet: &WorkerFleet,
        parts: KeyParts<'_>,
    ) -> (Option<Position>, Option<Spread>) {
        let table = fleet.table();
        if table.keyless().is_some() {
            return (None, None);
        }
        let Some(key) = fleet.rules().hash_key.key(parts) else {
            return (None, None);
        };
        let position = table.position(&key);
        let mut hot_keys = self.worker.hot_keys.borrow_mut();
        let spread = hot_keys.observe(table, position, &key);
        (Some(position), spread)
    }
}

impl WorkerFleet {
    /// Where a request stands, if it has a key and the rule looks at keys.
    pub(super) fn key(&self, parts: KeyParts<'_>) -> Option<Position> {
        let table = self.table();
        match table.keyless() {
            None => self.rules().hash_key.position(table, parts),
            Some(_) => None,
        }
    }

    /// The source of a request's key, in words; `None` where the rule looks at none.
    pub(super) fn key_source(&self, parts: KeyParts<'_>) -> Option<String> {
        if self.table().keyless().is_some() {
            return None;
        }
        let found = self.rules().hash_key.explain(parts).ok();
        found.map(|(_, key_from)| key_from.source)
    }

    /// A new value of the cookie that must be issued before a request has a key,
    /// where the rule looks at keys.
    pub(super) fn to_issue(&self, parts: KeyParts<'_>) -> Option<Box<str>> {
        self.rules().hash_key.to_issue(parts)?;
        self.table().keyless().is_none().then(Issue::value)
    }
}
