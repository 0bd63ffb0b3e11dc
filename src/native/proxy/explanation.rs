//! What the debug header says of a request: what its key was made of, where it
//! stands, and why each candidate got it or not.
//!
//! A dictionary of RFC 9651, as
//! `key="header x-user-id", position="1f…", owner="a", candidates=("a";tried "b";chosen)`.

use http::HeaderValue;

use super::hash_key::KeyParts;
use super::worker::WorkerFleet;
use crate::engine::{Position, Reason, ServerIndex};
use crate::wire::ReasonWord;

/// How many candidates are named: a header field has to stay short.
const CANDIDATES_SHOWN: usize = 8;

/// What must be noted of a request before it is sent on.
pub(super) struct Explanation {
    /// The source of its key; `None` when it has none.
    source: Option<String>,
    key: Option<Position>,
    /// Whether the key is of a cookie that the client is only given now.
    is_issued: bool,
}

impl Explanation {
    pub(super) fn new(fleet: &WorkerFleet, parts: KeyParts<'_>, key: Option<Position>) -> Self {
        Self {
            source: fleet.key_source(parts),
            key,
            is_issued: parts.issued.is_some(),
        }
    }

    /// The value of the field, once `answered` has, after those that were `tried`.
    pub(super) fn value(
        &self,
        fleet: &WorkerFleet,
        answered: ServerIndex,
        tried: &[ServerIndex],
    ) -> HeaderValue {
        let name = |server| quoted(fleet.table().server(server).server.name.as_str());
        let (Some(source), Some(key)) = (&self.source, self.key) else {
            let text = format!("key=?0, candidates=({};chosen)", name(answered));
            return value(&text);
        };
        let explained = fleet.explain(key, tried);
        let owner = explained.first().map(|owner| name(owner.server));
        let candidates = explained.iter().take(CANDIDATES_SHOWN).map(|candidate| {
            let reason = match candidate.reason {
                // Loads have changed since it was chosen.
                _ if candidate.server == answered => Reason::Chosen,
                Reason::Chosen => Reason::Next,
                reason => reason,
            };
            let figures = match reason {
                Reason::AboveBound { in_flight, bound }
                | Reason::Full {
                    in_flight,
                    max: bound,
                } => {
                    format!(";in-flight={in_flight};bound={bound}")
                }
                Reason::NotAdmitted { admission } => {
                    format!(";admission={:.3}", admission.fraction())
                }
                _ => String::new(),
            };
            let word = ReasonWord::from(reason).as_str();
            format!("{};{word}{figures}", name(candidate.server))
        });
        let candidates: Vec<String> = candidates.collect();
        let text = format!(
            "key={}{}, position=\"{key}\", owner={}, candidates=({})",
            quoted(source),
            if self.is_issued { ";issued" } else { "" },
            owner.unwrap_or_default(),
            candidates.join(" ")
        );
        value(&text)
    }
}

fn value(text: &str) -> HeaderValue {
    // Everything in it that could be no header was encoded.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// A string of RFC 9651; what cannot stand in one is percent-encoded.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("%{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_can_stand_in_a_field() {
        assert_eq!(quoted("cache-1"), "\"cache-1\"");
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(quoted("größe"), "\"gr%c3%b6%c3%9fe\"");
    }
}
