//! Numbers as text, natively. For wasm32 JavaScript does this (`wasm/number.rs`):
//! the tables for it would be a tenth of the package.

/// The shortest text that is read back as this number.
pub(crate) fn text(number: f64) -> String {
    number.to_string()
}

/// The number that a text stands for.
pub(crate) fn parse(text: &str) -> Option<f64> {
    text.parse().ok()
}
