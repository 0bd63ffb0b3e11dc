//! How a server is spoken to. The engine goes by none of it: it belongs to a
//! server, wherever that is kept, and shells that send requests read it.

use std::sync::Arc;

use super::server::Address;

/// How a server is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// What is spoken.
    pub protocol: ServerProtocol,
    /// TLS under it, if there is any.
    pub tls: Option<LinkTls>,
    /// By which version of the PROXY protocol it is told for whom a connection
    /// is, if it is told.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl Link {
    /// HTTP/1.1 in clear text.
    pub const PLAIN: Self = Self {
        protocol: ServerProtocol::Http1,
        tls: None,
        proxy_protocol: None,
    };

    /// As servers carry it: most are spoken to plainly, and carry nothing.
    pub fn shared(self) -> Option<Arc<Self>> {
        (self != Self::PLAIN).then(|| Arc::new(self))
    }
}

/// What is spoken to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: over TLS as ALPN agrees on it, in clear text by prior knowledge.
    Http2,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Bytes.
    V2,
}

/// TLS towards a server, of which this end is the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTls {
    /// For whom its certificate must be; else for the server's address.
    pub server_name: Option<Address>,
    /// A file with those whom to trust; else whom the system trusts.
    pub ca_file: Option<String>,
    /// Whether its certificate is checked at all.
    pub verify: bool,
    /// This end's own certificate, and its key.
    pub identity: Option<Identity>,
    /// The oldest version that is spoken.
    pub min_version: MinTls,
}

impl Default for LinkTls {
    fn default() -> Self {
        Self {
            server_name: None,
            ca_file: None,
            verify: true,
            identity: None,
            min_version: MinTls::default(),
        }
    }
}

/// What one end proves itself with: two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and after it those that vouch for it.
    pub cert_file: String,
    /// Its private key.
    pub key_file: String,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinTls {
    /// TLS 1.2.
    #[default]
    V12,
    /// TLS 1.3.
    V13,
}
