//! The listener: takes connections, not too many and not for ever, and ends
//! them in order.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use tracing::{debug, warn};

use super::router::router;
use super::{Admin, auth, guard};

/// Connections at a time; further ones wait to be accepted. Operators, pages
/// and scrapers are few.
const CONNECTIONS_MAX: usize = 256;

/// How long a connection may take to send the head of a request, or do
/// nothing between two.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// The longest head of a request, and its header fields.
const HEAD_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 100;

/// How long a client may take no byte of an answer.
const WRITE_WAIT: Duration = Duration::from_secs(30);

/// How long the rest of a refused request is still read, and thrown away:
/// otherwise the system would reset the connection, and the client might
/// never see why.
const LINGER: Duration = Duration::from_secs(1);

/// How long to wait when the system has no descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers operators on `listener` until `stop` is cancelled; requests that
/// are under way then get the configured time to end.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>, stop: CancellationToken) {
    let router = router(Arc::clone(&admin));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // Never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection =
                    connection(stream, Arc::clone(&admin), router.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "the API cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    admin.streams.end();
    let grace = admin.shared.config().process.shutdown_grace.duration();
    let all = async {
        while connections.join_next().await.is_some() {}
        admin.streams.ended().await;
    };
    if timeout(grace, all).await.is_err() {
        warn!("requests to the API were cut off");
    }
}

async fn connection(stream: TcpStream, admin: Arc<Admin>, router: Router, stop: CancellationToken) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Only a matter of speed.
    let _ = stream.set_nodelay(true);
    let service =
        service_fn(move |request| answer(Arc::clone(&admin), router.clone(), local, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection to the API ended early");
    }
}

async fn answer(
    admin: Arc<Admin>,
    mut router: Router,
    local: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(local);
    let (uri, headers) = (request.uri(), request.headers());
    let may_pass = guard::check(&admin.hosts, uri, headers, local)
        .and_then(|()| auth::check(admin.token.as_ref(), uri.path(), headers));
    let mut response = match may_pass {
        Ok(()) => router.call(request).await?,
        Err(problem) => problem.into(),
    };
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    // What a file's answer does not say: figures are of this moment.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A stream whose peer must take what is written, or the connection ends; and
/// whose peer may finish its sentence before it does.
struct Patient {
    stream: TcpStream,
    /// Runs while a write waits, or the end.
    patience: Pin<Box<Sleep>>,
    is_waiting: bool,
    is_shut: bool,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            patience: Box::pin(sleep(WRITE_WAIT)),
            is_waiting: false,
            is_shut: false,
        }
    }

    /// Passes on what a write came to, unless it has waited too long.
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.patience.set(sleep(WRITE_WAIT));
        }
        ready!(self.patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.judge(cx, shut))?;
            self.is_shut = true;
            self.patience.set(sleep(LINGER));
        }
        let mut bytes = [0; 4096];
        while self.patience.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // The peer has closed, too.
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
