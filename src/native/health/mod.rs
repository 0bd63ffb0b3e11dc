//! Active checks: one probe of one server, one outcome.
//!
//! When to probe whom, and what results mean, is the engine's to say
//! (`engine::health`); how many probes run at a time, the driver's.

mod grpc;
mod http;
mod https;
mod target;
mod tcp;
mod tls;

use std::time::Duration;

use crate::config::{Config, HealthCheck, ProbeKind};
use crate::engine::{ProbeOutcome, Server};
use crate::wire::Faults;
use target::Target;
use tls::Tls;

/// By what servers know probes in their logs.
const AGENT: &str = concat!("ringway/", env!("CARGO_PKG_VERSION"), " health-check");

/// Sends probes.
#[derive(Debug)]
pub struct Prober {
    timeout: Duration,
    kind: Kind,
    check: HealthCheck,
}

/// How servers are asked.
#[derive(Debug)]
enum Kind {
    Http(http::Ask),
    Https(http::Ask, Tls),
    Tcp,
    Grpc(grpc::Ask, Option<Tls>),
    /// The files it needs could be read when the configuration was, and cannot
    /// now: every probe fails and says so.
    Unready(String),
}

/// Reads the files that probes need.
///
/// # Errors
/// Whichever cannot be used.
pub fn check_files(config: &Config) -> Result<(), Faults> {
    let check = &config.health_check;
    let needs_tls = match check.kind {
        _ if !check.enabled => false,
        ProbeKind::Https => true,
        ProbeKind::Grpc => check.tls.is_some(),
        ProbeKind::Http | ProbeKind::Tcp => false,
    };
    if !needs_tls {
        return Ok(());
    }
    Tls::new(check.tls.as_ref(), tls::HTTP1)
        .map(|_| ())
        .map_err(|why| Faults::new("health_check.tls.ca_file", why))
}

impl Prober {
    /// A prober by these settings; reads the file of `tls.ca_file`, if it is
    /// needed.
    pub fn new(check: &HealthCheck) -> Self {
        let tls = |protocol| Tls::new(check.tls.as_ref(), protocol);
        let kind = match check.kind {
            ProbeKind::Http => Ok(Kind::Http(http::Ask::new(check))),
            ProbeKind::Https => tls(tls::HTTP1).map(|tls| Kind::Https(http::Ask::new(check), tls)),
            ProbeKind::Tcp => Ok(Kind::Tcp),
            ProbeKind::Grpc => {
                let tls = check.tls.is_some().then(|| tls(tls::HTTP2)).transpose();
                tls.map(|tls| Kind::Grpc(grpc::Ask::new(check), tls))
            }
        };
        Self {
            timeout: check.timeout.duration(),
            kind: kind.unwrap_or_else(Kind::Unready),
            check: check.clone(),
        }
    }

    /// Probes `server` once; ends within the configured timeout, unless this
    /// process has no descriptor left for a connection: that says nothing of the
    /// server, so it is waited for.
    pub async fn probe(&self, server: &Server) -> ProbeOutcome {
        let target = Target::new(server, &self.check);
        let probing = || async {
            match &self.kind {
                Kind::Http(ask) => ask.probe(target.connect().await?, &target).await,
                Kind::Https(ask, tls) => https::probe(&target, ask, tls).await,
                Kind::Tcp => tcp::probe(&target).await,
                Kind::Grpc(ask, tls) => ask.probe(&target, tls.as_ref()).await,
                Kind::Unready(why) => Err(why.clone()),
            }
        };
        let mut probed = tokio::time::timeout(self.timeout, probing()).await;
        while probed.is_err() && target.is_exhausted() {
            probed = tokio::time::timeout(self.timeout, probing()).await;
        }
        match probed {
            Ok(Ok(())) => ProbeOutcome::Good,
            Ok(Err(why)) => ProbeOutcome::Failed(why),
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                ProbeOutcome::Failed(format!("no answer within {seconds} s"))
            }
        }
    }
}

/// hyper's word for it, and the system's behind it.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
