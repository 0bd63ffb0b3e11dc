//! The table form in which sections of the configuration are written.

/// Declares a section of the configuration: for each field its documentation,
/// name, type and default, once. From it come the parser (all faults at once,
/// unknown names refused), `Default`, the JSON Schema and the TypeScript type.
///
/// `Section = Rules { … } + { … }` declares a section of which the engine needs
/// the fields of `Rules` alone. These are then a section of their own, which
/// knows the names of the others and passes over them: the package has it, the
/// proxy has `Section`, with all fields.
macro_rules! section {
    (
        $(#[$attr:meta])*
        pub struct $section:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty [$ts:literal] = $default:expr, )*
        }
    ) => {
        section! { @declare $(#[$attr])*
            $section, &[];
            $( $(#[doc = $doc])+ $field: $type [$ts] = $default, )*
        }
    };
    (
        $(#[$attr:meta])*
        pub struct $section:ident =
        $(#[$of_rules:meta])*
        $rules:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty [$ts:literal] = $default:expr, )*
        } + {
            $( $(#[doc = $docs:literal])+ $own:ident: $own_type:ty [$own_ts:literal] = $own_default:expr, )*
        }
    ) => {
        section! { @declare $(#[$of_rules])*
            $rules, <$section as crate::wire::Fields>::NAMES;
            $( $(#[doc = $doc])+ $field: $type [$ts] = $default, )*
        }

        section! { @declare $(#[$attr])*
            $section, &[];
            $( $(#[doc = $doc])+ $field: $type [$ts] = $default, )*
            $( $(#[doc = $docs])+ $own: $own_type [$own_ts] = $own_default, )*
        }

        impl $section {
            /// What of it the engine goes by.
            pub(super) fn rules(&self) -> $rules {
                $rules { $( $field: self.$field.clone(), )* }
            }
        }
    };
    (
        @declare
        $(#[$attr:meta])*
        $section:ident, $passed_over:expr;
        $( $(#[doc = $doc:literal])+ $field:ident: $type:ty [$ts:literal] = $default:expr, )*
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

        impl crate::wire::Fields for $section {
            const NAMES: &'static [&'static str] = &[$( stringify!($field) ),*];
        }

        impl deserr::Deserr<crate::wire::Faults> for $section {
            fn deserialize_from_value<V: deserr::IntoValue>(
                value: deserr::Value<V>,
                location: deserr::ValuePointerRef<'_>,
            ) -> Result<Self, crate::wire::Faults> {
                let mut read = Self::default();
                crate::wire::read_fields(value, location, &mut [
                    $( (stringify!($field), &mut crate::wire::Given(&mut read.$field)), )*
                ], $passed_over)?;
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
