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
        #[derive(Clone, Debug, PartialEq, deserr::Deserr, serde::Serialize, schemars::JsonSchema)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        #[deserr(error = crate::wire::Faults, deny_unknown_fields)]
        #[schemars(deny_unknown_fields, default)]
        pub struct $section {
            $(
                $(#[doc = $doc])+
                #[deserr(default = $default)]
                #[cfg_attr(test, ts(type = $ts, optional))]
                pub $field: $type,
            )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }
    };
}
pub(super) use section;
