//! Bytes that have come over a connection and are not used yet.
//!
//! All connections of a thread read into one arena. What was read is copied
//! out of it while that is cheap, so that an answer keeps no more memory than
//! it is long, and handed out as it lies there where it is much: large bodies
//! are not copied. A connection at rest has no buffer.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::io::poll_read_buf;

use super::Carrier;

/// The arena; the most that is read at a time.
const ARENA: usize = 128 * 1024;
/// Up to here what was read is copied. Whoever holds a larger piece holds the
/// arena that it lies in, of which it is an eighth or more.
const COPY_MAX: usize = 16 * 1024;

thread_local! {
    /// Taken for the time of one read, which never waits.
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// What has come and was not taken.
#[derive(Default)]
pub(super) struct Input {
    pub(super) bytes: Bytes,
}

impl Input {
    /// Reads up to `limit` bytes more; how many they were, 0 at the end.
    pub(super) fn poll_fill(
        &mut self,
        stream: &mut impl Carrier,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let mut arena = SPARE.take();
        let limit = limit.min(ARENA);
        if arena.capacity() < limit {
            arena.reserve(ARENA);
        }
        let read = poll_read_buf(Pin::new(stream), cx, &mut (&mut arena).limit(limit));
        if let Poll::Ready(Ok(n @ 1..)) = read {
            self.add(&mut arena, n);
        }
        SPARE.set(arena);
        Poll::Ready(ready!(read))
    }

    fn add(&mut self, arena: &mut BytesMut, n: usize) {
        if self.bytes.has_remaining() {
            // A head that comes in pieces; rare, and short.
            let before = std::mem::take(&mut self.bytes).try_into_mut();
            let mut before = before.unwrap_or_else(|bytes| BytesMut::from(&bytes[..]));
            before.extend_from_slice(arena);
            self.bytes = before.freeze();
            arena.clear();
        } else if n <= COPY_MAX {
            self.bytes = Bytes::copy_from_slice(arena);
            arena.clear();
        } else {
            self.bytes = arena.split().freeze();
        }
    }
}
