//! Probes by gRPC's health service, of servers that speak HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::probe_with;
use super::tls::Authority;
use crate::support::origin::Origin;

/// An answer: its head, its body, its trailers.
#[derive(Clone, Debug, Default)]
struct Answer {
    status: u16,
    head: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    trailers: Vec<(&'static str, &'static str)>,
}

/// The answer of a server whose service has this status.
fn says(status: u8) -> Answer {
    Answer {
        status: 200,
        head: vec![("content-type", "application/grpc")],
        body: vec![0, 0, 0, 0, 2, 8, status],
        trailers: vec![("grpc-status", "0")],
    }
}

/// The requests a server got: their heads and their bodies.
type Asked = Arc<Mutex<Vec<(http::request::Parts, Vec<u8>)>>>;

/// A server that gives this answer to all, over TLS if it is given what for.
fn serving(answer: Answer, tls: Option<Arc<ServerConfig>>) -> (SocketAddr, Asked) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("it can be");
    let asked = Asked::default();
    let record = Arc::clone(&asked);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (answer, record) = (answer.clone(), Arc::clone(&record));
                let tls = tls.clone().map(TlsAcceptor::from);
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, record).await,
                        // A prober that does not trust us leaves.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, record).await;
                            }
                        }
                    }
                });
            }
        });
    });
    (address, asked)
}

async fn serve<S>(stream: S, answer: Answer, asked: Asked)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, asked) = (answer.clone(), Arc::clone(&asked));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            asked.lock().expect("no panic").push((head, body.to_vec()));
            Ok::<_, Infallible>(respond(answer))
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new());
    // The prober leaves as soon as it knows enough.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields.iter();
    fields
        .map(|(name, value)| {
            let name = name.parse().expect("a name");
            (name, HeaderValue::from_static(value))
        })
        .collect()
}

fn respond(answer: Answer) -> Response<Frames> {
    let mut frames = Vec::new();
    if !answer.body.is_empty() {
        frames.push(Frame::data(Bytes::from(answer.body)));
    }
    if !answer.trailers.is_empty() {
        frames.push(Frame::trailers(fields(&answer.trailers)));
    }
    let mut response = Response::new(Frames(frames.into_iter()));
    *response.status_mut() = answer.status.try_into().expect("a status");
    *response.headers_mut() = fields(&answer.head);
    response
}

/// Frames that are all there.
struct Frames(std::vec::IntoIter<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

fn ask(settings: Value, address: SocketAddr) -> Result<(), String> {
    let mut settings = settings;
    settings["kind"] = json!("grpc");
    settings["timeout"] = json!(5);
    probe_with(settings, address)
}

#[test]
fn a_service_that_is_serving_is_good_and_is_asked_as_grpc_has_it() {
    let (address, asked) = serving(says(1), None);
    let settings = json!({"grpc_service": "shop.Cart", "headers": {"x-tenant": "a"}});
    assert_eq!(ask(settings, address), Ok(()));
    assert_eq!(ask(json!({"host": "cart.example"}), address), Ok(()));
    let asked = asked.lock().expect("no panic");
    let [(head, body), (other, empty)] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.path(), "/grpc.health.v1.Health/Check");
    let authority = head.uri.authority().map(|a| a.as_str().to_owned());
    assert_eq!(authority, Some(address.to_string()));
    let field = |name: &str| head.headers[name].to_str().expect("ASCII").to_owned();
    assert_eq!(field("content-type"), "application/grpc");
    assert_eq!(field("te"), "trailers");
    assert_eq!(field("grpc-timeout"), "5000m");
    assert_eq!(field("x-tenant"), "a");
    let message = [&[0, 0, 0, 0, 11, 0x0a, 9], &b"shop.Cart"[..]].concat();
    assert_eq!(*body, message);
    assert_eq!(other.uri.host(), Some("cart.example"));
    assert_eq!(empty[..], [0; 5]);
}

#[test]
fn other_answers_are_bad_and_each_says_how() {
    let unknown = Answer {
        head: vec![("content-type", "application/grpc"), ("grpc-status", "5")],
        body: Vec::new(),
        trailers: Vec::new(),
        ..says(0)
    };
    let unimplemented = Answer {
        trailers: vec![("grpc-status", "12"), ("grpc-message", "no such method")],
        body: Vec::new(),
        ..says(0)
    };
    let web = Answer {
        head: vec![("content-type", "text/html")],
        body: b"<html>".to_vec(),
        trailers: Vec::new(),
        ..says(0)
    };
    for (answer, said) in [
        (says(0), "its status is UNKNOWN"),
        (says(2), "its status is NOT_SERVING"),
        (says(3), "its status is SERVICE_UNKNOWN"),
        (unknown, "gRPC status 5 (the service is not known there)"),
        (
            unimplemented,
            "gRPC status 12 (it has no health service): no such method",
        ),
        (web, "this is not gRPC: it has no grpc-status"),
        (
            Answer {
                status: 503,
                ..says(1)
            },
            "status 503",
        ),
        (
            Answer {
                body: b"garbage".to_vec(),
                ..says(1)
            },
            "the answer is no health check's",
        ),
        (
            Answer {
                body: Vec::new(),
                ..says(1)
            },
            "the answer is no health check's",
        ),
    ] {
        let (address, _) = serving(answer, None);
        assert_eq!(ask(json!({}), address), Err(said.to_owned()));
    }
    let (address, _) = serving(
        Answer {
            body: vec![0; 100_000],
            ..says(1)
        },
        None,
    );
    let why = ask(json!({}), address).expect_err("it is too long");
    assert!(why.starts_with("no answer: "), "{why}");
    let http1 = Origin::named("up");
    let why = ask(json!({}), http1.address).expect_err("it speaks no HTTP/2");
    assert!(why.starts_with("no answer"), "{why}");
}

#[test]
fn it_goes_over_tls_too() {
    let authority = Authority::new("grpcs");
    let (address, asked) = serving(says(1), Some(authority.server("cart.example", b"h2")));
    let trusting = json!({"ca_file": authority.file});
    let settings = json!({"host": "cart.example", "tls": trusting});
    assert_eq!(ask(settings, address), Ok(()));
    assert_eq!(
        asked.lock().expect("no panic")[0].0.uri.scheme_str(),
        Some("https")
    );
    let why = ask(json!({"tls": trusting}), address).expect_err("another name");
    assert!(why.starts_with("no TLS: "), "{why}");
    // In clear text it is no HTTP/2.
    assert!(ask(json!({}), address).is_err());
}
