//! What the proxy answers when it has no server's answer to pass on.
//!
//! The only place in the proxy that knows status codes. The texts are for the
//! person at the other end: they say what happened, and nothing of what stands
//! behind the proxy.

use core::fmt;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::rate_limit;
use crate::engine::NoServer;
use crate::native::rate_limit::Allowance;

/// Why a request gets an answer from the proxy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyError {
    /// The request is not one that may be forwarded; the text says why.
    BadRequest(&'static str),
    /// The request's body stopped coming.
    BodyTimeout,
    /// Who asks has asked too often.
    RateLimited(Allowance),
    /// `CONNECT`: this is no forward proxy.
    Connect,
    /// `Max-Forwards` let it come here and no further, so it is for the proxy
    /// itself.
    LastStep,
    /// `TRACE` that came here and may go no further: what it would show, such as
    /// cookies, is not for scripts to read.
    Trace,
    /// It has come by here so often that it goes in a circle.
    Loop,
    /// It asks to change over to another protocol, which its server's connections
    /// do not.
    NoUpgrade,
    /// There was nowhere to send it.
    NoServer(NoServer),
    /// The last server that was tried could not be connected to.
    ConnectFailed,
    /// No connection to the last server that was tried came about in time.
    ConnectTimeout,
    /// The server broke off before it answered.
    Broken,
    /// The server's answer is not one that may be passed on.
    BadAnswer,
    /// The server did not answer in time.
    AnswerTimeout,
}

impl ProxyError {
    /// The answer's status.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Connect | Self::Trace => StatusCode::METHOD_NOT_ALLOWED,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::LastStep => StatusCode::OK,
            Self::NoUpgrade => StatusCode::NOT_IMPLEMENTED,
            Self::NoServer(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectFailed | Self::Broken | Self::BadAnswer => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::AnswerTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// A short name, as traces have it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::BodyTimeout => "body_timeout",
            Self::Connect => "connect_method",
            Self::NoUpgrade => "no_upgrade",
            Self::NoServer(_) => "no_server",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::Broken => "broken",
            Self::BadAnswer => "bad_answer",
            Self::AnswerTimeout => "answer_timeout",
            Self::RateLimited(_) => "rate_limited",
            Self::LastStep => "last_step",
            Self::Trace => "trace_method",
            Self::Loop => "loop",
        }
    }

    /// The answer, with a line of text as its body.
    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        match self {
            // A server may be back, or be added, at any moment; one second
            // keeps the clients of a dead fleet from asking in a loop.
            Self::NoServer(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::RateLimited(allowance) => {
                headers.insert(RETRY_AFTER, allowance.wait().into());
                rate_limit::tell(&[allowance], headers);
            }
            Self::Connect | Self::Trace | Self::LastStep => {
                headers.insert(
                    ALLOW,
                    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
                );
            }
            // Where such a request ends, programs may differ: what comes behind
            // it is not read (RFC 9112, section 11.2).
            Self::BadRequest(_) => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest(why) => return write!(f, "bad request: {why}"),
            Self::BodyTimeout => "request timeout: the body stopped coming",
            Self::RateLimited(allowance) => {
                let wait = allowance.wait();
                return write!(f, "too many requests: try again in {wait} s");
            }
            Self::Connect => "CONNECT is not offered here",
            Self::LastStep => "this is a proxy, and Max-Forwards lets the request go no further",
            Self::Trace => "TRACE is not answered here, and Max-Forwards lets it go no further",
            Self::Loop => "loop detected: the request has come by here too often",
            Self::NoUpgrade => "not implemented: no change to another protocol here",
            Self::NoServer(why) => return write!(f, "service unavailable: {why}"),
            Self::ConnectFailed => "bad gateway: the server could not be connected to",
            Self::ConnectTimeout => "gateway timeout: the server could not be connected to in time",
            Self::Broken => "bad gateway: the server broke off before it answered",
            Self::BadAnswer => "bad gateway: the server's answer cannot be passed on",
            Self::AnswerTimeout => "gateway timeout: the server did not answer in time",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_fault_is_never_a_5xx_and_ours_is_never_a_4xx() {
        for (error, status) in [
            (ProxyError::BadRequest("x"), 400),
            (ProxyError::BodyTimeout, 408),
            (ProxyError::Connect, 405),
            (ProxyError::LastStep, 200),
            (ProxyError::Trace, 405),
            (ProxyError::Loop, 508),
            (ProxyError::NoUpgrade, 501),
            (ProxyError::NoServer(NoServer::Empty), 503),
            (ProxyError::ConnectFailed, 502),
            (ProxyError::Broken, 502),
            (ProxyError::BadAnswer, 502),
            (ProxyError::ConnectTimeout, 504),
            (ProxyError::AnswerTimeout, 504),
        ] {
            assert_eq!(error.into_response().status().as_u16(), status, "{error}");
        }
    }
}
