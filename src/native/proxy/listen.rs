//! Bound sockets and the loop that accepts from one.
//!
//! Knows nothing of HTTP; the proxy's workers and the API both use it.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::places::{Place, Places};

/// Connections that wait to be accepted, for each listener; the kernel caps it
/// at `net.core.somaxconn`, which is 4096 by default.
const BACKLOG: i32 = 4096;

/// Bytes for a client that may wait in the kernel to be sent, beside those that
/// are under way: as many as fill a fast line until the next are written.
const UNSENT_MAX: u32 = 131_072;

/// How long accepting rests after the system refused it, which is mostly
/// because descriptors or memory have run out: long enough not to spin, short
/// enough that nobody notices once they are back.
const REST: Duration = Duration::from_millis(50);

/// How often such refusals are logged, in rests: about every ten seconds.
const RESTS_PER_WARNING: u32 = 200;

/// For how many rests clients wait for descriptors: about a second.
const RESTS_OF_PATIENCE: u32 = 20;

/// Clients that are turned away between two rests.
const TURNED_AWAY_MAX: u32 = 64;

/// Listeners on one address, one for each of `n` threads; the kernel spreads
/// connections over them. The first of the host's addresses that can be bound
/// is taken.
///
/// # Errors
/// When none can be bound, in particular when another process listens there.
pub fn bind(host: &str, port: u16, n: usize) -> io::Result<Vec<TcpListener>> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match bind_address(address, n) {
            Ok(listeners) => return Ok(listeners),
            Err(e) => error = e,
        }
    }
    Err(error)
}

/// Gives each of `n` threads its listeners: each listener once, and when there
/// are fewer than threads, some to several. None is closed, since what waits
/// in its queue would be lost, and none is made, since not every socket lets
/// others share its port.
///
/// # Errors
/// When there are no descriptors left.
pub fn share_out(listeners: Vec<TcpListener>, n: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut shares: Vec<Vec<TcpListener>> = (0..n).map(|_| Vec::new()).collect();
    let further = shares.iter_mut().skip(listeners.len());
    for (share, listener) in further.zip(listeners.iter().cycle()) {
        share.push(listener.try_clone()?);
    }
    for (i, listener) in listeners.into_iter().enumerate() {
        shares[i % n.max(1)].push(listener);
    }
    Ok(shares)
}

fn bind_address(address: SocketAddr, n: usize) -> io::Result<Vec<TcpListener>> {
    if n <= 1 {
        return Ok(vec![bind_one(address, false)?]);
    }
    if address.port() != 0 {
        // A shared port can be bound again by any process of the same user, so
        // a second proxy would silently take half of the connections. Unshared
        // it can't: try that first.
        drop(bind_one(address, false)?);
    }
    let first = bind_one(address, true)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..n {
        listeners.push(bind_one(address, true)?);
    }
    Ok(listeners)
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of a former process that wait out their end do not block.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What becomes of connections.
pub trait Door {
    /// The places that there are for them.
    fn places(&self) -> &Arc<Places>;

    /// One has come, and has a place.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Place);

    /// One has come, and there is no place for it. Not to be waited for.
    fn is_full(&self, stream: TcpStream, peer: SocketAddr);

    /// The system lets none come, mostly since descriptors have run out.
    fn cannot_accept(&self);

    /// One has come that is to go at once.
    fn turn_away(&self, stream: TcpStream);
}

/// Accepts until `stop` is cancelled, and then what has queued up until then.
///
/// # Errors
/// When the listener cannot be used at all.
pub async fn accept(
    listener: TcpListener,
    stop: CancellationToken,
    door: impl Door,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut stopped = pin!(stop.cancelled());
    let mut n_rests: u32 = 0;
    let mut reserve = Reserve::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client was gone before it was its turn.
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                door.cannot_accept();
                if n_rests.is_multiple_of(RESTS_PER_WARNING) {
                    warn!(%error, "cannot accept connections; trying on");
                }
                n_rests = n_rests.wrapping_add(1);
                if n_rests > RESTS_OF_PATIENCE {
                    reserve.turn_away(&listener, &door).await;
                }
                tokio::select! {
                    () = &mut stopped => break,
                    () = tokio::time::sleep(REST) => continue,
                }
            }
        };
        n_rests = 0;
        prepare(&stream);
        hold_back(&stream);
        match door.places().try_take() {
            Some(place) => door.serve(stream, peer, place),
            None => door.is_full(stream, peer),
        }
    }
    drop(reserve);
    // For these clients the connection is made: serve them rather than reset.
    // The system is asked itself, as the runtime may not have heard of them.
    let listener = listener.into_std()?;
    // Another process may keep the queue filled: no more than it can hold.
    for _ in 0..BACKLOG {
        let Ok((stream, peer)) = listener.accept() else {
            break;
        };
        let Some(place) = door.places().try_take() else {
            break;
        };
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream)?;
        prepare(&stream);
        door.serve(stream, peer, place);
    }
    Ok(())
}

/// A descriptor for the time when there is none: given up, it lets connections
/// be accepted one after the other, to be told that there is no room. They would
/// wait in the kernel's queue otherwise, for nobody knows how long.
struct Reserve(Option<File>);

impl Reserve {
    fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Turns away those who wait, up to a batch of them.
    async fn turn_away(&mut self, listener: &tokio::net::TcpListener, door: &impl Door) {
        self.0 = None;
        for _ in 0..TURNED_AWAY_MAX {
            let accepted = poll_fn(|cx| match listener.poll_accept(cx) {
                Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
                Poll::Pending => Poll::Ready(None),
            });
            match accepted.await {
                Some((stream, _)) => door.turn_away(stream),
                None => break,
            }
        }
        *self = Self::new();
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Whole messages are written at once, so waiting for more (Nagle) only delays
/// their last part. Failing to say so is harmless.
pub(super) fn prepare(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_tcp_nodelay(true);
}

/// What a client does not take piles up here, and not in buffers of the kernel,
/// which may have megabytes for each: so it shows soon how fast a client reads.
pub(super) fn hold_back(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_MAX);
}
