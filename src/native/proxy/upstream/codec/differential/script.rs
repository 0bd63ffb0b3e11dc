//! A server that follows a script, as a stream in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::Carrier;

/// How the server's side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It stays open and says no more.
    Waits,
    Closes,
    Resets,
}

/// What the server says, piece by piece, once it has got anything.
#[derive(Clone)]
pub(super) struct Script {
    pieces: VecDeque<Bytes>,
    end: End,
    /// Whether the next piece has yet to come.
    pauses: bool,
    /// How much it takes at a time, over and over; 0 is nothing for now.
    takes: Vec<usize>,
    n_writes: usize,
    n_written: usize,
    /// Where all that it takes is seen.
    record: Option<Record>,
    /// How much it takes before it says anything.
    after: usize,
}

/// What a script has taken.
pub(super) type Record = Rc<RefCell<Vec<u8>>>;

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lens = self.pieces.iter().map(Bytes::len);
        let lens: Vec<usize> = lens.take(20).collect();
        write!(f, "pieces of {lens:?}… bytes, then {:?}", self.end)
    }
}

impl Script {
    /// Says `bytes`, cut into pieces of these lengths and a last one.
    pub(super) fn new(bytes: &[u8], lens: &[usize], end: End) -> Self {
        let mut rest = Bytes::copy_from_slice(bytes);
        let mut pieces = VecDeque::new();
        for &len in lens {
            if len > 0 && len < rest.len() {
                pieces.push_back(rest.split_to(len));
            }
        }
        if !rest.is_empty() {
            pieces.push_back(rest);
        }
        Self {
            pieces,
            end,
            pauses: true,
            takes: Vec::new(),
            n_writes: 0,
            n_written: 0,
            record: None,
            after: 1,
        }
    }

    /// Takes so much at a time.
    pub(super) fn taking(mut self, takes: Vec<usize>) -> Self {
        self.takes = takes;
        self
    }

    /// Says nothing, and has what it takes seen in `record`.
    pub(super) fn recorded(mut self, record: &Record) -> Self {
        self.record = Some(Rc::clone(record));
        self.after = usize::MAX;
        self
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    pub(super) fn n_pieces(&self) -> usize {
        self.pieces.len()
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.n_written < self.after || std::mem::take(&mut self.pauses) {
            return Poll::Pending;
        }
        let Some(piece) = self.pieces.front_mut() else {
            return match self.end {
                End::Waits => Poll::Pending,
                End::Closes => Poll::Ready(Ok(())),
                End::Resets => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            };
        };
        let n = piece.len().min(buf.remaining());
        buf.put_slice(&piece[..n]);
        piece.advance(n);
        if piece.is_empty() {
            self.pieces.pop_front();
            self.pauses = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = match self.takes.len() {
            0 => buf.len(),
            n => self.takes[self.n_writes % n].min(buf.len()),
        };
        self.n_writes += 1;
        if n == 0 && !buf.is_empty() {
            return Poll::Pending;
        }
        self.n_written += n;
        if let Some(record) = &self.record {
            record.borrow_mut().extend_from_slice(&buf[..n]);
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Carrier for Script {
    fn is_quiet(&mut self) -> bool {
        self.pieces.is_empty() && self.end == End::Waits
    }

    fn is_direct(&self) -> bool {
        true
    }
}
