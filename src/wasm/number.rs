//! Numbers as text, by JavaScript.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = String)]
    fn string_of(number: f64) -> String;

    #[wasm_bindgen(js_name = Number)]
    fn number_of(text: &str) -> f64;
}

/// The shortest text that is read back as this number.
pub(crate) fn text(number: f64) -> String {
    string_of(number)
}

/// The number that a text stands for. JavaScript would also take blanks, and
/// hexadecimal digits.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let is_decimal = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
    let is_number = !text.is_empty() && text.bytes().all(is_decimal);
    let number = if is_number { number_of(text) } else { f64::NAN };
    (!number.is_nan()).then_some(number)
}
