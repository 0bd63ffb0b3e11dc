//! HTTP/1.1 with a client.
//!
//! hyper parses and writes it; what it does not do by itself (time limits,
//! ending gracefully on demand) is done around it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;
use super::http2::{self, PREFACE};
use crate::native::proxy::client::Client;
use crate::native::proxy::handler;
use crate::native::proxy::in_hand::InHand;
use crate::native::proxy::upload::ClientBody;

/// Serves one client until it leaves, times out, or the worker stops.
pub(super) async fn serve(stream: Stream, client: Rc<Client>) {
    let worker = Rc::clone(&client.worker);
    let in_hand = Rc::new(InHand::new(client));
    let wire = Rc::new(Wire {
        stream: RefCell::new(stream),
        preface: RefCell::default(),
        speaks_http2: worker.fleet().rules().http2.is_some(),
    });
    let io = TokioIo::new(Watched {
        wire: Rc::clone(&wire),
        in_hand: Rc::clone(&in_hand),
    });
    let service = service_fn(|request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        handler::handle(Rc::clone(&in_hand), head, ClientBody::Http1(body))
    });
    let mut connection = worker.fleet().rules().http1.serve_connection(io, service);
    let (mut is_last_call, mut is_told_to_stop) = (false, false);
    let ended = poll_fn(|cx| {
        in_hand.timer.watch(cx);
        if in_hand.timer.is_due() && in_hand.ends_when_due() {
            return Poll::Ready(Ended::Cut);
        }
        if worker.is_stopping() && !is_last_call {
            is_last_call = true;
            in_hand.last_call();
        }
        match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ended::Whole),
            // How else a client's connection ended is of no consequence to us.
            Poll::Ready(Err(_)) => return Poll::Ready(Ended::Cut),
            Poll::Pending => {}
        }
        if in_hand.has_left(&mut wire.stream.borrow_mut(), cx) {
            return Poll::Ready(Ended::Cut);
        }
        if is_last_call && !is_told_to_stop && in_hand.awaits_answer() {
            is_told_to_stop = true;
            // Ends the connection after this request, and says so in its answer.
            Pin::new(&mut connection).graceful_shutdown();
        }
        Poll::Pending
    })
    .await;
    if wire.is_http2() {
        let client = Rc::clone(&in_hand.client);
        drop(connection);
        drop(in_hand);
        if let Some(wire) = Rc::into_inner(wire) {
            let (stream, preface) = (wire.stream.into_inner(), wire.preface.into_inner());
            // Apart, so that connections that do not have no room for it.
            return Box::pin(http2::serve(stream, preface.into(), client)).await;
        }
        return;
    }
    let Some(tunnel) = in_hand.tunnel.take() else {
        return;
    };
    // What the client has sent since is hyper's up to here, and the tunnel's now.
    let early = connection.into_parts().read_buf;
    if let (Ended::Whole, Some(wire)) = (ended, Rc::into_inner(wire)) {
        // Apart, so that connections that become none do not have room for one.
        Box::pin(tunnel.run(&in_hand, wire.stream.into_inner(), early)).await;
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
pub(in crate::native::proxy) fn builder(limits: &crate::config::Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Not because clients may: hyper finds out that one has left by reading
    // ahead, which takes another 8 KiB for each request. See `InHand::has_left`.
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

/// A client's stream; tells [`InHand`] when bytes have moved.
struct Watched {
    wire: Rc<Wire>,
    in_hand: Rc<InHand>,
}

/// What the client and hyper speak over.
struct Wire {
    stream: RefCell<Stream>,
    /// What the client began with, while that may be the preface of HTTP/2; once
    /// it is, and all that has come with it.
    preface: RefCell<Vec<u8>>,
    speaks_http2: bool,
}

impl Wire {
    /// Whether the client speaks HTTP/2.
    fn is_http2(&self) -> bool {
        self.preface.borrow().starts_with(PREFACE)
    }

    /// Whether `bytes` begin as HTTP/2 does, as far as they go.
    fn may_be_http2(&self, bytes: &[u8]) -> bool {
        let n = bytes.len().min(PREFACE.len());
        self.speaks_http2 && bytes[..n] == PREFACE[..n]
    }

    /// Reads the first that comes: for hyper, unless it is the preface of HTTP/2,
    /// with which hyper's part ends.
    #[cold]
    fn poll_first(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (mut stream, mut preface) = (self.stream.borrow_mut(), self.preface.borrow_mut());
        if preface.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            if read.is_empty() || !self.may_be_http2(read) {
                return Poll::Ready(Ok(()));
            }
            preface.extend_from_slice(read);
            buf.set_filled(before);
        }
        while self.may_be_http2(&preface) {
            if preface.len() >= PREFACE.len() {
                return Poll::Ready(Err(io::Error::other("the client speaks HTTP/2")));
            }
            let mut more = [0; PREFACE.len()];
            let mut more = ReadBuf::new(&mut more[preface.len()..]);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut more))?;
            if more.filled().is_empty() {
                break;
            }
            preface.extend_from_slice(more.filled());
        }
        // Shorter than two prefaces.
        buf.put_slice(&mem::take(&mut *preface));
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = if self.in_hand.is_new() {
            self.wire.poll_first(cx, buf)
        } else {
            Pin::new(&mut *self.wire.stream.borrow_mut()).poll_read(cx, buf)
        };
        let read = &buf.filled()[before..];
        if !read.is_empty() {
            self.in_hand.has_read(read);
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.wire.stream.borrow_mut()).poll_write(cx, buf);
        if result.is_ready() {
            self.in_hand.has_written();
        }
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.wire.stream.borrow_mut()).poll_write_vectored(cx, bufs);
        if result.is_ready() {
            self.in_hand.has_written();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.wire.is_http2() {
            // It has only just begun.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.wire.stream.borrow_mut()).poll_shutdown(cx)
    }
}
