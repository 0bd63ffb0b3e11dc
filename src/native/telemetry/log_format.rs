//! Lines of the access log as other servers write them: Apache's common log
//! format, and nginx's combined.
//!
//! Values are escaped as nginx does: quotes, backslashes, control characters
//! and all beyond ASCII as `\xHH`. What is not there is `-`.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Uri, Version};

use crate::wire::common_log_time;

/// What a line says.
#[derive(Debug)]
pub(super) struct CommonLine<'a> {
    pub(super) client_ip: &'a str,
    /// The field `Authorization`, for the user's name in it.
    pub(super) authorization: Option<&'a [u8]>,
    /// When the request came, in milliseconds since the UNIX epoch.
    pub(super) epoch_millis: u64,
    pub(super) method: &'a str,
    pub(super) uri: &'a Uri,
    pub(super) version: Version,
    pub(super) status: u16,
    /// Of the answer's body.
    pub(super) bytes: u64,
    pub(super) referer: Option<&'a [u8]>,
    pub(super) user_agent: Option<&'a [u8]>,
}

impl CommonLine<'_> {
    /// `client - user [time] "request" status bytes`, where no bytes are `-`.
    ///
    /// # Errors
    /// When `sink` has one.
    pub(super) fn write_common(&self, sink: &mut impl Write) -> io::Result<()> {
        self.write_request(sink)?;
        match self.bytes {
            0 => sink.write_all(b"-\n"),
            n => writeln!(sink, "{n}"),
        }
    }

    /// The same with `"referer" "user agent"`, where no bytes are 0.
    ///
    /// # Errors
    /// When `sink` has one.
    pub(super) fn write_combined(&self, sink: &mut impl Write) -> io::Result<()> {
        self.write_request(sink)?;
        write!(sink, "{} \"", self.bytes)?;
        escaped(self.referer.unwrap_or(b"-"), sink)?;
        sink.write_all(b"\" \"")?;
        escaped(self.user_agent.unwrap_or(b"-"), sink)?;
        sink.write_all(b"\"\n")
    }

    fn write_request(&self, sink: &mut impl Write) -> io::Result<()> {
        write!(sink, "{} - ", self.client_ip)?;
        let user = self.authorization.and_then(user_of);
        escaped(user.as_deref().unwrap_or(b"-"), sink)?;
        let time = common_log_time(self.epoch_millis);
        write!(sink, " [{time}] \"{} ", self.method)?;
        escaped(self.uri.to_string().as_bytes(), sink)?;
        write!(sink, " {:?}\" {:03} ", self.version, self.status)
    }
}

/// The user's name in credentials of scheme Basic, if there is one.
fn user_of(authorization: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut user = STANDARD.decode(rest.trim_ascii()).ok()?;
    let end = user.iter().position(|&b| b == b':')?;
    user.truncate(end);
    (!user.is_empty()).then_some(user)
}

/// Writes `value` as nginx does.
fn escaped(value: &[u8], sink: &mut impl Write) -> io::Result<()> {
    let is_plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| !is_plain(b)) {
        sink.write_all(&rest[..at])?;
        write!(sink, "\\x{:02X}", rest[at])?;
        rest = &rest[at + 1..];
    }
    sink.write_all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> CommonLine<'static> {
        static URI: std::sync::LazyLock<Uri> =
            std::sync::LazyLock::new(|| Uri::from_static("/a\"b?c=d"));
        CommonLine {
            client_ip: "2001:db8::1",
            authorization: None,
            epoch_millis: 1_760_104_536_999,
            method: "GET",
            uri: &URI,
            version: Version::HTTP_11,
            status: 200,
            bytes: 23,
            referer: None,
            user_agent: Some(b"a \"b\" \\ \xc3\xa9\x7f"),
        }
    }

    fn text(write: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes).expect("room");
        String::from_utf8(bytes).expect("ASCII")
    }

    #[test]
    fn lines_are_those_of_nginx_and_apache() {
        let mut line = line();
        assert_eq!(
            text(|out| line.write_combined(out)),
            "2001:db8::1 - - [10/Oct/2025:13:55:36 +0000] \"GET /a\\x22b?c=d HTTP/1.1\" 200 23 \
             \"-\" \"a \\x22b\\x22 \\x5C \\xC3\\xA9\\x7F\"\n"
        );
        // «ann b:secret»; only the name is told.
        line.authorization = Some(b"basic YW5uIGI6c2VjcmV0");
        line.bytes = 0;
        assert_eq!(
            text(|out| line.write_common(out)),
            "2001:db8::1 - ann b [10/Oct/2025:13:55:36 +0000] \
             \"GET /a\\x22b?c=d HTTP/1.1\" 200 -\n"
        );
    }

    #[test]
    fn a_user_is_only_in_good_basic_credentials() {
        for none in [
            &b"Bearer YW5uOng="[..],
            b"Basic ",
            b"Basic !",
            b"Basic OnNlY3JldA==",
            b"",
        ] {
            assert_eq!(user_of(none), None);
        }
    }
}
