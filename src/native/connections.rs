//! Connections to one server, of all workers, as they are counted.
//!
//! Written when a connection is made or ends, which is rare beside requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwapOption;

/// One server's connections.
#[derive(Debug, Default)]
pub struct Connections {
    opened: AtomicU64,
    closed: AtomicU64,
    /// TLS handshakes that came to nothing.
    tls_failed: AtomicU64,
    /// Why the last one did, unless one has gone well since.
    tls_trouble: ArcSwapOption<String>,
    /// Streams of HTTP/2 that the server has reset.
    resets: AtomicU64,
}

/// What is counted of one server's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Those that there are.
    pub open: u64,
    /// Those that there were.
    pub opened: u64,
    /// TLS handshakes that came to nothing.
    pub tls_failed: u64,
    /// Streams of HTTP/2 that the server has reset.
    pub resets: u64,
}

/// One connection, for as long as it is open.
#[derive(Debug)]
pub(super) struct Open(Arc<Connections>);

impl Connections {
    /// One is open now.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.opened.fetch_add(1, Relaxed);
        Open(Arc::clone(self))
    }

    /// TLS came about over a new one.
    pub(super) fn tls_went_well(&self) {
        if self.tls_trouble.load().is_some() {
            self.tls_trouble.store(None);
        }
    }

    /// It did not, because of `why`. Whether that is news.
    pub(super) fn tls_failed(&self, why: &str) -> bool {
        self.tls_failed.fetch_add(1, Relaxed);
        let before = self.tls_trouble.swap(Some(Arc::new(why.to_owned())));
        before.is_none_or(|before| *before != why)
    }

    /// The server has reset a stream.
    pub(super) fn stream_reset(&self) {
        self.resets.fetch_add(1, Relaxed);
    }

    /// Why the last TLS handshake came to nothing, if it did.
    pub fn tls_trouble(&self) -> Option<String> {
        self.tls_trouble.load().as_deref().cloned()
    }

    /// What was counted.
    pub fn counts(&self) -> ConnectionCounts {
        // The other way round, one that was opened and closed in between would
        // make it fewer than none.
        let closed = self.closed.load(Relaxed);
        let opened = self.opened.load(Relaxed);
        ConnectionCounts {
            open: opened.saturating_sub(closed),
            opened,
            tls_failed: self.tls_failed.load(Relaxed),
            resets: self.resets.load(Relaxed),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Relaxed);
    }
}
