//! What JavaScript gets: a shape, written to bytes that `core.js` reads.
//!
//! It begins with where its text begins: all texts of all values, one after the
//! other, so that JavaScript decodes them in one call. Before that stand the
//! values, as in [`super::tree`] but that a text has only its length, in UTF-16
//! units, and that the name of a field is a byte: 255 and a length for a name that
//! comes for the first time, else which of the earlier ones it is.

use core::fmt;

use serde::ser::{self, Serialize};

/// The bytes of a shape.
pub(super) fn answer(shape: &impl Serialize) -> Vec<u8> {
    let mut answer = Answer {
        values: vec![0; 4],
        texts: String::new(),
        names: Vec::new(),
    };
    let Ok(()) = shape.serialize(&mut answer);
    let n = answer.values.len() as u32;
    answer.values[..4].copy_from_slice(&n.to_le_bytes());
    answer.values.extend_from_slice(answer.texts.as_bytes());
    answer.values
}

type Written = Result<(), Refused>;

struct Answer {
    values: Vec<u8>,
    texts: String,
    /// Names of fields in the order they first came; one that can come again has
    /// its address here.
    names: Vec<&'static str>,
}

impl Answer {
    #[inline(never)]
    fn byte(&mut self, byte: u8) {
        self.values.push(byte);
    }

    #[inline(never)]
    fn length(&mut self, n: usize) {
        self.values.extend_from_slice(&(n as u32).to_le_bytes());
    }

    #[inline(never)]
    fn whole(&mut self, n: u64) {
        match u32::try_from(n) {
            Ok(n) => {
                self.byte(3);
                self.length(n as usize);
            }
            Err(_) => self.float(n as f64),
        }
    }

    #[inline(never)]
    fn float(&mut self, number: f64) {
        self.byte(4);
        self.values.extend_from_slice(&number.to_le_bytes());
    }

    fn bare_text(&mut self, text: &str) {
        // A code point has one unit, or two when it has four bytes.
        let units = |b: u8| usize::from(b & 0xc0 != 0x80) + usize::from(b >= 0xf0);
        self.length(text.bytes().map(units).sum());
        self.texts.push_str(text);
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
        self.byte(5);
        self.bare_text(text);
    }

    /// The name of a field that other objects have too.
    #[inline(never)]
    fn name(&mut self, name: &'static str) {
        let is_it = |known: &&str| core::ptr::eq::<str>(*known, name);
        match self.names.iter().take(255).position(is_it) {
            Some(i) => self.byte(i as u8),
            None => {
                self.byte(255);
                self.bare_text(name);
                self.names.push(name);
            }
        }
    }

    #[inline(never)]
    fn variant(&mut self, name: &'static str) {
        let place = self.begin(7);
        self.end(place, 1);
        self.name(name);
    }

    /// Begins a list (6) or an object (7); says where its length stands.
    #[inline(never)]
    fn begin(&mut self, kind: u8) -> usize {
        self.byte(kind);
        self.length(0);
        self.values.len()
    }

    #[inline(never)]
    fn end(&mut self, place: usize, n: u32) {
        self.values[place - 4..place].copy_from_slice(&n.to_le_bytes());
    }
}

/// A list or an object that is being written.
struct Part<'a> {
    answer: &'a mut Answer,
    place: usize,
    n: u32,
}

impl<'a> Part<'a> {
    fn begin(answer: &'a mut Answer, kind: u8) -> Self {
        let place = answer.begin(kind);
        Self {
            answer,
            place,
            n: 0,
        }
    }

    fn finish(self) -> Written {
        self.answer.end(self.place, self.n);
        Ok(())
    }
}

impl<'a> ser::Serializer for &'a mut Answer {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Part<'a>;
    type SerializeTuple = Part<'a>;
    type SerializeTupleStruct = Part<'a>;
    type SerializeTupleVariant = Part<'a>;
    type SerializeMap = Part<'a>;
    type SerializeStruct = Part<'a>;
    type SerializeStructVariant = Part<'a>;

    fn serialize_bool(self, value: bool) -> Written {
        self.byte(1 + u8::from(value));
        Ok(())
    }

    fn serialize_i64(self, n: i64) -> Written {
        self.float(n as f64);
        Ok(())
    }

    fn serialize_u64(self, n: u64) -> Written {
        self.whole(n);
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Written {
        self.float(number);
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Written {
        self.text(text);
        Ok(())
    }

    fn serialize_unit(self) -> Written {
        self.byte(0);
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Part<'a>, Refused> {
        Ok(Part::begin(self, 6))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Part<'a>, Refused> {
        Ok(Part::begin(self, 7))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.variant(variant);
        value.serialize(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Part<'a>, Refused> {
        self.variant(variant);
        Ok(Part::begin(self, 6))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Part<'a>, Refused> {
        self.variant(variant);
        Ok(Part::begin(self, 7))
    }

    fn serialize_i8(self, n: i8) -> Written {
        self.serialize_i64(n.into())
    }

    fn serialize_i16(self, n: i16) -> Written {
        self.serialize_i64(n.into())
    }

    fn serialize_i32(self, n: i32) -> Written {
        self.serialize_i64(n.into())
    }

    fn serialize_u8(self, n: u8) -> Written {
        self.serialize_u64(n.into())
    }

    fn serialize_u16(self, n: u16) -> Written {
        self.serialize_u64(n.into())
    }

    fn serialize_u32(self, n: u32) -> Written {
        self.serialize_u64(n.into())
    }

    fn serialize_f32(self, number: f32) -> Written {
        self.serialize_f64(number.into())
    }

    fn serialize_char(self, char: char) -> Written {
        self.serialize_str(char.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        bytes.serialize(self)
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_tuple(self, n: usize) -> Result<Part<'a>, Refused> {
        self.serialize_seq(Some(n))
    }

    fn serialize_tuple_struct(self, _: &'static str, n: usize) -> Result<Part<'a>, Refused> {
        self.serialize_seq(Some(n))
    }

    fn serialize_struct(self, _: &'static str, n: usize) -> Result<Part<'a>, Refused> {
        self.serialize_map(Some(n))
    }
}

/// The elements of a list, by whatever name serde has for it.
macro_rules! elements {
    ($trait:ident, $serialize:ident) => {
        impl ser::$trait for Part<'_> {
            type Ok = ();
            type Error = Refused;

            #[inline(never)]
            fn $serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.n += 1;
                value.serialize(&mut *self.answer)
            }

            fn end(self) -> Written {
                self.finish()
            }
        }
    };
}
elements!(SerializeSeq, serialize_element);
elements!(SerializeTuple, serialize_element);
elements!(SerializeTupleStruct, serialize_field);
elements!(SerializeTupleVariant, serialize_field);

/// The fields of an object whose names are known.
macro_rules! fields {
    ($trait:ident) => {
        impl ser::$trait for Part<'_> {
            type Ok = ();
            type Error = Refused;

            #[inline(never)]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Written {
                self.n += 1;
                self.answer.name(name);
                value.serialize(&mut *self.answer)
            }

            fn end(self) -> Written {
                self.finish()
            }
        }
    };
}
fields!(SerializeStruct);
fields!(SerializeStructVariant);

impl ser::SerializeMap for Part<'_> {
    type Ok = ();
    type Error = Refused;

    /// Written as a text would be, but for its first byte.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.n += 1;
        let place = self.answer.values.len();
        key.serialize(&mut *self.answer)?;
        self.answer.values[place] = 255;
        self.answer.names.push("");
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(&mut *self.answer)
    }

    fn end(self) -> Written {
        self.finish()
    }
}

/// There is no shape that cannot be written.
#[derive(Debug)]
enum Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Refused {}

impl ser::Error for Refused {
    /// For shapes with a `Serialize` of their own that can fail: none of ours.
    fn custom<T: fmt::Display>(message: T) -> Self {
        unreachable!("a shape was not written: {message}")
    }
}
