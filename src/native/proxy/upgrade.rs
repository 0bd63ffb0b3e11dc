//! Connections that change over to another protocol (RFC 9110, section 7.8),
//! as WebSocket does: when the client asks for it and its key's server consents
//! with a 101, bytes go both ways until both ends have ended.
//!
//! Up to the 101 everything is HTTP: the request is routed, tried again and
//! timed like any other, and nothing but its head goes to a server. What a
//! client sends early waits. An answer other than 101 is an ordinary one, and
//! the connection goes on as before.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::body::{InFlight, InFlightApart, ResponseBody};
use super::conn::Stream;
use super::error::ProxyError;
use super::in_hand::InHand;
use super::timer::Wait;
use super::upstream::{self, Switching};
use super::worker::Worker;
use crate::config;
use crate::native::clock;
use crate::native::shared::Shared;
use crate::native::telemetry::access_log::Entry;

/// The protocols to which connections may change over.
pub(super) struct Upgrades(Vec<HeaderValue>);

impl Upgrades {
    /// Those that configuration allows.
    pub(super) fn new(config: &config::Upgrades) -> Self {
        let names = config.protocols.iter();
        Self(
            names
                // Names have only characters that a header may have.
                .filter_map(|name| HeaderValue::from_str(name.as_str()).ok())
                .collect(),
        )
    }

    /// The protocol that a request may ask its server for: the first that its
    /// client names and that is allowed.
    pub(super) fn asked(&self, head: &mut request::Parts) -> Option<HeaderValue> {
        // hyper's note that an HTTP/1.1 request has `Upgrade`; mostly there is
        // no note at all, and nothing is looked for.
        head.extensions.remove::<OnUpgrade>()?;
        self.named_by(head)
    }

    fn named_by(&self, head: &request::Parts) -> Option<HeaderValue> {
        let headers = &head.headers;
        let has_body = headers.contains_key(TRANSFER_ENCODING)
            || headers.get(CONTENT_LENGTH).is_some_and(|n| n != "0");
        let asks = tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
        if head.method != Method::GET || has_body || !asks {
            return None;
        }
        tokens(headers, &UPGRADE)
            .find_map(|token| {
                let mut allowed = self.0.iter();
                allowed.find(|name| token.eq_ignore_ascii_case(name.as_bytes()))
            })
            .cloned()
    }
}

/// The members of a field that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
}

/// Has a request, or an answer, change over to `protocol`. For heads of which
/// the other connection's fields were dropped.
pub(super) fn ask(protocol: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
}

/// A server's consent.
pub(super) struct Switched {
    protocol: HeaderValue,
}

/// Whether `response` consents to what its request `asked` for.
///
/// # Errors
/// When it consents to something else.
pub(super) fn switched<B>(
    response: &Response<B>,
    asked: Option<&HeaderValue>,
) -> Result<Option<Switched>, ProxyError> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    let protocol = asked.ok_or(ProxyError::BadAnswer)?;
    let mut named = tokens(response.headers(), &UPGRADE);
    let is_it = |name: &[u8]| name.eq_ignore_ascii_case(protocol.as_bytes());
    if !named.next().is_some_and(is_it) || named.next().is_some() {
        return Err(ProxyError::BadAnswer);
    }
    Ok(Some(Switched {
        protocol: protocol.clone(),
    }))
}

impl Switched {
    /// What the client is answered, with the tunnel behind it.
    pub(super) fn answer(
        self,
        mut response: Response<upstream::Body>,
        in_flight: InFlight,
        in_hand: &Rc<InHand>,
    ) -> Response<ResponseBody> {
        ask(Some(&self.protocol), response.headers_mut());
        let (head, server) = Switching::of(response);
        let tunnel = Tunnel::new(server, in_flight, &in_hand.client.worker);
        Response::from_parts(head, ResponseBody::of_tunnel(tunnel, Rc::clone(in_hand)))
    }
}

/// A client's connection and a server's that are to become one.
pub(super) struct Tunnel {
    server: Option<Switching>,
    /// It is a request in flight for as long as it lasts.
    _in_flight: InFlightApart,
    shared: Arc<Shared>,
    worker: Rc<Worker>,
    entry: Option<Box<Entry>>,
    /// Bytes that the client got.
    n_bytes: Cell<u64>,
}

impl Tunnel {
    fn new(server: Switching, in_flight: InFlight, worker: &Rc<Worker>) -> Self {
        let shared = Arc::clone(&worker.shared);
        // There is no bound, so it is in.
        let _ = shared.tunnels.enter(None);
        Self {
            server: Some(server),
            _in_flight: in_flight.apart(),
            shared,
            worker: Rc::clone(worker),
            entry: None,
            n_bytes: Cell::new(0),
        }
    }

    /// Has `entry` written to the access log when it ends.
    pub(super) fn log(&mut self, entry: Option<Box<Entry>>) {
        self.entry = entry;
    }

    /// Passes bytes both ways until both ends have ended, one has broken off, or
    /// none has come for too long. `early` is what the client sent before.
    pub(super) async fn run(mut self: Box<Self>, in_hand: &InHand, stream: Stream, early: Bytes) {
        let wait = Cell::new(in_hand.tunnel_wait(false));
        in_hand.timer.set(wait.get());
        let Some(server) = self.server.take() else {
            return;
        };
        let Some(Some((server, server_early))) = in_time(in_hand, server.stream()).await else {
            return;
        };
        let mut client_end = End {
            io: stream,
            early,
            in_hand,
            wait: &wait,
            n_written: &self.n_bytes,
        };
        let mut server_end = End {
            io: server,
            early: server_early,
            in_hand,
            wait: &wait,
            n_written: &Cell::new(0),
        };
        // How it ended is between the two.
        let _ = in_time(
            in_hand,
            copy_bidirectional(&mut client_end, &mut server_end),
        )
        .await;
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.shared.tunnels.leave();
        if let (Some(mut entry), Some(log)) = (self.entry.take(), &self.worker.access_log) {
            entry.n_bytes = self.n_bytes.get();
            entry.ended(clock::now());
            log.write(entry);
        }
    }
}

/// What `future` comes to, unless the deadline comes before it moves.
async fn in_time<F: Future>(in_hand: &InHand, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        in_hand.timer.watch(cx);
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if in_hand.timer.is_due() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// One end of a tunnel; moves the deadline on when bytes have moved.
struct End<'a, S> {
    io: S,
    /// What was read from it already.
    early: Bytes,
    in_hand: &'a InHand,
    /// How long both may rest: less when one has ended, for an end that has left
    /// altogether looks like one that may still listen.
    wait: &'a Cell<Wait>,
    n_written: &'a Cell<u64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for End<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let n = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(n));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if result.is_ready() {
            if buf.filled().len() == before {
                self.wait.set(self.in_hand.tunnel_wait(true));
            }
            self.in_hand.timer.set(self.wait.get());
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for End<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(n)) = result {
            self.in_hand.timer.set(self.wait.get());
            self.n_written.set(self.n_written.get() + n as u64);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
