//! A server that goes wrong in one way or another, and comes right again, on
//! command: real sockets on loopback, one thread for each connection.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::origin::{Got, ok, read_body, read_head};

/// How often a server looks whether its fault is another.
const LOOK: Duration = Duration::from_millis(10);

/// What is wrong with a server. Probes meet it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Connections are refused.
    Refuse,
    /// Connections are taken and reset.
    ResetAtOnce,
    /// Requests are read, and then the connection is reset.
    ResetOnRequest,
    /// Requests are read, and nothing comes back.
    Hang,
    /// The head of the answer comes byte by byte.
    SlowHead,
    /// The head comes at once, the body byte by byte.
    Drip,
    /// The body ends half-way.
    Truncate,
    /// The answer is no HTTP.
    BadStatusLine,
    /// The answer has a head of a megabyte.
    HugeHead,
    /// Every answer is a 503.
    Status,
    /// Every fourth request of a connection finds it closed.
    CloseAfterThree,
    /// Five requests go well, five are reset, and so on.
    Flap,
}

/// A running server; its threads end with the test process.
pub(crate) struct Faulty {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    /// Keeps the port while connections are refused.
    _bound: Socket,
}

struct Shared {
    name: String,
    fault: Mutex<Fault>,
    n_requests: AtomicUsize,
    /// The `x-id` of each request that has one, as its head came.
    ids: Mutex<Vec<String>>,
}

impl Faulty {
    /// A server without fault, that answers with its name and the path.
    pub(crate) fn new(name: &str) -> Self {
        let bound = bind(([127, 0, 0, 1], 0).into());
        let address = bound.local_addr().expect("it is bound");
        let address = address.as_socket().expect("an IP address");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            fault: Mutex::new(Fault::None),
            n_requests: AtomicUsize::new(0),
            ids: Mutex::default(),
        });
        let listening = Arc::clone(&shared);
        // Before the first client comes.
        let first = listen(address);
        thread::spawn(move || accept(address, first, &listening));
        Self {
            address,
            shared,
            _bound: bound,
        }
    }

    /// From now on this is wrong with it.
    pub(crate) fn set(&self, fault: Fault) {
        *self.shared.fault.lock().expect("no panic under it") = fault;
    }

    /// The ids of all requests that came.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.shared.ids.lock().expect("no panic under it").clone()
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().expect("no panic under it")
    }

    /// What a good answer says.
    fn text(&self, got: &Got) -> String {
        let path = got.line.split(' ').nth(1).unwrap_or_default();
        let body = String::from_utf8_lossy(&got.body).into_owned();
        format!("{} {path} {body}", self.name)
    }
}

fn bind(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // Two sockets of this test share the port; only one of them listens.
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&address.into()).expect("the port is ours");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = bind(address);
    socket.listen(128).expect("it can listen");
    // Accepting gives up after a while, to look for another fault.
    socket.set_read_timeout(Some(LOOK)).expect("an option");
    socket.into()
}

fn accept(address: SocketAddr, first: TcpListener, shared: &Arc<Shared>) {
    let mut listener = Some(first);
    loop {
        if shared.fault() == Fault::Refuse {
            listener = None;
            thread::sleep(LOOK);
            continue;
        }
        let listening = listener.get_or_insert_with(|| listen(address));
        let Ok((stream, _)) = listening.accept() else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        // It has the listener's.
        let _ = stream.set_read_timeout(None);
        if shared.fault() == Fault::ResetAtOnce {
            reset(stream);
            continue;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || converse(stream, &shared));
    }
}

fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

fn converse(mut stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut n_on_this = 0;
    while let Some(mut got) = read_head(&mut reader, 0) {
        let ids = got.all("x-id").into_iter().map(str::to_owned);
        shared.ids.lock().expect("no panic under it").extend(ids);
        if read_body(&mut reader, &mut got).is_none() {
            return;
        }
        n_on_this += 1;
        let n = shared.n_requests.fetch_add(1, SeqCst);
        let text = shared.text(&got);
        let fault = match shared.fault() {
            Fault::Flap if (n / 5).is_multiple_of(2) => Fault::None,
            Fault::Flap => Fault::ResetOnRequest,
            Fault::CloseAfterThree if n_on_this <= 3 => Fault::None,
            fault => fault,
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
        match fault {
            Fault::None => ok(&mut stream, &text),
            Fault::Status => {
                let _ =
                    stream.write_all(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 4\r\n\r\nsick");
            }
            Fault::ResetOnRequest | Fault::ResetAtOnce => return reset(stream),
            Fault::Refuse | Fault::CloseAfterThree | Fault::Flap => return,
            Fault::Hang => return rest(&stream, shared),
            Fault::SlowHead => return trickle(&mut stream, head + &text, shared),
            Fault::Drip => {
                let _ = stream.write_all(head.as_bytes());
                return trickle(&mut stream, text, shared);
            }
            Fault::Truncate => {
                let _ = stream.write_all((head + &text[..text.len() / 2]).as_bytes());
                return;
            }
            Fault::BadStatusLine => {
                let _ = stream.write_all(b"ICY 200 OK\r\ncontent-length: 0\r\n\r\n");
                return;
            }
            Fault::HugeHead => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ");
                let _ = stream.write_all(&[b'x'; 1 << 20]);
                let _ = stream.write_all(b"\r\ncontent-length: 0\r\n\r\n");
                return;
            }
        }
    }
}

/// Does nothing until the other side leaves, or the fault is over.
fn rest(stream: &TcpStream, shared: &Shared) {
    let fault = shared.fault();
    let mut stream = stream;
    let _ = stream.set_read_timeout(Some(LOOK));
    while shared.fault() == fault {
        match stream.read(&mut [0]) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// Writes a byte every now and then.
fn trickle(stream: &mut TcpStream, text: String, shared: &Shared) {
    let fault = shared.fault();
    for byte in text.bytes() {
        if stream.write_all(&[byte]).is_err() || shared.fault() != fault {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
}
