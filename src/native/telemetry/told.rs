//! The figures of the process itself, and of what it tells: connections, logs,
//! traces, streams.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Counts;
use super::prometheus::Writer;
use crate::engine::ServerName;
use crate::native::counters::{CODES, code_names};

/// What there is to know of them at a moment.
#[derive(Debug)]
pub struct Told {
    /// What became of what there was to tell.
    pub counts: Arc<Counts>,
    /// What part of all keys changes have moved, about, added up.
    pub keys_moved: f64,
    /// Each server's finished requests by status, in the order of
    /// [`code_names`].
    pub codes: Vec<(ServerName, [u64; CODES])>,
}

impl Collector for Told {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        let counts = &*self.counts;
        let read = |count: &AtomicU64| count.load(Relaxed);
        out.gauge(
            "client_connections",
            "Connections of clients.",
            read(&counts.connections) as f64,
        )?;
        out.gauge(
            "client_connections_http2",
            "Connections of clients that speak HTTP/2.",
            read(&counts.http2_connections) as f64,
        )?;
        out.gauge(
            "event_streams",
            "Live streams of events.",
            read(&counts.streams) as f64,
        )?;
        let rows = [
            (
                "client_connections_accepted",
                "Connections that clients have made.",
                &counts.connections_accepted,
            ),
            (
                "client_requests_http2",
                "Requests that clients have sent over HTTP/2.",
                &counts.http2_requests,
            ),
            (
                "client_connections_refused_http2",
                "Connections over HTTP/2 that were ended because their clients gave up most of their requests.",
                &counts.http2_refused,
            ),
            (
                "proxy_headers_refused",
                "Connections that were closed for want of a good PROXY header.",
                &counts.proxy_headers_refused,
            ),
            (
                "event_streams_cut",
                "Live streams that were cut off because their readers could not keep up.",
                &counts.streams_cut,
            ),
            (
                "access_log_dropped",
                "Lines of the access log that were dropped because writing could not keep up.",
                &counts.log_dropped,
            ),
            (
                "access_log_failed",
                "Lines of the access log that could not be written.",
                &counts.log_failed,
            ),
            (
                "record_failed",
                "How often the recording could not be written.",
                &counts.record_failed,
            ),
            (
                "traces_sent",
                "Traces that were sent to the collector.",
                &counts.traces_sent,
            ),
            (
                "traces_dropped",
                "Traces that were dropped because sending could not keep up.",
                &counts.traces_dropped,
            ),
            (
                "traces_failed",
                "Traces that the collector did not take.",
                &counts.traces_failed,
            ),
        ];
        for (name, help, count) in rows {
            out.counters(name, help, [(Vec::new(), read(count))])?;
        }
        out.sum(
            "keys_moved",
            "What part of all keys changes of the fleet have moved, about, added up.",
            self.keys_moved,
        )?;
        let names: Vec<String> = code_names().collect();
        let rows = self.codes.iter().flat_map(|(server, codes)| {
            let counted = names.iter().zip(codes).filter(|(_, n)| **n > 0);
            counted.map(|(code, n)| {
                let labels = vec![("server", server.as_str()), ("code", code.as_str())];
                (labels, *n)
            })
        });
        out.counters(
            "server_responses",
            "The server's finished requests by the status of its answer.",
            rows,
        )
    }
}
