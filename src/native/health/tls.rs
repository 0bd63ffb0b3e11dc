//! TLS of probes: as the probe says, or else as its server is spoken to.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::ProbeTls;
use crate::engine::LinkTls;
use crate::native::server_tls::{self, ServerTls};

pub(super) use crate::native::server_tls::{HTTP1, HTTP2};

/// Makes TLS connections.
#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// TLS for `protocol`; without settings, as by default.
    ///
    /// # Errors
    /// When there is nobody to trust; says why.
    pub(super) fn new(settings: Option<&ProbeTls>, protocol: &[u8]) -> Result<Self, String> {
        let mut tls = LinkTls::default();
        if let Some(settings) = settings {
            tls.verify = settings.verify;
            tls.ca_file.clone_from(&settings.ca_file);
        }
        let made = server_tls::make(&tls, protocol);
        Ok(Self(made.map_err(|unusable| unusable.why)?.config))
    }

    /// TLS for `protocol` as a server is spoken to.
    ///
    /// # Errors
    /// When its files cannot be used; says why.
    pub(super) fn of_server(tls: &ServerTls, protocol: &[u8]) -> Result<Self, String> {
        let config = tls.config()?;
        if config.alpn_protocols == [protocol] {
            return Ok(Self(config));
        }
        let mut config = ClientConfig::clone(&config);
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// TLS over `stream`, to who can prove to be `name`.
    ///
    /// # Errors
    /// When there is none; the text says why.
    pub(super) async fn over(
        &self,
        stream: TcpStream,
        name: &str,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("no TLS: no certificate can be for {name:?}"))?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let connected = connector.connect(name, stream).await;
        let stream = connected.map_err(|error| format!("no TLS: {error}"))?;
        let agreed = server_tls::check_agreed(&self.0, stream.get_ref().1);
        agreed.map_err(|why| format!("no TLS: {why}"))?;
        Ok(stream)
    }
}
