//! One client's connection: what is known of the client, and how long the
//! connection may do nothing, depending on whose turn it is.
//!
//! hyper parses and writes HTTP/1.1; what it does not do by itself (time
//! limits, ending gracefully on demand) is done around it.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, request};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::handler;
use super::hash_key::KeyParts;
use super::head_bytes::HeadBytes;
use super::headers::ClientFields;
use super::timer::{Timer, Wait};
use super::upgrade::Tunnel;
use super::worker::{Rules, Waits, Worker, WorkerFleet};
use crate::engine::{Position, Spread};

/// How long a connection without a request may still bring one when the worker
/// stops: a client that sends one after the other has sent its next within a
/// round trip, and those that take longer are rare.
const LAST_CALL: Duration = Duration::from_millis(500);

/// The client at the other end of a connection.
pub(super) struct Client {
    /// The thread that serves it.
    pub(super) worker: Rc<Worker>,
    /// Its IP address; an IPv4 address that came in an IPv6 one is given as IPv4.
    pub(super) address: IpAddr,
    /// The same in the canonical text form.
    pub(super) ip: Box<str>,
    /// What every request of it is given.
    pub(super) fields: ClientFields,
    /// The connection's one deadline.
    pub(super) timer: Timer,
    /// What the connection becomes after an answer that says so.
    pub(super) tunnel: Cell<Option<Box<Tunnel>>>,
    /// The head of the request in hand, as it came.
    pub(super) head_bytes: HeadBytes,
    /// The timeouts of the configuration that its last request met.
    waits: Cell<Waits>,
    turn: Cell<Turn>,
    /// Whether the last thing the upload waited for was the client.
    awaits_body: Cell<bool>,
    /// Whether it has sent more than the request in hand.
    has_sent_more: Cell<bool>,
}

/// What is being waited for, and so which limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The client has connected and sent nothing yet.
    New,
    /// The client may send a request, or not.
    Idle,
    /// The client is sending the head of a request.
    Head,
    /// The client's body is on its way to a server.
    Upload,
    /// A server is to be connected to, or to answer.
    Server,
    /// The answer is on its way to the client.
    Answer,
}

/// Serves one client until it leaves, times out, or the worker stops.
pub(super) async fn serve(stream: TcpStream, address: SocketAddr, worker: Rc<Worker>) {
    let client = Rc::new(Client::new(address.ip(), Rc::clone(&worker)));
    let stream = Rc::new(RefCell::new(stream));
    let io = TokioIo::new(Watched {
        io: Rc::clone(&stream),
        client: Rc::clone(&client),
    });
    let service = service_fn(|request| handler::handle(Rc::clone(&client), request));
    let mut connection = worker.fleet().rules().http1.serve_connection(io, service);
    let (mut is_last_call, mut is_told_to_stop) = (false, false);
    let ended = poll_fn(|cx| {
        client.timer.watch(cx);
        if client.timer.is_due() && client.ends_when_due() {
            return Poll::Ready(Ended::Cut);
        }
        if worker.is_stopping() && !is_last_call {
            is_last_call = true;
            client.last_call();
        }
        match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ended::Whole),
            // How else a client's connection ended is of no consequence to us.
            Poll::Ready(Err(_)) => return Poll::Ready(Ended::Cut),
            Poll::Pending => {}
        }
        if client.has_left(&stream.borrow(), cx) {
            return Poll::Ready(Ended::Cut);
        }
        if is_last_call && !is_told_to_stop && client.awaits_answer() {
            is_told_to_stop = true;
            // Ends the connection after this request, and says so in its answer.
            Pin::new(&mut connection).graceful_shutdown();
        }
        Poll::Pending
    })
    .await;
    let Some(tunnel) = client.tunnel.take() else {
        return;
    };
    // What the client has sent since is hyper's up to here, and the tunnel's now.
    let early = connection.into_parts().read_buf;
    if let (Ended::Whole, Ok(stream)) = (ended, Rc::try_unwrap(stream)) {
        // Apart, so that connections that become none do not have room for one.
        Box::pin(tunnel.run(&client, stream.into_inner(), early)).await;
    }
}

/// How HTTP on a client's connection ended.
enum Ended {
    /// Everything was said.
    Whole,
    /// Not by itself.
    Cut,
}

/// How hyper is to face clients.
pub(super) fn http1(limits: &crate::config::Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Not because clients may: hyper finds out that one has left by reading
    // ahead, which takes another 8 KiB for each request. See `has_left`.
    builder.half_close(true);
    // The ranges of the fields make these lossless.
    let n_headers = limits.headers.number() as usize;
    if n_headers != hyper_default::HEADERS {
        builder.max_headers(n_headers);
    }
    builder.max_header_size(limits.header_bytes.number() as usize);
    builder
}

mod hyper_default {
    /// As many header fields as hyper holds without allocating, which it
    /// loses when told the same number.
    pub(super) const HEADERS: usize = 100;
}

impl Client {
    fn new(ip: IpAddr, worker: Rc<Worker>) -> Self {
        let address = ip.to_canonical();
        let ip = address.to_string().into_boxed_str();
        let timer = Timer::new(&worker.timers);
        let waits = worker.fleet().rules().waits;
        timer.set(waits.client_header);
        Self {
            fields: ClientFields {
                // An address has only characters that a header may have.
                forwarded_for: HeaderValue::from_str(&ip)
                    .unwrap_or(HeaderValue::from_static("unknown")),
                forwarded_proto: HeaderValue::from_static("http"),
            },
            address,
            ip,
            timer,
            tunnel: Cell::new(None),
            head_bytes: HeadBytes::default(),
            waits: Cell::new(waits),
            turn: Cell::new(Turn::New),
            awaits_body: Cell::new(false),
            has_sent_more: Cell::new(false),
            worker,
        }
    }

    /// A request of it has come, which is handled by these rules to its end.
    pub(super) fn follow(&self, rules: &Rules) {
        self.waits.set(rules.waits);
    }

    /// Where a request of this client stands in `fleet`, if it has a key and the
    /// rule looks at keys.
    pub(super) fn key(&self, fleet: &WorkerFleet, head: &request::Parts) -> Option<Position> {
        let table = fleet.table();
        let hash_key = &fleet.rules().hash_key;
        match table.keyless() {
            None => hash_key.position(table, self.key_parts(head)),
            Some(_) => None,
        }
    }

    /// The same, and counts the request for its key; how that is spread, if it is.
    pub(super) fn counted_key(
        &self,
        fleet: &WorkerFleet,
        head: &request::Parts,
    ) -> (Option<Position>, Option<Spread>) {
        let table = fleet.table();
        if table.keyless().is_some() {
            return (None, None);
        }
        let Some(key) = fleet.rules().hash_key.key(self.key_parts(head)) else {
            return (None, None);
        };
        let position = table.position(&key);
        let mut hot_keys = self.worker.hot_keys.borrow_mut();
        let spread = hot_keys.observe(table, position, &key);
        (Some(position), spread)
    }

    /// The bytes of a request's key, if it has one.
    pub(super) fn key_bytes<'a>(
        &'a self,
        fleet: &WorkerFleet,
        head: &'a request::Parts,
    ) -> Option<Cow<'a, [u8]>> {
        fleet.rules().hash_key.key(self.key_parts(head))
    }

    /// The source of a request's key, in words; `None` where the rule looks at none.
    pub(super) fn key_source(&self, fleet: &WorkerFleet, head: &request::Parts) -> Option<String> {
        if fleet.table().keyless().is_some() {
            return None;
        }
        let found = fleet.rules().hash_key.explain(self.key_parts(head)).ok();
        found.map(|(_, key_from)| key_from.source)
    }

    fn key_parts<'a>(&'a self, head: &'a request::Parts) -> KeyParts<'a> {
        KeyParts {
            headers: &head.headers,
            uri: &head.uri,
            client_ip: &self.ip,
            issued: None,
        }
    }

    /// A server is to be asked; the client's body, if it has one, is still to
    /// come. The time for that is the attempt's to set.
    pub(super) fn asks_server(&self, has_body: bool) {
        self.turn
            .set(if has_body { Turn::Upload } else { Turn::Server });
        self.timer.set_attentive(true);
    }

    /// The client's body has ended: from now on the server has to answer.
    pub(super) fn upload_ended(&self) {
        if self.turn.get() == Turn::Upload {
            self.turn.set(Turn::Server);
            self.timer.set(self.waits.get().response_header);
        }
    }

    /// Whether the upload now waits for the client, or for the server.
    pub(super) fn upload_awaits_client(&self, awaits_client: bool) {
        self.awaits_body.set(awaits_client);
    }

    /// Whether its body is still on its way to a server.
    pub(super) fn is_uploading(&self) -> bool {
        self.turn.get() == Turn::Upload
    }

    /// Whether it is the client's body that the request waits for.
    pub(super) fn is_awaited(&self) -> bool {
        self.turn.get() == Turn::Upload && self.awaits_body.get()
    }

    /// An answer begins.
    pub(super) fn answer_began(&self) {
        self.turn.set(Turn::Answer);
        self.timer.set_attentive(false);
        self.timer.set(self.waits.get().stream_idle);
    }

    /// The answer has ended, or was given up; some of it may still have to be
    /// written.
    pub(super) fn answer_ended(&self) {
        self.turn.set(Turn::Idle);
        self.has_sent_more.set(false);
        self.timer.set(self.idle_wait());
    }

    /// Whether a deadline that has come ends the connection; otherwise a
    /// request is being handled, and its handler deals with it.
    fn ends_when_due(&self) -> bool {
        matches!(
            self.turn.get(),
            Turn::New | Turn::Idle | Turn::Head | Turn::Answer
        )
    }

    /// Whether a request has come of whose answer nothing has been written.
    fn awaits_answer(&self) -> bool {
        matches!(self.turn.get(), Turn::Head | Turn::Upload | Turn::Server)
    }

    /// The worker stops. On a connection without a request one may be on its
    /// way, which would be lost if that were ended at once.
    fn last_call(&self) {
        if matches!(self.turn.get(), Turn::New | Turn::Idle) {
            self.timer.set(LAST_CALL.into());
        }
    }

    /// For how long the next request is waited for.
    fn idle_wait(&self) -> Wait {
        if self.worker.is_stopping() {
            LAST_CALL.into()
        } else {
            self.waits.get().client_idle
        }
    }

    /// Whether the client has left while it was waiting for its answer; there
    /// is nobody to finish it for then. One that only ends its own side of the
    /// connection is taken to have left too, as the two look alike.
    ///
    /// What it has sent beyond its request hides whether it has left.
    fn has_left(&self, stream: &TcpStream, cx: &mut Context<'_>) -> bool {
        if !matches!(self.turn.get(), Turn::Server | Turn::Answer) || self.has_sent_more.get() {
            return false;
        }
        let mut byte = [0];
        match stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => false,
            Poll::Ready(Ok(0) | Err(_)) => true,
            Poll::Ready(Ok(_)) => {
                self.has_sent_more.set(true);
                false
            }
        }
    }

    /// How long its tunnel may rest; `is_half` when one end has ended.
    pub(super) fn tunnel_wait(&self, is_half: bool) -> Wait {
        let waits = self.waits.get();
        if is_half {
            waits.tunnel_idle.min(waits.stream_idle)
        } else {
            waits.tunnel_idle
        }
    }

    fn has_read(&self, bytes: &[u8]) {
        let waits = self.waits.get();
        match self.turn.get() {
            Turn::Idle => {
                self.turn.set(Turn::Head);
                self.timer.set(waits.client_header);
                self.head_bytes.begin();
                self.head_bytes.push(bytes);
            }
            Turn::New => {
                self.turn.set(Turn::Head);
                if self.worker.is_stopping() {
                    self.timer.set(waits.client_header);
                }
                self.head_bytes.push(bytes);
            }
            Turn::Head | Turn::Server => self.head_bytes.push(bytes),
            Turn::Upload | Turn::Answer => self.timer.set(waits.stream_idle),
        }
    }

    fn has_written(&self) {
        let waits = self.waits.get();
        match self.turn.get() {
            Turn::Answer => self.timer.set(waits.stream_idle),
            Turn::Idle => self.timer.set(self.idle_wait()),
            Turn::New | Turn::Head | Turn::Upload | Turn::Server => {}
        }
    }
}

/// A client's stream; tells the [`Client`] when bytes have moved.
struct Watched<S> {
    io: Rc<RefCell<S>>,
    client: Rc<Client>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut *self.io.borrow_mut()).poll_read(cx, buf);
        let read = &buf.filled()[before..];
        if !read.is_empty() {
            self.client.has_read(read);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.io.borrow_mut()).poll_write(cx, buf);
        if result.is_ready() {
            self.client.has_written();
        }
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.io.borrow_mut()).poll_write_vectored(cx, bufs);
        if result.is_ready() {
            self.client.has_written();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.io.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io.borrow_mut()).poll_shutdown(cx)
    }
}
