//! One client and the proxy agree on TLS.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use rustls::HandshakeKind;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::{ClientCert, HTTP2, Tls};
use crate::native::proxy::timer::Timer;
use crate::native::proxy::worker::Worker;

/// What was agreed on.
pub(in crate::native::proxy) struct Secured {
    /// The client's stream.
    pub(in crate::native::proxy) stream: Box<TlsStream<TcpStream>>,
    /// Whether HTTP/2 is spoken on it.
    pub(in crate::native::proxy) is_http2: bool,
    /// What servers are told of the client's certificate.
    pub(in crate::native::proxy) certificate: ClientCert,
}

/// Agrees with the client of `stream`, in time. `None` when they do not come to
/// terms, which is the client's business: it is counted, and the log only has it
/// where it tells everything.
pub(in crate::native::proxy) async fn secure(
    stream: TcpStream,
    tls: Arc<Tls>,
    worker: &Rc<Worker>,
) -> Option<Secured> {
    let timer = Timer::new(&worker.timers);
    timer.set(worker.fleet().rules().waits.tls_handshake);
    let mut accepting = pin!(TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream));
    let accepted = poll_fn(|cx| {
        timer.watch(cx);
        match accepting.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if timer.is_due() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    let counts = &worker.shared.tls.handshakes;
    let stream = match accepted {
        Some(Ok(stream)) => Box::new(stream),
        Some(Err(error)) => {
            counts.failed.fetch_add(1, Relaxed);
            debug!(%error, "a client and the proxy have not agreed on TLS");
            return None;
        }
        None => {
            counts.late.fetch_add(1, Relaxed);
            return None;
        }
    };
    let (_, agreed) = stream.get_ref();
    let count = match agreed.handshake_kind() {
        Some(HandshakeKind::Resumed) => &counts.resumed,
        _ => &counts.full,
    };
    count.fetch_add(1, Relaxed);
    let certificate = agreed.peer_certificates().and_then(<[_]>::first);
    Some(Secured {
        is_http2: agreed.alpn_protocol() == Some(HTTP2),
        certificate: match tls.tells_servers {
            true => ClientCert::known(certificate.map(|certificate| &**certificate)),
            false => ClientCert::AsItCame,
        },
        stream,
    })
}
