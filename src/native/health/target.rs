//! Where one probe goes: the server's address, and what the configuration says
//! instead of its port and name.

use http::HeaderValue;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::config::HealthCheck;
use crate::engine::Server;
use crate::native::proxy_protocol;

/// Where one probe goes.
pub(super) struct Target<'a> {
    address: &'a str,
    port: u16,
    /// What a connection begins with, if the server has to be told for whom it is.
    header: Option<Vec<u8>>,
    /// What `Host` says, or `:authority`.
    pub(super) authority: String,
    /// Whose certificate it must be.
    pub(super) name: &'a str,
}

impl<'a> Target<'a> {
    pub(super) fn new(server: &'a Server, check: &'a HealthCheck) -> Self {
        let port = check.port.unwrap_or(server.port).number();
        let (authority, name) = match &check.host {
            Some(host) => (host.as_str().to_owned(), host.host()),
            None => {
                let host = server.address.in_authority();
                let tls = server.link.as_ref().and_then(|link| link.tls.as_ref());
                let name = tls.and_then(|tls| tls.server_name.as_ref());
                let name = name.unwrap_or(&server.address);
                (format!("{host}:{port}"), name.as_str())
            }
        };
        Self {
            address: server.address.as_str(),
            port,
            header: (port == server.port.number())
                .then(|| proxy_protocol::own_header(server))
                .flatten(),
            authority,
            name,
        }
    }

    /// A new connection, so that a server that takes none is found out.
    pub(super) async fn connect(&self) -> Result<TcpStream, String> {
        let connected = TcpStream::connect((self.address, self.port)).await;
        let mut stream = connected.map_err(|error| format!("cannot connect: {error}"))?;
        if let Some(header) = &self.header {
            let sent = stream.write_all(header).await;
            sent.map_err(|error| format!("the connection broke off: {error}"))?;
        }
        Ok(stream)
    }

    /// `Host`. Addresses have only characters that a header may have.
    pub(super) fn host(&self) -> HeaderValue {
        HeaderValue::from_str(&self.authority).unwrap_or(HeaderValue::from_static(""))
    }
}
