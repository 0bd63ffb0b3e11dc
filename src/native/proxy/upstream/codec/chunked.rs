//! The chunked coding, of which an answer's body is freed (RFC 9112, section
//! 7.1).
//!
//! It takes bytes as they come and never waits for more than it needs. Lines
//! end with CR LF and nothing else; extensions are skipped, as long as there
//! are not too many of them.

use bytes::{Buf, Bytes};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};

use super::head::FIELDS_MAX;
use super::{Bad, Step};

/// The most bytes of extensions in one body.
const EXTENSIONS_MAX: usize = 16 * 1024;
/// The most bytes of trailers.
const TRAILERS_MAX: usize = 16 * 1024;

/// A chunked body, half-way.
#[derive(Debug)]
pub(in crate::native::proxy::upstream) struct Chunked {
    state: State,
    /// The size of the chunk in hand, or what is still to come of it.
    size: u64,
    n_extension: usize,
    trailers: Vec<u8>,
    n_trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    Begin,
    /// Further digits.
    Size,
    /// White space after them.
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// Trailers, or the empty line at the end.
    Trailers,
    End,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self {
            state: State::Begin,
            size: 0,
            n_extension: 0,
            trailers: Vec::new(),
            n_trailers: 0,
        }
    }

    /// Whether all of it has come.
    pub(super) fn is_ended(&self) -> bool {
        self.state == State::End
    }

    /// What is next in `input`. The trailers, if there are any, come with the
    /// end.
    ///
    /// # Errors
    /// When it is not the chunked coding, or too much of what is not data.
    pub(super) fn step(&mut self, input: &mut Bytes) -> Result<Step, Bad> {
        loop {
            if self.state == State::Data {
                let n =
                    usize::try_from(self.size).map_or(input.len(), |size| size.min(input.len()));
                if n == 0 {
                    return Ok(Step::More);
                }
                self.size -= n as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Step::Data(input.split_to(n)));
            }
            if self.state == State::End {
                return Ok(Step::End);
            }
            let Some(&byte) = input.first() else {
                return Ok(Step::More);
            };
            input.advance(1);
            if self.state == State::Trailers {
                if self.trailer(byte)? {
                    self.state = State::End;
                    return self.end();
                }
            } else {
                self.state = self.framed(byte)?;
            }
        }
    }

    /// The state after a byte that frames a chunk.
    fn framed(&mut self, byte: u8) -> Result<State, Bad> {
        use State::{Begin, Data, DataCr, DataLf, Extension, Size, SizeLf, Space, Trailers};
        Ok(match (self.state, byte) {
            (Begin | Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                // Four bits more must not push any out.
                if self.size >> 60 != 0 {
                    return Err(Bad("a chunk is too large"));
                }
                self.size = self.size << 4 | u64::from(digit);
                Size
            }
            (Size | Space, b' ' | b'\t') => Space,
            (Size | Space, b';') => Extension,
            (Size | Space | Extension, b'\r') => SizeLf,
            (Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.n_extension += 1;
                if self.n_extension >= EXTENSIONS_MAX {
                    return Err(Bad("too many chunk extensions"));
                }
                Extension
            }
            (SizeLf, b'\n') if self.size == 0 => Trailers,
            (SizeLf, b'\n') => Data,
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => Begin,
            _ => return Err(Bad("malformed chunk")),
        })
    }

    /// Takes in a byte of trailers; whether it was the last.
    fn trailer(&mut self, byte: u8) -> Result<bool, Bad> {
        let trailers = &mut self.trailers;
        if trailers.ends_with(b"\r") != (byte == b'\n') {
            return Err(Bad("a trailer does not end with CR LF"));
        }
        if trailers.len() >= TRAILERS_MAX {
            return Err(Bad("the trailers are too long"));
        }
        trailers.push(byte);
        if byte != b'\n' {
            return Ok(false);
        }
        if trailers.len() == 2 || trailers.ends_with(b"\r\n\r\n") {
            return Ok(true);
        }
        self.n_trailers += 1;
        if self.n_trailers > FIELDS_MAX {
            return Err(Bad("too many trailers"));
        }
        Ok(false)
    }

    fn end(&mut self) -> Result<Step, Bad> {
        let bytes = std::mem::take(&mut self.trailers);
        if bytes.len() == 2 {
            return Ok(Step::End);
        }
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let Ok(httparse::Status::Complete((_, fields))) =
            httparse::parse_headers(&bytes, &mut fields)
        else {
            return Err(Bad("malformed trailers"));
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let bad = Bad("malformed trailers");
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| bad)?;
            if is_trailer(&name) {
                let value = HeaderValue::from_bytes(field.value).map_err(|_| bad)?;
                trailers.append(name, value);
            }
        }
        Ok(match trailers.is_empty() {
            true => Step::End,
            false => Step::Trailers(trailers),
        })
    }
}

/// Whether a field may come behind a body: none that would have framed or
/// directed the message, had it come before (RFC 9110, section 6.5.1).
pub(super) fn is_trailer(name: &HeaderName) -> bool {
    !matches!(
        *name,
        CONNECTION | CONTENT_LENGTH | HOST | TE | TRAILER | TRANSFER_ENCODING | UPGRADE
    ) && !matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `text`, given in pieces of `n` bytes: data, trailers, and
    /// what is left.
    fn decoded(text: &str, n: usize) -> Result<Option<(String, Vec<String>, String)>, Bad> {
        let mut chunked = Chunked::new();
        let (mut data, mut trailers) = (Vec::new(), Vec::new());
        let mut pieces = text.as_bytes().chunks(n);
        let mut input = Bytes::new();
        loop {
            match chunked.step(&mut input)? {
                Step::Data(more) => data.extend(more),
                Step::Trailers(fields) => {
                    let lines = fields
                        .iter()
                        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")));
                    trailers.extend(lines);
                }
                Step::More => match pieces.next() {
                    Some(piece) => input = Bytes::copy_from_slice(piece),
                    None => return Ok(None),
                },
                Step::End => break,
            }
        }
        let rest = pieces.fold(input.to_vec(), |rest, piece| [&rest[..], piece].concat());
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ok(Some((text(data), trailers, text(rest))))
    }

    #[test]
    fn the_body_is_what_is_in_the_chunks_however_it_is_cut() {
        let text =
            "3\r\none\r\n00A ;x=\"1\"\r\n0123456789\r\n0\r\nA: 1\r\nhost: x\r\nb:\r\n\r\nrest";
        for n in 1..=text.len() {
            let decoded = decoded(text, n).expect("it is well-formed");
            let (data, trailers, rest) = decoded.expect("it is whole");
            assert_eq!(data, "one0123456789");
            assert_eq!(trailers, ["a: 1", "b: "]);
            assert_eq!(rest, "rest");
            assert!(super::tests::decoded(&text[..text.len() - 5], n).is_ok_and(|d| d.is_none()));
        }
        let empty = decoded("0\r\n\r\n", 1)
            .expect("well-formed")
            .expect("whole");
        assert_eq!(empty, (String::new(), Vec::new(), String::new()));
    }

    #[test]
    fn what_is_not_quite_the_coding_is_refused() {
        for text in [
            "\r\n",
            ";\r\n",
            " 1\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            "1 1\r\n",
            "1\n",
            "1\r\r\n",
            "1;a\n",
            "1;\0\r\n",
            "1;a\rb\r\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\rx",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\na: b\n\r\n",
            "0\r\na: b\r\r\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\na\r\n\r\n",
            "0\r\na: \0\r\n\r\n",
            "0\r\na : b\r\n\r\n",
        ] {
            for n in [1, text.len()] {
                assert!(decoded(text, n).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_not_data_has_limits() {
        let extension = |n: usize| format!("0;{}\r\n\r\n", "x".repeat(n));
        assert!(decoded(&extension(EXTENSIONS_MAX - 1), 4096).is_ok());
        assert!(decoded(&extension(EXTENSIONS_MAX), 4096).is_err());
        let in_parts = "1;x\r\na\r\n".repeat(EXTENSIONS_MAX);
        assert!(decoded(&in_parts, 4096).is_err());
        let trailers = |n: usize| format!("0\r\n{}\r\n", "a: b\r\n".repeat(n));
        assert!(decoded(&trailers(FIELDS_MAX), 4096).is_ok());
        assert!(decoded(&trailers(FIELDS_MAX + 1), 4096).is_err());
        let long = |n: usize| format!("0\r\na: {}\r\n\r\n", "b".repeat(n - 7));
        assert!(decoded(&long(TRAILERS_MAX), 4096).is_ok());
        assert!(decoded(&long(TRAILERS_MAX + 1), 4096).is_err());
        assert!(decoded("fffffffffffffff\r\nx", 4096).is_ok_and(|d| d.is_none()));
    }
}
