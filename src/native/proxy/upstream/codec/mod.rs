//! HTTP/1.1 towards servers, of our own: what is written, what is read, and
//! where the one ends and the next begins (RFC 9112).
//!
//! It is driven inside the task of the client whose request it carries: there
//! is no task for a connection, and none to wake. An idle connection is a
//! socket and nothing else; whether its server has ended it is asked when it
//! is to be used again.
//!
//! Reading is strict: an answer that two programs could read differently is
//! none, and a connection on which anything is left over behind an answer is
//! not used again. `differential` holds it against hyper's client, and lists
//! where it means to differ.
//!
//! - `head`, `chunked`, `framing`: an answer's head, and where its body ends;
//! - `request`: a request's head, and how its body is framed;
//! - `input`, `output`: bytes that have come, bytes that have yet to go;
//! - `upload`: a request's body on its way;
//! - `connection`: all of that on one connection.

mod chunked;
mod connection;
#[cfg(test)]
mod differential;
mod framing;
mod head;
mod input;
mod output;
mod request;
mod upload;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) use connection::{Answer, Connection, Fault};
pub(super) use framing::Decoder;
pub(super) use upload::Upload;

/// Why what a server sent is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad(&'static str);

/// Where an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// Where it says so itself.
    Chunked,
    /// Where the connection ends.
    UntilClose,
}

/// What is next of an answer's body.
#[derive(Debug)]
pub(super) enum Step {
    /// A piece of it, not empty.
    Data(Bytes),
    /// The fields behind it, which end it.
    Trailers(HeaderMap),
    /// Nothing: more has to come first.
    More,
    /// Nothing: it has ended.
    End,
}

/// What carries the bytes.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Unpin {
    /// Whether nothing has come that is not read yet, not even the end. Asks
    /// and does not wait; bytes that it finds are lost.
    fn is_quiet(&mut self) -> bool;

    /// Whether a write that fails has sent nothing. Not where bytes are taken
    /// in first and sent later.
    fn is_direct(&self) -> bool;
}
