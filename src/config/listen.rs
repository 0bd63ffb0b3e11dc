//! Where the proxy listens for clients, and how it proves there who it is.

use deserr::Deserr;
use schemars::JsonSchema;
use serde::Serialize;

use super::section::section;
use super::{known_address, known_port};
use crate::engine::{Address, Port};
use crate::wire::{Faults, fields};

section! {
    /// Where the proxy listens for clients.
    pub struct Listen {
        /// An IP address or host name of this machine; default 127.0.0.1, so
        /// that nothing is open to the network by accident.
        host: Address ["string"] = known_address("127.0.0.1"),
        /// A TCP port; default 8080.
        port: Port ["number"] = known_port(8080),
        /// TLS towards clients. Default null: they are spoken to in clear text.
        tls: Option<ListenTls> ["ListenTls | null"] = None,
        /// Which connections begin with a header of the PROXY protocol, version 1
        /// or 2, that says who the client is: off, none; trusted, those of
        /// forwarding.trusted_proxies, and others are clients' own; required, all,
        /// and only trusted proxies may connect. Default off.
        proxy_protocol: ExpectedHeader ["ExpectedHeader"] = ExpectedHeader::Off,
    }
}

/// Which connections begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedHeader {
    /// None.
    #[deserr(rename = "off")]
    Off,
    /// Those that come from a trusted proxy.
    #[deserr(rename = "trusted")]
    Trusted,
    /// All, and all come from a trusted proxy.
    #[deserr(rename = "required")]
    Required,
}

section! {
    /// TLS towards clients. The files are read at start and with every reload.
    pub struct ListenTls {
        /// What the proxy proves itself with: the first certificate for the name
        /// that a client asks for, and for other names the very first. At least one.
        certificates: Vec<CertificateFiles> ["CertificateFiles[]"] = Vec::new(),
        /// The oldest version that is spoken, "1.2" or "1.3"; default 1.2.
        min_version: TlsVersion ["TlsVersion"] = TlsVersion::V12,
        /// A file with certificates in PEM: of clients, those are let in that have
        /// a certificate which one of these vouches for. Default null: clients are
        /// not asked for any.
        client_ca_file: Option<String> ["string | null"] = None,
        /// Whether clients without a certificate are let in: required, none is;
        /// optional, they are too. Needs client_ca_file. Default required.
        client_certificates: Option<ClientCertificates> ["ClientCertificates | null"] = None,
        /// Whether servers are told the client's certificate, in the field
        /// `Client-Cert` of RFC 9440. What clients say in that field, or in
        /// `Client-Cert-Chain`, is dropped then. Needs client_ca_file. Default false.
        tell_servers: bool ["boolean"] = false,
    }
}

fields! {
    /// A certificate and its key.
    #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct CertificateFiles {
        /// A file with the certificate in PEM, and after it those that vouch for it.
        pub cert_file: String,
        /// A file with its private key in PEM.
        pub key_file: String,
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[deserr(rename = "1.2")]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[deserr(rename = "1.3")]
    #[serde(rename = "1.3")]
    V13,
}

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// Each needs one.
    #[default]
    #[deserr(rename = "required")]
    Required,
    /// They may have one.
    #[deserr(rename = "optional")]
    Optional,
}

impl Listen {
    /// The files that are read with it.
    pub(super) fn files_read(&self) -> impl Iterator<Item = &str> {
        self.tls.iter().flat_map(|tls| {
            let pairs = tls.certificates.iter();
            let pairs = pairs.flat_map(|files| [&*files.cert_file, &*files.key_file]);
            pairs.chain(tls.client_ca_file.as_deref())
        })
    }

    /// Tells `fault` of settings that do not go together, each with its path.
    pub(super) fn check(&self, fault: &mut impl FnMut(&str, String)) {
        let Some(tls) = &self.tls else {
            return;
        };
        if tls.certificates.is_empty() {
            fault(
                "listen.tls.certificates",
                "give at least one: {\"cert_file\": …, \"key_file\": …}".to_owned(),
            );
        }
        let needing = [
            ("client_certificates", tls.client_certificates.is_some()),
            ("tell_servers", tls.tell_servers),
        ];
        for (name, is_given) in needing {
            if is_given && tls.client_ca_file.is_none() {
                fault(
                    &format!("listen.tls.{name}"),
                    "it goes with listen.tls.client_ca_file: without it clients are not asked for \
                     certificates"
                        .to_owned(),
                );
            }
        }
    }
}
