//! What servers are told of a client's certificate (RFC 9440).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The client's certificate, and those that vouch for it.
static CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
static CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// What servers are told of a client's certificate.
pub(in crate::native::proxy) enum ClientCert {
    /// Nothing by the proxy; what the client says is none of its business.
    AsItCame,
    /// This, or that there is none.
    Known(Option<HeaderValue>),
}

impl ClientCert {
    /// This certificate, or that there is none.
    pub(super) fn known(certificate: Option<&[u8]>) -> Self {
        Self::Known(certificate.and_then(|certificate| {
            let text = format!(":{}:", BASE64_STANDARD.encode(certificate));
            // Letters of base64 are all that is in it.
            HeaderValue::try_from(text).ok()
        }))
    }

    /// Has `headers` say it, and not what the client says.
    pub(in crate::native::proxy) fn tell(&self, headers: &mut HeaderMap) {
        let Self::Known(certificate) = self else {
            return;
        };
        headers.remove(&CLIENT_CERT_CHAIN);
        match certificate {
            Some(certificate) => drop(headers.insert(&CLIENT_CERT, certificate.clone())),
            None => drop(headers.remove(&CLIENT_CERT)),
        }
    }
}
