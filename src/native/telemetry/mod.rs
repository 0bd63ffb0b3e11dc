//! What the proxy tells about itself.

pub mod access_log;
mod log_format;

pub mod events;

pub mod feed;
pub mod moved;
pub mod record;

pub mod otlp;
pub mod trace_context;

pub mod prometheus;
pub mod told;

use std::io::IsTerminal;
use std::sync::atomic::AtomicU64;

use tracing_subscriber::EnvFilter;

use super::cli::{LogArgs, LogFormat};

/// Clients' connections, and what became of what there was to tell; Prometheus
/// asks for it.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections of clients that there are.
    pub connections: AtomicU64,
    /// Those that there were.
    pub connections_accepted: AtomicU64,
    /// Those of them that speak HTTP/2 now.
    pub http2_connections: AtomicU64,
    /// Requests over HTTP/2, up to a second late.
    pub http2_requests: AtomicU64,
    /// Connections that were ended because their clients gave up most requests.
    pub http2_refused: AtomicU64,
    /// Those without a good PROXY header where one was expected.
    pub proxy_headers_refused: AtomicU64,
    /// Lines of the access log that were dropped because writing could not
    /// keep up.
    pub log_dropped: AtomicU64,
    /// Lines of the access log that could not be written.
    pub log_failed: AtomicU64,
    /// Live streams of events that there are.
    pub streams: AtomicU64,
    /// Those that were cut off because their readers could not keep up.
    pub streams_cut: AtomicU64,
    /// Traces that were sent to the collector.
    pub traces_sent: AtomicU64,
    /// Traces that were dropped because sending could not keep up.
    pub traces_dropped: AtomicU64,
    /// Traces that the collector did not take.
    pub traces_failed: AtomicU64,
    /// How often the recording could not be written.
    pub record_failed: AtomicU64,
}

/// Starts logging to standard error.
///
/// # Errors
/// When the filter is not one, in words.
pub fn start(args: &LogArgs) -> Result<(), String> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|error| format!("--log {:?} is not allowed: {error}", args.log))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match args.log_format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
