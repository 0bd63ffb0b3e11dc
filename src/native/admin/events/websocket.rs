//! The feed as messages of a WebSocket (RFC 6455), each a line.
//!
//! For clients that have no server-sent events, or a connection that only
//! WebSockets get through. Nothing is to be said to it: it only tells.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::{interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::debug;

use super::follower::Follower;
use crate::native::admin::call::{Answer, Call};
use crate::native::admin::problem::{Kind as Refusal, Problem};
use crate::native::telemetry::feed::{Gone, Line};

/// The largest message of a client, which has nothing to say: room for the reason
/// of its close, and what it says by mistake.
const MESSAGE_MAX: usize = 4 << 10;

/// How often a client is asked whether it lives. Middle boxes forget silent
/// connections after a minute.
const PING: Duration = Duration::from_secs(20);

/// Pings that may stay without an answer. The next one ends the stream.
const SILENT_MAX: u32 = 2;

/// How long a client may take to end its side.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request with these fields asks to change over.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).iter().any(|value| {
        let mut protocols = value.as_bytes().split(|&b| b == b',');
        protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    })
}

/// Changes over, and tells.
pub(super) fn start(call: &Call) -> Answer {
    let response = accept(call)?;
    let Some(upgrade) = call.upgrade.clone() else {
        let detail = "this connection cannot change over to another protocol";
        return Err(Problem::new(Refusal::BadRequest, detail));
    };
    let (follower, state) = Follower::new(call)?;
    let sockets = &call.admin.streams.sockets;
    sockets.spawn(run(upgrade, follower, state));
    Ok(response)
}

/// The answer to a handshake.
fn accept(call: &Call) -> Answer {
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.version_mut() = call.version;
    *request.headers_mut() = call.headers.clone();
    let refuse = |error: Error| {
        let version = HeaderName::from_static("sec-websocket-version");
        Problem::new(
            Refusal::BadRequest,
            format!("this is no handshake of a WebSocket: {error}"),
        )
        .with_header(version, HeaderValue::from_static("13"))
    };
    let response = create_response(&request).map_err(refuse)?;
    Ok(response.map(|()| Body::empty()))
}

async fn run(upgrade: OnUpgrade, mut follower: Follower, state: Option<Line>) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            debug!(%error, "a client did not change over to a WebSocket");
            return;
        }
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let mut socket = Socket::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    let ended = match tell(&mut socket, &mut follower, state).await {
        Ok(reason) => close(&mut socket, reason).await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        debug!(%error, "a stream of events ended early");
    }
}

/// Tells until there is a reason not to; `None` when the client has ended.
async fn tell(
    socket: &mut Socket,
    follower: &mut Follower,
    state: Option<Line>,
) -> Result<Option<CloseFrame>, Error> {
    let because = |code, reason: &'static str| {
        Some(CloseFrame {
            code,
            reason: reason.into(),
        })
    };
    let is_over = follower.is_over.clone();
    let mut pings = interval(PING);
    pings.reset();
    let mut n_silent = 0;
    if let Some(state) = state {
        socket.send(message(&state)).await?;
    }
    loop {
        match follower.take() {
            Ok(Some(lines)) => {
                for line in &lines {
                    socket.feed(message(line)).await?;
                }
                socket.flush().await?;
                continue;
            }
            Ok(None) => {}
            Err(Gone) => {
                let reason = "you could not keep up: come back for the state of then";
                return Ok(because(CloseCode::Again, reason));
            }
        }
        tokio::select! {
            () = is_over.cancelled() => {
                return Ok(because(CloseCode::Away, "the proxy stops"));
            }
            // The sender lives as long as the feed, and that as long as the stream.
            _ = follower.news.changed() => {}
            _ = pings.tick() => {
                if n_silent >= SILENT_MAX {
                    return Ok(because(CloseCode::Policy, "you answer no ping"));
                }
                n_silent += 1;
                socket.send(Message::Ping(Bytes::new())).await?;
            }
            heard = socket.next() => match heard {
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    let reason = "this stream only tells; send nothing";
                    return Ok(because(CloseCode::Unsupported, reason));
                }
                // The answers to pings and closes are sent by the library.
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Ok(_)) => n_silent = 0,
                Some(Err(error)) => return Err(error),
            }
        }
    }
}

/// Says why, and waits a little until the client has ended, too.
async fn close(socket: &mut Socket, reason: Option<CloseFrame>) -> Result<(), Error> {
    if reason.is_some() {
        socket.close(reason).await?;
    } else {
        socket.flush().await?;
    }
    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
    // Whoever has not ended by then is left alone.
    let _ = timeout(CLOSE_WAIT, rest).await;
    Ok(())
}

fn message(line: &Line) -> Message {
    // JSON is UTF-8 always.
    Message::Text(Utf8Bytes::try_from(line.message()).unwrap_or_default())
}
