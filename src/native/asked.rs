//! A request that is only asked about: by the API, or on the command line.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::proxy::hash_key::{HashKey, KeyParts};
use crate::config;
use crate::engine::{Loads, RoutingTable};
use crate::wire::{ExplainView, Fault, Faults, RequestPath};

/// What of a request can be in its key.
#[derive(Debug)]
pub struct Asked {
    uri: Uri,
    headers: HeaderMap,
    /// Empty when it is not known, which is no key.
    client_ip: String,
}

impl Asked {
    /// A request for `path` with these header fields, from this client.
    ///
    /// # Errors
    /// Every field that cannot be one, and an address that is none.
    pub fn new<'a>(
        path: &RequestPath,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        client_ip: Option<&str>,
    ) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut fault = |path: String, message: String| faults.push(Fault { path, message });
        let uri = path.as_str().parse().unwrap_or_else(|_| {
            let given = path.as_str();
            fault(
                "path".to_owned(),
                format!("{given:?} cannot be the target of a request"),
            );
            Uri::default()
        });
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let parsed = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            );
            if let (Ok(name), Ok(value)) = parsed {
                headers.append(name, value);
            } else {
                let message = "this cannot be a header field; give a name of letters, digits and \
                               -, and a value of visible ASCII characters";
                fault(format!("headers.{name}"), message.to_owned());
            }
        }
        let client_ip = client_ip.map(|text| match text.parse::<IpAddr>() {
            // As text in its canonical form, as the proxy has it.
            Ok(ip) => ip.to_canonical().to_string(),
            Err(_) => {
                let message = format!("{text:?} is no IP address");
                fault("client_ip".to_owned(), message);
                String::new()
            }
        });
        Faults::check(faults)?;
        Ok(Self {
            uri,
            headers,
            client_ip: client_ip.unwrap_or_default(),
        })
    }

    /// Why it goes where it goes, its key being found by `chain`, which rules
    /// without keys do not ask for.
    ///
    /// # Errors
    /// When it has no key: which sources were looked for.
    pub fn explained(
        &self,
        chain: &config::HashKey,
        table: &RoutingTable,
        loads: &impl Loads,
    ) -> Result<ExplainView, Faults> {
        if table.keyless().is_some() {
            return Ok(ExplainView::new(table, loads, b"", None));
        }
        let parts = KeyParts {
            headers: &self.headers,
            uri: &self.uri,
            client_ip: &self.client_ip,
            issued: None,
        };
        let chain = HashKey::new(chain);
        if let Some(issue) = chain.to_issue(parts) {
            let name = issue.name();
            return Err(Faults::new(
                "",
                format_args!(
                    "the request has no key yet: its client is given the cookie {name} with a \
                     random value, by which this request and its next ones go"
                ),
            ));
        }
        match chain.explain(parts) {
            Ok((key, key_from)) => Ok(ExplainView::new(table, loads, &key, Some(key_from))),
            Err(absent) => Err(Faults::new(
                "",
                format_args!(
                    "the request has no key, since it has none of: {}; it goes to the eligible \
                     server with the fewest requests in flight for its weight",
                    absent.join(", ")
                ),
            )),
        }
    }
}
