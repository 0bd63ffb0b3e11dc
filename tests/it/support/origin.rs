//! A scripted server: real sockets on loopback, one thread for each
//! connection, and a record of everything it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as the server got it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    /// The number of the connection it came on, from 0.
    pub(crate) connection: usize,
    /// Its first line.
    pub(crate) line: String,
    /// Its header fields in order, names in lower case.
    pub(crate) fields: Fields,
    /// Its body, decoded.
    pub(crate) body: Vec<u8>,
    /// What came behind the body, as [`Self::fields`].
    pub(crate) trailers: Fields,
}

/// Header fields in order, names in lower case.
pub(crate) type Fields = Vec<(String, String)>;

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
}

/// What the server does with a request.
pub(crate) type Script = dyn Fn(&Got, &mut TcpStream) -> After + Send + Sync;

/// A running server; its threads end with the test process.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

/// A port of loopback that refuses connections for as long as this lives.
pub(crate) struct Refusing {
    pub(crate) address: SocketAddr,
    _bound: socket2::Socket,
}

impl Origin {
    /// A server that follows `script` once a request has come whole.
    pub(crate) fn new(
        script: impl Fn(&Got, &mut TcpStream) -> After + Send + Sync + 'static,
    ) -> Self {
        Self::with_bodies(true, script)
    }

    /// A server that follows `script` once the head of a request has come; the
    /// body is the script's to read.
    pub(crate) fn at_head(
        script: impl Fn(&Got, &mut TcpStream) -> After + Send + Sync + 'static,
    ) -> Self {
        Self::with_bodies(false, script)
    }

    /// A server that answers with `name` and keeps the connection.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::new(move |_, stream| {
            ok(stream, name);
            After::Keep
        })
    }

    fn with_bodies(
        reads_bodies: bool,
        script: impl Fn(&Got, &mut TcpStream) -> After + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let got = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let record = Arc::clone(&got);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (record, script) = (Arc::clone(&record), Arc::clone(&script));
                let stream = stream.expect("a connection");
                let _ = stream.set_nodelay(true);
                thread::spawn(move || converse(connection, stream, reads_bodies, &record, &script));
            }
        });
        Self { address, got }
    }

    /// All requests so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("no test panics under it").clone()
    }

    /// How many connections brought a request.
    pub(crate) fn n_connections(&self) -> usize {
        let connections: std::collections::BTreeSet<_> =
            self.got().iter().map(|got| got.connection).collect();
        connections.len()
    }
}

impl Refusing {
    pub(crate) fn new() -> Self {
        // Bound, so that nobody else gets the port; not listening.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).expect("loopback can be bound");
        let address = socket.local_addr().expect("it is bound");
        Self {
            address: address.as_socket().expect("an IP address"),
            _bound: socket,
        }
    }
}

impl Got {
    /// The values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(n, _)| n == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }
}

/// Writes a 200 with `body`.
pub(crate) fn ok(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    // A proxy that has left is for the test to notice.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn converse(
    connection: usize,
    mut stream: TcpStream,
    reads_bodies: bool,
    record: &Mutex<Vec<Got>>,
    script: &Arc<Script>,
) {
    // One byte at a time where the script reads on, so that nothing is left here.
    let capacity = if reads_bodies { 8192 } else { 1 };
    let second = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::with_capacity(capacity, second);
    while let Some(mut got) = read_head(&mut reader, connection) {
        if reads_bodies && read_body(&mut reader, &mut got).is_none() {
            return;
        }
        record
            .lock()
            .expect("no test panics under it")
            .push(got.clone());
        if script(&got, &mut stream) == After::Close {
            return;
        }
    }
}

/// The head of a request; `None` when the other side has left.
pub(crate) fn read_head(reader: &mut impl BufRead, connection: usize) -> Option<Got> {
    let line = read_line(reader)?;
    Some(Got {
        connection,
        line,
        fields: read_fields(reader)?,
        body: Vec::new(),
        trailers: Vec::new(),
    })
}

/// Fields to the empty line, names in lower case.
pub(crate) fn read_fields(reader: &mut impl BufRead) -> Option<Fields> {
    let mut fields = Vec::new();
    loop {
        let field = read_line(reader)?;
        if field.is_empty() {
            return Some(fields);
        }
        let (name, value) = field.split_once(':')?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// Reads the body of the request `got`; `None` when it is cut short.
pub(crate) fn read_body(reader: &mut impl BufRead, got: &mut Got) -> Option<()> {
    if let [length] = got.all("content-length")[..] {
        let mut body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        got.body = body;
    } else if !got.all("transfer-encoding").is_empty() {
        (got.body, got.trailers) = read_chunks(reader)?;
    }
    Some(())
}

/// A chunked body, decoded, and what came behind it.
pub(crate) fn read_chunks(reader: &mut impl BufRead) -> Option<(Vec<u8>, Fields)> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&read_line(reader)?, 16).ok()?;
        if size == 0 {
            return Some((body, read_fields(reader)?));
        }
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..]).ok()?;
        read_line(reader)?;
    }
}

/// A line without its end; `None` when the other side has left.
pub(crate) fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.take(1 << 20).read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\r\n")?;
    Some(String::from_utf8_lossy(line).into_owned())
}
