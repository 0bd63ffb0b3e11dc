//! Where servers that are added through the API may stand.
//!
//! Whoever can reach the API could otherwise have the proxy call what only
//! this machine can reach: a cloud's metadata service, a neighbour without an
//! address of its own, or the proxy itself, round and round. Names are taken
//! as they are written; what they resolve to is not looked at here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::problem::{Kind, Problem};
use crate::config::{Config, Network};
use crate::engine::{Address, Port, Server};
use crate::wire::Faults;

/// Metadata services that have an address outside of the link-local networks.
const METADATA: [IpAddr; 4] = [
    // Alibaba Cloud, Oracle Cloud, Azure, and AWS over IPv6.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Names that clouds give theirs.
const METADATA_NAMES: [&str; 4] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
];

/// The rules, as configured.
#[derive(Debug)]
pub(super) struct Targets {
    allowed: Vec<Network>,
    /// Where the proxy and the API listen.
    own: [(&'static str, Address, Port); 2],
}

impl Targets {
    /// The rules of `config`.
    pub(super) fn new(config: &Config) -> Self {
        let (listen, api) = (&config.listen, &config.api);
        Self {
            allowed: api.allow_targets.clone(),
            own: [
                ("the proxy itself", listen.host.clone(), listen.port),
                ("the API itself", api.host.clone(), api.port),
            ],
        }
    }

    /// Lets `server` be added by a request that came in at `api`, or not.
    pub(super) fn check(&self, server: &Server, api: SocketAddr) -> Result<(), Problem> {
        let (address, port) = (&server.address, server.port);
        let literal: Option<IpAddr> = address.as_str().parse().ok();
        let may_all = |ips: &[IpAddr]| {
            let mut ips = ips.iter();
            ips.len() > 0 && ips.all(|&ip| self.allowed.iter().any(|net| net.contains(ip)))
        };
        let why = match literal {
            Some(ip) => why_not(ip),
            None if METADATA_NAMES.contains(&bare(address)) => Some("a metadata service"),
            None => None,
        };
        let why = why.or_else(|| {
            let own = self
                .own
                .iter()
                .find(|(_, host, own)| *own == port && are_one(host, address));
            let is_api = api.port() == port.number() && ips_of(address).contains(&api.ip());
            own.map(|&(what, ..)| what)
                .or(is_api.then_some("the API itself"))
        });
        match why {
            Some(why) if !may_all(&ips_of(address)) => {
                let faults = Faults::new(
                    "address",
                    format_args!(
                        "{:?} is {why} and not allowed; api.allow_targets can allow it",
                        address.as_str()
                    ),
                );
                Err(Problem::from(faults).of_kind(Kind::TargetNotAllowed))
            }
            _ => Ok(()),
        }
    }
}

/// Why no server stands at `ip`, however it is written.
fn why_not(ip: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&ip.to_canonical()) {
        return Some("a metadata service");
    }
    match ip {
        IpAddr::V4(ip) if ip.octets()[0] == 0 => Some("unspecified"),
        IpAddr::V4(ip) if ip.is_link_local() => Some("link-local"),
        IpAddr::V4(ip) if ip.is_multicast() => Some("multicast"),
        IpAddr::V4(ip) if ip.is_broadcast() => Some("broadcast"),
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) if ip.is_unspecified() => Some("unspecified"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("link-local"),
        IpAddr::V6(ip) if ip.is_multicast() => Some("multicast"),
        IpAddr::V6(ip) if ip.is_loopback() => None,
        IpAddr::V6(ip) => embedded(ip).and_then(|ip| why_not(ip.into())),
    }
}

/// The IPv4 address that `ip` leads to: mapped (`::ffff:a.b.c.d`), compatible
/// (`::a.b.c.d`), translated (`64:ff9b::a.b.c.d`) or tunnelled (`2002:…`).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |[.., a, b]: [u16; 8]| Ipv4Addr::from((u32::from(a) << 16) | u32::from(b));
    match ip.segments() {
        all @ ([0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..]) => Some(last(all)),
        all @ ([0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..]) => Some(last(all)),
        [0x2002, a, b, ..] => Some(last([0, 0, 0, 0, 0, 0, a, b])),
        _ => None,
    }
}

/// Whether who connects to `target` reaches what listens at `host`, the ports
/// being equal.
fn are_one(host: &Address, target: &Address) -> bool {
    if bare(host) == bare(target) {
        return true;
    }
    let (listening, called) = (ips_of(host), ips_of(target));
    if listening.iter().any(IpAddr::is_unspecified) {
        return called.iter().copied().any(is_of_this_machine);
    }
    called.iter().any(|ip| listening.contains(ip))
}

/// Whether this machine has `ip`: only then can something be bound to it. A
/// datagram socket that is never written to sends nothing.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// The addresses that are written, or meant by localhost; none for other names.
fn ips_of(address: &Address) -> Vec<IpAddr> {
    match address.as_str().parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if !ip.is_loopback() && !ip.is_unspecified() => {
            vec![embedded(ip).map_or(IpAddr::V6(ip), IpAddr::V4)]
        }
        Ok(ip) => vec![ip],
        Err(_) if bare(address) == "localhost" => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Err(_) => Vec::new(),
    }
}

/// A name that is not written as a fully qualified one.
fn bare(address: &Address) -> &str {
    let text = address.as_str();
    text.strip_suffix('.').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ServerSpec, read};
    use serde_json::json;

    fn is_allowed(config: serde_json::Value, address: &str, port: u16) -> bool {
        let mut document = json!({ "servers": [] });
        document["api"] = config;
        let config = Config::read(document).expect("a good configuration");
        let spec = json!({ "name": "a", "address": address, "port": port });
        let spec: ServerSpec = read(spec).expect("a good server");
        let api = SocketAddr::from(([127, 0, 0, 1], 4444));
        Targets::new(&config).check(&spec.into(), api).is_ok()
    }

    #[test]
    fn what_only_this_machine_can_reach_is_refused_in_every_spelling() {
        for bad in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "[::ffff:a9fe:a9fe]",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "64:ff9b::100.100.100.200",
            "168.63.129.16",
            "metadata.google.internal",
            "Metadata.Google.Internal.",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "239.255.255.255",
            "ff02::1",
            "::ffff:224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_allowed(json!({}), bad, 80), "{bad} was allowed");
        }
        for good in [
            "127.0.0.1",
            "::1",
            "localhost",
            "192.168.1.12",
            "10.0.0.1",
            "2001:db8::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "cache.example",
            "1.1.1.1",
        ] {
            assert!(is_allowed(json!({}), good, 80), "{good} was refused");
        }
    }

    #[test]
    fn the_proxy_and_the_api_are_no_servers() {
        for (bad, port) in [
            ("127.0.0.1", 8080),
            ("localhost", 8080),
            ("::ffff:127.0.0.1", 8080),
            ("localhost", 9090),
            ("localhost.", 9090),
            ("127.0.0.1", 9090),
            ("::1", 9090),
            // Where the request came in.
            ("127.0.0.1", 4444),
        ] {
            assert!(!is_allowed(json!({}), bad, port), "{bad}:{port}");
        }
        for (good, port) in [
            ("127.0.0.1", 8081),
            ("::1", 8080),
            ("127.0.0.2", 9090),
            ("192.0.2.1", 9090),
        ] {
            assert!(is_allowed(json!({}), good, port), "{good}:{port}");
        }
        let open = || json!({ "host": "0.0.0.0", "token": "0123456789abcdef" });
        assert!(!is_allowed(open(), "127.0.0.3", 9090));
        assert!(is_allowed(open(), "192.0.2.1", 9090));
    }

    #[test]
    fn what_is_named_is_allowed() {
        let api = || json!({ "allow_targets": ["169.254.10.0/24", "127.0.0.1", "fe80::/10"] });
        for (good, port) in [
            ("169.254.10.7", 80),
            ("::ffff:169.254.10.7", 80),
            ("fe80::5", 80),
            ("127.0.0.1", 9090),
        ] {
            assert!(is_allowed(api(), good, port), "{good}");
        }
        assert!(!is_allowed(api(), "169.254.169.254", 80));
        assert!(!is_allowed(api(), "localhost", 9090), "::1 is not named");
    }
}
