//! Requests that waited for a place at a full server.

use std::fmt;

use super::Writer;
use crate::native::queue::Queued;
use crate::native::shared::Shared;

/// What became of them.
#[derive(Debug)]
pub struct QueueFigures {
    all: Queued,
    /// By name, the servers that have a limit, with it.
    servers: Vec<(String, u32, Queued)>,
}

impl QueueFigures {
    /// The figures of this moment.
    pub fn new(shared: &Shared) -> Self {
        let fleet = shared.fleet().load();
        let servers = fleet.servers.iter().zip(fleet.table.servers());
        let limited = servers.filter_map(|(runtime, entry)| {
            let max = entry.server.max_in_flight?.number();
            let name = entry.server.name.to_string();
            Some((name, max, runtime.waiting.queued()))
        });
        Self {
            all: shared.queued(),
            servers: limited.collect(),
        }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> fmt::Result {
        out.gauge(
            "queue_waiting",
            "Requests that wait for a place at a full server.",
            self.all.waiting.into(),
        )?;
        type Figure = fn(&Queued) -> u64;
        let rows: [(&str, &str, Figure); 3] = [
            (
                "queue_waited",
                "Requests that waited for a place at a full server.",
                |queued| queued.waited,
            ),
            (
                "queue_timeouts",
                "Requests that waited in vain.",
                |queued| queued.timed_out,
            ),
            (
                "queue_turned_away",
                "Requests that found too many waiting.",
                |queued| queued.turned_away,
            ),
        ];
        for (name, help, figure) in rows {
            out.counters(name, help, [(Vec::new(), figure(&self.all))])?;
        }
        out.gauges(
            "server_max_in_flight",
            "The most requests that the server may have in flight.",
            self.each(|max, _| max.into()),
        )?;
        out.gauges(
            "server_queue_waiting",
            "Requests that wait for a place at the server.",
            self.each(|_, queued| queued.waiting.into()),
        )?;
        for (name, help, figure) in rows {
            let servers = self.servers.iter();
            let each = servers.map(|(name, _, queued)| (vec![("server", &**name)], figure(queued)));
            out.counters(&format!("server_{name}"), help, each)?;
        }
        Ok(())
    }

    fn each(
        &self,
        figure: impl Fn(u32, &Queued) -> f64,
    ) -> impl Iterator<Item = (Vec<(&str, &str)>, f64)> {
        let servers = self.servers.iter();
        servers.map(move |(name, max, queued)| (vec![("server", &**name)], figure(*max, queued)))
    }
}
