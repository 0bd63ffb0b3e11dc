//! What a server is: name, address, port, weight, and whether it is a backup.
//!
//! Each part is a type of its own with one fallible constructor, so that a
//! [`Server`] that exists is a valid one. The ranges stand beside the
//! constructors and are quoted by their errors.

use crate::engine::quoted::{Escaped, Quoted};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::hash::NAME_BYTES_MAX;
use super::link::Link;

/// A place requests are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its identity: the only part that decides where its points stand.
    pub name: ServerName,
    /// Where it listens; may change without moving a key.
    pub address: Address,
    /// The TCP port it listens on.
    pub port: Port,
    /// Its capacity relative to the other servers.
    pub weight: Weight,
    /// Whether it gets keys only when no primary server is eligible.
    pub backup: bool,
    /// Its number, for rules that go by numbers; without one, the lowest that
    /// nobody has, from 1.
    pub id: Option<ServerNumber>,
    /// What a rule that follows another product hashes, where that is not what
    /// it makes of the address and the port.
    pub hash_name: Option<ServerName>,
    /// The most requests it may have in flight; `None` for any number.
    pub max_in_flight: Option<MaxInFlight>,
    /// How it is spoken to; nothing where that is HTTP/1.1 in clear text.
    pub link: Option<Arc<Link>>,
}

/// The number of a server: 1 to 2,147,483,647, as HAProxy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerNumber(u32);

impl ServerNumber {
    /// The range, in words.
    pub const ALLOWED: &'static str = "1 to 2147483647";

    /// Accepts 1 to 2,147,483,647.
    ///
    /// # Errors
    /// When `number` is outside that range.
    pub fn new(number: u64) -> Result<Self, OutOfRange> {
        match u32::try_from(number) {
            Ok(n @ 1..=0x7fff_ffff) => Ok(Self(n)),
            _ => Err(OutOfRange {
                given: number,
                allowed: Self::ALLOWED,
            }),
        }
    }

    /// The number as such.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The numbers that are not `taken` (in order), from the lowest.
    pub(super) fn free(taken: &[Self]) -> impl Iterator<Item = Self> {
        let is_free = |number: &Self| taken.binary_search(number).is_err();
        (1..).map(Self).filter(is_free)
    }

    /// The lowest number that is not `taken` (in order).
    pub(super) fn lowest_free(taken: &[Self]) -> Self {
        Self::free(taken).next().unwrap_or(Self(1))
    }
}

/// The identity of a server: 1 to 255 bytes of UTF-8 without control characters.
///
/// Cheap to clone; ordered by bytes, which is also how equal positions on the
/// ring are told apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = NAME_BYTES_MAX;

    /// Accepts `name` as it is.
    ///
    /// # Errors
    /// When it is empty, longer than [`Self::BYTES_MAX`] bytes, or has a
    /// control character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong { bytes: name.len() });
        }
        if let Some(control) = name.chars().find(|c| c.is_control()) {
            return Err(NameError::Control { control });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a [`ServerName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has more than [`ServerName::BYTES_MAX`] bytes.
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// It has a control character.
    Control {
        /// The first one found.
        control: char,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty name is not allowed"),
            Self::TooLong { bytes } => write!(f, "a name of {bytes} bytes is not allowed"),
            Self::Control { control } => {
                write!(
                    f,
                    "a name with the control character '{}' is not allowed",
                    Escaped(*control)
                )
            }
        }?;
        write!(
            f,
            "; give 1 to {} bytes of UTF-8 without control characters",
            ServerName::BYTES_MAX
        )
    }
}

impl std::error::Error for NameError {}

/// Where a server listens: an IP literal or a host name, without a port.
///
/// IPv6 literals are kept without brackets; [`Self::in_authority`] adds them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(Arc<str>);

impl Address {
    /// The longest host name, in bytes (RFC 1035, section 2.3.4).
    pub const BYTES_MAX: usize = 253;

    /// Accepts an IPv4 literal, an IPv6 literal (with or without brackets, no
    /// zone) or a host name by RFC 1123 (underscores allowed, as DNS names of
    /// services have them).
    ///
    /// # Errors
    /// When it is none of these, for instance because it has a scheme or a port.
    pub fn new(address: &str) -> Result<Self, AddressError> {
        let error = || AddressError {
            given: address.chars().take(80).collect(),
        };
        let bare = match address.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(error)?,
            None => address,
        };
        if let Ok(ip) = bare.parse::<Ipv6Addr>() {
            return Ok(Self(ip.to_string().into()));
        }
        if bare.len() != address.len() {
            return Err(error());
        }
        if let Ok(ip) = bare.parse::<Ipv4Addr>() {
            return Ok(Self(ip.to_string().into()));
        }
        if is_host_name(bare) {
            return Ok(Self(bare.to_ascii_lowercase().into()));
        }
        Err(error())
    }

    /// The address as text, an IPv6 literal without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The IP address, if it is one and no host name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }

    /// The address as it stands in a URL: an IPv6 literal in brackets.
    pub fn in_authority(&self) -> String {
        if self.0.contains(':') {
            format!("[{}]", self.0)
        } else {
            self.0.to_string()
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 1123 host name, and underscores. A last label that is a number is
/// refused: `1.2.3.999` is a mistyped IP address, and `0x7f.1` is one that
/// some resolvers understand and no check of addresses would see.
fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last_is_number =
        text.rsplit('.')
            .next()
            .is_some_and(|label| match label.strip_prefix("0x") {
                Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
                None => label.bytes().all(|b| b.is_ascii_digit()),
            });
    text.len() <= Address::BYTES_MAX && text.split('.').all(label_ok) && !last_is_number
}

/// A text that is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    given: String,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not allowed; give an IP address or a host name, without scheme and port",
            Quoted(&self.given)
        )
    }
}

impl std::error::Error for AddressError {}

/// A TCP port: 1 to 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(core::num::NonZeroU16);

impl Port {
    /// The range, in words.
    pub const ALLOWED: &'static str = "1 to 65535";

    /// Accepts 1 to 65,535.
    ///
    /// # Errors
    /// When `port` is outside that range.
    pub fn new(port: u64) -> Result<Self, OutOfRange> {
        u16::try_from(port)
            .ok()
            .and_then(core::num::NonZeroU16::new)
            .map(Self)
            .ok_or(OutOfRange {
                given: port,
                allowed: Self::ALLOWED,
            })
    }

    /// The port as a number.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

/// Relative capacity: a whole number from 1 to 1,000.
///
/// A server of weight w has w times the points, and so on average w times the
/// keys, of one of weight 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

impl Weight {
    /// The weight of a server that names none.
    pub const ONE: Self = Self(1);
    /// The range, in words.
    pub const ALLOWED: &'static str = "1 to 1000";

    /// Accepts 1 to 1,000.
    ///
    /// # Errors
    /// When `weight` is outside that range; 0 is not a way to stop a server,
    /// its admin state is.
    pub fn new(weight: u64) -> Result<Self, OutOfRange> {
        match u16::try_from(weight) {
            Ok(weight @ 1..=1000) => Ok(Self(weight)),
            _ => Err(OutOfRange {
                given: weight,
                allowed: if weight == 0 {
                    "1 to 1000, or drain the server instead"
                } else {
                    Self::ALLOWED
                },
            }),
        }
    }

    /// The weight as a number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// The most requests that a server may have in flight: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxInFlight(core::num::NonZeroU32);

impl MaxInFlight {
    /// The range, in words.
    pub const ALLOWED: &'static str = "1 to 1000000";

    /// Accepts 1 to 1,000,000.
    ///
    /// # Errors
    /// When `n` is outside that range; 0 is not a way to stop a server, its
    /// admin state is.
    pub fn new(n: u64) -> Result<Self, OutOfRange> {
        u32::try_from(n)
            .ok()
            .filter(|n| *n <= 1_000_000)
            .and_then(core::num::NonZeroU32::new)
            .map(Self)
            .ok_or(OutOfRange {
                given: n,
                allowed: if n == 0 {
                    "1 to 1000000, or drain the server instead"
                } else {
                    Self::ALLOWED
                },
            })
    }

    /// How many, as a number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

/// How many points a server has for each unit of weight: 1 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualNodes(u16);

impl VirtualNodes {
    /// 100, as the original system: shares within about 10 % of fair
    /// (one standard deviation) at 24 bytes a point.
    pub const DEFAULT: Self = Self(100);
    /// The range, in words.
    pub const ALLOWED: &'static str = "1 to 10000";

    /// Accepts 1 to 10,000.
    ///
    /// # Errors
    /// When `n` is outside that range.
    pub fn new(n: u64) -> Result<Self, OutOfRange> {
        match u16::try_from(n) {
            Ok(n @ 1..=10_000) => Ok(Self(n)),
            _ => Err(OutOfRange {
                given: n,
                allowed: Self::ALLOWED,
            }),
        }
    }

    /// How many, as a number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// A number outside the range of the quantity it was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    given: u64,
    allowed: &'static str,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not allowed; give {}", self.given, self.allowed)
    }
}

impl std::error::Error for OutOfRange {}

/// Whether an operator lets a server take new requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdminState {
    /// It may get new requests.
    #[default]
    Active,
    /// It gets no new requests and finishes those it has.
    Draining,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_text_without_control_characters() {
        for good in ["a", "cache-7.eu", "größe", &"x".repeat(255)] {
            assert_eq!(
                ServerName::new(good).map(|n| n.to_string()),
                Ok(good.to_owned())
            );
        }
        assert_eq!(ServerName::new(""), Err(NameError::Empty));
        assert_eq!(
            ServerName::new(&"x".repeat(256)),
            Err(NameError::TooLong { bytes: 256 })
        );
        for control in ['\0', '\n', '\u{7f}', '\u{85}'] {
            assert_eq!(
                ServerName::new(&format!("a{control}b")),
                Err(NameError::Control { control })
            );
        }
    }

    #[test]
    fn addresses_are_ip_literals_or_host_names() {
        for (given, kept) in [
            ("192.168.1.10", "192.168.1.10"),
            ("::1", "::1"),
            ("[2001:DB8:0::1]", "2001:db8::1"),
            ("localhost", "localhost"),
            ("Cache-1.Example.COM", "cache-1.example.com"),
            ("_srv.example", "_srv.example"),
        ] {
            assert_eq!(
                Address::new(given).map(|a| a.to_string()),
                Ok(kept.to_owned())
            );
        }
        for bad in [
            "",
            " ",
            "http://a",
            "a:80",
            "1.2.3.999",
            "1.2.3",
            "0x7f.1",
            "0X7F000001",
            "2130706433",
            "[::1",
            "[1.2.3.4]",
            "a..b",
            "-a",
            "a b",
            "fe80::1%eth0",
            &"a".repeat(254),
        ] {
            assert!(Address::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(
            Address::new("::1").map(|a| a.in_authority()),
            Ok("[::1]".into())
        );
    }

    #[test]
    fn errors_say_what_was_given_and_what_is_allowed() {
        assert_eq!(
            Weight::new(0).map_err(|e| e.to_string()),
            Err("0 is not allowed; give 1 to 1000, or drain the server instead".into())
        );
        assert_eq!(
            Weight::new(1001).map_err(|e| e.to_string()),
            Err("1001 is not allowed; give 1 to 1000".into())
        );
        assert_eq!(
            Port::new(65_536).map_err(|e| e.to_string()),
            Err("65536 is not allowed; give 1 to 65535".into())
        );
        assert!(VirtualNodes::new(10_000).is_ok() && VirtualNodes::new(10_001).is_err());
    }
}
