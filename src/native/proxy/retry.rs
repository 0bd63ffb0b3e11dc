//! Whether a request that failed may be tried at its key's next candidate.
//!
//! Pure: how an attempt failed goes in, yes or no comes out. A request that a
//! server may have acted on is never sent twice unless its method says that
//! twice is as once (RFC 9110, section 9.2.2).

use http::Method;

use super::error::ProxyError;
use crate::engine::Outcome;

/// How an attempt ended that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection: the server saw nothing of the request.
    Connect,
    /// No connection in time: the server saw nothing of the request.
    ConnectTimeout,
    /// A kept connection turned out to be broken before anything was sent:
    /// the server saw nothing of the request, and it says nothing of the
    /// server, which may end an idle connection at any time.
    Unsent,
    /// A kept connection ended without a byte of an answer. Most likely the
    /// server ended it as idle while the request was under way, but it may
    /// have seen it.
    Stale,
    /// A new connection ended, or did not speak HTTP, before the head of an
    /// answer was whole.
    Broken,
    /// The head of the answer did not come in time.
    AnswerTimeout,
    /// The client's body was malformed, or broke off.
    BadBody,
    /// The client's body stopped coming.
    BodyTimeout,
}

impl Failure {
    /// How it is counted and what it says of the server; `None` when it says
    /// nothing, because another attempt at the same server follows or because
    /// the client is at fault.
    pub(super) const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Connect | Self::ConnectTimeout => Some(Outcome::ConnectError),
            Self::Broken | Self::AnswerTimeout => Some(Outcome::NoAnswer),
            Self::Unsent | Self::Stale | Self::BadBody | Self::BodyTimeout => None,
        }
    }

    /// What the client is told when no further attempt is made.
    pub(super) const fn error(self) -> ProxyError {
        match self {
            Self::Connect => ProxyError::ConnectFailed,
            Self::ConnectTimeout => ProxyError::ConnectTimeout,
            Self::Unsent | Self::Stale | Self::Broken => ProxyError::Broken,
            Self::AnswerTimeout => ProxyError::AnswerTimeout,
            Self::BadBody => ProxyError::BadRequest("bad body"),
            Self::BodyTimeout => ProxyError::BodyTimeout,
        }
    }

    /// Whether the same server is asked again, over a new connection, before
    /// the key moves on: what failed was the connection and not the server.
    /// This happens once for each server at most, for a new connection fails
    /// otherwise.
    pub(super) const fn keeps_server(self) -> bool {
        matches!(self, Self::Unsent | Self::Stale)
    }

    /// Whether another attempt may be made, given that the request can be sent
    /// again as it was.
    pub(super) fn may_try_again(self, method: &Method) -> bool {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::Unsent => true,
            Self::Stale | Self::Broken => method.is_idempotent(),
            // The client has waited for as long as it was allowed to.
            Self::AnswerTimeout | Self::BadBody | Self::BodyTimeout => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_server_saw_is_sent_again_whatever_the_method() {
        use Failure::{AnswerTimeout, Broken, Connect, ConnectTimeout, Stale, Unsent};
        for (failure, get, post) in [
            (Connect, true, true),
            (ConnectTimeout, true, true),
            (Unsent, true, true),
            (Stale, true, false),
            (Broken, true, false),
            (AnswerTimeout, false, false),
        ] {
            assert_eq!(failure.may_try_again(&Method::GET), get, "{failure:?}");
            assert_eq!(failure.may_try_again(&Method::POST), post, "{failure:?}");
        }
    }
}
