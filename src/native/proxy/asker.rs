//! Who a request comes from, and what servers are told of that.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use http::{HeaderMap, HeaderValue, request};

use super::conn::Peer;
use super::forwarded;
use super::hash_key::KeyParts;
use super::headers::X_FORWARDED_FOR;
use super::trust::{Told, Trust};
use crate::config::TrustedField;

/// Who a request comes from: who has connected, or the one for whom a trusted
/// proxy has.
#[derive(Debug)]
pub(super) struct Asker {
    /// Its IP address; an IPv4 address that came in an IPv6 one is given as IPv4.
    pub(super) address: IpAddr,
    /// The same in the canonical text form.
    pub(super) ip: Box<str>,
    /// What servers are told of it in `X-Forwarded-For`.
    pub(super) forwarded_for: HeaderValue,
    /// By which scheme it asks.
    pub(super) forwarded_proto: HeaderValue,
    /// Which host it asks for, if a proxy before this one says so; else it is
    /// what `Host` says.
    pub(super) forwarded_host: Option<HeaderValue>,
    /// Who has connected.
    peer: Peer,
    /// What proxies before this one say in `Forwarded`, or might have said.
    forwarded: Option<String>,
}

impl Asker {
    /// Who has connected, and asks for itself.
    pub(super) fn peer(peer: Peer) -> Self {
        let address = peer.source.ip();
        let ip = address.to_string().into_boxed_str();
        Self {
            forwarded_for: value(&ip),
            forwarded_proto: HeaderValue::from_static(scheme_of(&peer)),
            forwarded_host: None,
            peer,
            forwarded: None,
            address,
            ip,
        }
    }

    /// For whom a request with these header fields comes: who has connected, if
    /// that is not one whom `trust` believes that it asks for another.
    pub(super) fn of(peer: &Rc<Self>, trust: Option<&Trust>, headers: &HeaderMap) -> Rc<Self> {
        let told = trust.and_then(|trust| trust.told(peer.address, headers));
        match told {
            Some(told) => Rc::new(peer.asks_for(told, headers)),
            None => Rc::clone(peer),
        }
    }

    #[cold]
    fn asks_for(&self, told: Told, headers: &HeaderMap) -> Self {
        let ip = told.client.to_string().into_boxed_str();
        let is_another = told.client != self.address;
        let forwarded_for = match told.field {
            // The field that is believed is passed on as it came; any other may
            // be a client's own.
            Some(TrustedField::XForwardedFor) => {
                let sent = headers.get_all(&X_FORWARDED_FOR).iter();
                let sent = sent.flat_map(|value| [value.as_bytes(), b", "]);
                let all: Vec<u8> = sent.flatten().copied().chain(self.ip.bytes()).collect();
                HeaderValue::from_bytes(&all).unwrap_or_else(|_| value(&self.ip))
            }
            _ if is_another => value(&format!("{ip}, {}", self.ip)),
            _ => value(&self.ip),
        };
        let sent = match told.field {
            Some(TrustedField::Forwarded) => forwarded::joined(headers),
            _ => None,
        };
        let forwarded = sent.or_else(|| {
            let mut element = String::new();
            let text = |part: &Option<HeaderValue>| {
                let text = part.as_ref()?.to_str().ok()?;
                Some(text.to_owned())
            };
            let (proto, host) = (text(&told.proto), text(&told.host));
            let said = (proto.as_deref(), host.as_deref());
            forwarded::append(&mut element, told.client, said.0, said.1);
            is_another.then_some(element)
        });
        Self {
            address: told.client,
            ip,
            forwarded_for,
            forwarded_proto: told
                .proto
                .unwrap_or_else(|| HeaderValue::from_static(scheme_of(&self.peer))),
            forwarded_host: told.host,
            peer: self.peer,
            forwarded,
        }
    }

    /// The value of `Forwarded` for a request with this `Host`.
    pub(super) fn forwarded(&self, host: Option<&HeaderValue>) -> HeaderValue {
        let mut text = self.forwarded.clone().unwrap_or_default();
        let host = host.and_then(|host| host.to_str().ok());
        let (peer, scheme) = (self.peer.source.ip(), scheme_of(&self.peer));
        forwarded::append(&mut text, peer, Some(scheme), host);
        value(&text)
    }

    /// Who the connection comes from, if that is another.
    pub(super) fn proxy(&self) -> Option<IpAddr> {
        Some(self.peer.connected).filter(|&connected| connected != self.address)
    }

    /// Its address and port, which is 0 when a proxy before this one has named it.
    pub(super) fn source(&self) -> SocketAddr {
        let peer = self.peer.source;
        match peer.ip() == self.address {
            true => peer,
            false => SocketAddr::new(self.address, 0),
        }
    }

    /// The address that has been connected to, if that is known.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.peer.destination
    }

    /// Whether it asks over TLS.
    pub(super) fn is_over_tls(&self) -> bool {
        let scheme = self.forwarded_proto.as_bytes();
        scheme.eq_ignore_ascii_case(b"https") || scheme.eq_ignore_ascii_case(b"wss")
    }

    /// What can be in the key of its request, with the value of the cookie that
    /// it is given.
    pub(super) fn key_parts<'a>(
        &'a self,
        head: &'a request::Parts,
        issued: Option<&'a str>,
    ) -> KeyParts<'a> {
        KeyParts {
            headers: &head.headers,
            uri: &head.uri,
            client_ip: &self.ip,
            issued,
        }
    }
}

/// By which scheme a client speaks that has connected itself.
fn scheme_of(peer: &Peer) -> &'static str {
    if peer.is_over_tls { "https" } else { "http" }
}

/// A text that has only characters which a header may have.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What servers are told of a request that comes from `peer`: the fields
    /// X-Forwarded-For, -Proto and -Host, and Forwarded.
    fn told(peer: &str, fields: &[(&'static str, &str)]) -> [String; 4] {
        let config = Config::parse(
            br#"{"servers": [], "forwarding": {"trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"]}}"#,
        );
        let trust = Trust::new(&config.expect("good").forwarding);
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a good value"));
        }
        let ip: IpAddr = peer.parse().expect("an address");
        let peer = Asker::peer(Peer::at((ip, 4711).into()));
        let asker = Asker::of(&Rc::new(peer), trust.as_ref(), &headers);
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        let host = HeaderValue::from_static("here:80");
        [
            text(&asker.forwarded_for),
            text(&asker.forwarded_proto),
            asker.forwarded_host.as_ref().map_or("-".to_owned(), text),
            text(&asker.forwarded(Some(&host))),
        ]
    }

    #[test]
    fn servers_are_told_of_the_client_and_of_every_trusted_proxy() {
        let x = |for_: &'static str| [("x-forwarded-for", for_), ("x-forwarded-proto", "https")];
        for (peer, fields, expected) in [
            (
                "192.0.2.1",
                &x("6.6.6.6")[..],
                [
                    "192.0.2.1",
                    "http",
                    "-",
                    "for=192.0.2.1;proto=http;host=\"here:80\"",
                ],
            ),
            (
                "10.0.0.1",
                &[],
                [
                    "10.0.0.1",
                    "http",
                    "-",
                    "for=10.0.0.1;proto=http;host=\"here:80\"",
                ],
            ),
            (
                "10.0.0.1",
                &x("6.6.6.6, 1.2.3.4"),
                [
                    "6.6.6.6, 1.2.3.4, 10.0.0.1",
                    "https",
                    "-",
                    "for=1.2.3.4;proto=https, for=10.0.0.1;proto=http;host=\"here:80\"",
                ],
            ),
            (
                "2001:db8::1",
                &[
                    ("x-forwarded-for", "1.2.3.4"),
                    ("x-forwarded-for", "10.0.0.2"),
                    ("x-forwarded-host", "shop.example"),
                    ("forwarded", "for=6.6.6.6"),
                ],
                [
                    "1.2.3.4, 10.0.0.2, 2001:db8::1",
                    "http",
                    "shop.example",
                    "for=1.2.3.4;host=shop.example, \
                     for=\"[2001:db8::1]\";proto=http;host=\"here:80\"",
                ],
            ),
            (
                "10.0.0.1",
                &[("forwarded", "for=6.6.6.6, for=1.2.3.4;proto=https")],
                [
                    "1.2.3.4, 10.0.0.1",
                    "https",
                    "-",
                    "for=6.6.6.6, for=1.2.3.4;proto=https, for=10.0.0.1;proto=http;host=\"here:80\"",
                ],
            ),
            // What cannot be appended to is said anew.
            (
                "10.0.0.1",
                &[("forwarded", "for=\"evil, for=1.2.3.4")],
                [
                    "1.2.3.4, 10.0.0.1",
                    "http",
                    "-",
                    "for=1.2.3.4, for=10.0.0.1;proto=http;host=\"here:80\"",
                ],
            ),
        ] {
            assert_eq!(told(peer, fields), expected, "{peer} {fields:?}");
        }
    }
}
