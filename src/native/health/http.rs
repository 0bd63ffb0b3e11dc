//! An HTTP probe: a request over a connection of its own. Its status must be an
//! expected one, and its body have the expected text near its beginning; a
//! redirect is not followed, for what it leads to is not this server.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::target::Target;
use super::{AGENT, reason};
use crate::config::{HealthCheck, Statuses};

/// Bytes that are read of an answer at a time, and so the most its head may
/// have; the rest of it is not waited for.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How much of a body is looked at for the expected text.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What is asked, and which answers are good.
#[derive(Debug)]
pub(super) struct Ask {
    method: Method,
    path: Uri,
    headers: HeaderMap,
    statuses: Statuses,
    body: Option<String>,
}

impl Ask {
    pub(super) fn new(check: &HealthCheck) -> Self {
        let mut headers = headers(check);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Self {
            // Configuration lets only good ones through; the fallbacks are never
            // taken.
            method: check.method.as_str().parse().unwrap_or_default(),
            path: check.path.as_str().parse().unwrap_or_default(),
            headers,
            statuses: check.expect_status.clone(),
            body: check.expect_body.as_ref().map(|b| b.as_str().to_owned()),
        }
    }

    /// Asks over `stream`.
    ///
    /// # Errors
    /// When the answer is not as a healthy server's; the text says how.
    pub(super) async fn probe<S>(&self, stream: S, target: &Target<'_>) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let no_answer = |error: hyper::Error| format!("no answer: {}", reason(&error));
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(ANSWER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(no_answer)?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, target.host());
        let asking = async {
            let answer = sender.send_request(request).await.map_err(no_answer)?;
            let status = answer.status().as_u16();
            if !self.statuses.have(status) {
                return Err(format!("status {status}"));
            }
            match &self.body {
                Some(text) => find(text.as_bytes(), Pieces::Http1(answer.into_body())).await,
                None => Ok(()),
            }
        };
        // The connection ends with this function, and the rest of the answer with it.
        tokio::select! {
            biased;
            answer = asking => answer,
            Err(error) = connection => Err(no_answer(error)),
        }
    }
}

impl Ask {
    /// The same over HTTP/2; `scheme` is what the stream makes of it.
    ///
    /// # Errors
    /// When the answer is not as a healthy server's; the text says how.
    pub(super) async fn probe_http2<S>(
        &self,
        stream: S,
        target: &Target<'_>,
        scheme: &str,
    ) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let no_answer = |error: h2::Error| format!("no answer: {error}");
        let (mut sender, connection) = h2::client::Builder::new()
            .enable_push(false)
            .max_header_list_size(ANSWER_BYTES_MAX as u32)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(no_answer)?;
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(CONNECTION);
        let uri = format!("{scheme}://{}{}", target.authority, self.path);
        *request.uri_mut() = uri.parse().map_err(|_| format!("no address: {uri}"))?;
        let asking = async {
            let (answer, _) = sender.send_request(request, true).map_err(no_answer)?;
            let answer = answer.await.map_err(no_answer)?;
            let status = answer.status().as_u16();
            if !self.statuses.have(status) {
                return Err(format!("status {status}"));
            }
            match &self.body {
                Some(text) => find(text.as_bytes(), Pieces::Http2(answer.into_body())).await,
                None => Ok(()),
            }
        };
        tokio::select! {
            biased;
            answer = asking => answer,
            Err(error) = connection => Err(no_answer(error)),
        }
    }
}

/// The fields of every probe: by what servers know it, and the configured ones.
/// Only good ones get through configuration.
pub(super) fn headers(check: &HealthCheck) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in check.headers.iter() {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
    headers
}

/// A body, piece by piece.
enum Pieces {
    Http1(Incoming),
    Http2(h2::RecvStream),
}

impl Pieces {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        match self {
            Self::Http1(body) => loop {
                match body.frame().await? {
                    Ok(frame) => match frame.into_data() {
                        Ok(data) => return Some(Ok(data)),
                        Err(_) => continue,
                    },
                    Err(error) => return Some(Err(reason(&error))),
                }
            },
            Self::Http2(body) => Some(match body.data().await? {
                Ok(data) => {
                    // It is read: there is room for as much again.
                    let _ = body.flow_control().release_capacity(data.len());
                    Ok(data)
                }
                Err(error) => Err(error.to_string()),
            }),
        }
    }
}

/// Reads the body until `text` was in it.
async fn find(text: &[u8], mut body: Pieces) -> Result<(), String> {
    let mut read = Vec::new();
    while read.len() < BODY_BYTES_MAX {
        let Some(data) = body.next().await else {
            return Err(format!("its body of {} bytes has not the text", read.len()));
        };
        let data = data.map_err(|why| format!("the body broke off: {why}"))?;
        // It may lie across two pieces.
        let from = read.len().saturating_sub(text.len());
        read.extend_from_slice(&data[..data.len().min(BODY_BYTES_MAX - read.len())]);
        if memchr::memmem::find(&read[from..], text).is_some() {
            return Ok(());
        }
    }
    Err(format!(
        "the first {BODY_BYTES_MAX} bytes of its body have not the text"
    ))
}
