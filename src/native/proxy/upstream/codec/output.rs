//! Bytes that have yet to go out over a connection: short ones joined, so that
//! a head and a short body leave in one write; a large one beside them, not
//! copied.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::Carrier;

/// Up to here a piece of a body is joined to what stands before it.
const JOIN_MAX: usize = 4 * 1024;
/// How much is joined before it is written.
const FULL: usize = 16 * 1024;

thread_local! {
    /// A buffer to join in: mostly all is written at once, and one buffer
    /// serves all connections of a thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What is to be written.
#[derive(Default)]
pub(super) struct Output {
    joined: Vec<u8>,
    /// How much of `joined` was written.
    n_written: usize,
    /// A large piece that comes after `joined`.
    large: Bytes,
    /// What comes after that.
    tail: Cow<'static, [u8]>,
    /// Whether the carrier may still hold what it took.
    is_held: bool,
    /// Whether anything has left.
    has_left: bool,
}

impl Output {
    /// Where the head of a request is written.
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        self.has_left = false;
        if self.joined.capacity() == 0 {
            self.joined = SPARE.take();
        }
        &mut self.joined
    }

    /// Whether more may be added before it is written.
    pub(super) fn has_room(&self) -> bool {
        !self.has_more_after() && self.joined.len() < FULL
    }

    /// Adds bytes that are not worth a write of their own.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if self.has_more_after() {
            self.tail.to_mut().extend_from_slice(bytes);
            return;
        }
        if self.joined.capacity() == 0 {
            self.joined = SPARE.take();
        }
        self.joined.extend_from_slice(bytes);
    }

    /// Adds a piece of a body and what comes after it. Only while there is room.
    pub(super) fn add_piece(&mut self, piece: Bytes, tail: &'static [u8]) {
        if piece.len() <= JOIN_MAX {
            self.add(&piece);
            self.add(tail);
        } else {
            (self.large, self.tail) = (piece, Cow::Borrowed(tail));
        }
    }

    /// Whether anything comes after `joined`.
    fn has_more_after(&self) -> bool {
        !self.large.is_empty() || !self.tail.is_empty()
    }

    /// Whether anything was written of what was added since the head.
    pub(super) fn has_left(&self) -> bool {
        self.has_left
    }

    /// Whether all was written.
    pub(super) fn is_empty(&self) -> bool {
        self.joined.is_empty() && !self.has_more_after() && !self.is_held
    }

    /// Gives up what was not written.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes all of it.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut impl Carrier,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.n_written < self.joined.len() || self.has_more_after() {
            let joined = &self.joined[self.n_written..];
            let stream = Pin::new(&mut *stream);
            let written = if self.has_more_after() {
                let pieces = [joined, &self.large, &self.tail].map(IoSlice::new);
                stream.poll_write_vectored(cx, &pieces)
            } else {
                stream.poll_write(cx, joined)
            };
            let n = ready!(written)?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            (self.has_left, self.is_held) = (true, true);
            self.advance(n);
        }
        if self.is_held {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.is_held = false;
        }
        self.rest();
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut n: usize) {
        let from_joined = n.min(self.joined.len() - self.n_written);
        self.n_written += from_joined;
        n -= from_joined;
        let from_large = n.min(self.large.len());
        self.large.advance(from_large);
        match (n - from_large, &mut self.tail) {
            (0, _) => {}
            (n, Cow::Borrowed(tail)) => *tail = &tail[n..],
            (n, Cow::Owned(tail)) => drop(tail.drain(..n)),
        }
    }

    /// Gives the buffer to whoever writes next.
    fn rest(&mut self) {
        if self.joined.capacity() > 0 {
            let mut joined = std::mem::take(&mut self.joined);
            joined.clear();
            if joined.capacity() <= 2 * FULL {
                SPARE.set(joined);
            }
        }
        self.n_written = 0;
    }
}
