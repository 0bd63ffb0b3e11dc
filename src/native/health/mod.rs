//! Active checks: one probe of one server, one outcome.
//!
//! When to probe whom, and what results mean, is the engine's to say
//! (`engine::health`); how many probes run at a time, the driver's.

mod http;

use std::time::Duration;

use crate::config::HealthCheck;
use crate::engine::{ProbeOutcome, Server};

/// Sends probes.
#[derive(Debug)]
pub struct Prober {
    path: String,
    timeout: Duration,
}

impl Prober {
    /// A prober by these settings.
    pub fn new(check: &HealthCheck) -> Self {
        Self {
            path: check.path.as_str().to_owned(),
            timeout: check.timeout.duration(),
        }
    }

    /// Probes `server` once; ends within the configured timeout.
    pub async fn probe(&self, server: &Server) -> ProbeOutcome {
        let probing = http::probe(server, &self.path);
        match tokio::time::timeout(self.timeout, probing).await {
            Ok(Ok(())) => ProbeOutcome::Good,
            Ok(Err(why)) => ProbeOutcome::Failed(why),
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                ProbeOutcome::Failed(format!("no answer within {seconds} s"))
            }
        }
    }
}
