//! What becomes of connections when there is no room for another: some that rest
//! make room, and who still finds none is told so. Nobody is left waiting.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::listen::Door;
use super::places::{Place, Places};
use super::worker::Worker;
use super::{conn, error};

/// How long a connection waits for a place of one that rests: that one ends
/// within two ticks of the timers.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often room is made for it in that time.
const TRIES: u32 = 5;

/// Connections that wait so, or are being refused, for each worker. Beyond that
/// they are refused without ceremony.
const AT_DOOR_MAX: usize = 64;

/// How long a client that is refused may take to go, so that it has read why: a
/// connection with something unread is reset when it is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// The way in to one worker.
pub(super) struct WorkerDoor {
    worker: Rc<Worker>,
    places: Arc<Places>,
    connections: TaskTracker,
    at_door: Rc<Cell<usize>>,
}

impl WorkerDoor {
    /// A way in to `worker`, whose connections are tracked.
    pub(super) fn new(worker: Rc<Worker>, places: Arc<Places>, connections: TaskTracker) -> Self {
        Self {
            worker,
            places,
            connections,
            at_door: Rc::default(),
        }
    }
}

impl Door for WorkerDoor {
    fn places(&self) -> &Arc<Places> {
        &self.places
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let worker = Rc::clone(&self.worker);
        self.connections
            .spawn_local(serve(worker, stream, peer, place));
    }

    fn is_full(&self, stream: TcpStream, peer: SocketAddr) {
        self.worker.make_room();
        if self.at_door.get() >= AT_DOOR_MAX {
            return self.turn_away(stream);
        }
        let (worker, places) = (Rc::clone(&self.worker), Arc::clone(&self.places));
        let at_door = AtDoor::new(&self.at_door);
        self.connections.spawn_local(async move {
            for _ in 0..TRIES {
                let place = tokio::time::timeout(PATIENCE / TRIES, places.take()).await;
                if let Ok(Some(place)) = place {
                    drop(at_door);
                    return serve(worker, stream, peer, place).await;
                }
                // Another may have come to rest meanwhile.
                worker.make_room();
            }
            worker
                .shared
                .counts
                .connections_refused
                .fetch_add(1, Relaxed);
            // In the middle of a handshake of TLS nothing can be said.
            if worker.shared.tls.now().is_none() {
                let _ = tokio::time::timeout(FAREWELL, refuse(stream)).await;
            }
        });
    }

    fn cannot_accept(&self) {
        self.worker
            .shared
            .counts
            .accepts_failed
            .fetch_add(1, Relaxed);
        self.worker.free_descriptors();
    }

    fn turn_away(&self, stream: TcpStream) {
        self.worker
            .shared
            .counts
            .connections_refused
            .fetch_add(1, Relaxed);
        if self.worker.shared.tls.now().is_none() {
            // It fits into any buffer of a new connection.
            let _ = stream.try_write(error::OVERLOADED.as_bytes());
        }
    }
}

async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: SocketAddr, place: Place) {
    let counts = Arc::clone(&worker.shared.counts);
    counts.connections_accepted.fetch_add(1, Relaxed);
    counts.connections.fetch_add(1, Relaxed);
    conn::serve(stream, peer, worker).await;
    counts.connections.fetch_sub(1, Relaxed);
    drop(place);
}

/// Says that there is no room, and waits until that is read.
async fn refuse(mut stream: TcpStream) {
    let said = stream.write_all(error::OVERLOADED.as_bytes()).await;
    if said.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await.is_ok_and(|n| n > 0) {}
}

/// One connection that waits at the door.
struct AtDoor(Rc<Cell<usize>>);

impl AtDoor {
    fn new(number: &Rc<Cell<usize>>) -> Self {
        number.set(number.get() + 1);
        Self(Rc::clone(number))
    }
}

impl Drop for AtDoor {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
