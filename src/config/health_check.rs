//! How servers are probed.

use core::time::Duration;

use super::section::section;
use super::{RequestPath, Seconds, Whole};
use crate::engine::Port;

mod values;
pub use values::{Authority, BodyPart, ProbeHeaders, ProbeKind, ProbeMethod, Statuses};

/// The longest name of a gRPC service.
const SERVICE_MAX: usize = 255;

/// The longest value of a header field.
const VALUE_MAX: usize = 4096;

/// Fields that frame a message or belong to a connection.
const OWN_FIELDS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "grpc-timeout",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

section! {
    /// Judging servers by probes: each server is asked once in a while, and its
    /// answers say whether it is healthy.
    pub struct HealthCheck =
    /// What of `health_check` the engine goes by: when servers are probed, and what decides.
    /// How they are asked is the proxy's.
    HealthRules {
        /// Whether servers are probed; default true.
        enabled: bool ["boolean"] = true,
        /// Seconds from one probe of a server to the next; default 30.
        interval: Seconds ["number"] = Seconds::whole(30),
        /// Seconds between probes while results contradict the health; default
        /// 1, at most `interval`.
        fast_interval: Option<Seconds> ["number"] = None,
        /// How far an interval may differ from its length, in percent, so that
        /// probes spread out; 0 to 50, default 10.
        jitter_percent: Whole<0, 50> ["number"] = Whole::new(10),
        /// Failed probes in a row that make a healthy server unhealthy; 1 to
        /// 100, default 3. The first probe of a server decides at once.
        fall: Whole<1, 100> ["number"] = Whole::new(3),
        /// Good probes in a row that make an unhealthy server healthy; 1 to
        /// 100, default 2.
        rise: Whole<1, 100> ["number"] = Whole::new(2),
    } + {
        /// Seconds until a probe has failed; default 5, at most `interval`.
        timeout: Seconds ["number"] = Seconds::whole(5),
        /// How a server is asked: by `http` or `https` requests, by connecting to
        /// it (`tcp`), or by the health service of gRPC (`grpc`, over HTTP/2 in
        /// clear text, or over TLS where `tls` is given). Default http.
        kind: ProbeKind ["ProbeKind"] = ProbeKind::Http,
        /// Of http and https: the method of the request; default GET.
        method: ProbeMethod ["string"] = ProbeMethod::known("GET"),
        /// Of http and https: what is requested; default /health.
        path: RequestPath ["string"] = RequestPath::known("/health"),
        /// Of all but tcp: the `Host` of the request, perhaps with a port, and
        /// the name that a certificate must have. Default null: the server's
        /// address and port.
        host: Option<Authority> ["string | null"] = None,
        /// Of all but tcp: further header fields of the request; default none. The
        /// values of `authorization` and `cookie` are never shown again.
        headers: ProbeHeaders ["Record<string, string>"] = ProbeHeaders::default(),
        /// Another port to ask at; default null: the server's own.
        port: Option<Port> ["number | null"] = None,
        /// Of http and https: which statuses are good, as 204 or "200-299";
        /// default ["200-299"]. Redirects are not followed.
        expect_status: Statuses ["(number | string)[]"] = Statuses::success(),
        /// Of http and https: what the body must have somewhere in its first
        /// 65536 bytes, 1 to 1024 bytes of text. Default null: it is not read.
        expect_body: Option<BodyPart> ["string | null"] = None,
        /// Of grpc: the service that is asked about; default "", the server as a
        /// whole.
        grpc_service: String ["string"] = String::new(),
        /// Of https and grpc: whom to trust. Default null: https trusts whom the
        /// system trusts, grpc is in clear text.
        tls: Option<ProbeTls> ["ProbeTls | null"] = None,
        /// Seconds after which a server is suspected that answers none of the
        /// requests which wait for it: it is probed at once, and one failed probe
        /// then decides, so that a server that hangs is found out long before its
        /// next probes would have. Default 2; null: never.
        suspect_after: Option<Seconds> ["number | null"] = Some(Seconds::whole(2)),
    }
}

section! {
    /// Whom probes over TLS trust.
    pub struct ProbeTls {
        /// A file with certificates in PEM: only who has one that these vouch
        /// for is trusted. Default null: those that the system trusts.
        ca_file: Option<String> ["string | null"] = None,
        /// Whether certificates are checked at all; default true.
        verify: bool ["boolean"] = true,
    }
}

impl HealthRules {
    /// The interval while results contradict the health.
    pub fn fast_interval(&self) -> Duration {
        let interval = self.interval.duration();
        match self.fast_interval {
            Some(fast) => fast.duration(),
            None => interval.min(Duration::from_secs(1)),
        }
    }
}

impl HealthCheck {
    /// Tells `fault` of settings that do not go together, each with its path.
    pub(super) fn check(&self, fault: &mut impl FnMut(&str, String)) {
        use ProbeKind::{Grpc, Http, Https};
        if self.timeout > self.interval {
            fault(
                "health_check.timeout",
                "a probe must end before the next begins; give at most health_check.interval"
                    .to_owned(),
            );
        }
        let default = Self::default();
        let given = [
            ("method", self.method != default.method, &[Http, Https][..]),
            ("path", self.path != default.path, &[Http, Https]),
            (
                "expect_status",
                self.expect_status != default.expect_status,
                &[Http, Https],
            ),
            ("expect_body", self.expect_body.is_some(), &[Http, Https]),
            ("host", self.host.is_some(), &[Http, Https, Grpc]),
            (
                "headers",
                self.headers != default.headers,
                &[Http, Https, Grpc],
            ),
            ("grpc_service", !self.grpc_service.is_empty(), &[Grpc]),
            ("tls", self.tls.is_some(), &[Https, Grpc]),
        ];
        for (name, is_given, kinds) in given {
            if is_given && !kinds.contains(&self.kind) {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                fault(
                    &format!("health_check.{name}"),
                    format!(
                        "a probe of kind {} has none; it goes with kind {}",
                        self.kind.name(),
                        kinds.join(" or ")
                    ),
                );
            }
        }
        let is_http = matches!(self.kind, Http | Https);
        if is_http && self.expect_body.is_some() && self.method.as_str() == "HEAD" {
            fault(
                "health_check.expect_body",
                "an answer to HEAD has no body; give another health_check.method".to_owned(),
            );
        }
        if self.grpc_service.len() > SERVICE_MAX {
            fault(
                "health_check.grpc_service",
                format!("it is too long; give at most {SERVICE_MAX} bytes"),
            );
        }
        if let Some(ProbeTls {
            ca_file: Some(_),
            verify: false,
        }) = self.tls
        {
            fault(
                "health_check.tls.ca_file",
                "health_check.tls.verify is false: nothing would be checked by it".to_owned(),
            );
        }
        for (name, value) in self.headers.iter() {
            if let Some(why) = self.refusal(name, value) {
                fault(&format!("health_check.headers.{name}"), why);
            }
        }
    }

    /// Why a probe cannot have this header field.
    fn refusal(&self, name: &str, value: &str) -> Option<String> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Some("this is no name of a header field".to_owned());
        }
        if name.eq_ignore_ascii_case("host") {
            return Some("give health_check.host instead".to_owned());
        }
        let is_set_by_probe = OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own));
        let is_grpcs = name.eq_ignore_ascii_case("content-type") && self.kind == ProbeKind::Grpc;
        if is_set_by_probe || is_grpcs {
            return Some("probes set this field themselves".to_owned());
        }
        let is_visible = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
        if value.len() > VALUE_MAX || !value.bytes().all(is_visible) {
            return Some(format!(
                "give at most {VALUE_MAX} printable ASCII characters"
            ));
        }
        None
    }
}

impl ProbeKind {
    /// Its name in configuration.
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Grpc => "grpc",
        }
    }
}
