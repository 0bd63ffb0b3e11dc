//! The head of a server's answer: read strictly, and what it says of the body
//! behind it (RFC 9112, sections 4, 5 and 6).
//!
//! What two programs may read differently is no answer: of a head with two
//! lengths, or with a line that not everybody would end where we do, nobody
//! can say where the next answer begins.

use core::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, SERVER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::ParserConfig;

use super::{Bad, Framing};

/// The longest head that is read, in bytes. Peers take 4 to 60 KiB.
pub(super) const HEAD_MAX: usize = 64 * 1024;
/// The most fields of a head or of trailers.
pub(super) const FIELDS_MAX: usize = 100;

/// What a head says, but for its fields.
#[derive(Debug)]
pub(super) struct Head {
    /// How many bytes it took.
    pub(super) len: usize,
    pub(super) status: StatusCode,
    /// Where the body ends.
    pub(super) framing: Framing,
    /// Whether the connection may be used again afterwards.
    pub(super) keeps: bool,
    /// The words beside the status, if they are not the usual ones.
    pub(super) reason: Option<Bytes>,
}

/// What of the fields frames the message.
#[derive(Default)]
struct Framers {
    length: Option<u64>,
    is_chunked: bool,
    says_close: bool,
}

/// Reads the head at the beginning of `bytes`, whose fields take the place of
/// those in `headers`, but for those of an interim answer. `None` when it is not
/// all there. `asks_head` when the request was a `HEAD`.
///
/// # Errors
/// When it is not the head of an answer, or one that can be misread.
pub(super) fn parse(
    bytes: &Bytes,
    asks_head: bool,
    headers: &mut HeaderMap,
) -> Result<Option<Head>, Bad> {
    // Empty lines before it are what is left of another message.
    if !bytes.starts_with(b"H") {
        return match bytes.is_empty() {
            true => Ok(None),
            false => Err(Bad("no status line")),
        };
    }
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let len = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(Bad("the head is too long")),
        Err(httparse::Error::TooManyHeaders) => return Err(Bad("too many fields")),
        Err(_) => return Err(Bad("malformed head")),
    };
    if len > HEAD_MAX {
        return Err(Bad("the head is too long"));
    }
    // The parser takes a bare LF for the end of a line too. What precedes each
    // name is the end of the line before it.
    if !bytes[..len].ends_with(b"\r\n\r\n") {
        return Err(Bad("a line does not end with CR LF"));
    }
    let code = parsed.code.unwrap_or_default();
    let status = StatusCode::from_u16(code).map_err(|_| Bad("bad status"))?;
    let is_interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
    if !is_interim {
        headers.clear();
        headers.reserve(parsed.headers.len());
    }
    let mut framers = Framers::default();
    let base = bytes.as_ptr() as usize;
    for field in &*parsed.headers {
        let at = field.name.as_ptr() as usize - base;
        if !bytes[..at].ends_with(b"\r\n") {
            return Err(Bad("a line does not end with CR LF"));
        }
        if is_interim {
            continue;
        }
        let name = name_of(field.name)?;
        match name {
            CONTENT_LENGTH => framers.see_length(field.value)?,
            TRANSFER_ENCODING => framers.see_encoding(field.value)?,
            // Mostly it says this, which concerns nobody but us.
            CONNECTION if field.value == b"keep-alive" => continue,
            CONNECTION => framers.see_connection(field.value),
            _ => {}
        }
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
        headers.append(name, value.map_err(|_| Bad("malformed head"))?);
    }
    let is_11 = parsed.version == Some(1);
    let framing = framers.framing(status, asks_head, is_11)?;
    let reason = parsed.reason.unwrap_or_default();
    let is_usual = status.canonical_reason() == Some(reason);
    Ok(Some(Head {
        len,
        status,
        framing,
        // What HTTP/1.0 programs say of keeping connections is not to be relied
        // on (RFC 9112, appendix C.2.2).
        keeps: is_11 && !framers.says_close && framing != Framing::UntilClose,
        reason: (!is_usual && !is_interim).then(|| bytes.slice_ref(reason.as_bytes())),
    }))
}

impl Framers {
    fn see_length(&mut self, value: &[u8]) -> Result<(), Bad> {
        if self.length.is_some() {
            return Err(Bad("several Content-Lengths"));
        }
        self.length = Some(number(value).ok_or(Bad("bad Content-Length"))?);
        Ok(())
    }

    /// Only one exact `chunked` is understood alike by everybody.
    fn see_encoding(&mut self, value: &[u8]) -> Result<(), Bad> {
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Bad("bad Transfer-Encoding"));
        }
        self.is_chunked = true;
        Ok(())
    }

    fn see_connection(&mut self, value: &[u8]) {
        let mut options = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
        self.says_close |= options.any(|option| option.eq_ignore_ascii_case(b"close"));
    }

    /// Where the body ends (RFC 9112, section 6.3).
    fn framing(&self, status: StatusCode, asks_head: bool, is_11: bool) -> Result<Framing, Bad> {
        if self.is_chunked && self.length.is_some() {
            return Err(Bad("two lengths of one body"));
        }
        if self.is_chunked && !is_11 {
            return Err(Bad("Transfer-Encoding in HTTP/1.0"));
        }
        let is_bodiless = asks_head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(match self.length {
            _ if is_bodiless => Framing::Length(0),
            _ if self.is_chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }
}

/// The name of a field. Most answers have these few, written like this, which
/// is seen without looking through all the names that there are.
fn name_of(name: &str) -> Result<HeaderName, Bad> {
    Ok(match name.as_bytes() {
        b"Date" | b"date" => DATE,
        b"Server" | b"server" => SERVER,
        b"Connection" | b"connection" => CONNECTION,
        b"Content-Type" | b"content-type" => CONTENT_TYPE,
        b"Content-Length" | b"content-length" => CONTENT_LENGTH,
        b"Transfer-Encoding" | b"transfer-encoding" => TRANSFER_ENCODING,
        name => HeaderName::from_bytes(name).map_err(|_| Bad("malformed head"))?,
    })
}

/// Digits and nothing else, and no more than a body can have.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_u64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    // Lengths are added up here and there.
    (number <= i64::MAX as u64).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<(Head, HeaderMap)>, Bad> {
        let mut headers = HeaderMap::new();
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let head = parse(&bytes, false, &mut headers)?;
        Ok(head.map(|head| (head, headers)))
    }

    fn framing(fields: &str) -> Result<(Framing, bool), Bad> {
        let head = parsed(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"))?;
        let (head, _) = head.expect("it is all there");
        Ok((head.framing, head.keeps))
    }

    #[test]
    fn the_fields_say_where_the_body_ends_and_what_comes_of_the_connection() {
        use Framing::{Chunked, Length, UntilClose};
        for (fields, expected) in [
            ("", (UntilClose, false)),
            ("Content-Length: 7\r\n", (Length(7), true)),
            ("content-length:0\r\n", (Length(0), true)),
            ("Transfer-Encoding: Chunked\r\n", (Chunked, true)),
            (
                "Content-Length: 7\r\nConnection: x, Close\r\n",
                (Length(7), false),
            ),
            (
                "Content-Length: 7\r\nConnection: close\r\nConnection: keep-alive\r\n",
                (Length(7), false),
            ),
        ] {
            assert_eq!(framing(fields).expect("a good head"), expected, "{fields}");
        }
        let old = parsed("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n");
        let (head, headers) = old.expect("a good head").expect("all of it");
        assert!(!head.keeps && headers.len() == 1);
    }

    #[test]
    fn some_answers_have_no_body_whatever_their_fields_say() {
        for status in [204, 304] {
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n");
            let (head, _) = parsed(&text).expect("a good head").expect("all of it");
            assert_eq!((head.framing, head.keeps), (Framing::Length(0), true));
        }
        let bytes = Bytes::from_static(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let head = parse(&bytes, true, &mut HeaderMap::new()).expect("a good head");
        assert_eq!(head.map(|head| head.framing), Some(Framing::Length(0)));
    }

    #[test]
    fn a_head_that_could_be_misread_is_none() {
        for fields in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1 1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding:\r\n",
            "X: a\r\n b\r\n",
            "X: a\nY: b\r\n",
            "X: a\rY: b\r\n",
            "X: a\0b\r\n",
            "X : a\r\n",
            " X: a\r\n",
            "X\r\n",
            ": a\r\n",
            "X: a\n",
        ] {
            assert!(framing(fields).is_err(), "{fields:?}");
        }
        for text in [
            "HTTP/1.1 200 OK\nX: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n\n",
            "HTTP/1.1 200 OK\n\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "220 smtp\r\n",
            "x",
        ] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_head_has_its_limits() {
        let fields = |n: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(n));
        assert!(parsed(&fields(FIELDS_MAX)).is_ok());
        assert!(parsed(&fields(FIELDS_MAX + 1)).is_err());
        let long = |n: usize| {
            let fixed = "HTTP/1.1 200 OK\r\na: \r\n\r\n".len();
            format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(n - fixed))
        };
        assert!(parsed(&long(HEAD_MAX)).is_ok());
        assert!(parsed(&long(HEAD_MAX + 1)).is_err());
        assert!(parsed(&long(HEAD_MAX + 1)[..HEAD_MAX - 1]).is_ok_and(|head| head.is_none()));
        assert!(parsed(&long(HEAD_MAX + 1)[..HEAD_MAX]).is_err());
    }

    #[test]
    fn unusual_words_beside_the_status_are_kept_and_usual_ones_are_not() {
        for (line, words) in [
            ("200 OK", None),
            ("200 Fine", Some("Fine")),
            ("200", Some("")),
            ("299 Hm", Some("Hm")),
        ] {
            let (head, _) = parsed(&format!("HTTP/1.1 {line}\r\n\r\n"))
                .expect("a good head")
                .expect("all of it");
            assert_eq!(head.reason.as_deref(), words.map(str::as_bytes), "{line}");
        }
    }
}
