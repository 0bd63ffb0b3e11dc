//! Sends one request to one server, for an operator to see what comes back.
//!
//! Not the proxy's way: a connection of its own, no retry, no header of the
//! proxy's, and neither counted nor held against the server.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::{RequestPath, Timeouts};
use crate::engine::{Server, Timestamp};
use crate::native::clock;
use crate::native::proxy_protocol;
use crate::wire::{ForwardView, HeaderView, TookView};

/// The most that is passed on of an answer's body.
const BODY_MAX: usize = 1 << 20;

/// The longest head of an answer.
const HEAD_MAX: usize = 64 << 10;

/// Requests under way at a time: each may hold a few megabytes. Further ones
/// wait their turn, which comes, since each of them ends in time.
static PLACES: Semaphore = Semaphore::const_new(16);

/// A request to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) path: RequestPath,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// Sends `outgoing` to `server`. Whatever happens is told in the view.
pub(super) async fn send(server: &Server, outgoing: Outgoing, timeouts: &Timeouts) -> ForwardView {
    // Never closed, so there is always a place sooner or later.
    let _place = PLACES.acquire().await;
    let started = clock::now();
    let mut view = ForwardView::default();
    if let Err(why) = exchange(server, outgoing, timeouts, started, &mut view).await {
        view.error = Some(why);
    }
    view.took_ms.total = millis(started);
    view
}

async fn exchange(
    server: &Server,
    outgoing: Outgoing,
    timeouts: &Timeouts,
    started: Timestamp,
    view: &mut ForwardView,
) -> Result<(), String> {
    let authority = format!("{}:{}", server.address.in_authority(), server.port.number());
    let took: &mut TookView = &mut view.took_ms;
    let address = (server.address.as_str(), server.port.number());
    let mut stream = within(
        timeouts.connect.duration(),
        TcpStream::connect(address),
        &format!("no connection to {authority}"),
    )
    .await?;
    took.connect = Some(millis(started));
    // Only a matter of speed.
    let _ = stream.set_nodelay(true);
    if let Some(header) = proxy_protocol::own_header(server) {
        let sent = stream.write_all(&header).await;
        sent.map_err(|error| error.to_string())?;
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut request = Request::new(Full::new(Bytes::from(outgoing.body)));
    *request.method_mut() = outgoing.method;
    *request.uri_mut() = outgoing
        .path
        .as_str()
        .parse()
        .map_err(|error| format!("the path cannot be sent: {error}"))?;
    *request.headers_mut() = outgoing.headers;
    if let Ok(host) = HeaderValue::from_str(&authority) {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    // The connection is driven beside the exchange, and dropped with it.
    let mut connection = pin!(connection);
    let mut is_driven = true;
    let mut talk = pin!(async {
        let wait = timeouts.response_header.duration();
        let response = within(wait, sender.send_request(request), "no answer").await?;
        took.head = Some(millis(started));
        view.status = Some(response.status().as_u16());
        let headers = response.headers().iter();
        view.headers = headers
            .map(|(name, value)| HeaderView {
                name: name.to_string(),
                value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
            })
            .collect();
        let mut content = BytesMut::new();
        let ended = timeout(wait, read(response.into_body(), &mut content)).await;
        let ended = ended.unwrap_or_else(|_| Err(too_late("the body was not whole", wait)));
        view.truncated = !matches!(ended, Ok(true));
        let (body, encoding) = match String::from_utf8(content.into()) {
            Ok(text) => (text, "text"),
            Err(error) => (BASE64.encode(error.as_bytes()), "base64"),
        };
        view.body = Some(body);
        view.body_encoding = Some(encoding);
        ended.map(|_| ())
    });
    loop {
        tokio::select! {
            result = &mut talk => return result,
            // Its end is told to the exchange, too.
            _ = &mut connection, if is_driven => is_driven = false,
        }
    }
}

/// Reads a body, and says whether that was all of it.
async fn read(mut body: Incoming, content: &mut BytesMut) -> Result<bool, String> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the body broke off: {}", causes(&error)))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let room = BODY_MAX - content.len();
        content.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn within<T, E: std::error::Error>(
    wait: Duration,
    work: impl Future<Output = Result<T, E>>,
    what: &str,
) -> Result<T, String> {
    match timeout(wait, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("{what}: {}", causes(&error))),
        Err(_) => Err(too_late(what, wait)),
    }
}

fn too_late(what: &str, wait: Duration) -> String {
    format!("{what} within {} s", wait.as_secs_f64())
}

/// An error and what caused it: hyper tells the cause only there.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn millis(started: Timestamp) -> f64 {
    clock::now().since(started).as_nanos() as f64 / 1e6
}
