//! Who has connected: whoever the connection comes from, or the one of whom a
//! trusted proxy says so by the PROXY protocol.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tracing::debug;

use crate::config::ExpectedHeader;
use crate::native::proxy::timer::Timer;
use crate::native::proxy::worker::{Rules, Worker};
use crate::native::proxy_protocol::{self, Told};

/// As much of a header as is looked at before it is known to be one.
const AHEAD: usize = 128;

/// Who has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::native::proxy) struct Peer {
    /// Its address; an IPv4 address that came in an IPv6 one is given as IPv4.
    pub(in crate::native::proxy) source: SocketAddr,
    /// The address that it has connected to, if that is known.
    pub(in crate::native::proxy) destination: Option<SocketAddr>,
    /// Who the connection comes from: itself, or the proxy that says so.
    pub(in crate::native::proxy) connected: IpAddr,
    /// Whether it speaks TLS, here or with that proxy.
    pub(in crate::native::proxy) is_over_tls: bool,
}

impl Peer {
    /// Who has connected from `address`, without anybody between.
    pub(in crate::native::proxy) fn at(address: SocketAddr) -> Self {
        let source = canonical(address);
        Self {
            source,
            destination: None,
            connected: source.ip(),
            is_over_tls: false,
        }
    }

    fn told(self, told: Told) -> Self {
        Self {
            source: canonical(told.source),
            destination: Some(told.destination),
            is_over_tls: told.is_over_tls,
            ..self
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What is awaited of a connection from `address` before anything else.
enum Awaited {
    Nothing,
    Header,
    /// It may not be here at all.
    Refused,
}

fn awaited(rules: &Rules, address: IpAddr) -> Awaited {
    let is_trusted = || {
        let trust = rules.trust.as_ref();
        trust.is_some_and(|trust| trust.is_trusted(address))
    };
    match rules.config.listen.proxy_protocol {
        ExpectedHeader::Off => Awaited::Nothing,
        _ if is_trusted() => Awaited::Header,
        ExpectedHeader::Trusted => Awaited::Nothing,
        ExpectedHeader::Required => Awaited::Refused,
    }
}

/// Settles who has connected from `address` over `stream`, of which nothing is
/// taken but a header. `None` when there is none where one must be: then the
/// connection is not to be used. That is counted, and the log only has it where
/// it tells everything.
pub(super) async fn settle(
    stream: &mut TcpStream,
    address: SocketAddr,
    worker: &Rc<Worker>,
) -> Option<Peer> {
    let fleet = worker.fleet();
    let mut peer = Peer::at(address);
    if fleet.is_told_of_clients() {
        peer.destination = stream.local_addr().ok();
    }
    let why = match awaited(fleet.rules(), peer.connected) {
        Awaited::Nothing => return Some(peer),
        Awaited::Refused => "it comes from no trusted proxy".to_owned(),
        // Apart, so that ordinary connections do not have room for it.
        Awaited::Header => match Box::pin(header(stream, worker)).await {
            Ok(told) => return Some(told.map_or(peer, |told| peer.told(told))),
            Err(why) => why,
        },
    };
    let counts = &worker.shared.counts;
    counts.proxy_headers_refused.fetch_add(1, Relaxed);
    debug!(peer = %peer.connected, why, "a connection without a good PROXY header");
    None
}

/// What the header says that `stream` must begin with, in the time that a head
/// may take.
async fn header(stream: &mut TcpStream, worker: &Rc<Worker>) -> Result<Option<Told>, String> {
    let timer = Timer::new(&worker.timers);
    timer.set(worker.fleet().rules().waits.client_header);
    let late = || Err("the PROXY header did not come in time".to_owned());
    timer.in_time(read(stream)).await.unwrap_or_else(late)
}

async fn read(stream: &mut TcpStream) -> Result<Option<Told>, String> {
    let lost = |error: io::Error| format!("the connection broke off: {error}");
    let refused = |refusal: proxy_protocol::Refusal| refusal.to_string();
    let mut header = Vec::new();
    loop {
        let mut n = proxy_protocol::missing(&header, b"").map_err(refused)?;
        if n == 0 {
            return proxy_protocol::read(&header).map_err(refused);
        }
        if !header.is_empty() {
            // Where a line ends can be seen without taking what is behind it.
            let mut ahead = [0; AHEAD];
            let n_ahead = stream.peek(&mut ahead).await.map_err(lost)?;
            n = proxy_protocol::missing(&header, &ahead[..n_ahead]).map_err(refused)?;
        }
        let at = header.len();
        header.resize(at + n, 0);
        let n_read = stream.read(&mut header[at..]).await.map_err(lost)?;
        if n_read == 0 {
            return Err("it ended before its PROXY header did".to_owned());
        }
        header.truncate(at + n_read);
    }
}
