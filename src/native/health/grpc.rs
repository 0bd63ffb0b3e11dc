//! A gRPC probe: `grpc.health.v1.Health/Check` over HTTP/2. Good is the answer
//! that the service is serving.
//!
//! The two messages are so small that they are written and read here, as the
//! encoding of protocol buffers has it.
//!
//! HTTP/2 is spoken without hyper: with hyper's `http2`, every body of the proxy
//! would have room for one that came over HTTP/2, and be moved about with it.

use bytes::Bytes;
use h2::RecvStream;
use h2::client::Builder;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use tokio::io::{AsyncRead, AsyncWrite};

use super::http::headers;
use super::target::Target;
use super::tls::Tls;
use crate::config::HealthCheck;

const METHOD: &str = "/grpc.health.v1.Health/Check";

/// The most of an answer that is read: a message with nothing but a status has
/// seven bytes.
const ANSWER_BYTES_MAX: usize = 1024;

/// What is asked.
#[derive(Debug)]
pub(super) struct Ask {
    /// The message, framed.
    message: Bytes,
    headers: HeaderMap,
}

impl Ask {
    pub(super) fn new(check: &HealthCheck) -> Self {
        let mut headers = headers(check);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        // At most eight digits, as gRPC allows: a day has 86,400,000 ms.
        let millis = check.timeout.duration().as_millis().max(1);
        if let Ok(timeout) = HeaderValue::from_str(&format!("{millis}m")) {
            headers.insert("grpc-timeout", timeout);
        }
        Self {
            message: request(&check.grpc_service),
            headers,
        }
    }

    /// Asks `target`.
    ///
    /// # Errors
    /// When the service is not serving, or cannot be asked; the text says how.
    pub(super) async fn probe(&self, target: &Target<'_>, tls: Option<&Tls>) -> Result<(), String> {
        let stream = target.connect().await?;
        match tls {
            Some(tls) => {
                let stream = tls.over(stream, target.name).await?;
                self.ask(stream, target, "https").await
            }
            None => self.ask(stream, target, "http").await,
        }
    }

    async fn ask<S>(&self, stream: S, target: &Target<'_>, scheme: &str) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = Builder::new()
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(no_answer)?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
        let uri = format!("{scheme}://{}{METHOD}", target.authority);
        *request.uri_mut() = uri.parse().map_err(|_| format!("no address: {uri}"))?;
        let asking = async {
            let (answer, mut sending) = sender.send_request(request, false).map_err(no_answer)?;
            let message = self.message.clone();
            sending.send_data(message, true).map_err(no_answer)?;
            let (head, body) = answer.await.map_err(no_answer)?.into_parts();
            if !head.status.is_success() {
                return Err(format!("status {}", head.status.as_u16()));
            }
            // Without a message, the status comes in the place of the head.
            if let Some(status) = head.headers.get("grpc-status") {
                return Err(refused(status, &head.headers));
            }
            let (message, trailers) = whole(body).await?;
            match trailers.get("grpc-status") {
                Some(status) if status == "0" => answered(&message),
                Some(status) => Err(refused(status, &trailers)),
                None => Err("this is not gRPC: it has no grpc-status".to_owned()),
            }
        };
        tokio::select! {
            biased;
            answer = asking => answer,
            Err(error) = connection => Err(no_answer(error)),
        }
    }
}

fn no_answer(error: h2::Error) -> String {
    format!("no answer: {error}")
}

/// A body and its trailers.
///
/// # Errors
/// When it breaks off, or has more than [`ANSWER_BYTES_MAX`]. So few may come
/// unasked, so that no window has to be widened.
async fn whole(mut body: RecvStream) -> Result<(Vec<u8>, HeaderMap), String> {
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        message.extend_from_slice(&data.map_err(no_answer)?);
        if message.len() > ANSWER_BYTES_MAX {
            return Err(format!(
                "no answer: it has more than {ANSWER_BYTES_MAX} bytes"
            ));
        }
    }
    let trailers = body.trailers().await.map_err(no_answer)?;
    Ok((message, trailers.unwrap_or_default()))
}

/// What a status other than OK says.
fn refused(status: &HeaderValue, fields: &HeaderMap) -> String {
    let status = String::from_utf8_lossy(status.as_bytes());
    let what = match &*status {
        "0" => return "the answer has no message".to_owned(),
        "5" => " (the service is not known there)",
        "12" => " (it has no health service)",
        _ => "",
    };
    let message = fields.get("grpc-message");
    let message = message.map(|text| String::from_utf8_lossy(text.as_bytes()));
    match message {
        Some(text) if !text.is_empty() => format!("gRPC status {status}{what}: {text}"),
        _ => format!("gRPC status {status}{what}"),
    }
}

/// `HealthCheckRequest { service }`, framed.
fn request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, a text.
        message.push(0x0a);
        // Configuration allows 255 bytes: a length of one byte, or two.
        let length = service.len();
        if length > 0x7f {
            message.push((length & 0x7f) as u8 | 0x80);
            message.push((length >> 7) as u8);
        } else {
            message.push(length as u8);
        }
        message.extend_from_slice(service.as_bytes());
    }
    let length = message.len() as u32;
    // Not compressed.
    let frame = [&[0], &length.to_be_bytes()[..], &message].concat();
    frame.into()
}

/// Reads a framed `HealthCheckResponse`.
///
/// # Errors
/// When it does not say that the service is serving.
fn answered(frame: &[u8]) -> Result<(), String> {
    let garbage = || "the answer is no health check's".to_owned();
    let (head, message) = frame.split_at_checked(5).ok_or_else(garbage)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if head[0] != 0 || length as usize != message.len() {
        return Err(garbage());
    }
    let status = status(message).ok_or_else(garbage)?;
    match status {
        1 => Ok(()),
        0 => Err("its status is UNKNOWN".to_owned()),
        2 => Err("its status is NOT_SERVING".to_owned()),
        3 => Err("its status is SERVICE_UNKNOWN".to_owned()),
        other => Err(format!("its status is {other}")),
    }
}

/// Field 1 of a message, a number, 0 if it is not there; other fields are left
/// out of account. `None` when this is no message.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let skip = match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => varint(&mut message)?,
            5 => 4,
            _ => return None,
        };
        message = message.get(usize::try_from(skip).ok()?..)?;
    }
    Some(status)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_encoded_as_protocol_buffers_have_it() {
        assert_eq!(&request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&request("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"x".repeat(200));
        assert_eq!(long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
        assert_eq!(long.len(), 208);
    }

    #[test]
    fn answers_are_read_and_garbage_is_none() {
        let framed = |message: &[u8]| {
            let length = (message.len() as u32).to_be_bytes();
            [&[0], &length[..], message].concat()
        };
        assert_eq!(answered(&framed(&[8, 1])), Ok(()));
        // Behind fields of all kinds that are not known here.
        let more = [
            0x12, 2, b'h', b'i', 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 8, 1,
        ];
        assert_eq!(answered(&framed(&more)), Ok(()));
        for (message, said) in [
            (&[][..], "UNKNOWN"),
            (&[8, 0], "UNKNOWN"),
            (&[8, 2], "NOT_SERVING"),
            (&[8, 3], "SERVICE_UNKNOWN"),
            (&[8, 0x80, 1], "128"),
        ] {
            let why = answered(&framed(message)).expect_err("not serving");
            assert_eq!(why, format!("its status is {said}"));
        }
        let too_long = [8].into_iter().chain([0xff; 11]).collect::<Vec<_>>();
        for garbage in [
            &b"hello"[..],
            &[0, 0, 0, 0, 3, 8, 1],
            &[1, 0, 0, 0, 2, 8, 1],
            &framed(&[8]),
            &framed(&[0x0a, 9, 1]),
            &framed(&[0x0f]),
            &framed(&too_long),
        ] {
            let why = answered(garbage).expect_err("garbage");
            assert_eq!(why, "the answer is no health check's", "{garbage:?}");
        }
    }
}
