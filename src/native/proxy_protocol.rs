//! The PROXY protocol: what one proxy says to the next of a connection, before
//! anything else is said over it. Versions 1 and 2 of
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.
//!
//! Pure: bytes go in and come out. Headers are taken apart by the crate `ppp`;
//! where one ends, its limits and its checksum are ours.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crc::{CRC_32_ISCSI, Crc};
use memchr::memchr;
use ppp::{v1, v2};

use crate::engine::{ProxyProtocol, Server};

/// The longest header of version 1, with its line end.
const V1_MAX: usize = 107;
/// The shortest one, and less than a header of version 2.
const MIN: usize = 15;
/// How the two begin.
const V1: &[u8] = b"PROXY ";
const V2: &[u8] = v2::PROTOCOL_PREFIX;
/// Where the length of version 2 stands, and what it counts from.
const V2_FIXED: usize = 16;
/// The longest header of version 2 that is taken: addresses and everything that
/// is known to be said besides fit into a part of it.
const V2_MAX: usize = 4096;

/// What a proxy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Who has connected to it.
    pub(super) source: SocketAddr,
    /// And where.
    pub(super) destination: SocketAddr,
    /// Whether TLS was spoken there.
    pub(super) is_over_tls: bool,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// They begin with something else.
    Missing,
    /// It is longer than any should be.
    TooLong,
    /// It is not as it has to be.
    Malformed,
    /// What it says has changed on the way.
    BadChecksum,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no PROXY header",
            Self::TooLong => "the PROXY header is too long",
            Self::Malformed => "the PROXY header is malformed",
            Self::BadChecksum => "the checksum of the PROXY header is wrong",
        })
    }
}

/// How many of the bytes that come next surely belong to the header that began
/// with `start`; 0 when it is whole. `ahead` is what can be seen of them.
///
/// # Errors
/// When it is no header, as soon as that can be known.
pub(super) fn missing(start: &[u8], ahead: &[u8]) -> Result<usize, Refusal> {
    let begins = |with: &[u8]| {
        let n = start.len().min(with.len());
        start[..n] == with[..n]
    };
    if start.is_empty() {
        return Ok(MIN);
    }
    if begins(V2) {
        let Some(length) = start.get(V2_FIXED - 2..V2_FIXED) else {
            return Ok(V2_FIXED - start.len());
        };
        let whole = V2_FIXED + usize::from(length[0]) * 256 + usize::from(length[1]);
        if whole > V2_MAX {
            return Err(Refusal::TooLong);
        }
        return whole.checked_sub(start.len()).ok_or(Refusal::Malformed);
    }
    if !begins(V1) {
        return Err(Refusal::Missing);
    }
    if start.len() < MIN {
        return Ok(MIN - start.len());
    }
    if start.last() == Some(&b'\n') {
        return Ok(0);
    }
    let room = V1_MAX.saturating_sub(start.len());
    let n = memchr(b'\n', ahead).map_or(ahead.len().max(1), |at| at + 1);
    (n <= room).then_some(n).ok_or(Refusal::TooLong)
}

/// What a whole `header` says; `None` when it says nothing of a client, as when
/// a proxy connects for itself.
///
/// # Errors
/// When it is none.
pub(super) fn read(header: &[u8]) -> Result<Option<Told>, Refusal> {
    if header.starts_with(V2) {
        read_v2(header)
    } else {
        read_v1(header)
    }
}

fn read_v1(header: &[u8]) -> Result<Option<Told>, Refusal> {
    // Ports have no signs.
    if header.contains(&b'+') {
        return Err(Refusal::Malformed);
    }
    let header = v1::Header::try_from(header).map_err(|_| Refusal::Malformed)?;
    let (source, destination) = match header.addresses {
        v1::Addresses::Unknown => return Ok(None),
        v1::Addresses::Tcp4(ip) => between_v4(&ip),
        v1::Addresses::Tcp6(ip) => between_v6(&ip),
    };
    Ok(Some(Told {
        source,
        destination,
        is_over_tls: false,
    }))
}

fn read_v2(bytes: &[u8]) -> Result<Option<Told>, Refusal> {
    let header = v2::Header::try_from(bytes).map_err(|_| Refusal::Malformed)?;
    let mut is_over_tls = false;
    let tlvs_at = header.len() - header.tlv_bytes().len();
    let mut at = tlvs_at;
    for tlv in header.tlvs() {
        let tlv = tlv.map_err(|_| Refusal::Malformed)?;
        // Type and length.
        at += 3;
        if tlv.kind == u8::from(v2::Type::CRC32C) {
            check(bytes, at, &tlv.value)?;
        }
        if tlv.kind == u8::from(v2::Type::SSL) {
            const CLIENT_SSL: u8 = 1;
            is_over_tls = tlv
                .value
                .first()
                .is_some_and(|flags| flags & CLIENT_SSL != 0);
        }
        at += tlv.value.len();
    }
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    let (source, destination) = match (header.protocol, header.addresses) {
        (v2::Protocol::Stream, v2::Addresses::IPv4(ip)) => between_v4(&ip),
        (v2::Protocol::Stream, v2::Addresses::IPv6(ip)) => between_v6(&ip),
        // Of sockets in the file system, and of what nobody knows, nothing is said.
        _ => return Ok(None),
    };
    Ok(Some(Told {
        source,
        destination,
        is_over_tls,
    }))
}

/// Checks a header's checksum, whose `value` stands at `at` and counts as zero.
fn check(header: &[u8], at: usize, value: &[u8]) -> Result<(), Refusal> {
    const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    let value: [u8; 4] = value.try_into().map_err(|_| Refusal::Malformed)?;
    let mut digest = CRC32C.digest();
    digest.update(&header[..at]);
    digest.update(&[0; 4]);
    digest.update(&header[at + 4..]);
    if digest.finalize() == u32::from_be_bytes(value) {
        Ok(())
    } else {
        Err(Refusal::BadChecksum)
    }
}

fn between_v4(ip: &v1::IPv4) -> (SocketAddr, SocketAddr) {
    let source = SocketAddrV4::new(ip.source_address, ip.source_port);
    let destination = SocketAddrV4::new(ip.destination_address, ip.destination_port);
    (source.into(), destination.into())
}

fn between_v6(ip: &v1::IPv6) -> (SocketAddr, SocketAddr) {
    let source = SocketAddrV6::new(ip.source_address, ip.source_port, 0, 0);
    let destination = SocketAddrV6::new(ip.destination_address, ip.destination_port, 0, 0);
    (source.into(), destination.into())
}

/// The header that says who has connected and where; `None`: that this end has,
/// for itself.
pub(super) fn header(version: ProxyProtocol, told: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let told = told.map(|(source, destination)| of_one_family(source, destination));
    match version {
        ProxyProtocol::V1 => {
            let addresses = told.map_or(v1::Addresses::Unknown, |(source, destination)| {
                v1::Addresses::from((source, destination))
            });
            addresses.to_string().into_bytes()
        }
        ProxyProtocol::V2 => {
            let builder = match told {
                Some(both) => v2::Builder::with_addresses(
                    v2::Version::Two | v2::Command::Proxy,
                    v2::Protocol::Stream,
                    both,
                ),
                None => v2::Builder::new(
                    v2::Version::Two | v2::Command::Local,
                    v2::AddressFamily::Unspecified | v2::Protocol::Unspecified,
                ),
            };
            // Fails only when it is longer than 64 KiB.
            builder.build().unwrap_or_default()
        }
    }
}

/// The header of a connection that this end makes for itself to `server`, if
/// that has to be told.
pub(super) fn own_header(server: &Server) -> Option<Vec<u8>> {
    let version = server.link.as_ref()?.proxy_protocol?;
    Some(header(version, None))
}

/// Two addresses as a header can have them: IPv4 ones in their IPv6 form where
/// the other is an IPv6 one.
fn of_one_family(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let (a, b) = (canonical(a), canonical(b));
    if a.is_ipv4() == b.is_ipv4() {
        return (a, b);
    }
    let v6 = |at: SocketAddr| {
        let ip: Ipv6Addr = match at.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        SocketAddr::from((ip, at.port()))
    };
    (v6(a), v6(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str, destination: &str) -> Option<Told> {
        Some(Told {
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
            is_over_tls: false,
        })
    }

    fn both(told: Told) -> (SocketAddr, SocketAddr) {
        (told.source, told.destination)
    }

    /// Reads a header as it comes piece by piece, `n` bytes of it at a time, and
    /// what is behind it, of which nothing may be taken.
    fn read_whole(header: &[u8], n: usize) -> Result<Option<Told>, Refusal> {
        let stream = [header, b"GET / HTTP/1.1\r\n\r\n"].concat();
        let mut at = 0;
        loop {
            let seen = (at + n).min(stream.len());
            let take = missing(&stream[..at], &stream[at..seen])?;
            if take == 0 {
                break;
            }
            at += take.min(n);
            assert!(at <= header.len(), "{at} bytes of {header:?}");
        }
        assert_eq!(at, header.len());
        read(&stream[..at])
    }

    fn all_ways(header: &[u8]) -> Result<Option<Told>, Refusal> {
        let found = read_whole(header, 1);
        for n in [2, 7, 16, 200, 5000] {
            assert_eq!(read_whole(header, n), found, "{n} bytes at a time");
        }
        found
    }

    #[test]
    fn headers_of_version_1_are_read() {
        for (line, expected) in [
            (
                "TCP4 192.0.2.1 198.51.100.1 56324 443",
                told("192.0.2.1:56324", "198.51.100.1:443"),
            ),
            (
                "TCP4 255.255.255.255 255.255.255.255 65535 65535",
                told("255.255.255.255:65535", "255.255.255.255:65535"),
            ),
            (
                "TCP6 2001:db8::1 2001:DB8::2 0 1",
                told("[2001:db8::1]:0", "[2001:db8::2]:1"),
            ),
            ("UNKNOWN", None),
            ("UNKNOWN ffff::1 ffff::2 65535 65535", None),
        ] {
            let header = format!("PROXY {line}\r\n");
            assert_eq!(all_ways(header.as_bytes()), Ok(expected), "{line}");
        }
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.1 1 443\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 443\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.1 1 443\r\n",
            "PROXY TCP4 a.example b.example 1 443\r\n",
            "PROXY TCP5 192.0.2.1 198.51.100.1 1 443\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.1 1 443\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 443\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 443 \r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 443\0\r\n",
        ] {
            let found = all_ways(line.as_bytes());
            assert_eq!(found, Err(Refusal::Malformed), "{line:?}");
        }
        for other in [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4",
            "PROXYTCP4 ",
            "\x16\x03\x01",
        ] {
            let found = missing(other.as_bytes(), b"");
            assert_eq!(found, Err(Refusal::Missing), "{other:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MAX - 16));
        assert_eq!(long.len(), V1_MAX);
        assert_eq!(all_ways(long.as_bytes()), Ok(None));
        let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MAX - 15));
        assert_eq!(all_ways(longer.as_bytes()), Err(Refusal::TooLong));
    }

    /// A header of version 2 with these bytes behind the fixed ones.
    fn v2_of(command: u8, family: u8, rest: &[&[u8]]) -> Vec<u8> {
        let rest = rest.concat();
        let length = u16::try_from(rest.len()).expect("short");
        let fixed = [V2, &[command, family], &length.to_be_bytes()].concat();
        [fixed, rest].concat()
    }

    const IPV4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

    fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).expect("short");
        [&[kind][..], &length.to_be_bytes(), value].concat()
    }

    #[test]
    fn headers_of_version_2_are_read() {
        let v4 = told("192.0.2.1:56324", "198.51.100.1:443");
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().expect("good").octets());
        v6[16..32].copy_from_slice(&"::2".parse::<Ipv6Addr>().expect("good").octets());
        v6[35] = 80;
        let tlvs = [
            tlv(0x02, b"a.example"),
            tlv(0xea, b"\x01vpce-1"),
            tlv(4, b""),
        ]
        .concat();
        for (header, expected) in [
            (v2_of(0x21, 0x11, &[IPV4]), v4),
            (
                v2_of(0x21, 0x21, &[&v6]),
                told("[2001:db8::1]:0", "[::2]:80"),
            ),
            (v2_of(0x21, 0x11, &[IPV4, &tlvs]), v4),
            (v2_of(0x20, 0x00, &[]), None),
            (v2_of(0x20, 0x00, &[b"\x04\x00\x02xx"]), None),
            (v2_of(0x20, 0x11, &[IPV4]), None),
            (v2_of(0x21, 0x00, &[]), None),
            (v2_of(0x21, 0x31, &[&[0; 216]]), None),
            (v2_of(0x21, 0x12, &[IPV4]), None),
        ] {
            assert_eq!(all_ways(&header), Ok(expected), "{header:?}");
        }
        let mut tls = v4;
        let ssl = tlv(0x20, &[1, 0, 0, 0, 0]);
        if let Some(tls) = &mut tls {
            tls.is_over_tls = true;
        }
        assert_eq!(all_ways(&v2_of(0x21, 0x11, &[IPV4, &ssl])), Ok(tls));
        for bad in [
            v2_of(0x11, 0x11, &[IPV4]),
            v2_of(0x22, 0x11, &[IPV4]),
            v2_of(0x21, 0x41, &[IPV4]),
            v2_of(0x21, 0x13, &[IPV4]),
            v2_of(0x21, 0x11, &[&IPV4[..11]]),
            v2_of(0x21, 0x21, &[IPV4]),
            v2_of(0x21, 0x11, &[IPV4, b"\x04"]),
            v2_of(0x21, 0x11, &[IPV4, b"\x04\x00\x05abc"]),
        ] {
            assert_eq!(all_ways(&bad), Err(Refusal::Malformed), "{bad:?}");
        }
        let padding = tlv(4, &vec![0; V2_MAX - V2_FIXED - IPV4.len() - 3]);
        assert_eq!(all_ways(&v2_of(0x21, 0x11, &[IPV4, &padding])), Ok(v4));
        let padding = tlv(4, &vec![0; V2_MAX - V2_FIXED - IPV4.len() - 2]);
        let found = all_ways(&v2_of(0x21, 0x11, &[IPV4, &padding]));
        assert_eq!(found, Err(Refusal::TooLong));
        // The last byte of the signature is another.
        let other = missing(b"\r\n\r\n\0\r\nQUIT\r", b"");
        assert_eq!(other, Err(Refusal::Missing));
    }

    #[test]
    fn a_checksum_is_checked_if_there_is_one() {
        const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
        let with = |sum: &[u8]| {
            let rest = [tlv(0x02, b"a"), tlv(0x03, sum), tlv(0x04, b"zz")].concat();
            v2_of(0x21, 0x11, &[IPV4, &rest])
        };
        let sum = CRC32C.checksum(&with(&[0; 4])).to_be_bytes();
        let good = with(&sum);
        assert_eq!(
            all_ways(&good),
            Ok(told("192.0.2.1:56324", "198.51.100.1:443"))
        );
        // Where the checksum's own type stands: another is no checksum.
        let kind_at = V2_FIXED + IPV4.len() + 4;
        for at in (V2_FIXED..good.len()).filter(|&at| at != kind_at) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(all_ways(&bad).is_err(), "byte {at} is another");
        }
        assert_eq!(all_ways(&with(&[0; 3])), Err(Refusal::Malformed));
        assert_eq!(all_ways(&with(&[0; 4])), Err(Refusal::BadChecksum));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let cases = [
            ("192.0.2.1:1", "198.51.100.1:443"),
            ("[2001:db8::1]:65535", "[::1]:0"),
        ];
        for (source, destination) in cases {
            for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                let expected = told(source, destination);
                let both = expected.map(both);
                assert_eq!(all_ways(&header(version, both)), Ok(expected));
                assert_eq!(all_ways(&header(version, None)), Ok(None));
            }
        }
        let parse = |text: &str| text.parse().expect("an address");
        let mixed = Some((parse("192.0.2.1:1"), parse("[2001:db8::1]:2")));
        assert_eq!(
            header(ProxyProtocol::V1, mixed),
            b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n"
        );
        let mapped = Some((parse("[::ffff:192.0.2.1]:1"), parse("198.51.100.1:2")));
        assert_eq!(
            header(ProxyProtocol::V1, mapped),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n"
        );
        assert_eq!(header(ProxyProtocol::V1, None), b"PROXY UNKNOWN\r\n");
    }

    /// Whatever comes, a header ends somewhere and nothing is taken but bytes of
    /// it: this many mutated ones, of which some are still good.
    #[test]
    fn anything_is_read_or_refused() {
        let seeds = [
            header(ProxyProtocol::V1, told("1.2.3.4:5", "6.7.8.9:1").map(both)),
            header(ProxyProtocol::V1, None),
            v2_of(
                0x21,
                0x11,
                &[IPV4, &tlv(2, b"a.example"), &tlv(3, &[1, 2, 3, 4])],
            ),
            v2_of(0x20, 0, &[&tlv(4, b"zz")]),
        ];
        // xorshift64, from a fixed seed: it only has to wander about.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |n: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % n as u64) as usize
        };
        let (mut n_read, mut n_refused) = (0, 0);
        for round in 0..20_000 {
            let mut bytes = seeds[below(seeds.len())].clone();
            for _ in 0..below(4) {
                let at = below(bytes.len());
                match below(3) {
                    0 => bytes[at] = below(256) as u8,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, below(256) as u8),
                }
            }
            bytes.extend([b'x'; 200]);
            let mut at = 0;
            let end = loop {
                let ahead = &bytes[at..(at + 1 + below(150)).min(bytes.len())];
                match missing(&bytes[..at], ahead) {
                    Ok(0) => break Ok(at),
                    Ok(n) if at + n > bytes.len() => break Err(Refusal::Missing),
                    Ok(n) => at += n,
                    Err(refusal) => break Err(refusal),
                }
            };
            assert!(at <= V2_MAX, "round {round}");
            match end.and_then(|end| read(&bytes[..end])) {
                Ok(_) => n_read += 1,
                Err(_) => n_refused += 1,
            }
        }
        assert!(n_read > 4000 && n_refused > 4000, "{n_read} {n_refused}");
    }
}
