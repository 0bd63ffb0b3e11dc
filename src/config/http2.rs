//! How HTTP/2 is spoken with clients.

use super::section::section;
use super::values::{Seconds, Whole};

section! {
    /// How HTTP/2 is spoken with clients: those that agree to it over TLS, and
    /// those that begin with it in clear text.
    pub struct Http2 {
        /// Whether it is spoken at all; default true.
        enabled: bool ["boolean"] = true,
        /// Requests of one connection at a time, 1 to 10000; further ones are
        /// refused, and clients know that beforehand. Default 100, the least that
        /// RFC 9113 advises: a page seldom has more, and a client that wants more
        /// makes a second connection.
        max_streams: Whole<1, 10_000> ["number"] = Whole::new(100),
        /// Bytes of one request's body that a client may send ahead of what its
        /// server has taken, 65535 to 16777216; default 131072.
        stream_window: Whole<65_535, 16_777_216> ["number"] = Whole::new(131_072),
        /// The same of all requests of a connection together, and so the most
        /// memory that bodies of one client can take; at least stream_window.
        /// Default 262144.
        connection_window: Whole<65_535, 16_777_216> ["number"] = Whole::new(262_144),
        /// Seconds without a byte of a client that waits for answers until it is
        /// asked whether it is still there; as long again without a word, and its
        /// connection is cut. Default 60; null: it is not asked.
        ping: Option<Seconds> ["number | null"] = Some(Seconds::whole(60)),
    }
}

impl Http2 {
    /// Tells `fault` of settings that do not go together, each with its path.
    pub(super) fn check(&self, fault: &mut impl FnMut(&str, String)) {
        if self.connection_window.number() < self.stream_window.number() {
            fault(
                "http2.connection_window",
                "give at least http2.stream_window".to_owned(),
            );
        }
    }
}
