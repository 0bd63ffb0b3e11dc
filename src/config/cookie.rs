//! How a client is given the cookie that is its key.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::section::section;
use super::values::Whole;
use crate::wire::{Faults, schema, shown_text};

section! {
    /// How a client without the cookie is given one, with a random value.
    pub struct CookieIssue {
        /// Seconds for which the client keeps it, at most 34560000 (400 days,
        /// which is all that browsers allow); 0, the default, until it ends.
        ttl: Whole<0, 34_560_000> ["number"] = Whole::new(0),
        /// The paths for which the client sends it, by their beginning; default
        /// /, all.
        path: CookiePath ["string"] = CookiePath("/".to_owned()),
        /// Whether scripts in a browser cannot read it; default true.
        http_only: bool ["boolean"] = true,
        /// Whether requests that other sites bring about have it: strict, never;
        /// lax, when they lead the user here; none, always, for which secure
        /// must be true. Default lax.
        same_site: SameSite ["SameSite"] = SameSite::Lax,
        /// Whether the client sends it over TLS alone; default null: just when
        /// the request came over TLS.
        secure: Option<bool> ["boolean | null"] = None,
    }
}

impl CookieIssue {
    /// What does not go together, in words.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let is_refused = self.same_site == SameSite::None && self.secure != Some(true);
        is_refused.then_some("browsers refuse same_site none without secure; give \"secure\": true")
    }
}

/// Whether requests that other sites bring about have a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserr, Serialize, JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[deserr(error = Faults)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// They never have.
    #[deserr(rename = "strict")]
    Strict,
    /// They have when they lead the user here.
    #[deserr(rename = "lax")]
    Lax,
    /// They have.
    #[deserr(rename = "none")]
    None,
}

/// A path of a cookie (RFC 6265, section 4.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookiePath(String);

impl CookiePath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<Faults> for CookiePath {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Faults> {
        let text = String::deserialize_from_value(value, location)?;
        let is_allowed = |b: u8| b.is_ascii_graphic() && b != b';';
        if text.starts_with('/') && text.len() <= 1024 && text.bytes().all(is_allowed) {
            return Ok(Self(text));
        }
        let allowed = &"a path that begins with /, without spaces and ;";
        Err(Faults::refusal(location, &shown_text(&text), allowed))
    }
}

impl Serialize for CookiePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

schema!(CookiePath, {
    "type": "string", "pattern": "^/[!-:<-~]*$", "maxLength": 1024,
    "description": "A path that begins with /."
});
