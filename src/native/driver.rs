//! The control loop: gives the engine its time, sends the probes it asks for,
//! and hands it what probes and workers report.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::clock;
use super::health::Prober;
use super::shared::{Reports, Shared};
use crate::engine::{Event, Observation};

/// Probes under way at a time; the others wait their turn, so that a fleet of
/// thousands does not open thousands of connections at once.
const PROBES_MAX: usize = 64;

/// How often counters are added up: the one-minute window is made of it.
const TICK: Duration = Duration::from_secs(1);

/// Verdicts taken from the queue under one lock.
const BATCH: usize = 256;

/// Runs until `stop` is cancelled.
pub async fn run(shared: Arc<Shared>, mut reports: Reports, stop: CancellationToken) {
    let mut config = shared.config();
    let mut prober = Arc::new(Prober::beside(&config.health_check, &shared.server_tls));
    let places = Arc::new(Semaphore::new(PROBES_MAX));
    let (finished, mut results) = mpsc::channel(PROBES_MAX);
    let mut batch = Vec::with_capacity(BATCH);
    let mut n_dropped = 0;
    let mut ticks = tokio::time::interval(TICK);
    loop {
        let (due, deadline) = shared.advance();
        let config_now = shared.config();
        if !Arc::ptr_eq(&config, &config_now) {
            config = config_now;
            prober = Arc::new(Prober::beside(&config.health_check, &shared.server_tls));
        }
        for event in due {
            let Event::ProbeDue { probe, server } = event else {
                continue;
            };
            let (prober, places, finished) =
                (Arc::clone(&prober), Arc::clone(&places), finished.clone());
            tokio::spawn(async move {
                // Closed only when the driver has ended: then nobody listens.
                let Ok(_place) = places.acquire().await else {
                    return;
                };
                let started = clock::now();
                let outcome = prober.probe(&server).await;
                let took = clock::now().since(started);
                let _ = finished
                    .send(Observation::ProbeFinished {
                        probe,
                        outcome,
                        took,
                    })
                    .await;
            });
        }
        let wait = deadline.map_or(TICK, |at| at.since(clock::now()));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait), if deadline.is_some() => {}
            _ = ticks.tick() => {
                shared.tick();
                let dropped = shared.reports_dropped();
                if dropped != n_dropped {
                    warn!(dropped, "more failures than could be judged");
                    n_dropped = dropped;
                }
            }
            () = shared.is_changed.notified() => {}
            Some(result) = results.recv() => shared.observe([result]),
            n = reports.recv_many(&mut batch, BATCH) => {
                shared.observe(batch.drain(..n));
            }
        }
    }
}
