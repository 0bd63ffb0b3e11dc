//! The certificates that the proxy proves itself with, and which of them a
//! client gets.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::config::CertificateFiles;
use crate::native::clock;
use crate::native::pem;

/// One certificate with its key, as its files have it.
#[derive(Debug)]
pub struct Certificate {
    /// Where it was read from.
    pub cert_file: String,
    /// Seconds since 1970 after which nobody trusts it any more.
    pub ends: i64,
    /// For whom it is, in lower case; with `*.` in front for all one label below.
    pub names: Vec<String>,
    key: Arc<CertifiedKey>,
}

/// A file that cannot be used: which of the two fields names it, and why.
pub(super) type Fault = (&'static str, String);

impl Certificate {
    pub(super) fn read(
        files: &CertificateFiles,
        provider: &CryptoProvider,
    ) -> Result<Self, Vec<Fault>> {
        let CertificateFiles {
            cert_file,
            key_file,
        } = files;
        let chain = pem::certificates(cert_file).map_err(|why| ("cert_file", why));
        let key = pem::key(key_file).map_err(|why| ("key_file", why));
        let (chain, key) = match (chain, key) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
        };
        let of_certificate = |why: String| vec![("cert_file", pem::unusable(cert_file, why))];
        let (names, ends) = described(&chain[0]).map_err(of_certificate)?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|why| {
            let why = match why {
                rustls::Error::InconsistentKeys(_) => {
                    format!("its key is not that of the certificate in {cert_file}")
                }
                why => why.to_string(),
            };
            vec![("key_file", pem::unusable(key_file, why))]
        })?;
        Ok(Self {
            cert_file: cert_file.clone(),
            ends,
            names,
            key: Arc::new(key),
        })
    }

    /// How many days it is trusted for; below zero when it is not any more.
    pub fn days_left(&self) -> f64 {
        let seconds_now = clock::now().as_nanos() as f64 / 1e9;
        (self.ends as f64 - seconds_now) / 86_400.0
    }

    /// Whether it is the same certificate.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

/// For whom a certificate is, and when it ends.
fn described(certificate: &[u8]) -> Result<(Vec<String>, i64), String> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(certificate).map_err(|why| why.to_string())?;
    let ends = certificate.validity().not_after.timestamp();
    Ok((names(&certificate)?, ends))
}

/// Only what is said in the way that clients look at (RFC 9525): the subject's
/// common name is not.
fn names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let extension = certificate.subject_alternative_name();
    let Some(extension) = extension.map_err(|why| why.to_string())? else {
        return Ok(Vec::new());
    };
    let names = extension.value.general_names.iter();
    Ok(names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect())
}

/// Which certificate a client gets, by the name that it asks for.
#[derive(Debug)]
pub(super) struct ByName {
    /// Of several for one name, each for clients that cannot check the ones before
    /// (such as an old client and a newer kind of key).
    names: HashMap<String, Vec<Arc<CertifiedKey>>>,
    first: Arc<CertifiedKey>,
}

impl ByName {
    /// `None` when there is none to choose from.
    pub(super) fn new(certificates: &[Certificate]) -> Option<Self> {
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        for certificate in certificates {
            for name in &certificate.names {
                let keys = names.entry(name.clone()).or_default();
                keys.push(Arc::clone(&certificate.key));
            }
        }
        let first = Arc::clone(&certificates.first()?.key);
        Some(Self { names, first })
    }

    /// Those for `name`, best first: for itself, else for all names beside it.
    fn of(&self, name: &str) -> &[Arc<CertifiedKey>] {
        let beside = || {
            let (_, domain) = name.split_once('.')?;
            self.names.get(&format!("*.{domain}"))
        };
        self.names
            .get(name)
            .or_else(beside)
            .map_or(&[], |keys| keys)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls has it in lower case.
        let found = hello.server_name().map_or(&[][..], |name| self.of(name));
        let mut can_be_checked = found
            .iter()
            .filter(|key| key.key.choose_scheme(hello.signature_schemes()).is_some());
        let key = can_be_checked.next().or(found.first());
        Some(Arc::clone(key.unwrap_or(&self.first)))
    }
}
