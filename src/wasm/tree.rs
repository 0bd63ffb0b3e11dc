//! What JavaScript gives: a value that `core.js` wrote to bytes.
//!
//! The first byte says what it is:
//!
//! | byte | value | what follows |
//! |---|---|---|
//! | 0, 1, 2 | null, false, true | |
//! | 3 | a whole number below 2^32 | 4 bytes |
//! | 4 | another number | 8 bytes |
//! | 5 | a text | its length, then its bytes |
//! | 6 | a list | how many there are, then these |
//! | 7 | an object | how many there are, then each name and its value |
//!
//! Numbers are little-endian, lengths have 4 bytes. Text would have to be
//! parsed and its numbers converted, which is several times the code.

use deserr::{IntoValue, Map, Value, ValueKind};

/// A value: the bytes from its first one on. Where they end early, it is null.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a>(pub(super) &'a [u8]);

/// The fields of an object.
pub(super) struct Fields<'a>(Vec<(String, Tree<'a>)>);

impl<'a> Tree<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn length(&mut self) -> usize {
        self.take(4).try_into().map_or(0, u32::from_le_bytes) as usize
    }

    fn bytes(&mut self) -> &'a [u8] {
        let n = self.length();
        self.take(n)
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The value here; goes behind it. No deeper than the stack, however deep
    /// the value is.
    fn next(&mut self) -> Self {
        let value = *self;
        let mut n_left = 1;
        while n_left > 0 && !self.0.is_empty() {
            n_left -= 1;
            match self.byte() {
                3 => drop(self.take(4)),
                4 => drop(self.take(8)),
                5 => drop(self.bytes()),
                6 => n_left += self.length(),
                7 => n_left += 2 * self.length(),
                _ => {}
            }
        }
        value
    }

    /// How many values there can be: no more than bytes.
    fn n_values(&mut self) -> usize {
        self.length().min(self.0.len())
    }
}

impl<'a> IntoValue for Tree<'a> {
    type Sequence = Vec<Self>;
    type Map = Fields<'a>;

    fn kind(&self) -> ValueKind {
        self.into_value().kind()
    }

    #[inline(never)]
    fn into_value(mut self) -> Value<Self> {
        match self.byte() {
            1 => Value::Boolean(false),
            2 => Value::Boolean(true),
            3 => Value::Integer(self.length() as u64),
            4 => number(self.take(8).try_into().map_or(0.0, f64::from_le_bytes)),
            5 => Value::String(self.text()),
            6 => {
                let n = self.n_values();
                Value::Sequence((0..n).map(|_| self.next()).collect())
            }
            7 => {
                let n = self.n_values();
                let field = |_| {
                    // That the name is a text.
                    self.byte();
                    (self.text(), self.next())
                };
                Value::Map(Fields((0..n).map(field).collect()))
            }
            _ => Value::Null,
        }
    }
}

/// A number as the same JSON text has it: whole if it is.
fn number<'a>(number: f64) -> Value<Tree<'a>> {
    const END: f64 = 18_446_744_073_709_551_616.0;
    if number.trunc() != number || number.abs() >= END {
        Value::Float(number)
    } else if number >= 0.0 {
        Value::Integer(number as u64)
    } else if number >= i64::MIN as f64 {
        Value::NegativeInteger(number as i64)
    } else {
        Value::Float(number)
    }
}

impl<'a> Map for Fields<'a> {
    type Value = Tree<'a>;
    type Iter = std::vec::IntoIter<(String, Tree<'a>)>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn remove(&mut self, key: &str) -> Option<Tree<'a>> {
        let i = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(i).1)
    }

    fn into_iter(self) -> Self::Iter {
        self.0.into_iter()
    }
}
