//! The head of a request as it is written, and how the body behind it is framed
//! (RFC 9112, sections 3 and 6).

use http::header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{HeaderName, Request};
use http_body::Body;

use super::Bad;
use super::head::number;

/// What a head takes at most in a usual request; a longer one just grows.
const USUAL: usize = 1024;

/// How the body of a request is framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// So many bytes are still to be sent.
    Length(u64),
    /// Chunk by chunk. Of the fields behind it these are sent, which the head
    /// announces.
    Chunked(Vec<HeaderName>),
}

/// Writes the head of `request` behind what is in `out`.
///
/// # Errors
/// When it says that its body has another length than it has.
pub(super) fn write<B: Body>(out: &mut Vec<u8>, request: &Request<B>) -> Result<Encoding, Bad> {
    let body = request.body();
    let has_body = !body.is_end_stream();
    out.reserve(USUAL);
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    let uri = request.uri();
    let target = uri
        .path_and_query()
        .map_or(uri.path(), |path| path.as_str());
    if target.starts_with('?') {
        out.push(b'/');
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut length = None;
    let mut is_chunked = false;
    let mut trailers = Vec::new();
    for (name, value) in request.headers() {
        match *name {
            CONTENT_LENGTH => {
                let said = number(value.as_bytes()).ok_or(Bad("bad Content-Length"))?;
                if length.replace(said).is_some_and(|before| before != said) {
                    return Err(Bad("several Content-Lengths"));
                }
            }
            TRANSFER_ENCODING if !has_body => continue,
            TRANSFER_ENCODING => is_chunked = true,
            TRAILER => {
                let names = value.as_bytes().split(|&b| b == b',');
                trailers.extend(
                    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()),
                );
            }
            _ => {}
        }
        field(out, name, value.as_bytes());
    }
    let encoding = match length {
        _ if is_chunked => Encoding::Chunked(trailers),
        Some(length) => Encoding::Length(length),
        None if !has_body => Encoding::Length(0),
        None => match body.size_hint().exact() {
            Some(length) => {
                field(out, &CONTENT_LENGTH, length.to_string().as_bytes());
                Encoding::Length(length)
            }
            None => {
                field(out, &TRANSFER_ENCODING, b"chunked");
                Encoding::Chunked(trailers)
            }
        },
    };
    if is_chunked && length.is_some() {
        return Err(Bad("two lengths of one body"));
    }
    if !has_body && encoding != Encoding::Length(0) {
        return Err(Bad("a length and no body"));
    }
    out.extend_from_slice(b"\r\n");
    Ok(encoding)
}

/// Writes a line of a head or of trailers.
pub(super) fn field(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
