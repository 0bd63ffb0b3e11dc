//! Whether a request that failed may be tried at its key's next candidate.
//!
//! Pure: how an attempt failed goes in, yes or no comes out. A request that a
//! server may have acted on is never sent twice unless its method says that
//! twice is as once (RFC 9110, section 9.2.2).

use http::Method;

use super::error::ProxyError;
use crate::engine::Outcome;
use crate::native::retries::Reason;

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
    /// answer was whole, or the part of its body that is awaited.
    Broken,
    /// The head of the answer did not come in time.
    AnswerTimeout,
    /// The answer did not come in the time that one attempt has.
    TryTimeout,
    /// Probes or ejection took the server out while it was waited for.
    TakenOut,
    /// The server said that it has done nothing of the request, over a connection
    /// to which it was moved because of that.
    Refused,
    /// There was no room on any connection, and there may be no more of them.
    Full,
    /// The request asks to change over to another protocol, and the server's
    /// connections do not.
    NoUpgrade,
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
            Self::Broken
            | Self::Refused
            | Self::Full
            | Self::AnswerTimeout
            | Self::TryTimeout
            | Self::TakenOut => Some(Outcome::NoAnswer),
            Self::Unsent | Self::Stale | Self::NoUpgrade | Self::BadBody | Self::BodyTimeout => {
                None
            }
        }
    }

    /// Whether the server is to be judged by it: not by what follows from a
    /// judgement, nor by how much it has to do.
    pub(super) const fn is_judged(self) -> bool {
        !matches!(self, Self::TakenOut | Self::Full)
    }

    /// What the client is told when no further attempt is made.
    pub(super) const fn error(self) -> ProxyError {
        match self {
            Self::Connect => ProxyError::ConnectFailed,
            Self::ConnectTimeout | Self::Full => ProxyError::ConnectTimeout,
            Self::Unsent | Self::Stale | Self::Broken | Self::Refused => ProxyError::Broken,
            Self::NoUpgrade => ProxyError::NoUpgrade,
            Self::AnswerTimeout | Self::TryTimeout | Self::TakenOut => ProxyError::AnswerTimeout,
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

    /// Why the next attempt is made, if it is made at another server.
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::Full => Reason::Connect,
            Self::TryTimeout => Reason::Timeout,
            Self::TakenOut => Reason::TakenOut,
            _ => Reason::Broken,
        }
    }

    /// Whether another attempt may be made, given that the request can be sent
    /// again as it was.
    pub(super) fn may_try_again(self, method: &Method) -> bool {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::Unsent | Self::Refused | Self::Full => {
                true
            }
            Self::Stale | Self::Broken | Self::TryTimeout | Self::TakenOut => {
                method.is_idempotent()
            }
            // The client has waited for as long as it was allowed to.
            Self::AnswerTimeout | Self::BadBody | Self::BodyTimeout | Self::NoUpgrade => false,
        }
    }
}

/// Whether a retry for this reason takes a place of the budget: it does when a
/// server may have worked on the request in vain, so that retries add to the
/// load. What could not be connected to has done nothing, and what was taken
/// out gets no new requests: there the others bear its part anyway.
pub(super) const fn is_budgeted(reason: Reason) -> bool {
    matches!(reason, Reason::Broken | Reason::Status | Reason::Timeout)
}

/// How many retries may be under way while `n_in_flight` requests are.
pub(super) fn budget(n_in_flight: u64, percent: u64, min: u64) -> u32 {
    let part = n_in_flight.saturating_mul(percent) / 100;
    u32::try_from(part.max(min)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_a_part_of_what_is_in_flight_and_never_below_its_minimum() {
        assert_eq!(budget(0, 20, 3), 3);
        assert_eq!(budget(15, 20, 3), 3);
        assert_eq!(budget(20, 20, 3), 4);
        assert_eq!(budget(1000, 20, 3), 200);
        assert_eq!(budget(1000, 0, 0), 0);
    }

    #[test]
    fn only_what_no_server_saw_is_sent_again_whatever_the_method() {
        use Failure::{
            AnswerTimeout, Broken, Connect, ConnectTimeout, Full, NoUpgrade, Refused, Stale,
            TakenOut, TryTimeout, Unsent,
        };
        for (failure, get, post) in [
            (Connect, true, true),
            (ConnectTimeout, true, true),
            (Unsent, true, true),
            (Refused, true, true),
            (Full, true, true),
            (NoUpgrade, false, false),
            (Stale, true, false),
            (Broken, true, false),
            (TryTimeout, true, false),
            (TakenOut, true, false),
            (AnswerTimeout, false, false),
        ] {
            assert_eq!(failure.may_try_again(&Method::GET), get, "{failure:?}");
            assert_eq!(failure.may_try_again(&Method::POST), post, "{failure:?}");
        }
    }
}
