//! An HTTP probe: a GET over a connection of its own, so that a server that
//! takes no new connections is found out. A 2xx status is good; a redirect is
//! not followed, for what it leads to is not this server.

use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use http_body_util::Empty;

use crate::engine::Server;

/// By what servers know probes in their logs.
const AGENT: &str = concat!("ringway/", env!("CARGO_PKG_VERSION"), " health-check");

/// Bytes that are read of an answer at a time, and so the most its head may
/// have; the rest of it is not waited for.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Asks `server` for `path`.
///
/// # Errors
/// When the answer is not as a healthy server's; the text says how.
pub(super) async fn probe(server: &Server, path: &str) -> Result<(), String> {
    let (address, port) = (server.address.as_str(), server.port.number());
    let stream = TcpStream::connect((address, port))
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    let status = ask(stream, server, path)
        .await
        .map_err(|error| format!("no answer: {}", reason(&error)))?;
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("status {}", status.as_u16()))
    }
}

async fn ask(stream: TcpStream, server: &Server, path: &str) -> hyper::Result<StatusCode> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut request = Request::new(Empty::<bytes::Bytes>::new());
    // Configuration lets only good paths through; the fallback is never taken.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    let port = server.port.number();
    let host = format!("{}:{port}", server.address.in_authority());
    if let Ok(host) = HeaderValue::from_str(&host) {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = sender.send_request(request);
    // The connection ends with this function, and the rest of the answer with it.
    tokio::select! {
        answer = answer => Ok(answer?.status()),
        Err(error) = connection => Err(error),
    }
}

/// hyper's word for it, and the system's behind it.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
