//! Connections to one server: where it listens, and the stream that a protocol
//! is spoken over.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::engine::Server;
use crate::native::proxy::listen;

/// Makes connections to one server.
pub(super) struct Connector {
    place: Place,
}

/// Where the server listens.
enum Place {
    Ip(SocketAddr),
    Name(String, u16),
}

impl Connector {
    /// To `server`; none is made yet.
    pub(super) fn new(server: &Server) -> Self {
        let (address, port) = (server.address.as_str(), server.port.number());
        let place = match address.parse::<IpAddr>() {
            Ok(ip) => Place::Ip(SocketAddr::new(ip, port)),
            Err(_) => Place::Name(address.to_owned(), port),
        };
        Self { place }
    }

    /// A new connection, over which nothing has been said. How long that may
    /// take is the caller's to limit.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let stream = match &self.place {
            Place::Ip(address) => TcpStream::connect(address).await?,
            Place::Name(name, port) => TcpStream::connect((name.as_str(), *port)).await?,
        };
        listen::prepare(&stream);
        Ok(Stream::Plain(stream))
    }
}

/// A connection to a server, as bytes.
pub(in crate::native::proxy) enum Stream {
    /// TCP as it is.
    Plain(TcpStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
