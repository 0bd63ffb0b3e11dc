//! TLS towards clients: how the proxy proves who it is, and whom it lets in.
//!
//! Everything is read and checked before anything is used ([`Tls::read`]), so that
//! a file which is not good refuses a whole reload. Connections keep the [`Tls`]
//! they began with.

mod certificate;
mod client_cert;
mod handshake;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::{ArcSwapOption, Guard};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoClientAuth, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::{RootCertStore, ServerConfig, version};
use tracing::{info, warn};

use crate::config::{ClientCertificates, Config, ListenTls, TlsVersion};
use crate::native::pem;
use crate::wire::{Fault, Faults};

use certificate::ByName;
pub use certificate::Certificate;
pub(super) use client_cert::ClientCert;
pub(super) use handshake::secure;

/// HTTP/2, as ALPN has it.
const HTTP2: &[u8] = b"h2";
/// HTTP/1.1, as ALPN has it.
const HTTP1: &[u8] = b"http/1.1";

/// Sessions that are kept for clients which do not keep them themselves (as
/// tickets, which nearly all do): about a mebibyte.
const SESSIONS_MAX: usize = 1024;

/// How TLS is spoken with clients.
pub struct Tls {
    config: Arc<ServerConfig>,
    certificates: Vec<Certificate>,
    /// Whether servers are told of clients' certificates.
    tells_servers: bool,
    resumption: Resumption,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.certificates).finish()
    }
}

/// How clients that come again are spared the proof. Kept over reloads, unless
/// other clients are let in: one that has been let in is not asked again.
#[derive(Clone)]
struct Resumption {
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
    admits: Admits,
}

/// Which clients are let in.
#[derive(Clone, PartialEq)]
struct Admits {
    /// Those that one of these vouches for; `None`: anybody.
    authorities: Option<Vec<CertificateDer<'static>>>,
    /// Whether those without a certificate are, too.
    anonymous: bool,
}

impl Tls {
    /// Reads what `config` names; `None` where clear text is spoken. `before` is
    /// what was in use until now.
    ///
    /// # Errors
    /// Every file that cannot be used, and why.
    pub fn read(config: &Config, before: Option<&Self>) -> Result<Option<Self>, Faults> {
        let Some(settings) = &config.listen.tls else {
            return Ok(None);
        };
        let provider = Arc::new(ring::default_provider());
        let mut faults = Vec::new();
        let mut fault = |path: String, message: String| faults.push(Fault { path, message });
        let mut certificates = Vec::new();
        for (i, files) in settings.certificates.iter().enumerate() {
            match Certificate::read(files, &provider) {
                Ok(certificate) => certificates.push(certificate),
                Err(found) => found.into_iter().for_each(|(field, why)| {
                    fault(format!("listen.tls.certificates[{i}].{field}"), why);
                }),
            }
        }
        let admitted = Admits::read(settings)
            .and_then(|admits| Ok((admits.verifier(settings, &provider)?, admits)))
            .map_err(|why| fault("listen.tls.client_ca_file".to_owned(), why));
        Faults::check(faults)?;
        // What is not there was a fault.
        let (Ok((verifier, admits)), Some(by_name)) = (admitted, ByName::new(&certificates)) else {
            return Err(no_tls("there is no certificate"));
        };
        let resumption = match before {
            Some(before) if before.resumption.admits == admits => before.resumption.clone(),
            _ => Resumption::new(admits).map_err(no_tls)?,
        };
        let versions = match settings.min_version {
            TlsVersion::V12 => &[&version::TLS13, &version::TLS12][..],
            TlsVersion::V13 => &[&version::TLS13],
        };
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(no_tls)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(by_name));
        // Requests in the very first flight could be replayed by anybody who
        // has seen them, so there are none: rustls's default.
        tls.ticketer = Arc::clone(&resumption.tickets);
        tls.session_storage = Arc::clone(&resumption.sessions);
        let protocols = match config.http2.enabled {
            true => &[HTTP2, HTTP1][..],
            false => &[HTTP1],
        };
        tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Some(Self {
            config: Arc::new(tls),
            certificates,
            tells_servers: settings.tell_servers,
            resumption,
        }))
    }

    /// What the proxy proves itself with.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Tells the log what it is to know of these certificates, which follow those
    /// `before`.
    fn log(&self, before: Option<&Self>) {
        for certificate in &self.certificates {
            let cert_file = &*certificate.cert_file;
            let days_left = certificate.days_left().floor();
            if days_left < 0.0 {
                warn!(cert_file, days_left, "the certificate has expired");
            }
            let known = before.map_or(&[][..], |before| &before.certificates);
            if !known.iter().any(|known| known.is(certificate)) {
                let names = certificate.names.join(", ");
                info!(cert_file, names, days_left, "certificate in use");
            }
        }
    }
}

/// A fault that is of no file.
fn no_tls(why: impl fmt::Display) -> Faults {
    Faults::new("listen.tls", why)
}

impl Resumption {
    fn new(admits: Admits) -> Result<Self, rustls::Error> {
        Ok(Self {
            // Their keys are of this process, and change every six hours.
            tickets: ring::Ticketer::new()?,
            sessions: ServerSessionMemoryCache::new(SESSIONS_MAX),
            admits,
        })
    }
}

impl Admits {
    fn read(settings: &ListenTls) -> Result<Self, String> {
        let authorities = settings.client_ca_file.as_deref().map(pem::certificates);
        Ok(Self {
            authorities: authorities.transpose()?,
            anonymous: settings.client_certificates == Some(ClientCertificates::Optional),
        })
    }

    fn verifier(
        &self,
        settings: &ListenTls,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let Some(authorities) = &self.authorities else {
            return Ok(Arc::new(NoClientAuth));
        };
        let file = settings.client_ca_file.as_deref().unwrap_or_default();
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            let added = roots.add(authority.clone());
            added.map_err(|why| pem::unusable(file, why))?;
        }
        let provider = Arc::clone(provider);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = if self.anonymous {
            verifier.allow_unauthenticated()
        } else {
            verifier
        };
        verifier.build().map_err(|why| pem::unusable(file, why))
    }
}

/// What is in use, and what came of it; all workers share it.
#[derive(Debug, Default)]
pub struct InUse {
    tls: ArcSwapOption<Tls>,
    /// How clients and the proxy came to terms.
    pub handshakes: Handshakes,
}

/// Counts of handshakes, by how they ended.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// With all proofs.
    pub full: AtomicU64,
    /// With a client that had been there before.
    pub resumed: AtomicU64,
    /// Without success.
    pub failed: AtomicU64,
    /// Not in time.
    pub late: AtomicU64,
}

impl InUse {
    /// Has connections that come from now on use `tls`.
    pub fn switch(&self, tls: Option<Tls>) {
        let tls = tls.map(Arc::new);
        let before = self.tls.swap(tls.clone());
        if let Some(tls) = tls {
            tls.log(before.as_deref());
        }
    }

    /// What a connection uses that comes now; `None`: clear text.
    pub fn now(&self) -> Guard<Option<Arc<Tls>>> {
        self.tls.load()
    }
}
