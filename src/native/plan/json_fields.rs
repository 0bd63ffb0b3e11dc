//! The fields of an object of JSON that tell of a request, in place.
//!
//! A log has millions of objects, each of many fields of which a few matter:
//! the others are passed over, and texts without escapes are not copied.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a field holds.
#[derive(Debug, PartialEq, Eq)]
enum Held<'a> {
    Text(Cow<'a, str>),
    Null,
    /// A list, an object, a truth value, or a number that is not whole, which
    /// need not be written as it was.
    Other,
}

/// The wanted fields of an object, in order.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Held<'a>)>);

impl<'a> Fields<'a> {
    /// The fields of the object that `text` is, of those names that are wanted.
    ///
    /// # Errors
    /// When it is no object, or not it alone.
    pub(super) fn read(
        text: &'a [u8],
        is_wanted: fn(&str) -> bool,
    ) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let fields = reader.deserialize_map(FieldsReader(is_wanted))?;
        reader.end()?;
        Ok(Self(fields))
    }

    /// The names, each as often as it stands there.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// A field as text, the last of its name; nothing when it is not there,
    /// null, empty or `-`, by which logs say that there was nothing.
    ///
    /// # Errors
    /// When it is neither a text nor a whole number.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, NotText> {
        match self.0.iter().rfind(|(other, _)| other == name) {
            None | Some((_, Held::Null)) => Ok(None),
            Some((_, Held::Text(text))) => Ok((!text.is_empty() && text != "-").then_some(&**text)),
            Some((_, Held::Other)) => Err(NotText(name.to_owned())),
        }
    }
}

/// The field of this name is no text.
#[derive(Debug)]
pub(super) struct NotText(pub(super) String);

struct FieldsReader(fn(&str) -> bool);

impl<'de> Visitor<'de> for FieldsReader {
    type Value = Vec<(Cow<'de, str>, Held<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key_seed(HeldReader)? {
            match name {
                Held::Text(name) if (self.0)(&name) => {
                    fields.push((name, map.next_value_seed(HeldReader)?));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

#[derive(Clone, Copy)]
struct HeldReader;

impl<'de> DeserializeSeed<'de> for HeldReader {
    type Value = Held<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Held<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HeldReader {
    type Value = Held<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Held<'de>, E> {
        Ok(Held::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Held<'de>, E> {
        Ok(Held::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Held<'de>, E> {
        Ok(Held::Text(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Held<'de>, E> {
        Ok(Held::Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Held<'de>, E> {
        Ok(Held::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Held<'de>, E> {
        Ok(Held::Other)
    }

    fn visit_unit<E>(self) -> Result<Held<'de>, E> {
        Ok(Held::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Held<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Held::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Held<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Held::Other)
    }
}
