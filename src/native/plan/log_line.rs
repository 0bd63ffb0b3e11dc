//! What a line of an access log tells of its request.
//!
//! Each line is taken by itself, so a log may change its format midway:
//!
//! - an object of JSON: Ringway's own lines, and what others are commonly set
//!   to write, by the names of nginx's variables;
//! - else common or combined log format, with or without the name of the
//!   virtual host before it and further fields after it.
//!
//! It is strict: a line that is not wholly understood is a fault and no
//! request, since half a line would be counted for a key that nobody has.
//! Escapes are those that nginx and Apache write: `\x22`, `\"`, `\\`, `\n`.
//! What a log does not tell counts as not sent; `-` is how logs say that.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::header::{COOKIE, HOST, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use memchr::{memchr, memchr2};

use super::json_fields::{Fields, NotText};
use crate::native::proxy::hash_key::KeyParts;

/// The request that a line tells of; filled again for each line.
#[derive(Debug, Default)]
pub(super) struct LoggedRequest {
    headers: HeaderMap,
    uri: Uri,
    /// Empty when the line has no address, as where host names are logged.
    client_ip: String,
}

// What fields of objects are called: by the proxy, and by nginx's variables.

/// The client's address; the first that is there is taken.
const CLIENT: &[&str] = &["client_ip", "remote_addr", "remote_ip"];

/// The target as it was sent; taken before the others.
const AS_SENT: &str = "request_uri";

/// Method, target and version; taken before what follows.
const REQUEST: &str = "request";

/// The target, or the path alone.
const TARGET: &[&str] = &["path", "uri"];

/// The query, where the path stands alone.
const QUERY: &[&str] = &["args", "query_string"];

/// Header fields of a name of their own; one with [`HEADER`] is taken before.
const HEADERS: [(&str, HeaderName); 3] = [
    ("host", HOST),
    ("referer", REFERER),
    ("user_agent", USER_AGENT),
];

/// What stands before a header field's name.
const HEADER: &str = "http_";

/// What stands before a cookie's name.
const ONE_COOKIE: &str = "cookie_";

fn is_wanted(field: &str) -> bool {
    let is_named = |names: &[&str]| names.contains(&field);
    field == AS_SENT
        || field == REQUEST
        || is_named(CLIENT)
        || is_named(TARGET)
        || is_named(QUERY)
        || HEADERS.iter().any(|(name, _)| *name == field)
        || field.starts_with(HEADER)
        || field.starts_with(ONE_COOKIE)
}

/// Why a line is no request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineFault {
    /// It is no format that is known.
    Format,
    /// It ends within a field.
    CutShort,
    /// There is a backslash that begins no escape.
    Escape,
    /// What stands where the request should is none, as when a client sent
    /// garbage or nothing.
    Request,
    /// The request's target is none that a proxy takes.
    Target,
    /// A header field's value is none.
    Header,
    /// The object is broken.
    Json(String),
    /// The object has no field with the request's target.
    NoTarget,
    /// This field of the object should be a text.
    NotText(String),
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "it is neither common or combined log format nor an object of JSON",
            Self::CutShort => "it is cut short",
            Self::Escape => "it has a backslash that begins no escape",
            Self::Request => "its request is not \"METHOD target HTTP/version\"",
            Self::Target => "the target of its request is no URL",
            Self::Header => "a header field has a value that none can have",
            Self::Json(error) => return write!(f, "it is broken JSON: {error}"),
            Self::NoTarget => "it has none of request_uri, request, path, uri",
            Self::NotText(name) => return write!(f, "{name:?} is not a text"),
        })
    }
}

impl From<NotText> for LineFault {
    fn from(NotText(name): NotText) -> Self {
        Self::NotText(name)
    }
}

impl LoggedRequest {
    /// What keys are made of.
    pub(super) fn parts(&self) -> KeyParts<'_> {
        KeyParts {
            headers: &self.headers,
            uri: &self.uri,
            client_ip: &self.client_ip,
            issued: None,
        }
    }

    /// Takes what `line` tells, without its line end.
    ///
    /// # Errors
    /// When the line is no request; what is held then is of no use.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<(), LineFault> {
        self.headers.clear();
        self.client_ip.clear();
        if line.starts_with(b"{") {
            self.read_json(line)
        } else {
            self.read_combined(line)
        }
    }

    /// `client ident user [time] "request" status bytes "referer" "user agent"`.
    fn read_combined(&mut self, line: &[u8]) -> Result<(), LineFault> {
        let mut rest = self.read_client(line)?;
        let time = memchr(b']', rest);
        rest = &rest[time.ok_or(LineFault::CutShort)? + 1..];
        let request = quoted(field(&mut rest)?)?;
        self.set_request(&request)?;
        let status = field(&mut rest)?;
        if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) {
            return Err(LineFault::Format);
        }
        let bytes = field(&mut rest)?;
        if bytes != b"-" && !bytes.iter().all(u8::is_ascii_digit) {
            return Err(LineFault::Format);
        }
        // Common log format ends here; so does one that goes on in its own way.
        if !rest.starts_with(b" \"") {
            return Ok(());
        }
        for name in [REFERER, USER_AGENT] {
            let value = quoted(field(&mut rest)?)?;
            self.set_header(name, &value)?;
        }
        Ok(())
    }

    /// Takes what stands before the time, and returns the rest from there.
    fn read_client<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8], LineFault> {
        let end = line.windows(2).position(|pair| pair == b" [");
        let (before, rest) = line.split_at(end.ok_or(LineFault::Format)?);
        let mut fields = before.split(|&b| b == b' ');
        let mut next = || fields.next().filter(|field| !field.is_empty());
        // A user's name may have spaces, so there may be more of them.
        let (Some(first), Some(second), Some(_)) = (next(), next(), next()) else {
            return Err(LineFault::Format);
        };
        if self.set_client(first) || next().is_none() || !self.set_client(second) {
            return Ok(rest);
        }
        // `host:port client ident user`, as Debian's Apache is set up.
        let host = first.strip_suffix(b":80").unwrap_or(first);
        self.set_header(HOST, host.strip_suffix(b":443").unwrap_or(host))?;
        Ok(rest)
    }

    fn read_json(&mut self, line: &[u8]) -> Result<(), LineFault> {
        let fields = Fields::read(line, is_wanted);
        let fields = fields.map_err(|error| LineFault::Json(error.to_string()))?;
        let first = |names: &[&str]| {
            let mut found = names.iter().map(|name| fields.text(name));
            found.find_map(Result::transpose).transpose()
        };
        if let Some(client) = first(CLIENT)? {
            self.set_client(client.as_bytes());
        }
        match (fields.text(AS_SENT)?, fields.text(REQUEST)?) {
            (Some(target), _) => self.set_target(target.as_bytes())?,
            (None, Some(request)) => self.set_request(request.as_bytes())?,
            (None, None) => {
                let target = first(TARGET)?.ok_or(LineFault::NoTarget)?;
                match first(QUERY)? {
                    Some(query) if !target.contains('?') => {
                        self.set_target(format!("{target}?{query}").as_bytes())?;
                    }
                    _ => self.set_target(target.as_bytes())?,
                }
            }
        }
        for (field, name) in HEADERS {
            if let Some(value) = fields.text(field)? {
                self.set_header(name, value.as_bytes())?;
            }
        }
        for field in fields.names() {
            if let Some(name) = field.strip_prefix(HEADER) {
                let name = HeaderName::from_bytes(name.replace('_', "-").as_bytes());
                if let (Ok(name), Some(value)) = (name, fields.text(field)?) {
                    self.set_header(name, value.as_bytes())?;
                }
            } else if let Some(name) = field.strip_prefix(ONE_COOKIE)
                && let Some(value) = fields.text(field)?
            {
                let pair = HeaderValue::try_from(format!("{name}={value}"));
                self.headers
                    .append(COOKIE, pair.map_err(|_| LineFault::Header)?);
            }
        }
        Ok(())
    }

    /// Takes the client's address if `text` is one, and says whether it is.
    fn set_client(&mut self, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else {
            return false;
        };
        let address = text.parse().or_else(|_| {
            let with_port: Result<SocketAddr, _> = text.parse();
            with_port.map(|address| address.ip())
        });
        match address.map(|address: IpAddr| address.to_canonical()) {
            Ok(address) => {
                use fmt::Write;
                // Writing to a String cannot fail.
                let _ = write!(self.client_ip, "{address}");
                true
            }
            Err(_) => false,
        }
    }

    fn set_request(&mut self, request: &[u8]) -> Result<(), LineFault> {
        let mut words = request.split(|&b| b == b' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(method), Some(target), Some(version), None)
                if Method::from_bytes(method).is_ok() && version.starts_with(b"HTTP/") =>
            {
                self.set_target(target)
            }
            _ => Err(LineFault::Request),
        }
    }

    fn set_target(&mut self, target: &[u8]) -> Result<(), LineFault> {
        self.uri = Uri::try_from(target).map_err(|_| LineFault::Target)?;
        Ok(())
    }

    fn set_header(&mut self, name: HeaderName, value: &[u8]) -> Result<(), LineFault> {
        if value.is_empty() || value == b"-" {
            return Ok(());
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| LineFault::Header)?;
        self.headers.insert(name, value);
        Ok(())
    }
}

/// Takes the next field, after one space; one in quotes with them.
fn field<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], LineFault> {
    let text = match rest.strip_prefix(b" ") {
        Some(text) if !text.is_empty() => text,
        _ if rest.len() < 2 => return Err(LineFault::CutShort),
        _ => return Err(LineFault::Format),
    };
    let end = if text[0] == b'"' {
        let mut end = 1;
        loop {
            let found = memchr2(b'"', b'\\', text.get(end..).unwrap_or_default());
            end += found.ok_or(LineFault::CutShort)?;
            if text[end] == b'"' {
                break end + 1;
            }
            // What follows a backslash ends nothing.
            end += 2;
        }
    } else {
        memchr(b' ', text).unwrap_or(text.len())
    };
    let (field, after) = text.split_at(end);
    *rest = after;
    Ok(field)
}

/// The bytes that a field in quotes stands for.
fn quoted(field: &[u8]) -> Result<Cow<'_, [u8]>, LineFault> {
    let inner = field
        .strip_prefix(b"\"")
        .and_then(|f| f.strip_suffix(b"\""));
    let inner = inner.ok_or(LineFault::Format)?;
    if memchr(b'\\', inner).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b @ (b'"' | b'\\')) => b,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'b') => 8,
                Some(b'v') => 11,
                Some(b'f') => 12,
                Some(b'x') => {
                    let mut digit = || char::from(rest.next()?).to_digit(16);
                    match (digit(), digit()) {
                        (Some(high), Some(low)) => (high << 4 | low) as u8,
                        _ => return Err(LineFault::Escape),
                    }
                }
                _ => return Err(LineFault::Escape),
            },
            byte => byte,
        });
    }
    Ok(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"192.0.2.7 - ann [10/Oct/2025:13:55:36 +0000] "GET /a?b=c HTTP/1.1" 200 23"#;

    /// Client, target, and the header fields by name.
    type Told = (String, String, Vec<String>);

    fn read(line: impl AsRef<[u8]>) -> Result<Told, LineFault> {
        let mut request = LoggedRequest::default();
        // What one line left must not show in the next.
        let before = r#"{"client_ip": "::9", "path": "/9", "http_x_9": "9"}"#;
        request.read(before.as_bytes()).expect("a good line");
        request.read(line.as_ref())?;
        let mut fields: Vec<String> = (request.headers.iter())
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        fields.sort();
        let parts = request.parts();
        Ok((parts.client_ip.to_owned(), parts.uri.to_string(), fields))
    }

    fn told(client: &str, target: &str, fields: &[&str]) -> Result<Told, LineFault> {
        let fields = fields.iter().map(|&field| field.to_owned());
        Ok((client.to_owned(), target.to_owned(), fields.collect()))
    }

    #[test]
    fn common_and_combined_lines_tell_client_target_and_two_fields() {
        assert_eq!(read(LINE), told("192.0.2.7", "/a?b=c", &[]));
        let combined = format!(r#"{LINE} "http://there/" "curl/8""#);
        let fields = ["referer: http://there/", "user-agent: curl/8"];
        assert_eq!(read(&combined), told("192.0.2.7", "/a?b=c", &fields));
        assert_eq!(
            read(format!(r#"{combined} "-" rt=0.1"#)),
            told("192.0.2.7", "/a?b=c", &fields)
        );
        assert_eq!(
            read(format!(r#"{LINE} "-" "-""#)),
            told("192.0.2.7", "/a?b=c", &[])
        );
        assert_eq!(
            read(format!("{LINE} 0.003")),
            told("192.0.2.7", "/a?b=c", &[])
        );
    }

    #[test]
    fn clients_stand_in_the_form_that_the_proxy_has_them_in() {
        for (client, expected) in [
            ("2001:DB8:0::1", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:5000", "192.0.2.7"),
            ("host.example", ""),
            ("unix:", ""),
            ("\u{e9}", ""),
        ] {
            let line = LINE.replacen("192.0.2.7", client, 1);
            assert_eq!(read(line), told(expected, "/a?b=c", &[]), "{client}");
            let line = format!(r#"{{"remote_addr": "{client}", "uri": "/"}}"#);
            assert_eq!(read(line), told(expected, "/", &[]), "{client}");
        }
        // A user's name with spaces is no virtual host; a virtual host is none of the client's.
        let line = LINE.replacen("ann", "ann of x", 1);
        assert_eq!(read(line), told("192.0.2.7", "/a?b=c", &[]));
        let line = format!("www.example:443 {LINE}");
        assert_eq!(
            read(line),
            told("192.0.2.7", "/a?b=c", &["host: www.example"])
        );
    }

    #[test]
    fn escapes_are_those_of_nginx_and_of_apache() {
        for (written, value) in [
            (r"a\x22b", "a\"b"),
            (r#"a\"b"#, "a\"b"),
            (r"a\\", "a\\"),
            (r"a\x5C", "a\\"),
            (r"a\tb", "a\tb"),
            (r"\xC3\xa9", "\u{e9}"),
        ] {
            let line = format!(r#"{LINE} "-" "{written}""#);
            let expected = format!("user-agent: {value}");
            assert_eq!(read(line), told("192.0.2.7", "/a?b=c", &[&expected]));
        }
        let line = LINE.replacen("/a?b=c", r"/\xC3\xA9", 1);
        assert_eq!(read(line), told("192.0.2.7", "/\u{e9}", &[]));
        let mut line = format!(r#"{LINE} "-" ""#).into_bytes();
        line.extend_from_slice(b"\xff\"");
        assert_eq!(
            read(line),
            told("192.0.2.7", "/a?b=c", &["user-agent: \u{fffd}"])
        );
    }

    #[test]
    fn what_is_not_wholly_a_line_is_none() {
        let with = |request: &str| LINE.replacen("GET /a?b=c HTTP/1.1", request, 1);
        for (line, fault) in [
            (String::new(), LineFault::Format),
            ("user-1".to_owned(), LineFault::Format),
            (
                "- - [x] \"GET / HTTP/1.1\" 200 1".to_owned(),
                LineFault::Format,
            ),
            (with(""), LineFault::Request),
            (with("-"), LineFault::Request),
            (with(r"\x16\x03\x01"), LineFault::Request),
            (with("GET /"), LineFault::Request),
            (with("GET /a b HTTP/1.1"), LineFault::Request),
            (with("G(T / HTTP/1.1"), LineFault::Request),
            (with("GET a/b HTTP/1.1"), LineFault::Target),
            (with(r#"GET /a"b HTTP/1.1"#), LineFault::Request),
            (with(r#"GET / HTTP/1.1"b"#), LineFault::Format),
            (with(r"GET /?\x22 HTTP/1.1"), LineFault::Target),
            (with(r"GET /\xff HTTP/1.1"), LineFault::Target),
            (with(r"GET /\q HTTP/1.1"), LineFault::Escape),
            (with(r"GET /\x2 HTTP/1.1"), LineFault::Escape),
            (LINE.replacen(" 200", " 20x", 1), LineFault::Format),
            (LINE.replacen(" 23", " many", 1), LineFault::Format),
            (LINE.replacen("] ", "]  ", 1), LineFault::Format),
            (format!(r#"{LINE} "http://the"#), LineFault::CutShort),
            (format!(r#"{LINE} "-" "a\""#), LineFault::CutShort),
            (format!(r#"{LINE} "-""#), LineFault::CutShort),
            (format!(r#"{LINE} "-" "\n""#), LineFault::Header),
        ] {
            assert_eq!(read(&line), Err(fault), "{line}");
        }
        // Whatever is cut off within a combined line up to its last quote, but
        // for what is a whole common line.
        let combined = format!(r#"{LINE} "http://there/" "curl/8""#);
        for end in 0..combined.len() {
            let is_common = (LINE.len() - 1..=LINE.len() + 1).contains(&end);
            assert_eq!(read(&combined[..end]).is_ok(), is_common, "{end}");
        }
    }

    #[test]
    fn objects_tell_what_their_names_say() {
        for (line, expected) in [
            (
                r#"{"time":"2025-10-10T13:55:36.000Z","client_ip":"192.0.2.7","method":"GET","path":"/a?b","status":200,"bytes":1,"head_ms":0.5,"total_ms":0.6,"server":"s","attempts":1,"request_id":null}"#,
                told("192.0.2.7", "/a?b", &[]),
            ),
            (
                r#"{"remote_addr":"::1","request":"GET /a HTTP/2.0","http_user_agent":"curl","http_referer":"","host":"h","http_x_user_id":42}"#,
                told(
                    "::1",
                    "/a",
                    &["host: h", "user-agent: curl", "x-user-id: 42"],
                ),
            ),
            (
                r#"{"request_uri":"/%61","uri":"/a b","host":"h","http_host":"h:1","http_cookie":"a=b"}"#,
                told("", "/%61", &["cookie: a=b", "host: h:1"]),
            ),
            (
                r#"{"uri":"/a","args":"b=c","cookie_s":"1","cookie_t":"-","http_x":null}"#,
                told("", "/a?b=c", &["cookie: s=1"]),
            ),
            (r#"{"client_ip":"::1"}"#, Err(LineFault::NoTarget)),
            (
                r#"{"path":["/"]}"#,
                Err(LineFault::NotText("path".to_owned())),
            ),
            (
                r#"{"path":"/","http_x_user":1.5}"#,
                Err(LineFault::NotText("http_x_user".to_owned())),
            ),
            (r#"{"path":"/","http_x":"a\nb"}"#, Err(LineFault::Header)),
            (r#"{"path":"/\u0000"}"#, Err(LineFault::Target)),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        for broken in [
            &b"{\"path\":\"/"[..],
            b"{",
            b"{\"path\":\"/\xff\"}",
            b"{} x",
        ] {
            assert!(matches!(read(broken), Err(LineFault::Json(_))));
        }
    }

    proptest::proptest! {
        /// Nothing panics, and what is understood is a request as a proxy has it.
        #[test]
        fn whatever_a_line_has_it_is_a_request_or_a_fault(
            mended in proptest::collection::vec(proptest::prelude::any::<(usize, u8)>(), 0..4),
            cut in 0_usize..300,
            is_json: bool,
        ) {
            let mut line = match is_json {
                true => br#"{"client_ip":"::1","request_uri":"/a","http_x":"\u00e9","cookie_s":1}"#.to_vec(),
                false => format!(r#"www:80 {LINE} "http://there/\x41" "a\"\\""#).into_bytes(),
            };
            for (at, byte) in mended {
                let at = at % line.len();
                line[at] = byte;
            }
            line.truncate(cut);
            if let Ok((client, _, _)) = read(&line) {
                proptest::prop_assert!(client.is_empty() || client.parse::<IpAddr>().is_ok());
            }
        }
    }

    #[test]
    fn what_the_proxy_writes_is_read_back() {
        let written = crate::wire::AccessLogLine {
            time: crate::wire::rfc3339(0),
            client_ip: "2001:db8::1",
            proxy_ip: None,
            method: "GET",
            path: "/a\"?b",
            status: 200,
            bytes: 1,
            head_ms: 0.1,
            total_ms: 0.2,
            server: None,
            attempts: 1,
            request_id: None,
        };
        let mut line = Vec::new();
        written.write_to(&mut line).expect("room");
        assert_eq!(
            read(line.trim_ascii_end()),
            told("2001:db8::1", "/a\"?b", &[])
        );
    }
}
