//! TLS towards servers, where this end is the client: whom to trust, and what to
//! show. The proxy's connections and its probes both go by it.
//!
//! Files are read when the configuration is, and with every reload. A connection
//! that is there stays as it is: what was read last holds for those made from
//! then on.

use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tracing::warn;
use xxhash_rust::xxh3::Xxh3;

use super::pem;
use crate::config::Config;
use crate::engine::{Link, LinkTls, MinTls, Server, ServerProtocol};
use crate::wire::{Fault, Faults};

/// What is spoken over TLS, as ALPN has it.
pub(super) const HTTP1: &[u8] = b"http/1.1";
/// The same of HTTP/2.
pub(super) const HTTP2: &[u8] = b"h2";

/// The same of what is spoken to a server.
pub(super) fn alpn(protocol: ServerProtocol) -> &'static [u8] {
    match protocol {
        ServerProtocol::Http1 => HTTP1,
        ServerProtocol::Http2 => HTTP2,
    }
}

/// Whether what is to be spoken over a connection was agreed upon. Who knows
/// nothing of ALPN speaks HTTP/1.1.
///
/// # Errors
/// When it was not; says so.
pub(super) fn check_agreed(
    config: &ClientConfig,
    connection: &ClientConnection,
) -> Result<(), &'static str> {
    let agreed = connection.alpn_protocol().unwrap_or(HTTP1);
    if config.alpn_protocols.iter().any(|wanted| wanted == agreed) {
        return Ok(());
    }
    Err("the server does not speak h2 (ALPN)")
}

/// Why settings are of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    /// Which of them.
    pub(super) field: &'static str,
    /// What is wrong with it.
    pub(super) why: String,
}

/// What is made of settings and their files.
pub(super) struct Made {
    pub(super) config: Arc<ClientConfig>,
    /// What was in the files: two that are alike were made of the same.
    content: u64,
}

/// Reads the files of `tls` and makes of them how to speak TLS, and `protocol`
/// over it.
///
/// # Errors
/// When one cannot be used.
pub(super) fn make(tls: &LinkTls, protocol: &[u8]) -> Result<Made, Unusable> {
    let unusable = |field, why| Unusable { field, why };
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match tls.min_version {
        MinTls::V12 => &[&TLS13, &TLS12],
        MinTls::V13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unusable("min_version", error.to_string()))?;
    let mut content = Xxh3::new();
    let builder = if tls.verify {
        let roots = match &tls.ca_file {
            Some(file) => pem::roots(file),
            None => of_system(),
        };
        let roots = roots.map_err(|why| unusable("ca_file", why))?;
        for root in &roots.roots {
            content.write(&root.subject);
            content.write(&root.subject_public_key_info);
        }
        builder.with_root_certificates(roots)
    } else {
        let anybody = Arc::new(Anybody(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(anybody)
    };
    let mut config = match &tls.identity {
        Some(identity) => {
            let chain = pem::certificates(&identity.cert_file);
            let chain = chain.map_err(|why| unusable("cert_file", why))?;
            let key = pem::key(&identity.key_file).map_err(|why| unusable("key_file", why))?;
            chain.iter().for_each(|one| content.write(one));
            content.write(key.secret_der());
            let shown = builder.with_client_auth_cert(chain, key);
            shown.map_err(|why| {
                let why = pem::unusable(&identity.key_file, why);
                unusable("key_file", why)
            })?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Made {
        config: Arc::new(config),
        content: content.finish(),
    })
}

/// Whether the files that servers need can be used.
///
/// # Errors
/// Each that cannot, by its path.
pub(super) fn check_files(config: &Config) -> Result<(), Faults> {
    let servers = config.servers.iter().enumerate();
    let faults = servers.filter_map(|(i, spec)| {
        let tls = LinkTls::from(spec.tls.clone()?);
        let Unusable { field, why } = make(&tls, alpn(spec.protocol)).err()?;
        Some(Fault {
            path: format!("servers[{i}].tls.{field}"),
            message: why,
        })
    });
    Faults::check(faults.collect())
}

/// The same of one server's.
///
/// # Errors
/// Which file cannot be used.
pub(super) fn check_files_of(server: &Server) -> Result<(), Faults> {
    let Some(Link {
        tls: Some(tls),
        protocol,
        ..
    }) = server.link.as_deref()
    else {
        return Ok(());
    };
    let made = make(tls, alpn(*protocol));
    made.map(|_| ())
        .map_err(|Unusable { field, why }| Faults::new(format!("tls.{field}"), why))
}

/// One way of TLS towards servers; however many go by it, it is there once.
pub(super) struct ServerTls {
    tls: LinkTls,
    protocol: ServerProtocol,
    made: ArcSwap<Result<Made, String>>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServerTls").field(&self.tls).finish()
    }
}

impl ServerTls {
    fn new(tls: &LinkTls, protocol: ServerProtocol) -> Self {
        let made = make(tls, alpn(protocol)).map_err(|unusable| unusable.why);
        Self {
            tls: tls.clone(),
            protocol,
            made: ArcSwap::from_pointee(made),
        }
    }

    /// How connections are to be made now.
    ///
    /// # Errors
    /// When a file could be used when the configuration was read, and could not
    /// a moment later; says why.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        match &**self.made.load() {
            Ok(made) => Ok(Arc::clone(&made.config)),
            Err(why) => Err(why.clone()),
        }
    }

    /// Reads the files again. What cannot be used any more is told, and what was
    /// made of it goes on.
    fn read_again(&self) {
        let before = self.made.load();
        match (make(&self.tls, alpn(self.protocol)), &**before) {
            // What is remembered of sessions goes with what is replaced.
            (Ok(now), Ok(before)) if now.content == before.content => {}
            (Ok(now), _) => self.made.store(Arc::new(Ok(now))),
            (Err(Unusable { why, .. }), _) => {
                warn!(%why, "TLS towards servers goes on as it was");
            }
        }
    }
}

/// Every way of TLS towards servers that there is.
#[derive(Debug, Default)]
pub(super) struct EveryServerTls(Mutex<Vec<Weak<ServerTls>>>);

impl EveryServerTls {
    /// That of a server with this link, if it has any.
    pub(super) fn of(&self, link: Option<&Link>) -> Option<Arc<ServerTls>> {
        let &Link {
            tls: Some(ref tls),
            protocol,
            ..
        } = link?
        else {
            return None;
        };
        let mut every = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        every.retain(|one| one.strong_count() > 0);
        let known = every.iter().filter_map(Weak::upgrade);
        let known = { known }.find(|known| known.tls == *tls && known.protocol == protocol);
        Some(known.unwrap_or_else(|| {
            let new = Arc::new(ServerTls::new(tls, protocol));
            every.push(Arc::downgrade(&new));
            new
        }))
    }

    /// Reads all files again.
    pub(super) fn read_again(&self) {
        let every = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let every = every.iter().filter_map(Weak::upgrade);
        every.for_each(|one| one.read_again());
    }
}

/// Whom the system trusts.
fn of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems have odd old ones, which are left out.
    let _ = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|e| format!(" ({e})"));
        let why = why.unwrap_or_default();
        return Err(format!(
            "this system has no certificates to trust{why}; give a file of them"
        ));
    }
    Ok(roots)
}

/// Takes every certificate; only that its owner signed is checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
