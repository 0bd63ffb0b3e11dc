//! Certificates and keys out of files in PEM.

use std::fmt::Display;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file, in their order; at least one.
///
/// # Errors
/// When there is none; says why.
pub(super) fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|why| unusable(file, why))?;
    let certificates: Result<Vec<_>, _> = certificates.collect();
    let certificates = certificates.map_err(|why| unusable(file, why))?;
    if certificates.is_empty() {
        return Err(unusable(file, "it has no certificate in PEM"));
    }
    Ok(certificates)
}

/// The first private key of a file.
///
/// # Errors
/// When there is none; says why.
pub(super) fn key(file: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file).map_err(|why| match why {
        rustls::pki_types::pem::Error::NoItemsFound => {
            unusable(file, "it has no private key in PEM")
        }
        why => unusable(file, why),
    })
}

/// Whom the certificates of a file vouch for.
///
/// # Errors
/// When that is nobody; says why.
pub(super) fn roots(file: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|why| unusable(file, why))?;
    }
    Ok(roots)
}

/// Says that a file is of no use, and why.
pub(super) fn unusable(file: &str, why: impl Display) -> String {
    format!("{file} cannot be used: {why}")
}
