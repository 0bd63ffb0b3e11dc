//! Answers and requests made up from a seed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body::{Body, Frame, SizeHint};

use super::script::{End, Script};

/// SplitMix64, as the other tests have it.
pub(super) struct Generator(u64);

const STATUSES: &[&str] = &[
    "200 OK",
    "200 OK",
    "200 OK",
    "200",
    "200 ",
    "404 Not Found",
    "500 Oh",
    "204 No Content",
    "304 Not Modified",
    "206 Partial Content",
    "299 \u{e4}\t!",
    "101 Switching Protocols",
    "999 x",
    "600 y",
];
const FIELDS: &[&str] = &[
    "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    "Server: x",
    "content-type: text/plain",
    "X-Y:z",
    "Connection: keep-alive",
    "connection: close",
    "Connection: Close, x",
    "connection: x",
    "Set-Cookie: a=1",
    "Set-Cookie: b=2",
    "etag: \"\u{fc}\"",
    "empty:",
    "spaces:   a b \t ",
    "Vary: *",
    "keep-alive: timeout=5",
    "te: trailers",
    "upgrade: websocket",
    "trailer: x",
];
/// What a mangled answer may have anywhere.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "0",
    "1",
    "9",
    "f",
    "\u{fffd}",
    "\r\n\r\n",
    "\n\n",
    "0\r\n\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 3, 3\r\n",
    "content-length: +3\r\n",
    "content-length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: gzip\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Connection: close\r\n",
    " folded\r\n",
    "X: a\r\n b\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 ",
    "HTTP/2.0 ",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "ffffffffffffffff\r\n",
    "8000000000000000\r\n",
    "3;a=b\r\n",
    "3 ;\r\n",
    "x : y\r\n",
    "\x7f",
    "\x1b",
    "100",
    "204 ",
    "304 ",
];

impl Generator {
    /// The generator of case `n` of `seed`.
    pub(super) fn new(seed: u64, n: u64) -> Self {
        let mut generator = Self(seed);
        let seed = generator.next();
        Self(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    /// Whether the request is a `HEAD`.
    pub(super) fn asks_head(&mut self) -> bool {
        self.chance(8)
    }

    /// What a server says, and how it comes.
    pub(super) fn answer(&mut self) -> (Vec<u8>, Script) {
        let mut raw = Vec::new();
        while self.chance(8) {
            let interim = self.pick(&["100 Continue", "103 Early Hints", "102", "199 x"]);
            raw.extend(format!("HTTP/1.1 {interim}\r\n").bytes());
            self.fields(&mut raw, 2);
            raw.extend(b"\r\n");
        }
        let version = if self.chance(6) { "0" } else { "1" };
        let status = self.pick(STATUSES);
        raw.extend(format!("HTTP/1.{version} {status}\r\n").bytes());
        self.fields(&mut raw, 6);
        let len = match self.below(20) {
            0..4 => 0,
            4..18 => self.below(40),
            _ => self.below(40_000),
        };
        let body: Vec<u8> = (0..len).map(|i| b"0\r\n1a;: x"[i % 9]).collect();
        match self.below(10) {
            0..5 => {
                raw.extend(format!("Content-Length: {len}\r\n").bytes());
                self.fields(&mut raw, 2);
                raw.extend(b"\r\n");
                raw.extend(body);
            }
            5..9 => {
                raw.extend(b"Transfer-Encoding: chunked\r\n");
                self.fields(&mut raw, 2);
                raw.extend(b"\r\n");
                self.chunks(&mut raw, &body);
            }
            _ => {
                raw.extend(b"\r\n");
                raw.extend(body);
            }
        }
        if self.chance(5) {
            raw.extend(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        if self.chance(45) {
            self.mangle(&mut raw);
        }
        if self.chance(12) {
            raw.truncate(self.below(raw.len() + 1));
        }
        let end = match self.below(10) {
            0..6 => End::Waits,
            6..9 => End::Closes,
            _ => End::Resets,
        };
        let lens = self.lens(raw.len());
        let script = Script::new(&raw, &lens, end);
        (raw, script)
    }

    fn fields(&mut self, raw: &mut Vec<u8>, most: usize) {
        for _ in 0..self.below(most + 1) {
            raw.extend(self.pick(FIELDS).bytes());
            raw.extend(b"\r\n");
        }
    }

    fn chunks(&mut self, raw: &mut Vec<u8>, body: &[u8]) {
        let mut rest = body;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(1 + self.below(rest.len()));
            rest = after;
            let size = match self.below(3) {
                0 => format!("{:x}", chunk.len()),
                1 => format!("{:X}", chunk.len()),
                _ => format!("00{:x}", chunk.len()),
            };
            let extension = self.pick(&["", "", "", ";", ";a=b", " ;a=\"b\"", "\t", "  "]);
            raw.extend(format!("{size}{extension}\r\n").bytes());
            raw.extend(chunk);
            raw.extend(b"\r\n");
        }
        raw.extend(b"0\r\n");
        if self.chance(25) {
            self.fields(raw, 4);
        }
        raw.extend(b"\r\n");
    }

    /// Changes, drops, doubles or adds a few things, mostly near the beginning,
    /// where all is of consequence.
    fn mangle(&mut self, raw: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let within = match self.chance(70) {
                true => raw.len().min(200),
                false => raw.len(),
            };
            let at = self.below(within + 1);
            let to = (at + self.below(12)).min(raw.len());
            let piece = match self.below(8) {
                0 => vec![self.next() as u8],
                1 => raw[at..to].repeat(2),
                2 | 3 => Vec::new(),
                _ => self.pick(PIECES).into(),
            };
            let to = if self.chance(40) { at } else { to };
            raw.splice(at..to, piece);
        }
    }

    /// Lengths of pieces.
    fn lens(&mut self, len: usize) -> Vec<usize> {
        match self.below(10) {
            0..4 => Vec::new(),
            4..6 => (0..self.below(80)).map(|_| 1).collect(),
            _ => (0..self.below(5))
                .map(|_| self.below(len.min(300) + 1))
                .collect(),
        }
    }

    /// A request, and the frames of its body.
    pub(super) fn request(&mut self) -> Made {
        let mut headers = HeaderMap::new();
        let field = |text: &'static str| HeaderValue::from_static(text);
        headers.insert("host", field("h:1"));
        for (name, value) in [
            ("accept", "*/*"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("cookie", "a=1; b"),
            ("expect", "100-continue"),
            ("te", "trailers"),
            ("trailer", "x-sum, x-Other,, host"),
            ("via", "1.1 x"),
            ("empty", ""),
        ] {
            if self.chance(40) {
                headers.append(HeaderName::from_static(name), field(value));
            }
        }
        let method = match self.below(4) {
            0 => Method::GET,
            1 => Method::POST,
            2 => Method::from_bytes(b"PROP-FIND").expect("a method"),
            _ => Method::HEAD,
        };
        let mut frames = VecDeque::new();
        let mut length = 0;
        if self.chance(70) {
            for _ in 0..self.below(5) {
                let n = match self.below(8) {
                    0 => self.below(40_000),
                    1 => 0,
                    _ => self.below(100),
                };
                length += n as u64;
                frames.push_back(Item::Data(Bytes::from(vec![b'x'; n])));
                if self.chance(30) {
                    frames.push_back(Item::Pause);
                }
            }
        }
        let mut is_exact = false;
        if !frames.is_empty() {
            match self.below(3) {
                0 => drop(headers.insert("content-length", length.into())),
                1 => is_exact = true,
                _ => {
                    // Without it hyper sends no body of a GET.
                    if method == Method::GET || method == Method::HEAD || self.chance(50) {
                        headers.insert("transfer-encoding", field("chunked"));
                    }
                    if self.chance(40) {
                        let mut trailers = HeaderMap::new();
                        for name in ["x-sum", "x-not", "x-other", "host", "x-sum"] {
                            if self.chance(50) {
                                trailers.append(HeaderName::from_static(name), field("t"));
                            }
                        }
                        frames.push_back(Item::Trailers(trailers));
                    }
                }
            }
        }
        let target = self.pick(&["/", "/a?b=c", "/%20?", "/\u{e4}", "*"]);
        Made {
            method,
            target: if target.is_ascii() { target } else { "/x" },
            headers,
            frames: Frames {
                frames,
                length: is_exact.then_some(length),
            },
        }
    }

    /// A server that only takes, in whatever portions.
    pub(super) fn patient(&mut self) -> Script {
        let takes = match self.below(3) {
            0 => Vec::new(),
            1 => vec![1, 7, 0, 300],
            _ => (0..4).map(|_| self.below(5000)).chain([1000]).collect(),
        };
        Script::new(b"", &[], End::Waits).taking(takes)
    }
}

/// A request that can be made several times.
pub(super) struct Made {
    method: Method,
    target: &'static str,
    headers: HeaderMap,
    frames: Frames,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            method,
            target,
            headers,
            frames,
        } = self;
        write!(f, "{method} {target} {headers:?} {:?} [", frames.length)?;
        for frame in &frames.frames {
            match frame {
                Item::Data(data) => write!(f, " {} bytes", data.len())?,
                Item::Trailers(trailers) => write!(f, " {trailers:?}")?,
                Item::Pause => write!(f, " pause")?,
            }
        }
        write!(f, " ]")
    }
}

impl Made {
    pub(super) fn request(&self) -> Request<Frames> {
        let mut request = Request::new(self.frames.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.parse().expect("a target");
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A body of frames that come one by one.
#[derive(Clone, Default)]
pub(super) struct Frames {
    frames: VecDeque<Item>,
    length: Option<u64>,
}

#[derive(Clone)]
enum Item {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Nothing for now.
    Pause,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.frames.pop_front() {
            None => Poll::Ready(None),
            Some(Item::Pause) => Poll::Pending,
            Some(Item::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Item::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
