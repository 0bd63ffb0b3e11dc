//! `Forwarded` (RFC 7239), read from its right end, and written.
//!
//! From the right, because that is where the proxy next to us has written: what
//! stands before it may be a client's own, and none of it can change how the
//! end is read, not even a quotation mark that is never closed.

use core::fmt::Write as _;
use core::net::IpAddr;
use std::borrow::Cow;

use http::HeaderMap;
use http::header::FORWARDED;

/// What one proxy says of who has asked it: an element of the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Who has asked, as a node: [`address_of`] knows its forms.
    pub(super) from: Option<Cow<'a, [u8]>>,
    /// By which scheme.
    pub(super) proto: Option<Cow<'a, [u8]>>,
    /// What `Host` said.
    pub(super) host: Option<Cow<'a, [u8]>>,
}

/// The elements of one field's value, the last one first; `None` stands for one
/// that is malformed. Empty ones are passed over (RFC 9110, section 5.6.1.2).
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = Option<Element<'_>>> {
    let mut rest = Some(value);
    let texts = core::iter::from_fn(move || {
        let value = rest?;
        let comma = last_comma(value);
        rest = comma.map(|at| &value[..at]);
        Some(value[comma.map_or(0, |at| at + 1)..].trim_ascii())
    });
    texts.filter(|text| !text.is_empty()).map(element)
}

/// The last comma that stands in no quoted string.
fn last_comma(value: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (at, &byte) in value.iter().enumerate().rev() {
        match byte {
            b'"' if is_quoted => {
                let before = value[..at].iter().rev();
                let n_backslashes = before.take_while(|&&b| b == b'\\').count();
                // A mark that is escaped stands in the string.
                is_quoted = n_backslashes % 2 == 1;
            }
            b'"' => is_quoted = true,
            b',' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// An element, unless it is malformed: parameters without a value, or one of
/// those that are looked at twice.
fn element(text: &[u8]) -> Option<Element<'_>> {
    let mut element = Element::default();
    let mut rest = text;
    loop {
        let equals = rest.iter().position(|&b| b == b'=')?;
        let name = rest[..equals].trim_ascii_start();
        if name.is_empty() || !name.iter().all(|&b| is_token_byte(b)) {
            return None;
        }
        let (value, behind) = value(&rest[equals + 1..])?;
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"for" => Some(&mut element.from),
            b"proto" => Some(&mut element.proto),
            b"host" => Some(&mut element.host),
            _ => None,
        };
        if slot.is_some_and(|slot| slot.replace(value).is_some()) {
            return None;
        }
        match behind.trim_ascii_start() {
            [] => return Some(element),
            [b';', behind @ ..] => rest = behind,
            _ => return None,
        }
    }
}

/// A token or a quoted string, and what stands behind it.
fn value(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        // By the grammar an address with a colon is quoted; not all who write
        // one know that.
        let is_value_byte = |b: u8| is_token_byte(b) || b":[]".contains(&b);
        let end = text.iter().position(|&b| !is_value_byte(b));
        let (value, behind) = text.split_at(end.unwrap_or(text.len()));
        return (!value.is_empty()).then_some((value.into(), behind));
    };
    let mut unescaped: Option<Vec<u8>> = None;
    let mut at = 0;
    loop {
        match quoted.get(at)? {
            b'"' => break,
            b'\\' => {
                let unescaped = unescaped.get_or_insert_with(|| quoted[..at].to_vec());
                unescaped.push(*quoted.get(at + 1)?);
                at += 2;
            }
            &byte => {
                if let Some(unescaped) = &mut unescaped {
                    unescaped.push(byte);
                }
                at += 1;
            }
        }
    }
    let value = unescaped.map_or(Cow::Borrowed(&quoted[..at]), Cow::Owned);
    Some((value, &quoted[at + 1..]))
}

/// All values of the field together, if they can be appended to.
pub(super) fn joined(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(FORWARDED).iter();
    let texts: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
    texts
        .map(|texts| texts.join(", "))
        .filter(|text| is_well_formed(text.as_bytes()))
}

/// Whether a whole value can be appended to: who reads it from its left end
/// reads what is appended as it is meant.
fn is_well_formed(value: &[u8]) -> bool {
    let mut rest = value;
    loop {
        let mut is_quoted = false;
        let mut bytes = rest.iter().enumerate();
        let mut end = None;
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\\' if is_quoted => drop(bytes.next()),
                b'"' => is_quoted = !is_quoted,
                b',' if !is_quoted => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let text = rest[..end.unwrap_or(rest.len())].trim_ascii();
        if is_quoted || !(text.is_empty() || element(text).is_some()) {
            return false;
        }
        match end {
            Some(at) => rest = &rest[at + 1..],
            None => return true,
        }
    }
}

/// The IP address of a node, in `Forwarded` or `X-Forwarded-For`: an IPv4
/// address, or an IPv6 one with or without brackets, and perhaps a port. An IPv4
/// address in its IPv6 form is given as IPv4. `None` for what names nobody:
/// `unknown`, obfuscated names, a zone, and what is malformed.
pub(super) fn address_of(node: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(node).ok()?;
    let ip: IpAddr = if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
            return None;
        }
        IpAddr::V6(ip.parse().ok()?)
    } else if let Ok(ip) = text.parse() {
        ip
    } else {
        let (ip, port) = text.split_once(':')?;
        if !is_port(port) {
            return None;
        }
        IpAddr::V4(ip.parse().ok()?)
    };
    Some(ip.to_canonical())
}

/// A number, or an obfuscated port.
fn is_port(text: &str) -> bool {
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_hidden = |name: &str| {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !name.is_empty() && name.bytes().all(is_allowed)
    };
    is_number || text.strip_prefix('_').is_some_and(is_hidden)
}

/// Appends an element that says `from` has asked by `proto` for `host`.
pub(super) fn append(to: &mut String, from: IpAddr, proto: Option<&str>, host: Option<&str>) {
    if !to.is_empty() {
        to.push_str(", ");
    }
    // Writing into a text cannot fail.
    let _ = match from {
        IpAddr::V4(ip) => write!(to, "for={ip}"),
        IpAddr::V6(ip) => write!(to, "for=\"[{ip}]\""),
    };
    if let Some(proto) = proto {
        let _ = write!(to, ";proto={proto}");
    }
    if let Some(host) = host {
        // A host has nothing in it that would have to be escaped.
        let _ = match host.bytes().all(is_token_byte) {
            true => write!(to, ";host={host}"),
            false => write!(to, ";host=\"{host}\""),
        };
    }
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `for/proto/host` of each element, the last one first.
    fn read(value: &str) -> Vec<String> {
        let text = |part: Option<Cow<'_, [u8]>>| match part {
            Some(part) => String::from_utf8_lossy(&part).into_owned(),
            None => "-".to_owned(),
        };
        elements(value.as_bytes())
            .map(|element| match element {
                Some(e) => [text(e.from), text(e.proto), text(e.host)].join("/"),
                None => "bad".to_owned(),
            })
            .collect()
    }

    #[test]
    fn elements_are_read_from_the_right() {
        for (value, expected) in [
            ("for=192.0.2.43", &["192.0.2.43/-/-"][..]),
            (
                "for=a, For=\"[2001:db8:cafe::17]:4711\"",
                &["[2001:db8:cafe::17]:4711/-/-", "a/-/-"],
            ),
            (
                "For=192.0.2.60 ; Proto=http;by=203.0.113.43;HOST=\"a:80\"",
                &["192.0.2.60/http/a:80"],
            ),
            ("for=_hidden, for=unknown", &["unknown/-/-", "_hidden/-/-"]),
            (
                "for=a;host=\"x,\\\"y\\\\\", for=b",
                &["b/-/-", "a/-/x,\"y\\"],
            ),
            ("for=[::1]:80", &["[::1]:80/-/-"]),
            (" , for=a, ,", &["a/-/-"]),
            ("", &[]),
            ("proto=https", &["-/https/-"]),
            ("for=a;x=1;secret=\"2\"", &["a/-/-"]),
            ("for=a;for=b", &["bad"]),
            ("for", &["bad"]),
            ("for=", &["bad"]),
            ("=a", &["bad"]),
            ("for=a;", &["bad"]),
            ("for=a b", &["bad"]),
            ("for=\"a\"b", &["bad"]),
            ("for=\"a", &["bad"]),
            ("for=\"a\\", &["bad"]),
            // What a client leaves open does not reach what stands behind it.
            ("for=\"evil, for=9.9.9.9", &["9.9.9.9/-/-", "bad"]),
            (
                "for=evil;x=\", for=\"[2001:db8::1]\"",
                &["[2001:db8::1]/-/-", "bad"],
            ),
            ("for=evil\\\", for=\"[::1]\"", &["[::1]/-/-", "bad"]),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn only_what_can_be_read_from_the_left_too_is_appended_to() {
        for good in ["for=a", "for=\"a,\\\"\", for=b", "", ", for=a"] {
            assert!(is_well_formed(good.as_bytes()), "{good}");
        }
        for bad in [
            "for=\"evil, for=9.9.9.9",
            "for=evil;x=\", for=\"[::1]\"",
            "for=a, x",
            "\"",
            "for=\"a\\\"",
        ] {
            assert!(!is_well_formed(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_node_is_an_address_in_all_its_forms_or_nobody() {
        for (node, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("192.0.2.1:_x.y", "192.0.2.1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:65535", "2001:db8::1"),
            ("[2001:db8::1]:_p", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:c000:201]:1", "192.0.2.1"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ] {
            let found = address_of(node.as_bytes()).map(|ip| ip.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{node}");
        }
        for nobody in [
            "",
            "unknown",
            "_hidden",
            "a.example",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:a",
            "192.0.2.1:123456",
            "192.0.2.01",
            "[192.0.2.1]",
            "[2001:db8::1",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "fe80::1%eth0",
            "[fe80::1%25eth0]",
            "1.2.3.4, 5.6.7.8",
            " 192.0.2.1",
            "\"192.0.2.1\"",
        ] {
            assert_eq!(address_of(nobody.as_bytes()), None, "{nobody}");
        }
        assert_eq!(address_of(b"\xff"), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut text = String::new();
        let v6 = "2001:db8::1".parse().expect("an address");
        append(&mut text, v6, None, None);
        let v4 = "192.0.2.7".parse().expect("an address");
        append(&mut text, v4, Some("https"), Some("[::1]:80"));
        append(&mut text, v4, Some("http"), Some("a.example"));
        assert_eq!(
            text,
            "for=\"[2001:db8::1]\", for=192.0.2.7;proto=https;host=\"[::1]:80\", \
             for=192.0.2.7;proto=http;host=a.example"
        );
        assert!(is_well_formed(text.as_bytes()));
        assert_eq!(
            read(&text),
            [
                "192.0.2.7/http/a.example",
                "192.0.2.7/https/[::1]:80",
                "[2001:db8::1]/-/-"
            ]
        );
    }
}
