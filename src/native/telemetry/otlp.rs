//! Sends spans to a collector, by OTLP over HTTP.
//!
//! Written here, of what the proxy has anyway (hyper, serde): the crates of
//! OpenTelemetry would bring thirteen more, and a thread of their own, for what
//! is one POST a second.
//!
//! Requests never wait for it: traces go through a bounded queue, and what finds
//! it full is dropped and counted. So is a batch that the collector does not
//! take; it is not tried again, since others are waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::OtlpUrl;
use crate::native::shared::Shared;
use crate::wire::{OtlpTraces, Span};

/// Traces waiting to be sent; each is of one request, and has about 2 KB.
pub const QUEUE_MAX: usize = 2048;

/// Traces sent at a time: about a megabyte of JSON, and what collectors take.
const BATCH: usize = 512;

/// How long a batch that is not full waits for further traces.
const GATHER: Duration = Duration::from_secs(1);

/// How long a collector may take for a batch.
const WAIT: Duration = Duration::from_secs(10);

/// How long it may take for the last ones, when the program ends.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The spans of one request.
pub type Trace = Vec<Span>;

/// Sends what is queued, to where configuration says, until `stop` is cancelled;
/// then what is left.
pub async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Trace>, stop: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_broken = false;
    loop {
        let is_over = tokio::select! {
            biased;
            n = queue.recv_many(&mut batch, BATCH) => n == 0,
            () = stop.cancelled() => true,
        };
        if !is_over && batch.len() < BATCH {
            tokio::select! {
                () = gather(&mut queue, &mut batch) => {}
                () = stop.cancelled() => {}
            }
        }
        while batch.len() < BATCH
            && let Ok(trace) = queue.try_recv()
        {
            batch.push(trace);
        }
        if !batch.is_empty() {
            let wait = if stop.is_cancelled() { LAST_WAIT } else { WAIT };
            send(&shared, std::mem::take(&mut batch), wait, &mut is_broken).await;
        }
        // Whatever has come in meanwhile is sent too, if the collector takes it.
        if is_over && (is_broken || queue.is_empty()) {
            return;
        }
    }
}

/// Takes what comes within a moment.
async fn gather(queue: &mut mpsc::Receiver<Trace>, batch: &mut Vec<Trace>) {
    let mut is_late = std::pin::pin!(sleep(GATHER));
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        tokio::select! {
            () = &mut is_late => return,
            n = queue.recv_many(batch, room) => if n == 0 { return },
        }
    }
}

async fn send(shared: &Shared, batch: Vec<Trace>, wait: Duration, is_broken: &mut bool) {
    let (n, counts) = (batch.len() as u64, &shared.counts);
    let config = shared.config();
    let Some(url) = &config.tracing.otlp else {
        // Switched off meanwhile.
        counts.traces_failed.fetch_add(n, Relaxed);
        return;
    };
    let spans = batch.into_iter().flatten().collect();
    let traces = OtlpTraces::new(&config.tracing.service_name, shared.feed.boot(), spans);
    // Shapes have only texts for keys and no serialiser of their own that fails.
    let body = serde_json::to_vec(&traces).unwrap_or_default();
    let posted = timeout(wait, post(url, body.into())).await;
    let posted = posted.unwrap_or_else(|_| Err(format!("no answer within {} s", wait.as_secs())));
    match posted {
        Ok(()) => {
            counts.traces_sent.fetch_add(n, Relaxed);
            if *is_broken {
                info!("the collector takes traces again");
            }
            *is_broken = false;
        }
        Err(why) => {
            counts.traces_failed.fetch_add(n, Relaxed);
            if !*is_broken {
                warn!(why, "the collector does not take traces; they are dropped");
            }
            *is_broken = true;
        }
    }
}

/// Posts `body`; on a connection of its own, as there is one a second at most.
async fn post(url: &OtlpUrl, body: Bytes) -> Result<(), String> {
    let (host, port) = (url.host(), url.port().number());
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    let no_answer = |error: hyper::Error| format!("no answer: {error}");
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(no_answer)?;
    let mut request = Request::post("/").body(Full::new(body)).unwrap_or_default();
    // Configuration lets only good paths and hosts through.
    *request.uri_mut() = url.path().as_str().parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::try_from(format!("{}:{port}", host.in_authority())) {
        headers.insert(HOST, host);
    }
    let agent = HeaderValue::from_static(concat!("ringway/", env!("CARGO_PKG_VERSION")));
    headers.insert(USER_AGENT, agent);
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = sender.send_request(request);
    // The connection ends with this function, and the rest of the answer with it.
    let status: StatusCode = tokio::select! {
        answer = answer => answer.map_err(no_answer)?.status(),
        Err(error) = connection => return Err(no_answer(error)),
    };
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("status {}", status.as_u16())),
    }
}
