//! A scripted server that speaks HTTP/2, on loopback: a thread with a runtime of
//! its own. And one that speaks in frames, for what no library says.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, request};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A running server; its thread ends with the test process.
pub(crate) struct Http2Origin {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<request::Parts>>>,
    n_connections: Arc<AtomicUsize>,
}

/// A request, and where its answer goes.
pub(crate) struct Call {
    /// How many requests came before it, over any connection.
    pub(crate) number: usize,
    pub(crate) head: request::Parts,
    pub(crate) body: RecvStream,
    pub(crate) respond: SendResponse<Bytes>,
    go_away: mpsc::UnboundedSender<()>,
}

type Script = dyn Fn(Call) -> Pin<Box<dyn Future<Output = ()>>> + Send + Sync;

impl Http2Origin {
    /// One that does this with each request.
    pub(crate) fn new<F: Future<Output = ()> + 'static>(
        script: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::with(Builder::new(), None, script)
    }

    /// The same with settings of its own, and over TLS if it is given what for.
    pub(crate) fn with<F: Future<Output = ()> + 'static>(
        builder: Builder,
        tls: Option<ServerConfig>,
        script: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("it can be");
        let origin = Self {
            address,
            heads: Arc::default(),
            n_connections: Arc::default(),
        };
        let (heads, n_connections) = (Arc::clone(&origin.heads), Arc::clone(&origin.n_connections));
        let script: Arc<Script> = Arc::new(move |call| Box::pin(script(call)));
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let local = tokio::task::LocalSet::new();
            runtime.block_on(local.run_until(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    let (builder, tls) = (builder.clone(), tls.clone());
                    let (script, heads) = (Arc::clone(&script), Arc::clone(&heads));
                    let n_connections = Arc::clone(&n_connections);
                    tokio::task::spawn_local(async move {
                        match tls {
                            None => serve(stream, builder, &script, &heads, &n_connections).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    serve(stream, builder, &script, &heads, &n_connections).await;
                                }
                            }
                        }
                    });
                }
            }));
        });
        origin
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<request::Parts> {
        self.heads.lock().expect("no panic under it").clone()
    }

    /// How many connections brought a request.
    pub(crate) fn n_connections(&self) -> usize {
        self.n_connections.load(SeqCst)
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    builder: Builder,
    script: &Arc<Script>,
    heads: &Mutex<Vec<request::Parts>>,
    n_connections: &AtomicUsize,
) {
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let (go_away, mut goes_away) = mpsc::unbounded_channel();
    let mut has_requests = false;
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else {
                    return;
                };
                if !has_requests {
                    n_connections.fetch_add(1, SeqCst);
                }
                has_requests = true;
                let (head, body) = Request::into_parts(request);
                let mut heads = heads.lock().expect("no panic under it");
                let number = heads.len();
                heads.push(head.clone());
                drop(heads);
                let go_away = go_away.clone();
                let call = Call { number, head, body, respond, go_away };
                tokio::task::spawn_local(script(call));
            }
            _ = goes_away.recv() => connection.graceful_shutdown(),
        }
    }
}

impl Call {
    /// Begins an answer with a body.
    pub(crate) fn answer(&mut self, fields: &[(&'static str, &'static str)]) -> SendStream<Bytes> {
        let mut response = Response::new(());
        for &(name, value) in fields {
            let value = http::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        let sent = self.respond.send_response(response, false);
        sent.expect("the stream is open")
    }

    /// Answers with this text.
    pub(crate) fn text(&mut self, text: impl Into<Bytes>) {
        let mut stream = self.answer(&[]);
        // A proxy that has left is for the test to notice.
        let _ = stream.send_data(text.into(), true);
    }

    /// The next piece of the request's body; `None` when all has come, or it has
    /// broken off.
    pub(crate) async fn piece(&mut self) -> Option<Bytes> {
        let piece = self.body.data().await?.ok()?;
        let _ = self.body.flow_control().release_capacity(piece.len());
        Some(piece)
    }

    /// All of the request's body, and its trailers.
    pub(crate) async fn whole(&mut self) -> (Vec<u8>, HeaderMap) {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await {
            whole.extend_from_slice(&piece);
        }
        let trailers = self.body.trailers().await.ok().flatten();
        (whole, trailers.unwrap_or_default())
    }

    /// Takes no further requests over this connection.
    pub(crate) fn go_away(&self) {
        let _ = self.go_away.send(());
    }
}

/// What a frame is.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;

/// A connection to a server in frames, begun as HTTP/2 begins.
pub(crate) struct Frames(TcpStream);

impl Frames {
    pub(crate) fn accept(mut stream: TcpStream) -> Self {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).expect("a preface");
        let mut frames = Self(stream);
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        let head = [
            &length[1..],
            &[kind, flags],
            &stream.to_be_bytes()[..],
            payload,
        ];
        let _ = self.0.write_all(&head.concat());
    }

    /// An answer without a body: status 200.
    pub(crate) fn send_ok(&mut self, stream: u32) {
        self.send(HEADERS, 5, stream, &[0x88]);
    }

    /// The next frame's kind and stream; `None` when the other side has left.
    pub(crate) fn next(&mut self) -> Option<(u8, u32)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], stream))
    }

    /// The stream of the next request.
    pub(crate) fn next_request(&mut self) -> Option<u32> {
        loop {
            match self.next()? {
                (HEADERS, stream) => return Some(stream),
                _ => continue,
            }
        }
    }
}
