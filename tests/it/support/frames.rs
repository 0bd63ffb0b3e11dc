//! A client that writes frames of HTTP/2 as it is told, good or bad.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What every connection begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frames that are kept; floods bring many.
const SEEN_MAX: usize = 10_000;

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// One connection; what comes is read all the time.
pub(crate) struct Frames {
    pub(crate) stream: TcpStream,
    seen: Arc<Mutex<(Vec<Frame>, bool)>>,
}

impl Frames {
    /// A connection that has begun as it should, with these settings.
    pub(crate) fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self::open(address);
        frames.write(PREFACE);
        let settings = settings.iter();
        let settings = settings
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
        frames.send(SETTINGS, 0, 0, &settings.collect::<Vec<u8>>());
        frames
    }

    /// A connection on which nothing has been said.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the proxy takes connections");
        stream.set_nodelay(true).expect("an option");
        let patience = Some(Duration::from_secs(20));
        stream.set_write_timeout(patience).expect("a timeout");
        let seen = Arc::new(Mutex::new((Vec::new(), false)));
        let (mut from, into) = (stream.try_clone().expect("a handle"), Arc::clone(&seen));
        thread::spawn(move || {
            while let Some(frame) = read(&mut from) {
                let seen = &mut into.lock().expect("no panic").0;
                if seen.len() < SEEN_MAX || frame.kind == GOAWAY {
                    seen.push(frame);
                }
            }
            into.lock().expect("no panic").1 = true;
        });
        Self { stream, seen }
    }

    /// Writes bytes; `false` when the other side has left.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame(kind, flags, stream, payload))
    }

    /// Asks for `path` on `stream`, without a body.
    pub(crate) fn ask(&mut self, stream: u32, path: &str) -> bool {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &get(path))
    }

    /// What has come so far.
    pub(crate) fn seen(&self) -> Vec<Frame> {
        self.seen.lock().expect("no panic").0.clone()
    }

    /// Whether the other side has ended the connection.
    pub(crate) fn is_ended(&self) -> bool {
        self.seen.lock().expect("no panic").1
    }

    /// Why the other side takes no more, if it has said so.
    pub(crate) fn goaway(&self) -> Option<u32> {
        let seen = self.seen();
        let goaway = seen.iter().rfind(|frame| frame.kind == GOAWAY)?;
        let code = goaway.payload[4..8].try_into().expect("four bytes");
        Some(u32::from_be_bytes(code))
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn read(from: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    from.read_exact(&mut head).ok()?;
    let n = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; n as usize];
    from.read_exact(&mut payload).ok()?;
    Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes(head[5..9].try_into().expect("four bytes")),
        payload,
    })
}

/// A frame as it goes over the network.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let n = u32::try_from(payload.len())
        .expect("a short payload")
        .to_be_bytes();
    let head = [n[1], n[2], n[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// The fields of a request for `path`.
pub(crate) fn get(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a.example"),
        (":path", path),
    ])
}

/// A list of fields, none of them to be remembered (RFC 7541, section 6.2.2).
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let each = fields.iter();
    each.flat_map(|(name, value)| [&[0][..], &text(name), &text(value)].concat())
        .collect()
}

/// A text as it is (RFC 7541, section 5.2).
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len() {
        n @ ..127 => bytes.push(n as u8),
        n => {
            bytes.push(127);
            let mut rest = n - 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend(text.as_bytes());
    bytes
}
