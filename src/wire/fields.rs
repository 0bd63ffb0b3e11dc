//! Reading objects field by field: one walk for all shapes, which each give a
//! table of their fields. (Code written out for each would be most of the wasm.)

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};

use super::faults::{Faults, shown};

/// A field that is to be read: its default until then, if it has one.
pub(crate) struct Slot<T>(pub(crate) Option<T>);

/// A field that holds its default until it is read.
pub(crate) struct Given<'a, T>(pub(crate) &'a mut T);

/// A field, whatever its type.
pub(crate) trait Read<V: IntoValue> {
    /// Reads it; hands back what is wrong with it.
    fn read(&mut self, value: V, location: ValuePointerRef<'_>) -> Option<Faults>;

    /// Whether there is nothing in it.
    fn is_missing(&self) -> bool;
}

impl<T> Slot<T> {
    /// What the field holds.
    ///
    /// # Errors
    /// When it was required and not given, which [`read_fields`] says first.
    pub(crate) fn take(self) -> Result<T, Faults> {
        self.0.ok_or_else(|| Faults::new("", MISSING))
    }
}

impl<V: IntoValue, T: Deserr<Faults>> Read<V> for Slot<T> {
    fn read(&mut self, value: V, location: ValuePointerRef<'_>) -> Option<Faults> {
        match T::deserialize_from_value(value.into_value(), location) {
            Ok(value) => self.0 = Some(value),
            Err(faults) => return Some(faults),
        }
        None
    }

    fn is_missing(&self) -> bool {
        self.0.is_none()
    }
}

impl<V: IntoValue, T: Deserr<Faults>> Read<V> for Given<'_, T> {
    fn read(&mut self, value: V, location: ValuePointerRef<'_>) -> Option<Faults> {
        match T::deserialize_from_value(value.into_value(), location) {
            Ok(value) => *self.0 = value,
            Err(faults) => return Some(faults),
        }
        None
    }

    fn is_missing(&self) -> bool {
        false
    }
}

const MISSING: &str = "this is required and was not given";

/// A shape, by the names of its fields.
pub(crate) trait Fields {
    /// The names, as they were declared.
    const NAMES: &'static [&'static str];
}

/// Reads the fields of an object. Of other names those in `passed_over`, where
/// the fields may be repeated, are left to others; the rest is refused.
///
/// # Errors
/// Every fault of the object.
pub(crate) fn read_fields<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    fields: &mut [(&str, &mut dyn Read<V>)],
    passed_over: &[&str],
) -> Result<(), Faults> {
    let Value::Map(map) = value else {
        let given = shown(&value);
        let message = format_args!("{given} is not allowed; give an object");
        return Err(Faults::at(location, message));
    };
    let mut faults = Vec::new();
    let mut is_given = vec![false; fields.len()];
    for (name, value) in map.into_iter() {
        let location = location.push_key(&name);
        match fields.iter().position(|(known, _)| *known == name) {
            Some(i) => {
                is_given[i] = true;
                let found = fields[i].1.read(value, location);
                faults.extend(found.into_iter().flat_map(Faults::into_vec));
            }
            None if passed_over.contains(&name.as_str()) => {}
            None => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
                let known = match passed_over {
                    [] => names.join(", "),
                    all => all.join(", "),
                };
                let message = format_args!("this name is not known here; known are {known}");
                faults.extend(Faults::at(location, message).into_vec());
            }
        }
    }
    for ((name, field), is_given) in fields.iter().zip(is_given) {
        if !is_given && field.is_missing() {
            faults.extend(Faults::at(location.push_key(name), MISSING).into_vec());
        }
    }
    Faults::check(faults)
}

/// Declares a shape that is read by its fields. Those with `#[deserr(default)]`
/// or `#[deserr(default = …)]` may be left out. One that is declared `of` another
/// passes over what only that one has.
macro_rules! fields {
    (
        $(#[$attr:meta])*
        pub struct $name:ident $(of $whole:ident)? {
            $(
                $(#[doc = $doc:literal])+
                $(#[deserr $deserr:tt])?
                $(#[schemars $schemars:tt])?
                $(#[serde $serde:tt])?
                $(#[cfg_attr $cfg_attr:tt])?
                pub $field:ident: $type:ty,
            )*
        }
    ) => {
        $(#[$attr])*
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[schemars $schemars])?
                $(#[serde $serde])?
                $(#[cfg_attr $cfg_attr])?
                pub $field: $type,
            )*
        }

        impl crate::wire::Fields for $name {
            const NAMES: &'static [&'static str] = &[$( stringify!($field) ),*];
        }

        impl deserr::Deserr<crate::wire::Faults> for $name {
            fn deserialize_from_value<V: deserr::IntoValue>(
                value: deserr::Value<V>,
                location: deserr::ValuePointerRef<'_>,
            ) -> Result<Self, crate::wire::Faults> {
                $(
                    let mut $field: crate::wire::Slot<$type> =
                        crate::wire::Slot(crate::wire::fields!(@default $($deserr)?));
                )*
                crate::wire::read_fields(value, location, &mut [
                    $( (stringify!($field), &mut $field), )*
                ], crate::wire::fields!(@passed_over $($whole)?))?;
                Ok(Self { $( $field: $field.take()?, )* })
            }
        }
    };
    (@passed_over) => { &[] };
    (@passed_over $whole:ident) => { <$whole as crate::wire::Fields>::NAMES };
    (@default) => { None };
    (@default (default)) => { Some(Default::default()) };
    (@default (default = $default:expr)) => { Some($default) };
}
pub(crate) use fields;
