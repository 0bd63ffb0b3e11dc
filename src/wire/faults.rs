//! Everything wrong with a JSON document, each fault with its path.
//!
//! Reading goes on after a fault, so that one look at the answer is enough to
//! mend a whole file.

use core::convert::Infallible;
use core::fmt;
use core::ops::ControlFlow;

use deserr::{
    DeserializeError, ErrorKind, IntoValue, MergeWithError, Value, ValueKind, ValuePointerRef,
};

use crate::engine::Quoted;
use crate::number;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `servers[2].weight`; empty for the document itself.
    pub path: String,
    /// What was given and what is allowed.
    pub message: String,
}

/// All faults of a document, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// A single fault at `path`.
    pub fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::single(path.into(), &message)
    }

    #[inline(never)]
    fn single(path: String, message: &dyn fmt::Display) -> Self {
        let message = message.to_string();
        Self(vec![Fault { path, message }])
    }

    /// That `given` is not allowed; `allowed` says what to give instead.
    #[inline(never)]
    pub(crate) fn refusal(
        location: ValuePointerRef<'_>,
        given: &str,
        allowed: &dyn fmt::Display,
    ) -> Self {
        let message = format_args!("{given} is not allowed; give {allowed}");
        Self::single(path_of(location), &message)
    }

    /// A single fault at `location`.
    pub(crate) fn at(location: ValuePointerRef<'_>, message: impl fmt::Display) -> Self {
        Self::new(path_of(location), message)
    }

    /// `Err` with all of `faults` if there are any.
    pub(crate) fn check(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Self(faults))
        }
    }

    /// The faults in the order they were found.
    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.0
    }

    /// The faults in the order they were found.
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    /// One line for each fault: `path: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            if !fault.path.is_empty() {
                write!(f, "{}: ", fault.path)?;
            }
            f.write_str(&fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

fn path_of(location: ValuePointerRef<'_>) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev } => {
            let before = path_of(*prev);
            if before.is_empty() {
                key.to_owned()
            } else {
                format!("{before}.{key}")
            }
        }
        ValuePointerRef::Index { index, prev } => format!("{}[{index}]", path_of(*prev)),
    }
}

impl MergeWithError<Self> for Faults {
    fn merge(
        found: Option<Self>,
        other: Self,
        _location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        ControlFlow::Continue(match found {
            Some(mut faults) => {
                faults.0.extend(other.0);
                faults
            }
            None => other,
        })
    }
}

impl MergeWithError<Infallible> for Faults {
    fn merge(
        _found: Option<Self>,
        other: Infallible,
        _location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        match other {}
    }
}

impl DeserializeError for Faults {
    fn error<V: IntoValue>(
        found: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let fault = match error {
            ErrorKind::IncorrectValueKind { actual, accepted } => {
                Self::refusal(location, &shown(&actual), &kinds(accepted))
            }
            ErrorKind::MissingField { field } => {
                let path = path_of(location.push_key(field));
                Self::new(path, "this is required and was not given")
            }
            ErrorKind::UnknownKey { key, accepted } => Self::new(
                path_of(location.push_key(key)),
                format_args!(
                    "this name is not known here; known are {}",
                    accepted.join(", ")
                ),
            ),
            ErrorKind::UnknownValue { value, accepted } => Self::at(
                location,
                format_args!(
                    "{} is not allowed; give {}",
                    Quoted(value),
                    one_of(accepted)
                ),
            ),
            ErrorKind::BadSequenceLen { expected, .. } => {
                Self::at(location, format_args!("give exactly {expected} entries"))
            }
            ErrorKind::Unexpected { msg } => Self::at(location, msg),
        };
        <Self as MergeWithError<Self>>::merge(found, fault, location)
    }
}

/// A value as an error message shows it: scalars as they are (cut when long),
/// the rest by kind.
pub(crate) fn shown<V: IntoValue>(value: &Value<V>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(b) => b.to_string(),
        Value::Integer(n) => n.to_string(),
        Value::NegativeInteger(n) => n.to_string(),
        Value::Float(n) => number::text(*n),
        Value::String(text) => shown_text(text),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Map(_) => "an object".to_owned(),
    }
}

/// A text as an error message shows it.
pub(crate) fn shown_text(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", Quoted(&text[..end])),
        None => Quoted(text).to_string(),
    }
}

/// `"a"`, `"b"` or `"c"`.
pub(crate) fn one_of(accepted: &[&str]) -> String {
    let quoted: Vec<String> = accepted
        .iter()
        .map(|value| format!("\"{value}\""))
        .collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn kinds(accepted: &[ValueKind]) -> &'static str {
    match accepted {
        [ValueKind::Boolean, ..] => "true or false",
        [ValueKind::String, ..] => "a text",
        [ValueKind::Sequence, ..] => "a list",
        [ValueKind::Map, ..] => "an object",
        [ValueKind::Integer] => "a whole number from 0",
        [ValueKind::Null, ..] => "null",
        _ => "a number",
    }
}
