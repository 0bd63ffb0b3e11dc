//! The leg to the servers.
//!
//! One trait, [`Exchange`], is all that the rest of the proxy knows of it: a
//! request goes in and an answer comes out. How connections are made, kept and
//! spoken over is the business of its implementations.

mod gate;
mod http1;

use std::rc::Rc;

use http::{Request, Response, StatusCode};

use super::in_hand::InHand;
use super::retry::Failure;
use super::timer::Wait;
use super::upload::RequestBody;

pub(super) use http1::Pool;

/// The body of a server's answer.
pub(super) type Body = <Pool as Exchange>::Body;

/// How long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptWaits {
    /// Until there is a connection.
    pub(super) connect: Wait,
    /// From then on until there is an answer; a body on its way to the server
    /// moves this on.
    pub(super) answer: Wait,
}

/// Which connections an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// A kept one if there is one, else a new one.
    KeptOrNew,
    /// A new one.
    New,
}

/// Speaks to one server.
pub(super) trait Exchange {
    /// The body of an answer. Dropping it early gives up the rest.
    type Body: http_body::Body<Data = bytes::Bytes, Error = hyper::Error> + Unpin + 'static;

    /// Sends `request` and waits for the head of the answer to it, which it puts
    /// into `answer`, and whose status it returns: answers are large, and each
    /// step that one is returned through moves it. Dropping the future gives the
    /// attempt up. Deadlines are kept on the timer of what is `in_hand`.
    ///
    /// # Errors
    /// When there is no answer. A request of which nothing was sent is back in
    /// its place.
    async fn exchange(
        self: &Rc<Self>,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<Self::Body>>,
        connection: Connection,
        in_hand: &InHand,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure>;
}
