//! The table form in which sections of the configuration are written.

/// Declares a section of the configuration: for each field its documentation,
/// name, type and default, once. From it come the parser (all faults at once,
/// unknown names refused), `Default`, the JSON Schema and the TypeScript type.
macro_rules! section {
    (
        $(#[$attr:meta])*
        pub struct $section:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty [$ts:literal] = $default:expr, )*
        }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        #[schemars(deny_unknown_fields, default)]
        pub struct $section {
            $(
                $(#[doc = $doc])+
                #[cfg_attr(test, ts(type = $ts, optional))]
                pub $field: $type,
            )*
        }

        impl deserr::Deserr<crate::wire::Faults> for $section {
            fn deserialize_from_value<V: deserr::IntoValue>(
                value: deserr::Value<V>,
                location: deserr::ValuePointerRef<'_>,
            ) -> Result<Self, crate::wire::Faults> {
                let mut read = Self::default();
                crate::wire::read_fields(value, location, &mut [
                    $( (stringify!($field), &mut crate::wire::Given(&mut read.$field)), )*
                ])?;
                Ok(read)
            }
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }
    };
}
pub(super) use section;
