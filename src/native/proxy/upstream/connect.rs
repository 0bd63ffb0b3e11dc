//! Connections to one server: where it listens, whether TLS is spoken there, and
//! the stream that a protocol goes over.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::warn;

use crate::engine::Server;
use crate::native::connections::Open;
use crate::native::proxy::listen;
use crate::native::server_tls::{self, ServerTls};
use crate::native::shared::ServerRuntime;

/// How many sessions a worker remembers of a server, to take one up again: with
/// TLS 1.3 each serves once, and more than these are rarely made at a time.
const SESSIONS_MAX: usize = 32;

/// Makes connections to one server.
pub(super) struct Connector {
    place: Place,
    /// What is said before anything else: for whom the connections are.
    header: Option<Vec<u8>>,
    tls: Option<Tls>,
    runtime: Arc<ServerRuntime>,
}

/// Where the server listens.
enum Place {
    Ip(SocketAddr),
    Name(String, u16),
}

/// How TLS is spoken to it.
struct Tls {
    of_server: Arc<ServerTls>,
    /// For whom its certificate must be; `None` where no certificate can be for
    /// what is configured.
    name: Option<ServerName<'static>>,
    /// What all servers of the same settings go by, and this worker's own of it
    /// for this server: sessions of others are of no use here.
    own: RefCell<Option<(Arc<ClientConfig>, TlsConnector)>>,
}

impl Connector {
    /// To `server`, each beginning with `header` if there is one, over `tls` if
    /// that is spoken to it; none is made yet.
    pub(super) fn new(
        server: &Server,
        header: Option<Vec<u8>>,
        runtime: &Arc<ServerRuntime>,
        tls: Option<Arc<ServerTls>>,
    ) -> Self {
        let (address, port) = (server.address.as_str(), server.port.number());
        let place = match address.parse::<IpAddr>() {
            Ok(ip) => Place::Ip(SocketAddr::new(ip, port)),
            Err(_) => Place::Name(address.to_owned(), port),
        };
        let settings = server.link.as_ref().and_then(|link| link.tls.as_ref());
        let name = settings.and_then(|settings| settings.server_name.as_ref());
        let name = name.unwrap_or(&server.address).as_str();
        Self {
            place,
            header,
            tls: tls.map(|of_server| Tls {
                of_server,
                name: ServerName::try_from(name.to_owned()).ok(),
                own: RefCell::default(),
            }),
            runtime: Arc::clone(runtime),
        }
    }

    /// Whose connections they are.
    pub(super) fn runtime(&self) -> &ServerRuntime {
        &self.runtime
    }

    /// Whether they are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// A new connection, over which nothing has been said but what TLS needs.
    /// How long that may take is the caller's to limit.
    ///
    /// # Errors
    /// When there is none, and when the server is not who it must be.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let mut stream = match &self.place {
            Place::Ip(address) => TcpStream::connect(address).await?,
            Place::Name(name, port) => TcpStream::connect((name.as_str(), *port)).await?,
        };
        listen::prepare(&stream);
        if let Some(header) = &self.header {
            stream.write_all(header).await?;
        }
        let open = self.runtime.connections.open();
        let io = match &self.tls {
            None => Io::Plain(stream),
            // Apart, so that plain connections do not have room for it.
            Some(tls) => match Box::pin(tls.over(stream)).await {
                Ok(stream) => {
                    self.runtime.connections.tls_went_well();
                    Io::Tls(Box::new(stream))
                }
                Err(error) => {
                    self.tls_failed(&error);
                    return Err(error);
                }
            },
        };
        Ok(Stream { io, _open: open })
    }

    /// Counts that TLS did not come about because of `why`, and logs that if it
    /// is news.
    #[cold]
    fn tls_failed(&self, why: &dyn Display) {
        let why = why.to_string();
        if self.runtime.connections.tls_failed(&why) {
            let server = self.runtime.server.name.as_str();
            warn!(server, %why, "no TLS with a server");
        }
    }

    /// Whether `error`, with which a new connection ended, is that the server
    /// takes no client without another certificate: with TLS 1.3 it says so only
    /// once this end has begun to speak. It has read nothing of that then.
    #[cold]
    pub(super) fn was_refused(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            let io = error.downcast_ref::<io::Error>();
            let inner = io.and_then(io::Error::get_ref);
            let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if let Some(rustls::Error::AlertReceived(alert)) = tls
                && is_of_handshake(*alert)
            {
                self.tls_failed(&rustls::Error::AlertReceived(*alert));
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// Whether an alert says that there is no agreement on who is who.
fn is_of_handshake(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, DecryptError, HandshakeFailure, UnknownCA, UnsupportedCertificate,
    };
    matches!(
        alert,
        AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | DecryptError
            | HandshakeFailure
            | UnknownCA
            | UnsupportedCertificate
    )
}

impl Tls {
    async fn over(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = self.name.clone().ok_or_else(|| {
            io::Error::other("no certificate can be for the server_name, or the address")
        })?;
        let connector = self.connector()?;
        let stream = connector.connect(name, stream).await?;
        let agreed = server_tls::check_agreed(connector.config(), stream.get_ref().1);
        agreed.map_err(io::Error::other)?;
        Ok(stream)
    }

    /// What makes TLS connections, of the files as they were last read.
    fn connector(&self) -> io::Result<TlsConnector> {
        let now = self.of_server.config().map_err(io::Error::other)?;
        let mut own = self.own.borrow_mut();
        if let Some((of, connector)) = &*own
            && Arc::ptr_eq(of, &now)
        {
            return Ok(connector.clone());
        }
        let mut config = ClientConfig::clone(&now);
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        let connector = TlsConnector::from(Arc::new(config));
        *own = Some((now, connector.clone()));
        Ok(connector)
    }
}

/// A connection to a server, as bytes.
pub(in crate::native::proxy) struct Stream {
    io: Io,
    _open: Open,
}

impl Stream {
    /// Whether nothing has come that is not read yet, not even the end. Asks and
    /// does not wait; bytes that it finds are lost.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        match &mut self.io {
            // Without a call of the system, unless something has come.
            Io::Plain(stream) => stream
                .try_read(&mut byte)
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
            // What TLS says for itself, as of sessions, is read and is not this.
            Io::Tls(stream) => {
                let mut cx = Context::from_waker(Waker::noop());
                let mut buf = ReadBuf::new(&mut byte);
                Pin::new(stream).poll_read(&mut cx, &mut buf).is_pending()
            }
        }
    }

    /// Whether a write that fails has sent nothing: TLS takes bytes in first.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.io, Io::Plain(_))
    }
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
