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

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::server_tls::{self, EveryServerTls};
use crate::config::{Config, HealthCheck, ProbeKind};
use crate::engine::{ProbeOutcome, Server, ServerProtocol};
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
    own_tls: Option<OwnTls>,
    check: HealthCheck,
    every_tls: Arc<EveryServerTls>,
}

/// How servers are asked.
#[derive(Debug)]
enum Kind {
    Http(http::Ask),
    Https(http::Ask),
    Tcp,
    Grpc(grpc::Ask),
}

/// TLS as probes have it where their server is not spoken to over TLS, or the
/// configuration says how to probe. When its files could be read with the
/// configuration, and cannot now, probes fail and say so.
type OwnTls = Result<Tls, String>;

/// Reads the files that probes need.
///
/// # Errors
/// Whichever cannot be used.
pub fn check_files(config: &Config) -> Result<(), Faults> {
    let check = &config.health_check;
    let needs_tls = match check.kind {
        _ if !check.enabled => false,
        // Servers that are spoken to over TLS say how themselves.
        ProbeKind::Https => {
            let mut servers = config.servers.iter();
            check.tls.is_some() || !servers.all(|server| server.tls.is_some())
        }
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
        Self::beside(check, &Arc::default())
    }

    /// The same beside the proxy's own connections, whose way of TLS towards
    /// servers it takes.
    pub(super) fn beside(check: &HealthCheck, every_tls: &Arc<EveryServerTls>) -> Self {
        let kind = match check.kind {
            ProbeKind::Http => Kind::Http(http::Ask::new(check)),
            ProbeKind::Https => Kind::Https(http::Ask::new(check)),
            ProbeKind::Tcp => Kind::Tcp,
            ProbeKind::Grpc => Kind::Grpc(grpc::Ask::new(check)),
        };
        let own_tls = match check.kind {
            ProbeKind::Https => Some(Tls::new(check.tls.as_ref(), tls::HTTP1)),
            ProbeKind::Grpc => (check.tls.as_ref()).map(|tls| Tls::new(Some(tls), tls::HTTP2)),
            ProbeKind::Http | ProbeKind::Tcp => None,
        };
        Self {
            timeout: check.timeout.duration(),
            kind,
            own_tls,
            check: check.clone(),
            every_tls: Arc::clone(every_tls),
        }
    }

    /// TLS for a probe of `server`, if it is to have any: as the probe says, else
    /// as the server is spoken to.
    fn tls(
        &self,
        server: &Server,
        protocol: ServerProtocol,
    ) -> Option<Result<Cow<'_, Tls>, String>> {
        let of_server = match (&self.check.tls, &self.kind, self.check.port) {
            (Some(_), ..) | (None, Kind::Tcp, _) => None,
            // What listens at another port may speak in clear text.
            (None, Kind::Http(_), Some(_)) => None,
            _ => self.every_tls.of(server.link.as_deref()),
        };
        match (of_server, &self.own_tls) {
            (Some(tls), _) => {
                let tls = Tls::of_server(&tls, server_tls::alpn(protocol));
                Some(tls.map(Cow::Owned))
            }
            (None, Some(Ok(tls))) => Some(Ok(Cow::Borrowed(tls))),
            (None, Some(Err(why))) => Some(Err(why.clone())),
            (None, None) => None,
        }
    }

    /// Probes `server` once; ends within the configured timeout.
    pub async fn probe(&self, server: &Server) -> ProbeOutcome {
        let target = Target::new(server, &self.check);
        // Over HTTP/2 where that is all that the server speaks; another port, or
        // another TLS, is another matter.
        let link = server.link.as_deref();
        let has_own_way = self.check.tls.is_some() || self.check.port.is_some();
        let protocol = match &self.kind {
            Kind::Grpc(_) => ServerProtocol::Http2,
            _ if has_own_way => ServerProtocol::Http1,
            _ => link.map(|link| link.protocol).unwrap_or_default(),
        };
        let probing = async {
            let tls = self.tls(server, protocol).transpose()?;
            match (&self.kind, tls, protocol) {
                (Kind::Http(ask) | Kind::Https(ask), Some(tls), _) => {
                    https::probe(&target, ask, &tls, protocol).await
                }
                (Kind::Http(ask) | Kind::Https(ask), None, ServerProtocol::Http1) => {
                    ask.probe(target.connect().await?, &target).await
                }
                (Kind::Http(ask) | Kind::Https(ask), None, ServerProtocol::Http2) => {
                    let stream = target.connect().await?;
                    ask.probe_http2(stream, &target, "http").await
                }
                (Kind::Tcp, ..) => tcp::probe(&target).await,
                (Kind::Grpc(ask), tls, _) => ask.probe(&target, tls.as_deref()).await,
            }
        };
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

/// hyper's word for it, and the system's behind it.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
