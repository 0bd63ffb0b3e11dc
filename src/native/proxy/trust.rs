//! For whom a request comes: the client, behind all proxies that are believed.
//!
//! Pure. Who has connected is known for certain. If that is a trusted proxy, it
//! says for whom it asks; if that is one too, so is what it says; and so on from
//! the right end of the field to its left, up to the first who is not trusted:
//! that is the client, and what stands before is what it claims. What names
//! nobody ends this too, and then the proxy that wrote it is the client.

use core::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderValue};

use super::forwarded;
use super::headers::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, is_host};
use crate::config::{self, Network, TrustedField};

/// The most proxies that are gone behind. A request comes through a few; this
/// bounds what somebody in a trusted network may have looked up.
const PROXIES_MAX: usize = 1000;

/// Who is believed, and where.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    networks: Box<[Network]>,
    fields: Box<[TrustedField]>,
}

/// What trusted proxies say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The client's IP address.
    pub(super) client: IpAddr,
    /// The scheme that it uses, if that is said.
    pub(super) proto: Option<HeaderValue>,
    /// The host that it asked for, if that is said.
    pub(super) host: Option<HeaderValue>,
    /// Which field says so, if one does.
    pub(super) field: Option<TrustedField>,
}

impl Trust {
    /// As configured; `None` when nobody is trusted.
    pub(super) fn new(config: &config::Forwarding) -> Option<Self> {
        let networks = &config.trusted_proxies;
        (!networks.is_empty()).then(|| Self {
            networks: networks.as_slice().into(),
            fields: config.trusted_fields.as_slice().into(),
        })
    }

    /// Whether `address` is that of a trusted proxy.
    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|network| network.contains(address))
    }

    /// What is said of a request with these header fields that `peer` has sent;
    /// `None` when that is not trusted.
    pub(super) fn told(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Told> {
        if !self.is_trusted(peer) {
            return None;
        }
        let is_there = |field: &TrustedField| match field {
            TrustedField::XForwardedFor => headers.contains_key(&X_FORWARDED_FOR),
            TrustedField::Forwarded => headers.contains_key(FORWARDED),
        };
        let field = self.fields.iter().copied().find(is_there);
        Some(match field {
            Some(TrustedField::Forwarded) => self.by_forwarded(peer, headers),
            _ => self.by_x_forwarded(peer, headers, field),
        })
    }

    /// What the fields `X-Forwarded-…` say; `for_field` when the one that names
    /// the client is there. The others may be alone.
    fn by_x_forwarded(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        for_field: Option<TrustedField>,
    ) -> Told {
        let is_believed = self.fields.contains(&TrustedField::XForwardedFor);
        let single = |name, is_good: fn(&[u8]) -> bool| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) if is_believed && is_good(value.as_bytes()) => {
                    Some(value.clone())
                }
                _ => None,
            }
        };
        let values = headers.get_all(&X_FORWARDED_FOR).iter().rev();
        let nodes = values
            .flat_map(|value| value.as_bytes().rsplit(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|node| !node.is_empty())
            .map(|node| (forwarded::address_of(node), ()));
        let found = for_field.and_then(|_| self.behind(nodes));
        Told {
            client: found.map_or(peer, |(client, ())| client),
            proto: single(&X_FORWARDED_PROTO, is_scheme),
            host: single(&X_FORWARDED_HOST, is_host),
            field: for_field,
        }
    }

    /// What `Forwarded` says. Scheme and host are those of the client's own
    /// request, as the first trusted proxy got it.
    fn by_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Told {
        let values = headers.get_all(FORWARDED).iter().rev();
        let elements = values
            .flat_map(|value| forwarded::elements(value.as_bytes()))
            .map(|element| {
                let element = element.unwrap_or_default();
                let from = element.from.as_deref();
                (from.and_then(forwarded::address_of), element)
            });
        let (client, element) = match self.behind(elements) {
            Some((client, element)) => (client, Some(element)),
            None => (peer, None),
        };
        let good = |part: Option<&[u8]>, is_good: fn(&[u8]) -> bool| {
            let part = part.filter(|part| is_good(part))?;
            HeaderValue::from_bytes(part).ok()
        };
        let element = element.unwrap_or_default();
        Told {
            client,
            proto: good(element.proto.as_deref(), is_scheme),
            host: good(element.host.as_deref(), is_host),
            field: Some(TrustedField::Forwarded),
        }
    }

    /// The first of `nodes`, each with what is said of it, that is no trusted
    /// proxy; the last that is one when none is left, or when the next is nobody.
    fn behind<T>(&self, nodes: impl Iterator<Item = (Option<IpAddr>, T)>) -> Option<(IpAddr, T)> {
        let mut found = None;
        for (address, said) in nodes.take(PROXIES_MAX) {
            let Some(address) = address else { break };
            found = Some((address, said));
            if !self.is_trusted(address) {
                break;
            }
        }
        found
    }
}

/// Whether it is a scheme that requests of ours may have.
fn is_scheme(value: &[u8]) -> bool {
    let schemes: [&[u8]; 4] = [b"http", b"https", b"ws", b"wss"];
    schemes
        .iter()
        .any(|scheme| value.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(settings: &str) -> Trust {
        let document = format!(r#"{{"servers": [], "forwarding": {{{settings}}}}}"#);
        let config = config::Config::parse(document.as_bytes()).expect("a good configuration");
        Trust::new(&config.forwarding).expect("somebody is trusted")
    }

    const TRUSTED: &str = r#""trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"]"#;

    fn told(settings: &str, peer: &str, fields: &[(&'static str, &str)]) -> Option<Told> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a good value"));
        }
        trust(settings).told(peer.parse().expect("an address"), &headers)
    }

    /// The client, proto and host that are found behind `10.0.0.1`.
    fn found(settings: &str, fields: &[(&'static str, &str)]) -> String {
        let told = told(settings, "10.0.0.1", fields).expect("10.0.0.1 is trusted");
        let text = |part: Option<HeaderValue>| match part {
            Some(part) => part.to_str().expect("text").to_owned(),
            None => "-".to_owned(),
        };
        format!("{} {} {}", told.client, text(told.proto), text(told.host))
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        let none = config::Config::parse(br#"{"servers": []}"#).expect("good");
        assert!(Trust::new(&none.forwarding).is_none());
        let fields = &[("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4")];
        assert_eq!(told(TRUSTED, "192.0.2.1", fields), None);
        assert_eq!(told(TRUSTED, "2001:db9::1", fields), None);
        // The address of a socket that listens on `::` for IPv4 too.
        let mapped = told(TRUSTED, "::ffff:10.0.0.1", fields).expect("it is trusted");
        assert_eq!(mapped.client.to_string(), "1.2.3.4");
    }

    #[test]
    fn the_client_is_the_rightmost_that_is_no_trusted_proxy() {
        for (value, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4,10.9.9.9 , 2001:db8::7", "1.2.3.4"),
            ("[2001:db9::1]:443, [2001:db8::7]:1", "2001:db9::1"),
            ("1.2.3.4:5678, 10.1.1.1:80", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            // Only proxies: the farthest is the client.
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            // Nobody: then who wrote that.
            ("1.2.3.4, unknown, 10.0.0.2", "10.0.0.2"),
            ("1.2.3.4, _hidden", "10.0.0.1"),
            ("1.2.3.4, 1.2.3.999", "10.0.0.1"),
            ("1.2.3.4; 10.0.0.2", "10.0.0.1"),
            ("1.2.3.4 10.0.0.2", "10.0.0.1"),
            ("", "10.0.0.1"),
            // Empty members of a list are none.
            ("1.2.3.4, , 10.0.0.2,", "1.2.3.4"),
        ] {
            let found = found(TRUSTED, &[("x-forwarded-for", value)]);
            assert_eq!(found, format!("{expected} - -"), "{value}");
        }
        let fields = [
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(found(TRUSTED, &fields), "1.2.3.4 - -");
    }

    #[test]
    fn only_so_many_proxies_are_gone_behind() {
        let proxies = |n: usize| format!("1.2.3.4{}", ", 10.0.0.2".repeat(n));
        let all = proxies(PROXIES_MAX - 1);
        assert_eq!(found(TRUSTED, &[("x-forwarded-for", &all)]), "1.2.3.4 - -");
        let more = proxies(PROXIES_MAX);
        assert_eq!(
            found(TRUSTED, &[("x-forwarded-for", &more)]),
            "10.0.0.2 - -"
        );
    }

    #[test]
    fn scheme_and_host_are_believed_where_the_client_is() {
        let x = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example:8443"),
            ("forwarded", "for=6.6.6.6;proto=ws;host=evil"),
        ];
        assert_eq!(found(TRUSTED, &x), "1.2.3.4 https shop.example:8443");
        assert_eq!(found(TRUSTED, &x[1..3]), "10.0.0.1 https shop.example:8443");
        for bad in ["javascript", "https, http", ""] {
            let fields = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", bad)];
            assert_eq!(found(TRUSTED, &fields), "1.2.3.4 - -", "{bad}");
        }
        let twice = [("x-forwarded-host", "a"), ("x-forwarded-host", "b")];
        assert_eq!(found(TRUSTED, &twice), "10.0.0.1 - -");
        assert_eq!(
            found(TRUSTED, &[("x-forwarded-host", "a,b")]),
            "10.0.0.1 - -"
        );
    }

    #[test]
    fn forwarded_is_read_where_it_is_what_is_sent() {
        let value = "for=6.6.6.6, for=\"[2001:db9::1]:4711\";proto=https;host=\"a:80\", \
                     for=10.0.0.2;proto=http;host=inner";
        assert_eq!(
            found(TRUSTED, &[("forwarded", value)]),
            "2001:db9::1 https a:80"
        );
        // The other family of fields is not believed beside it.
        let both = [("forwarded", "for=1.2.3.4"), ("x-forwarded-proto", "https")];
        assert_eq!(found(TRUSTED, &both), "1.2.3.4 - -");
        for (value, expected) in [
            ("for=1.2.3.4, for=unknown", "10.0.0.1 - -"),
            ("for=1.2.3.4, proto=https", "10.0.0.1 - -"),
            ("for=1.2.3.4, for=\"", "10.0.0.1 - -"),
            ("for=\"6.6.6.6, for=1.2.3.4", "1.2.3.4 - -"),
            ("for=1.2.3.4;proto=\"x y\";host=\"a/b\"", "1.2.3.4 - -"),
        ] {
            assert_eq!(found(TRUSTED, &[("forwarded", value)]), expected, "{value}");
        }
        let lines = [("forwarded", "for=1.2.3.4"), ("forwarded", "for=10.0.0.9")];
        assert_eq!(found(TRUSTED, &lines), "1.2.3.4 - -");
    }

    #[test]
    fn only_named_fields_are_believed() {
        let both = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-host", "x"),
            ("forwarded", "for=2.2.2.2"),
        ];
        for (fields, expected) in [
            ("", "1.1.1.1 - x"),
            (
                r#", "trusted_fields": ["forwarded", "x-forwarded-for"]"#,
                "2.2.2.2 - -",
            ),
            (r#", "trusted_fields": ["forwarded"]"#, "2.2.2.2 - -"),
            (r#", "trusted_fields": ["x-forwarded-for"]"#, "1.1.1.1 - x"),
            (r#", "trusted_fields": []"#, "10.0.0.1 - -"),
        ] {
            assert_eq!(
                found(&format!("{TRUSTED}{fields}"), &both),
                expected,
                "{fields}"
            );
        }
        let only = format!(r#"{TRUSTED}, "trusted_fields": ["forwarded"]"#);
        assert_eq!(found(&only, &both[..2]), "10.0.0.1 - -");
    }
}
