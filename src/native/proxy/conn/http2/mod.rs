//! HTTP/2 with a client.
//!
//! h2 speaks it. What it does not do is done around it: each request is handled
//! as one of HTTP/1.1 is, in a task of its own beside the others, with its own
//! deadline; and the connection has one too, for the time without a request, and
//! for a client of which nothing is heard.
//!
//! Not by way of hyper, whose bodies would be larger on every path, and which
//! takes a body that a client breaks off for one that has ended.

mod answer;
mod request;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::server::{Builder, Connection};
use h2::{Ping, PingPong, Reason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::Stream;
use crate::config::Config;
use crate::native::proxy::client::Client;
use crate::native::proxy::in_hand::LAST_CALL;
use crate::native::proxy::timer::{Timer, Wait};

/// What a client begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of one answer that are held ready for the client: enough for what goes
/// out at a time, and little where many answers wait for a client that reads
/// slowly.
const SEND_BUFFER: usize = 64 << 10;

/// Errors in single requests after which a client is not taken to be well-meaning.
const ERRORS_MAX: usize = 100;

/// Requests given up by a client before it has their answer, after which, if
/// they are more than half of all, it is taken to want our servers' work and not
/// their answers (CVE-2023-44487). A browser that goes to another page gives up a
/// few dozen.
const GIVEN_UP_MAX: u32 = 100;

/// What a header field takes in a list of them besides its name and value (RFC
/// 9113, section 6.5.2).
const FIELD_COST: u64 = 32;

/// How HTTP/2 is spoken by `config`; `None` when it is not.
pub(in crate::native::proxy) fn builder(config: &Config) -> Option<Builder> {
    let (http2, limits) = (&config.http2, &config.limits);
    // The ranges of the fields make these lossless.
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    // As much as is taken of HTTP/1.1.
    let list_max = limits.header_bytes.number() + FIELD_COST * limits.headers.number();
    http2.enabled.then(|| {
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(small(http2.max_streams.number()))
            .initial_window_size(small(http2.stream_window.number()))
            .initial_connection_window_size(small(http2.connection_window.number()))
            .max_header_list_size(small(list_max))
            .max_send_buffer_size(SEND_BUFFER)
            .max_local_error_reset_streams(Some(ERRORS_MAX));
        builder
    })
}

/// Serves one client until it leaves, times out, or the worker stops. `ahead` is
/// what has been read of `stream`.
pub(super) async fn serve(stream: Stream, ahead: Bytes, client: Rc<Client>) {
    let worker = Rc::clone(&client.worker);
    let fleet = worker.fleet();
    let Some(builder) = fleet.rules().http2.clone() else {
        return;
    };
    drop(fleet);
    let requests = Rc::new(Requests::new(client));
    let counts = &worker.shared.counts;
    counts.http2_connections.fetch_add(1, Relaxed);
    let io = Watched {
        stream,
        ahead,
        requests: Rc::clone(&requests),
    };
    let opened = requests.in_time(builder.handshake(io)).await;
    if let Some(Ok(mut connection)) = opened {
        let pings = connection.ping_pong();
        converse(&mut connection, pings, &requests).await;
    }
    // Without the connection they all end.
    while requests.n.get() > 0 {
        requests.all_ended.notified().await;
    }
    counts.http2_connections.fetch_sub(1, Relaxed);
}

/// Takes requests for as long as `connection` lasts.
async fn converse(
    connection: &mut Connection<Watched, Bytes>,
    mut pings: Option<PingPong>,
    requests: &Rc<Requests>,
) {
    let worker = &requests.client.worker;
    let mut is_refused = false;
    requests.await_next();
    poll_fn(|cx| {
        requests.timer.watch(cx);
        if worker.is_stopping() && !requests.is_last.replace(true) {
            connection.graceful_shutdown();
            requests.await_next();
        }
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    worker.count_http2();
                    Requests::begin(requests, request, respond);
                }
                // How a client's connection ended is of no consequence to us.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending if requests.is_abused() && !is_refused => {
                    is_refused = true;
                    let counts = &worker.shared.counts;
                    counts.http2_refused.fetch_add(1, Relaxed);
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
                Poll::Pending if !requests.timer.is_due() => return Poll::Pending,
                Poll::Pending => {
                    let is_over = match &mut pings {
                        Some(pings) if requests.n.get() > 0 => !requests.ask(pings, cx),
                        _ if connection.has_streams() => requests.has_stalled(),
                        _ => requests.is_last.get(),
                    };
                    if is_over {
                        return Poll::Ready(());
                    }
                    if !connection.has_streams() && !requests.is_last.replace(true) {
                        connection.graceful_shutdown();
                        requests.await_next();
                    }
                }
            }
        }
    })
    .await;
}

/// What the requests of one connection have in common, and its own deadline:
/// between requests for the next, else for a sign of life.
struct Requests {
    client: Rc<Client>,
    timer: Timer,
    /// How many are being handled.
    n: Cell<u32>,
    /// Of all there were, and of those that the client has given up.
    n_begun: Cell<u32>,
    n_given_up: Cell<u32>,
    /// Whether the client knows that there will be no more.
    is_last: Cell<bool>,
    /// Whether it was asked for a sign of life, or is waited for to read the rest
    /// of its answers, and has given none.
    is_asked: Cell<bool>,
    all_ended: Notify,
}

/// One of them, while it is being handled.
struct Counted(Rc<Requests>);

impl Requests {
    fn new(client: Rc<Client>) -> Self {
        let timer = Timer::new(&client.worker.timers);
        timer.set(client.worker.fleet().rules().waits.client_header);
        Self {
            client,
            timer,
            n: Cell::new(0),
            n_begun: Cell::new(0),
            n_given_up: Cell::new(0),
            is_last: Cell::new(false),
            is_asked: Cell::new(false),
            all_ended: Notify::new(),
        }
    }

    /// What `future` comes to, unless the deadline comes first.
    async fn in_time<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.timer.watch(cx);
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if self.timer.is_due() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Handles a request in a task of its own.
    fn begin(
        this: &Rc<Self>,
        request: http::Request<h2::RecvStream>,
        respond: h2::server::SendResponse<Bytes>,
    ) {
        let n = this.n.get();
        this.n.set(n + 1);
        this.n_begun.set(this.n_begun.get().saturating_add(1));
        if n == 0 {
            this.is_asked.set(false);
            this.timer.set(this.life_wait());
        }
        let counted = Counted(Rc::clone(this));
        tokio::task::spawn_local(request::serve(request, respond, counted));
    }

    /// The client may bring a request, or not.
    fn await_next(&self) {
        if self.n.get() == 0 {
            let wait = match self.is_last.get() {
                true => LAST_CALL.into(),
                false => self.client.worker.fleet().rules().waits.client_idle,
            };
            self.timer.set(wait);
        }
    }

    /// How long nothing may be heard of a client that waits.
    fn life_wait(&self) -> Wait {
        let ping = self.client.worker.fleet().rules().waits.ping;
        ping.unwrap_or(Duration::MAX.into())
    }

    /// Bytes have come from the client.
    fn has_read(&self) {
        if self.n.get() > 0 {
            self.is_asked.set(false);
            self.timer.set(self.life_wait());
        }
    }

    /// Asks the client for a sign of life; whether it makes sense to wait for it.
    fn ask(&self, pings: &mut PingPong, cx: &mut Context<'_>) -> bool {
        if self.is_asked.replace(true) {
            return false;
        }
        // The answer to the last one is in the way of the next.
        let _ = pings.poll_pong(cx);
        self.timer.set(self.life_wait());
        pings.send_ping(Ping::opaque()).is_ok()
    }

    /// Bytes have gone to the client.
    fn has_written(&self) {
        if self.n.get() == 0 && self.is_asked.replace(false) {
            self.timer
                .set(self.client.worker.fleet().rules().waits.stream_idle);
        }
    }

    /// Whether the client does not read the rest of what was answered; it is given
    /// as long as for any part of an answer.
    fn has_stalled(&self) -> bool {
        let wait = self.client.worker.fleet().rules().waits.stream_idle;
        self.timer.set(wait);
        self.is_asked.replace(true)
    }

    /// Whether the client gives up what it asks for as a rule.
    fn is_abused(&self) -> bool {
        let n_given_up = self.n_given_up.get();
        n_given_up >= GIVEN_UP_MAX && n_given_up > self.n_begun.get() / 2
    }
}

impl Counted {
    /// The client does not want its answer any more, of which it has nothing.
    fn given_up(&self) {
        let n = &self.0.n_given_up;
        n.set(n.get().saturating_add(1));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let requests = &self.0;
        let n = requests.n.get() - 1;
        requests.n.set(n);
        if n == 0 {
            requests.await_next();
            requests.all_ended.notify_one();
        }
    }
}

/// A client's stream; tells [`Requests`] when bytes have moved.
struct Watched {
    stream: Stream,
    /// What was read of it already.
    ahead: Bytes,
    requests: Rc<Requests>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let n = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(n));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.requests.has_read();
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        if result.is_ready() {
            self.requests.has_written();
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if result.is_ready() {
            self.requests.has_written();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
