//! The figures for Prometheus, in the OpenMetrics text format.
//!
//! Nothing is counted here: the text is made from the engine's snapshot each
//! time it is asked for. Names begin with `ringway_`; what is known of each
//! server begins with `ringway_server_` and has its name as a label.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::told::Told;
use crate::engine::{
    AdminState, BUCKETS, BoundedCounters, CLASSES, Counters, Health, Histogram, KeyCounts,
    RoutingTable, ServerName, ServerSnapshot, Snapshot, Standing, bucket_end_micros,
};
use crate::native::connections::ConnectionCounts;
use crate::native::rate_limit::RateLimitCounters;
use crate::native::retries::{Reason, RetryCounts};

mod queue;
pub use queue::QueueFigures;

mod operations;
pub use operations::Done;

mod tls;
pub use tls::TlsFigures;

/// What the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of response times: from 2^9 µs (0.5 ms) to 2^25 µs (34 s), doubling.
/// The engine's buckets end at each power of two, so the counts are exact.
const BOUNDS: core::ops::RangeInclusive<u32> = 9..=25;

/// The values of the label `class`, by [`Counters::by_class`].
const CLASS_NAMES: [&str; CLASSES] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The text of these figures.
pub fn text(figures: Figures, told: Told) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(operations::Process(figures.done)));
    let ours = registry.sub_registry_with_prefix("ringway");
    ours.register_collector(Box::new(figures));
    ours.register_collector(Box::new(told));
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = encode(&mut text, &registry);
    text
}

/// What there is to know of the fleet and its requests at a moment.
#[derive(Debug)]
pub struct Figures {
    /// The fleet.
    pub snapshot: Snapshot,
    /// Where keys go.
    pub table: Arc<RoutingTable>,
    /// Outcomes of requests that were not judged.
    pub reports_dropped: u64,
    /// The keys with most of the traffic.
    pub hot_keys: KeyCounts,
    /// What bounded loads did.
    pub bounded: BoundedCounters,
    /// What was done to the process.
    pub done: Done,
    /// Requests that were sent again.
    pub retries: RetryCounts,
    /// What rate limits did.
    pub rate_limits: Vec<RateLimitCounters>,
    /// Requests that waited for a place.
    pub queue: QueueFigures,
    /// Connections that have changed over to another protocol.
    pub n_tunnels: u32,
    /// Connections to servers.
    pub connections: Vec<(ServerName, ConnectionCounts)>,
    /// TLS towards clients.
    pub tls: TlsFigures,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        self.fleet(&mut out)?;
        self.servers(&mut out)?;
        self.hot_keys(&mut out)?;
        self.bounded(&mut out)?;
        self.done.encode(&mut out)?;
        self.retries(&mut out)?;
        self.rate_limits(&mut out)?;
        self.queue.encode(&mut out)?;
        self.connections(&mut out)?;
        self.tls.encode(&mut out)?;
        self.traffic(&mut out)
    }
}

impl Figures {
    fn fleet(&self, out: &mut Writer<'_>) -> fmt::Result {
        let info = MetricType::Info;
        let mut build = out
            .0
            .encode_descriptor("build", "What runs here.", None, info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let layout = self.table.primary();
        out.gauge(
            "servers",
            "Servers in the fleet.",
            self.snapshot.servers.len() as f64,
        )?;
        out.gauge(
            "servers_eligible",
            "Servers that may get new requests.",
            self.snapshot.n_eligible() as f64,
        )?;
        out.gauge(
            "fail_open",
            "1 while nobody is eligible and requests are routed all the same.",
            yes(self.snapshot.fail_open),
        )?;
        out.gauge(
            "in_flight",
            "Requests sent to servers whose answers have not ended.",
            (self.snapshot.servers.iter())
                .map(|server| f64::from(server.in_flight))
                .sum(),
        )?;
        out.gauge(
            "ring_points",
            "Points on the ring of the primary servers.",
            layout.n_points() as f64,
        )?;
        out.gauge(
            "ring_peak_to_mean",
            "The largest ratio of a primary server's share to its fair one.",
            layout.balance().peak_to_mean,
        )?;
        out.gauge(
            "tunnels",
            "Connections that have changed over to another protocol, such as WebSocket.",
            self.n_tunnels.into(),
        )?;
        out.counters(
            "reports_dropped",
            "Outcomes of requests that were not judged, since too many came at once.",
            [(Vec::new(), self.reports_dropped)],
        )
    }

    /// The keys themselves may be secrets: they are told apart by position. Few,
    /// and none with less than 1 %, or each scrape would make new series.
    fn hot_keys(&self, out: &mut Writer<'_>) -> fmt::Result {
        let shares = self.hot_keys.keys().map(|key| {
            let (at_least, _) = self.hot_keys.shares(key);
            (key.position.to_string(), at_least)
        });
        let hottest: Vec<(String, String, f64)> = shares
            .take_while(|(_, share)| *share >= 0.01)
            .take(5)
            .zip(1..)
            .map(|((position, share), rank)| (format!("{rank}"), position, share))
            .collect();
        out.gauges(
            "hot_key_share",
            "The part of recent requests that one of the hottest keys surely has.",
            hottest.iter().map(|(rank, position, share)| {
                (vec![("rank", &**rank), ("position", &**position)], *share)
            }),
        )
    }

    fn bounded(&self, out: &mut Writer<'_>) -> fmt::Result {
        let counters = &self.bounded;
        let rows = [
            (
                "bounded_requests",
                "Requests that went where bounded loads said.",
                counters.requests,
            ),
            (
                "bounded_overflowed",
                "Requests that bounded loads sent to another server.",
                counters.overflowed,
            ),
            (
                "bounded_asked",
                "Candidates asked whether they are below their bounds.",
                counters.asked,
            ),
        ];
        for (name, help, n) in rows {
            out.counters(name, help, [(Vec::new(), n)])?;
        }
        out.gauge(
            "bounded_asked_max",
            "The most candidates asked for one request since the start.",
            counters.asked_max as f64,
        )
    }

    fn retries(&self, out: &mut Writer<'_>) -> fmt::Result {
        let reasons = Reason::ALL.into_iter().zip(self.retries.by_reason);
        out.counters(
            "retries",
            "Requests that were sent to a further server, by what went wrong at the one before.",
            reasons.map(|(reason, n)| (vec![("reason", reason.as_str())], n)),
        )?;
        out.counters(
            "retry_budget_exhausted",
            "Requests that were not sent again because the budget was used up.",
            [(Vec::new(), self.retries.budget_exhausted)],
        )
    }

    fn rate_limits(&self, out: &mut Writer<'_>) -> fmt::Result {
        type Figure = fn(&RateLimitCounters) -> u64;
        let rows: [(&str, &str, Figure); 2] = [
            (
                "rate_limited",
                "Requests refused because who asked had asked too often.",
                |counters| counters.refused,
            ),
            (
                "rate_limit_forgotten",
                "Clients or keys forgotten before they had their whole burst again.",
                |counters| counters.forgotten,
            ),
        ];
        for (name, help, figure) in rows {
            let each = self.rate_limits.iter();
            let each = each.map(|c| (vec![("per", c.per.word())], figure(c)));
            out.counters(name, help, each)?;
        }
        Ok(())
    }

    fn connections(&self, out: &mut Writer<'_>) -> fmt::Result {
        type Figure = fn(&ConnectionCounts) -> u64;
        let each = |figure: Figure| {
            let servers = self.connections.iter();
            servers.map(move |(name, counts)| (vec![("server", name.as_str())], figure(counts)))
        };
        let open = each(|counts| counts.open);
        out.gauges(
            "server_connections",
            "Connections to the server.",
            open.map(|(labels, n)| (labels, n as f64)),
        )?;
        let rows: [(&str, &str, Figure); 3] = [
            (
                "server_connections_opened",
                "Connections to the server that were made.",
                |counts| counts.opened,
            ),
            (
                "server_tls_failures",
                "Attempts to agree on TLS with the server that came to nothing.",
                |counts| counts.tls_failed,
            ),
            (
                "server_h2_resets",
                "Requests over HTTP/2 that the server broke off.",
                |counts| counts.resets,
            ),
        ];
        for (name, help, figure) in rows {
            out.counters(name, help, each(figure))?;
        }
        Ok(())
    }

    fn servers(&self, out: &mut Writer<'_>) -> fmt::Result {
        type Figure = fn(&ServerSnapshot) -> f64;
        let rows: [(&str, &str, Figure); 7] = [
            (
                "server_eligible",
                "1 when the server may get new requests.",
                |server| yes(server.standing == Standing::Eligible),
            ),
            (
                "server_ejected",
                "1 while failed requests keep the server out.",
                |server| yes(server.ejected_until.is_some()),
            ),
            (
                "server_on_trial",
                "1 while the server gets one request at a time after an ejection.",
                |server| yes(server.is_on_trial),
            ),
            (
                "server_draining",
                "1 while an operator keeps the server out.",
                |server| yes(server.state == AdminState::Draining),
            ),
            (
                "server_weight",
                "The server's relative capacity.",
                |server| server.server.weight.number().into(),
            ),
            (
                "server_admission",
                "The part of its keys that the server takes.",
                |server| server.admission.fraction(),
            ),
            (
                "server_in_flight",
                "Requests sent to the server whose answer has not ended.",
                |server| server.in_flight.into(),
            ),
        ];
        let servers = &self.snapshot.servers;
        for (name, help, figure) in rows {
            let each = servers.iter().map(|s| (vec![of(s)], figure(s)));
            out.gauges(name, help, each)?;
        }
        const HEALTH: [(&str, Health); 3] = [
            ("unknown", Health::Unknown),
            ("healthy", Health::Healthy),
            ("unhealthy", Health::Unhealthy),
        ];
        out.gauges(
            "server_health",
            "1 for the health that probes find the server in, 0 for the others.",
            servers.iter().flat_map(|server| {
                HEALTH.map(|(word, health)| {
                    let labels = vec![of(server), ("health", word)];
                    (labels, yes(server.health == health))
                })
            }),
        )?;
        out.gauges(
            "server_share",
            "The fraction of keys that is the server's: expected by weight, actual by the ring.",
            servers.iter().flat_map(|server| {
                [
                    ("expected", server.share_expected),
                    ("actual", server.share_actual.fraction()),
                ]
                .map(|(kind, share)| (vec![of(server), ("kind", kind)], share))
            }),
        )
    }

    /// Everything that is counted. The totals include servers that were
    /// removed and requests that no server got.
    fn traffic(&self, out: &mut Writer<'_>) -> fmt::Result {
        let Snapshot { servers, total, .. } = &self.snapshot;
        out.counters(
            "requests",
            "Finished requests by the class of their answer.",
            by_class(None, total),
        )?;
        out.counters(
            "server_requests",
            "The server's finished requests by the class of its answer.",
            servers
                .iter()
                .flat_map(|server| by_class(Some(of(server)), &server.total)),
        )?;
        out.counters(
            "errors",
            "Finished requests that ended with a 5xx or without an answer.",
            [(Vec::new(), total.errors)],
        )?;
        out.counters(
            "server_errors",
            "The server's finished requests that ended with a 5xx or without an answer.",
            servers.iter().map(|s| (vec![of(s)], s.total.errors)),
        )?;
        out.times(
            "response_time",
            "From sending a request to the head of its answer.",
            [(Vec::new(), &total.latency)],
        )?;
        out.times(
            "server_response_time",
            "From sending the server a request to the head of its answer.",
            servers.iter().map(|s| (vec![of(s)], &s.total.latency)),
        )
    }
}

pub(super) type Label<'a> = (&'a str, &'a str);

fn of(server: &ServerSnapshot) -> Label<'_> {
    ("server", server.server.name.as_str())
}

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn by_class<'a>(
    server: Option<Label<'a>>,
    counters: &'a Counters,
) -> impl Iterator<Item = (Vec<Label<'a>>, u64)> {
    let classes = CLASS_NAMES.into_iter().zip(counters.by_class);
    classes.map(move |(class, n)| (server.into_iter().chain([("class", class)]).collect(), n))
}

/// Writes families of figures.
pub(super) struct Writer<'a>(pub(super) DescriptorEncoder<'a>);

impl Writer<'_> {
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, help, [(Vec::new(), value)])
    }

    pub(super) fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<Label<'l>>, f64)>,
    ) -> fmt::Result {
        self.family(name, help, None, MetricType::Gauge, values, |out, value| {
            out.encode_gauge(&value)
        })
    }

    pub(super) fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<Label<'l>>, u64)>,
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        self.family(name, help, None, kind, values, |out, value| {
            out.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// A counter that need not be whole.
    pub(super) fn sum(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let kind = MetricType::Counter;
        let values = [(Vec::new(), value)];
        self.family(name, help, None, kind, values, |out, value| {
            out.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    /// A gauge of seconds.
    pub(super) fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let values = [(Vec::new(), value)];
        let unit = Some(&Unit::Seconds);
        self.family(name, help, unit, MetricType::Gauge, values, |out, value| {
            out.encode_gauge(&value)
        })
    }

    fn times<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<Label<'l>>, &'l Histogram)>,
    ) -> fmt::Result {
        let kind = MetricType::Histogram;
        let unit = Some(&Unit::Seconds);
        self.family(name, help, unit, kind, values, |out, times| {
            let sum = times.sum_micros as f64 / 1e6;
            out.encode_histogram::<NoLabelSet>(sum, times.count(), &condensed(times), None)
        })
    }

    fn family<'l, T>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        values: impl IntoIterator<Item = (Vec<Label<'l>>, T)>,
        write: impl Fn(&mut MetricEncoder<'_>, T) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in values {
            if labels.is_empty() {
                write(&mut family, value)?;
            } else {
                write(&mut family.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}

/// The bounds in seconds, each with the number of times between it and the
/// one before; the last bound is infinite.
fn condensed(times: &Histogram) -> Vec<(f64, u64)> {
    let mut condensed = Vec::with_capacity(BOUNDS.count() + 1);
    let mut counts = (0..BUCKETS).zip(times.buckets).peekable();
    for exponent in BOUNDS {
        let bound = 1_u64 << exponent;
        let mut n: u64 = 0;
        while let Some((_, count)) = counts.next_if(|&(i, _)| bucket_end_micros(i) <= bound) {
            n = n.saturating_add(count);
        }
        condensed.push((bound as f64 / 1e6, n));
    }
    let rest = counts.fold(0_u64, |sum, (_, count)| sum.saturating_add(count));
    condensed.push((f64::INFINITY, rest));
    condensed
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn condensed_times_lose_none_and_stay_below_their_bounds() {
        let mut times = Histogram::default();
        let micros = [
            0,
            511,
            512,
            1023,
            1024,
            100_000,
            33_554_431,
            33_554_432,
            1 << 40,
        ];
        for micros in micros {
            times.record(Duration::from_micros(micros));
        }
        let condensed = condensed(&times);
        let upto = |bound: f64| {
            let below = condensed.iter().take_while(|(end, _)| *end <= bound);
            below.map(|(_, n)| n).sum::<u64>()
        };
        assert_eq!(upto(0.000_512), 2);
        assert_eq!(upto(0.001_024), 4);
        assert_eq!(upto(0.131_072), 6);
        assert_eq!(upto(33.554_432), 7);
        assert_eq!(upto(f64::INFINITY), times.count());
    }
}
