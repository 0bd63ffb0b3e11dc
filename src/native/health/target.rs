//! Where one probe goes: the server's address, and what the configuration says
//! instead of its port and name.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use http::HeaderValue;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::config::HealthCheck;
use crate::engine::Server;
use crate::native::{descriptors, proxy_protocol};

/// How long a probe rests when there is nothing left for a connection.
const REST: Duration = Duration::from_millis(100);

/// Where one probe goes.
pub(super) struct Target<'a> {
    address: &'a str,
    port: u16,
    /// Whether this process had nothing left for a connection.
    is_exhausted: AtomicBool,
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
            is_exhausted: AtomicBool::new(false),
            header: (port == server.port.number())
                .then(|| proxy_protocol::own_header(server))
                .flatten(),
            authority,
            name,
        }
    }

    /// A new connection, so that a server that takes none is found out.
    /// Waits while this process has nothing left for one.
    pub(super) async fn connect(&self) -> Result<TcpStream, String> {
        let connected = loop {
            match TcpStream::connect((self.address, self.port)).await {
                Err(error) if descriptors::are_used_up(&error) => {
                    self.is_exhausted.store(true, Relaxed);
                    tokio::time::sleep(REST).await;
                }
                connected => break connected,
            }
        };
        self.is_exhausted.store(false, Relaxed);
        let mut stream = connected.map_err(|error| format!("cannot connect: {error}"))?;
        if let Some(header) = &self.header {
            let sent = stream.write_all(header).await;
            sent.map_err(|error| format!("the connection broke off: {error}"))?;
        }
        Ok(stream)
    }

    /// Whether the last try for a connection failed since this process has
    /// nothing left for one: the server is not to be judged by that.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted.load(Relaxed)
    }

    /// `Host`. Addresses have only characters that a header may have.
    pub(super) fn host(&self) -> HeaderValue {
        HeaderValue::from_str(&self.authority).unwrap_or(HeaderValue::from_static(""))
    }
}
