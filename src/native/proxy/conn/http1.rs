//! HTTP/1.1 with a client.
//!
//! hyper parses and writes it; what it does not do by itself (time limits,
//! ending gracefully on demand) is done around it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;
use crate::native::proxy::client::Client;
use crate::native::proxy::handler;
use crate::native::proxy::in_hand::InHand;

/// Serves one client until it leaves, times out, or the worker stops.
pub(super) async fn serve(stream: Stream, client: Rc<Client>) {
    let worker = Rc::clone(&client.worker);
    let in_hand = Rc::new(InHand::new(client));
    let stream = Rc::new(RefCell::new(stream));
    let io = TokioIo::new(Watched {
        io: Rc::clone(&stream),
        in_hand: Rc::clone(&in_hand),
    });
    let service = service_fn(|request| handler::handle(Rc::clone(&in_hand), request));
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
        if in_hand.has_left(&mut stream.borrow_mut(), cx) {
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
    let Some(tunnel) = in_hand.tunnel.take() else {
        return;
    };
    // What the client has sent since is hyper's up to here, and the tunnel's now.
    let early = connection.into_parts().read_buf;
    if let (Ended::Whole, Ok(stream)) = (ended, Rc::try_unwrap(stream)) {
        // Apart, so that connections that become none do not have room for one.
        Box::pin(tunnel.run(&in_hand, stream.into_inner(), early)).await;
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
    io: Rc<RefCell<Stream>>,
    in_hand: Rc<InHand>,
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut *self.io.borrow_mut()).poll_read(cx, buf);
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
        let result = Pin::new(&mut *self.io.borrow_mut()).poll_write(cx, buf);
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
        let result = Pin::new(&mut *self.io.borrow_mut()).poll_write_vectored(cx, bufs);
        if result.is_ready() {
            self.in_hand.has_written();
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
