//! Which requests are listened to at all: those that name the API by one of
//! its names, and do not come from another site's page.
//!
//! A page of an attacker can have its own host name resolve to this machine
//! (DNS rebinding); its requests then carry that name. It cannot do that with
//! an IP address, so the very address a connection came in at is a good name.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;
use http::{HeaderMap, Uri, header};

use super::problem::{Kind, Problem};
use crate::config;
use crate::engine::Address;

/// The names under which the API may be addressed.
#[derive(Debug)]
pub(super) struct Hosts(BTreeSet<Address>);

impl Hosts {
    /// The names that `api` has, besides localhost and loopback addresses.
    pub(super) fn new(api: &config::Api) -> Self {
        let names = api.allowed_hosts.iter().chain([&api.host]);
        Self(names.map(without_dot).collect())
    }

    fn allows(&self, host: &Address, local: IpAddr) -> bool {
        let is_known_ip = |ip: IpAddr| {
            let ip = ip.to_canonical();
            ip.is_loopback() || ip == local.to_canonical()
        };
        host.as_str() == "localhost"
            || host.as_str().parse().is_ok_and(is_known_ip)
            || self.0.contains(host)
    }
}

/// Lets a request pass that came in at `local`, or not.
pub(super) fn check(
    hosts: &Hosts,
    uri: &Uri,
    headers: &HeaderMap,
    local: SocketAddr,
) -> Result<(), Problem> {
    let mut given = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (given.next(), given.next()) else {
        return Err(Problem::new(
            Kind::BadRequest,
            "send one header Host, with the name of this API",
        ));
    };
    let host = host.to_str().unwrap_or_default();
    // A request in absolute form, as for a proxy, has a second name.
    for name in [Some(host), uri.authority().map(Authority::as_str)] {
        let Some(name) = name else { continue };
        if !host_of(name).is_some_and(|host| hosts.allows(&host, local.ip())) {
            return Err(Problem::new(
                Kind::ForeignHost,
                format!("{name:?} is not a name of this API; api.allowed_hosts can add it"),
            ));
        }
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let is_own = |origin: &http::HeaderValue| {
        origin
            .to_str()
            .is_ok_and(|origin| is_same_origin(origin, host))
    };
    if !origins.all(is_own) {
        return Err(Problem::new(
            Kind::ForeignOrigin,
            "the header Origin names another site than this one",
        ));
    }
    Ok(())
}

/// The host of `host:port`.
fn host_of(authority: &str) -> Option<Address> {
    let authority: Authority = authority.parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    Some(without_dot(&Address::new(authority.host()).ok()?))
}

/// The same name, not written as a fully qualified one.
fn without_dot(host: &Address) -> Address {
    let bare = host.as_str().strip_suffix('.');
    bare.and_then(|bare| Address::new(bare).ok())
        .unwrap_or_else(|| host.clone())
}

/// Whether a page of `origin` is one of ours: the same host and port. Its
/// scheme is https when something before us ends TLS.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let split = |scheme: &str, port: &str| {
        let authority = origin.strip_prefix(scheme)?;
        let bare = |name: &str| {
            let name = name.strip_suffix(port).unwrap_or(name);
            name.to_ascii_lowercase()
        };
        Some(bare(authority) == bare(host))
    };
    split("http://", ":80")
        .or_else(|| split("https://", ":443"))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        Hosts(
            ["ringway.example", "2001:db8::1"]
                .map(|name| Address::new(name).expect("a good name"))
                .into(),
        )
    }

    #[test]
    fn only_own_names_are_listened_to() {
        let local: IpAddr = "10.1.2.3".parse().expect("an address");
        let is_allowed =
            |text: &str| host_of(text).is_some_and(|host| hosts().allows(&host, local));
        for good in [
            "localhost",
            "LOCALHOST:9090",
            "localhost.",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]:9090",
            "[::1]",
            "[::ffff:127.0.0.1]:80",
            "ringway.example:9090",
            "Ringway.Example.",
            "[2001:db8::1]",
            "10.1.2.3:9090",
        ] {
            assert!(is_allowed(good), "{good:?} was refused");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "ringway.example.evil",
            "user@localhost",
            "localhost:9090:1",
            "10.1.2.4",
            "0.0.0.0",
            "::1",
            "2130706433",
            "localhost/",
            " localhost",
        ] {
            assert!(!is_allowed(bad), "{bad:?} was allowed");
        }
    }

    #[test]
    fn only_own_pages_may_ask() {
        for (origin, host) in [
            ("http://localhost:9090", "localhost:9090"),
            ("http://localhost", "localhost"),
            ("http://localhost", "localhost:80"),
            ("http://localhost:80", "LOCALHOST"),
            ("https://ringway.example", "ringway.example"),
            ("https://ringway.example:443", "ringway.example"),
        ] {
            assert!(is_same_origin(origin, host), "{origin} at {host}");
        }
        for (origin, host) in [
            ("null", "localhost:9090"),
            ("", "localhost:9090"),
            ("http://localhost:9091", "localhost:9090"),
            ("http://localhost", "localhost:9090"),
            ("http://127.0.0.1:9090", "localhost:9090"),
            ("http://evil.example", "localhost:9090"),
            ("http://localhost:9090.evil.example", "localhost:9090"),
            ("http://localhost:9090/", "localhost:9090"),
            ("https://localhost:80", "localhost"),
            ("file://localhost:9090", "localhost:9090"),
        ] {
            assert!(!is_same_origin(origin, host), "{origin} at {host}");
        }
    }
}
