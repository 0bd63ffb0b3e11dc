//! TLS towards clients: handshakes, and how long certificates last.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Writer;
use crate::native::proxy::tls::InUse;

/// Figures of TLS.
#[derive(Debug)]
pub struct TlsFigures {
    /// Handshakes by how they ended.
    handshakes: [(&'static str, u64); 4],
    /// Each certificate's file, and how many days it lasts.
    certificates: Vec<(String, f64)>,
}

impl TlsFigures {
    /// The figures of this moment.
    pub fn new(in_use: &InUse) -> Self {
        let counts = &in_use.handshakes;
        let read = |count: &AtomicU64| count.load(Relaxed);
        let now = in_use.now();
        let certificates = now.iter().flat_map(|tls| tls.certificates());
        Self {
            handshakes: [
                ("full", read(&counts.full)),
                ("resumed", read(&counts.resumed)),
                ("failed", read(&counts.failed)),
                ("late", read(&counts.late)),
            ],
            certificates: certificates
                .map(|certificate| (certificate.cert_file.clone(), certificate.days_left()))
                .collect(),
        }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> fmt::Result {
        out.counters(
            "tls_handshakes",
            "Attempts of clients to agree on TLS, by how they ended: with all proofs, with a \
             client that had been there before, not at all, not in time.",
            (self.handshakes.iter()).map(|(result, n)| (vec![("result", *result)], *n)),
        )?;
        out.gauges(
            "tls_certificate_days_left",
            "Days until the certificate that the proxy proves itself with expires.",
            (self.certificates.iter()).map(|(file, days)| (vec![("cert_file", &**file)], *days)),
        )
    }
}
