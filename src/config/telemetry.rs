//! What the proxy tells of each request: its line in the access log, its trace.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::section::section;
use super::values::Part;
use crate::engine::{Address, Port};
use crate::wire::{Faults, RequestPath, schema, shown_text, text};

section! {
    /// A line for each request.
    pub struct AccessLog {
        /// Where it goes: `stdout`, or the path of a file to append to; default
        /// nowhere.
        to: Option<String> ["string"] = None,
        /// What a line is: json, an object; combined, as nginx writes it; or
        /// common, as Apache does. Default json.
        format: AccessLogFormat ["AccessLogFormat"] = AccessLogFormat::Json,
    }
}

section! {
    /// Traces of requests, sent to a collector.
    pub struct Tracing {
        /// Where spans are sent by OTLP over HTTP, as JSON:
        /// http://127.0.0.1:4318/v1/traces. Default null: nowhere, and the
        /// fields traceparent and tracestate pass as they came.
        otlp: Option<OtlpUrl> ["string | null"] = None,
        /// The part of the traces that begin here which is sent, as 0.1 or "10%";
        /// default 1. A trace that comes in is sent if its sender says so.
        sample: Part ["number | string"] = Part::known(1.0),
        /// What the proxy is called in traces; default ringway.
        service_name: String ["string"] = "ringway".to_owned(),
    }
}

/// What a line of the access log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLogFormat {
    /// An object of JSON.
    #[default]
    #[deserr(rename = "json")]
    Json,
    /// nginx's combined log format.
    #[deserr(rename = "combined")]
    Combined,
    /// Apache's common log format.
    #[deserr(rename = "common")]
    Common,
}

/// Where a collector takes traces: `http://host:port/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpUrl {
    text: String,
    host: Address,
    port: Port,
    path: RequestPath,
}

impl OtlpUrl {
    /// The URL `text` is. The port may be left out (4318), and the path
    /// (`/v1/traces`).
    ///
    /// # Errors
    /// When it is none, or another scheme's; says what is allowed.
    pub fn new(text: &str) -> Result<Self, String> {
        const ALLOWED: &str = "give http://host:port/v1/traces";
        let given = || shown_text(text);
        if text.starts_with("https:") {
            return Err(format!(
                "{} is not allowed, TLS to a collector is not spoken; {ALLOWED} of one nearby",
                given()
            ));
        }
        let fault = |_| format!("{} is not allowed; {ALLOWED}", given());
        let rest = text.strip_prefix("http://").ok_or(()).map_err(fault)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/v1/traces"),
        };
        // The colons of an IPv6 address stand within brackets.
        let port_at = authority.rfind(':').filter(|&at| {
            let bracket = authority.rfind(']');
            bracket.is_none_or(|bracket| bracket < at)
        });
        let (host, port) = match port_at {
            Some(at) => (&authority[..at], &authority[at + 1..]),
            None => (authority, "4318"),
        };
        let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number);
        Ok(Self {
            text: text.to_owned(),
            host: Address::new(host).map_err(|_| fault(()))?,
            port: port
                .and_then(|port| Port::new(port).ok())
                .ok_or(())
                .map_err(fault)?,
            path: RequestPath::new(path).map_err(|_| fault(()))?,
        })
    }

    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it listens.
    pub fn host(&self) -> &Address {
        &self.host
    }

    /// At which port.
    pub fn port(&self) -> Port {
        self.port
    }

    /// What is posted to there.
    pub fn path(&self) -> &RequestPath {
        &self.path
    }
}

text!(OtlpUrl, {
    "type": "string", "pattern": "^http://",
    "description": "Where a collector takes traces."
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_collectors_are_taken_apart() {
        for (text, host, port, path) in [
            (
                "http://127.0.0.1:4318/v1/traces",
                "127.0.0.1",
                4318,
                "/v1/traces",
            ),
            ("http://collector", "collector", 4318, "/v1/traces"),
            ("http://collector:80/a?b=c", "collector", 80, "/a?b=c"),
            ("http://[2001:db8::1]:4319/", "2001:db8::1", 4319, "/"),
            ("http://[::1]", "::1", 4318, "/v1/traces"),
        ] {
            let url = OtlpUrl::new(text).expect(text);
            assert_eq!(url.host().as_str(), host, "{text}");
            assert_eq!(url.port().number(), port, "{text}");
            assert_eq!(url.path().as_str(), path, "{text}");
        }
        for bad in [
            "",
            "collector:4318",
            "https://collector/v1/traces",
            "grpc://collector",
            "http://",
            "http://:4318",
            "http://a:0",
            "http://a:65536",
            "http://a:+1",
            "http://a:/",
            "http://user@a/",
            "http://a b/",
        ] {
            assert!(OtlpUrl::new(bad).is_err(), "{bad}");
        }
    }
}
