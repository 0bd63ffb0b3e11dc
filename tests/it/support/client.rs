//! A client that writes what it is told, byte by byte, and reads answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::origin::{Fields, read_chunks, read_fields, read_line};

/// How long a test waits for what must come. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// An answer as the client got it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its header fields in order, names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the proxy takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, reader }
    }

    /// Writes `bytes` as they are; the other side may have left.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Asks for `path` and reads the answer.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.answer()
    }

    /// Reads an answer to anything but HEAD.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head().expect("an answer");
        self.body(&mut answer).expect("a whole body");
        answer
    }

    /// Reads the head of an answer; `None` when the connection ends first.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        let line = read_line(&mut self.reader)?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        Some(Answer {
            status,
            fields: read_fields(&mut self.reader)?,
            body: Vec::new(),
        })
    }

    /// Reads the body of `answer`; `None` when it is cut short.
    pub(crate) fn body(&mut self, answer: &mut Answer) -> Option<()> {
        if let [length] = answer.all("content-length")[..] {
            let mut body = vec![0; length.parse().ok()?];
            self.reader.read_exact(&mut body).ok()?;
            answer.body = body;
        } else if !answer.all("transfer-encoding").is_empty() {
            (answer.body, _) = read_chunks(&mut self.reader)?;
        }
        Some(())
    }

    /// Reads a chunked body, and what comes behind it; `None` when it is cut short.
    pub(crate) fn chunks(&mut self) -> Option<(Vec<u8>, Fields)> {
        read_chunks(&mut self.reader)
    }

    /// Reads a part of what comes, exactly `n` bytes.
    pub(crate) fn read_exactly(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.reader.read_exact(&mut bytes).expect("the bytes");
        bytes
    }

    /// Whether the other side ends the connection, with nothing before that.
    pub(crate) fn is_ended(&mut self) -> bool {
        match self.reader.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

impl Answer {
    /// The values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(n, _)| n == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}
