//! Typed values from text and files.

use serde::{
    de::{
        Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor,
        value::SeqDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    file::{self, FilePart},
    named::Given,
};

type Error = serde::de::value::Error;

/// Every value that one name was given; never empty. Where one value is wanted, several are a
/// fault: which one counts is what request smuggling is made of.
#[derive(Clone, Copy)]
pub(super) struct Values<'a, 'g>(pub(super) &'a [Given<'g>]);

impl<'a, 'g> Values<'a, 'g> {
    fn one(&self) -> Result<&'a Given<'g>, Error> {
        match self.0 {
            [one] => Ok(one),
            [] => Err(Error::custom("no value was given")),
            _ => Err(Error::custom("given more than once")),
        }
    }

    fn text(&self, expected: &dyn Expected) -> Result<&'a str, Error> {
        match self.one()? {
            Given::Text(text) => Ok(text),
            Given::File(_) => Err(Error::invalid_type(Unexpected::Other("a file"), expected)),
            Given::Malformed(why) => Err(Error::custom(why)),
        }
    }

    fn file(&self) -> Option<&'g FilePart> {
        match self.0 {
            [Given::File(file)] => Some(file),
            _ => None,
        }
    }

    fn parse<T: std::str::FromStr>(&self, expected: &'static str) -> Result<T, Error> {
        let text = self.text(&expected)?;
        text.parse().map_err(|_| Error::invalid_value(Unexpected::Str(text), &expected))
    }

    /// As JSON, text knows no infinity and no NaN.
    fn finite<T: std::str::FromStr + Into<f64> + Copy>(
        &self,
        expected: &'static str,
    ) -> Result<T, Error> {
        let number: T = self.parse(expected)?;
        if number.into().is_finite() {
            return Ok(number);
        }
        Err(Error::invalid_value(Unexpected::Str(self.text(&expected)?), &expected))
    }
}

macro_rules! parsed {
    ($($method:ident => $visit:ident: $type:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                visitor.$visit(self.parse::<$type>(stringify!($type))?)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Values<'_, '_> {
    type Error = Error;

    parsed! {
        deserialize_bool => visit_bool: bool;
        deserialize_i8 => visit_i8: i8;
        deserialize_i16 => visit_i16: i16;
        deserialize_i32 => visit_i32: i32;
        deserialize_i64 => visit_i64: i64;
        deserialize_i128 => visit_i128: i128;
        deserialize_u8 => visit_u8: u8;
        deserialize_u16 => visit_u16: u16;
        deserialize_u32 => visit_u32: u32;
        deserialize_u64 => visit_u64: u64;
        deserialize_u128 => visit_u128: u128;
        deserialize_char => visit_char: char;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f32(self.finite("f32")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.finite("f64")?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = self.text(&visitor)?;
        visitor.visit_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.file() {
            Some(file) => visitor.visit_bytes(&file.bytes),
            None => visitor.visit_bytes(self.text(&"bytes")?.as_bytes()),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            [_] => self.deserialize_str(visitor),
            _ => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.file() {
            Some(part) if name == file::NAME => file::hand_over(part.clone(), visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.text(&"a variant")?.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.chunks(1).map(Each)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { unit unit_struct map struct identifier }
}

pub(super) struct Each<'a, 'g>(pub(super) &'a [Given<'g>]);

impl<'a, 'g> IntoDeserializer<'_, Error> for Each<'a, 'g> {
    type Deserializer = Values<'a, 'g>;

    fn into_deserializer(self) -> Values<'a, 'g> {
        Values(self.0)
    }
}
